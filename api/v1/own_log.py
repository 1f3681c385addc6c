"""``/v1/me/audit``: the whole history of the person who asks, entry by entry, opened and provable."""

from typing import Any

from flask.views import MethodView
from marshmallow import Schema, fields

from api.body import Blueprint
from api.oauth.protect import authenticate_citizen
from api.services import services
from api.timestamps import Timestamp
from api.v1.me import PageSchema
from exchange.own_log import OwnEntry, own_log

blueprint = Blueprint("own-log", __name__, url_prefix="/v1/me/audit", description="What the log holds about a citizen.")


class OwnFactSchema(Schema):
    """A fact, with what shows that the entry committed to it."""

    index = fields.Integer(metadata={"description": "place among the commitments of the entry (`sd`)"})
    name = fields.String()
    value = fields.String()
    salt = fields.String(metadata={"description": "base64url: the commitment is SHA-256 over salt, name and value"})


class SeenBySchema(Schema):
    """An officer opened the entry."""

    entry = fields.UUID(attribute="entry_id", metadata={"description": "the entry that tells of it"})
    at = Timestamp()
    org = fields.String()
    role = fields.String()
    reason = fields.String()


class OwnEntrySchema(Schema):
    """An entry of my history."""

    id = fields.UUID()
    at = Timestamp()
    type = fields.String()
    org = fields.String(metadata={"description": "an agency, `cdx` or `subject`, which is myself"})
    outcome = fields.String()
    purpose = fields.String(allow_none=True)
    request = fields.UUID(allow_none=True)
    detail = fields.Dict(keys=fields.String(), values=fields.String())
    facts = fields.List(
        fields.Nested(OwnFactSchema), allow_none=True, metadata={"description": "null: they do not open"}
    )
    opened_by = fields.List(fields.Nested(SeenBySchema))
    proof = fields.Dict(allow_none=True, metadata={"description": "null: not yet in the log"})


class OwnLogSchema(Schema):
    """Entries, newest first."""

    entries = fields.List(fields.Nested(OwnEntrySchema))
    checkpoint = fields.String(allow_none=True, metadata={"description": "signed note that the proofs lead to"})
    next = fields.String(allow_none=True)


@blueprint.route("")
class MyLog(MethodView):
    """What was done about me."""

    @blueprint.arguments(PageSchema, location="query")
    @blueprint.response(200, OwnLogSchema)
    def get(self, page: dict[str, Any]) -> Any:
        """All entries about me, newest first: opened, with proofs, and who else opened them. Looking is on record."""
        service = services()
        citizen = authenticate_citizen()
        found = own_log(service.exchange, citizen, cursor=page.get("cursor"), limit=page["limit"], now=service.clock())
        return {
            "entries": [_line(one) for one in found.entries],
            "checkpoint": found.checkpoint,
            "next": found.next,
        }


def _line(own: OwnEntry) -> dict[str, Any]:
    entry = own.entry
    return {
        "id": entry.id,
        "at": entry.at,
        "type": entry.type,
        "org": entry.org,
        "outcome": entry.outcome,
        "purpose": entry.purpose,
        "request": entry.request,
        "detail": entry.detail,
        "facts": own.facts,
        "opened_by": own.seen_by,
        "proof": own.proof,
    }
