"""``/v1/me``: a citizen decides, sees, withdraws, takes receipts along. Everything is about the token's own person."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from api.body import Blueprint
from api.oauth.protect import authenticate_citizen
from api.services import services
from api.timestamps import Timestamp
from exchange import citizen_views, consent_receipts, consents, disclosures
from exchange.citizen_views import OwnConsent, WaitingRequest

blueprint = Blueprint("me", __name__, url_prefix="/v1/me", description="What a citizen decides and sees.")

_NAME = validate.Regexp(r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$(?!\n)", error="not a catalogue name")
_LANGUAGE = validate.Regexp(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$(?!\n)", error="not a language tag")
# Milliseconds and an id, as ``exchange.disclosures`` writes them; 14 digits stay inside the calendar.
_CURSOR = validate.Regexp(
    r"^[0-9]{1,14}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$(?!\n)", error="not a cursor that this list gave out"
)
_MAX_PAGE: Final = 100
_MAX_USES: Final = 2**31 - 1  # what the ledger can count down


def _in_calendar(moment: datetime) -> None:
    # With an offset, the first and last days of the calendar may lie outside it in UTC.
    try:
        moment.astimezone(UTC)
    except OverflowError:
        raise ValidationError("outside the calendar") from None


class ChosenSchema(Schema):
    """One attribute in one form."""

    name = fields.String(required=True, validate=_NAME)
    form = fields.String(load_default="value", validate=_NAME)


class AskedSchema(ChosenSchema):
    """One attribute that is asked for, in words."""

    required = fields.Boolean(metadata={"description": "the purpose cannot be served without it"})
    label = fields.String()
    classification = fields.String()
    provider = fields.String()


class WaitingSchema(Schema):
    """A request that waits for a decision."""

    id = fields.UUID()
    consent = fields.UUID(attribute="consent_id")
    agency = fields.String()
    agency_name = fields.String()
    purpose = fields.String()
    purpose_label = fields.String()
    attributes = fields.List(fields.Nested(AskedSchema), attribute="lines")
    officer_role = fields.String()
    case_reference = fields.String()
    message = fields.String(allow_none=True)
    notice_version = fields.String()
    notice = fields.Dict(keys=fields.String(), values=fields.Dict())
    valid_until = Timestamp(metadata={"description": "the longest a permission would hold"})
    uses = fields.Integer(allow_none=True, metadata={"description": "null: as often as needed"})
    created_at = Timestamp()
    expires_at = Timestamp()


class WaitingListSchema(Schema):
    """Requests that wait."""

    requests = fields.List(fields.Nested(WaitingSchema))


class DecisionSchema(Schema):
    """Yes to all or some, or no."""

    decision = fields.String(required=True, validate=validate.OneOf(["allow", "refuse"]))
    attributes = fields.List(
        fields.Nested(ChosenSchema), metadata={"description": "what is allowed; required ones included"}
    )
    language = fields.String(required=True, validate=_LANGUAGE)
    notice_version = fields.String(required=True, validate=validate.Length(min=1, max=128))
    valid_until = Timestamp(
        validate=_in_calendar, metadata={"description": "earlier than offered, to allow for a shorter time"}
    )
    uses = fields.Integer(
        strict=True, validate=validate.Range(min=1, max=_MAX_USES), metadata={"description": "fewer than offered"}
    )

    @validates_schema
    def _fits(self, data: dict[str, Any], **_: Any) -> None:
        extra = {"attributes", "valid_until", "uses"} & data.keys()
        if data.get("decision") == "refuse" and extra:
            raise ValidationError("belongs to the decision allow only", min(extra))
        if data.get("decision") == "allow" and not data.get("attributes"):
            raise ValidationError("name what is allowed", "attributes")


class RenewalSchema(Schema):
    """The notice that was shown."""

    language = fields.String(required=True, validate=_LANGUAGE)
    notice_version = fields.String(required=True, validate=validate.Length(min=1, max=128))


class DecidedSchema(Schema):
    """What a decision led to."""

    consent = fields.UUID(attribute="consent_id")
    status = fields.String()
    version = fields.Integer()


class ConsentSchema(Schema):
    """One consent as its person sees it."""

    id = fields.UUID()
    agency = fields.String()
    agency_name = fields.String()
    agreement = fields.String()
    purpose = fields.String()
    attributes = fields.List(fields.Nested(ChosenSchema))
    status = fields.String()
    version = fields.Integer()
    valid_from = Timestamp()
    valid_until = Timestamp()
    requested_at = Timestamp()
    decided_at = Timestamp(allow_none=True)
    ended_at = Timestamp(allow_none=True)
    uses_left = fields.Integer(allow_none=True)
    times_used = fields.Integer()
    last_used_at = Timestamp(allow_none=True)


class ConsentListSchema(Schema):
    """Consents, newest request first."""

    consents = fields.List(fields.Nested(ConsentSchema))


class PageSchema(Schema):
    """A page of a list."""

    cursor = fields.String(validate=_CURSOR, metadata={"description": "`next` of the page before"})
    limit = fields.Integer(load_default=50, validate=validate.Range(min=1, max=_MAX_PAGE))


class DisclosureSchema(Schema):
    """Who got what, when, why, under which permission; and the proof that it stands in the log."""

    id = fields.UUID()
    at = Timestamp()
    agency = fields.String()
    agency_name = fields.String()
    purpose = fields.String()
    attributes = fields.List(fields.Nested(ChosenSchema))
    officer_role = fields.String(allow_none=True)
    consent = fields.UUID(attribute="consent_id", allow_none=True, metadata={"description": "null: by law"})
    entry = fields.UUID(attribute="entry_id")
    acknowledged_at = Timestamp(allow_none=True)
    proof = fields.Dict(allow_none=True, metadata={"description": "null: not yet integrated"})


class HistorySchema(Schema):
    """Disclosures, newest first."""

    disclosures = fields.List(fields.Nested(DisclosureSchema))
    checkpoint = fields.String(allow_none=True, metadata={"description": "signed note that the proofs lead to"})
    next = fields.String(allow_none=True)


class ReceiptSchema(Schema):
    """A consent receipt (ISO/IEC TS 27560), and the same signed."""

    receipt = fields.Dict()
    signed = fields.String(metadata={"description": "compact JWS"})


@blueprint.route("/requests")
class MyRequests(MethodView):
    """What waits for me."""

    @blueprint.response(200, WaitingListSchema)
    def get(self) -> dict[str, list[WaitingRequest]]:
        """Requests that wait for my decision."""
        service = services()
        return {"requests": citizen_views.waiting(service.exchange, authenticate_citizen(), service.clock())}


@blueprint.route("/requests/<uuid:request_id>/decision")
class MyDecision(MethodView):
    """Deciding."""

    @blueprint.arguments(DecisionSchema)
    @blueprint.response(200, DecidedSchema)
    def post(self, data: dict[str, Any], request_id: UUID) -> Any:
        """Allow all or some of what is asked, or refuse."""
        service = services()
        citizen = authenticate_citizen()
        shown = {"language": data["language"], "notice_version": data["notice_version"]}
        if data["decision"] == "refuse":
            return consents.refuse(service.exchange, citizen, request_id, **shown, now=service.clock())
        return consents.allow(
            service.exchange,
            citizen,
            request_id,
            selection=[(one["name"], one["form"]) for one in data["attributes"]],
            valid_until=data["valid_until"].astimezone(UTC) if "valid_until" in data else None,
            uses=data.get("uses"),
            **shown,
            now=service.clock(),
        )


@blueprint.route("/consents")
class MyConsents(MethodView):
    """What I allowed."""

    @blueprint.response(200, ConsentListSchema)
    def get(self) -> Any:
        """My consents, in force and ended."""
        service = services()
        own = citizen_views.list_own(service.exchange, authenticate_citizen(), service.clock())
        return {"consents": [_consent(one) for one in own]}


def _consent(own: OwnConsent) -> dict[str, Any]:
    record = own.record
    return {
        "id": record.id,
        "agency": record.consumer,
        "agency_name": own.agency_name,
        "agreement": own.agreement.code,
        "purpose": record.purpose,
        "attributes": [{"name": one.name, "form": one.form} for one in record.scope],
        "status": own.status,
        "version": record.version,
        "valid_from": record.valid_from,
        "valid_until": record.valid_until,
        "requested_at": record.requested_at,
        "decided_at": record.decided_at,
        "ended_at": record.ended_at,
        "uses_left": own.uses_left,
        "times_used": own.uses,
        "last_used_at": own.last_used_at,
    }


@blueprint.route("/consents/<uuid:consent_id>/withdraw")
class Withdrawal(MethodView):
    """Taking back."""

    @blueprint.response(200, DecidedSchema)
    def post(self, consent_id: UUID) -> Any:
        """Withdraw: at once, for good, no reason needed."""
        service = services()
        return consents.withdraw(service.exchange, authenticate_citizen(), consent_id, service.clock())


@blueprint.route("/consents/<uuid:consent_id>/pause")
class Pause(MethodView):
    """Stopping for a while."""

    @blueprint.response(200, DecidedSchema)
    def post(self, consent_id: UUID) -> Any:
        """Pause: nothing flows until it is resumed."""
        service = services()
        return consents.pause(service.exchange, authenticate_citizen(), consent_id, service.clock())


@blueprint.route("/consents/<uuid:consent_id>/resume")
class Resumption(MethodView):
    """Going on."""

    @blueprint.response(200, DecidedSchema)
    def post(self, consent_id: UUID) -> Any:
        """Resume what was paused."""
        service = services()
        return consents.resume(service.exchange, authenticate_citizen(), consent_id, service.clock())


@blueprint.route("/consents/<uuid:consent_id>/renew")
class Renewal(MethodView):
    """Going on after the end."""

    @blueprint.arguments(RenewalSchema)
    @blueprint.response(200, DecidedSchema)
    def post(self, data: dict[str, Any], consent_id: UUID) -> Any:
        """Renew: a new record, given at once; the old one is superseded."""
        service = services()
        citizen = authenticate_citizen()
        return consents.renew(service.exchange, citizen, consent_id, **data, now=service.clock())


@blueprint.route("/disclosures")
class MyDisclosures(MethodView):
    """Who used my data."""

    @blueprint.arguments(PageSchema, location="query")
    @blueprint.response(200, HistorySchema)
    def get(self, page: dict[str, Any]) -> Any:
        """Disclosures about me, newest first, each with its inclusion proof. Looking is itself on record."""
        service = services()
        citizen = authenticate_citizen()
        return disclosures.history(
            service.exchange, citizen, cursor=page.get("cursor"), limit=page["limit"], now=service.clock()
        )


@blueprint.route("/receipts/<uuid:consent_id>")
class Receipt(MethodView):
    """What I can take home."""

    @blueprint.response(200, ReceiptSchema)
    def get(self, consent_id: UUID) -> Any:
        """The receipt of one of my consents."""
        service = services()
        return consent_receipts.receipt(service.exchange, authenticate_citizen(), consent_id, service.clock())
