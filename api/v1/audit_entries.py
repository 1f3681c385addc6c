"""``/v1/audit/entries``: an officer opens an entry of the log, with a stated reason, and on record (ADR 0018)."""

from typing import Any, Final
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema, fields, validate

from api.body import Blueprint
from api.oauth.protect import authenticate_agency
from api.oauth.scopes import Scope
from api.services import services
from api.timestamps import Timestamp
from api.v1.audit_schemas import InclusionAnswer
from exchange.access import admit
from exchange.openings import REASON_CHARACTERS, Officer, OpenedEntry, open_entry

blueprint = Blueprint(
    "audit-entries", __name__, url_prefix="/v1/audit/entries", description="Officers open entries, on record."
)

_LINE = validate.And(
    validate.Length(min=1, max=256), validate.Regexp(r"^[^\x00-\x1f\x7f]*$(?!\n)", error="no control characters")
)
_REASON = validate.And(
    validate.Length(min=REASON_CHARACTERS.start, max=REASON_CHARACTERS[-1]),
    validate.Regexp(r"^[^\x00-\x1f\x7f]*$(?!\n)", error="no control characters"),
)
_STATES: Final = ("opened", "erased", "damaged")
_ROLES: Final = ("person", "staff", "operator")


class OpenSchema(Schema):
    """Who opens, and why."""

    officer = fields.String(
        required=True, validate=_LINE, metadata={"description": "pseudonymous staff id; sealed", "example": "dpo-3"}
    )
    role = fields.String(
        required=True, validate=_LINE, metadata={"description": "the people concerned see it", "example": "auditor"}
    )
    reason = fields.String(
        required=True, validate=_REASON, metadata={"description": "sealed; the people concerned see it"}
    )


class OpenedFactSchema(Schema):
    """A sealed fact."""

    name = fields.String()
    value = fields.String(allow_none=True, metadata={"description": "null: kept from your organisation"})


class OwnerSchema(Schema):
    """Somebody whom the entry concerns, with the facts under their key. It does not say who."""

    role = fields.String(allow_none=True, validate=validate.OneOf([*_ROLES, None]))
    state = fields.String(validate=validate.OneOf(_STATES))
    facts = fields.List(fields.Nested(OpenedFactSchema))
    visible_from = Timestamp(allow_none=True, metadata={"description": "hidden from this person until then"})


class OpenedSchema(Schema):
    """An entry, opened."""

    id = fields.UUID()
    at = Timestamp()
    type = fields.String()
    org = fields.String()
    outcome = fields.String()
    purpose = fields.String(allow_none=True)
    request = fields.UUID(allow_none=True)
    detail = fields.Dict(keys=fields.String(), values=fields.String())
    owners = fields.List(fields.Nested(OwnerSchema))
    recorded_as = fields.List(fields.UUID(), metadata={"description": "entries that tell of this opening"})
    proof = fields.Nested(InclusionAnswer, allow_none=True, metadata={"description": "null: not yet in the log"})


@blueprint.route("/<uuid:entry_id>/open")
class Opening(MethodView):
    """Opening."""

    @blueprint.doc(security=[{"client": [Scope.AUDIT_OPEN.value]}])
    @blueprint.arguments(OpenSchema)
    @blueprint.response(200, OpenedSchema)
    def post(self, asked: dict[str, str], entry_id: UUID) -> Any:
        """Open the sealed facts of an entry of your organisation.

        Each call is an entry of the log, also one that opens nothing. The people concerned see it in their history,
        with role and reason.
        """
        service = services()
        now = service.clock()
        caller = authenticate_agency(Scope.AUDIT_OPEN.value)
        live = admit(service.exchange, caller, now)
        officer = Officer(
            org=live.agency, id=asked["officer"], role=asked["role"], via=f"{live.client_id} {caller.jkt}"
        )
        return _body(open_entry(service.exchange, officer, entry_id, asked["reason"], now))


def _body(opened: OpenedEntry) -> dict[str, Any]:
    entry = opened.entry
    return {
        "id": entry.id,
        "at": entry.at,
        "type": entry.type,
        "org": entry.org,
        "outcome": entry.outcome,
        "purpose": entry.purpose,
        "request": entry.request,
        "detail": entry.detail,
        # No reference: it would link people across organisations (exchange.openings).
        "owners": [
            {"role": one.role, "state": one.state, "facts": one.facts, "visible_from": one.visible_from}
            for one in opened.owners
        ],
        "recorded_as": opened.recorded_as,
        "proof": None if opened.proof is None else opened.proof.to_json(),
    }
