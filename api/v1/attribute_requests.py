"""``/v1/attribute-requests``: an agency asks, sees the state, collects, cancels, confirms arrival."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from flask import Response, request
from flask.views import MethodView
from marshmallow import Schema, ValidationError, fields, validate

from api.body import Blueprint
from api.oauth.protect import authenticate_agency
from api.prepared_schema import TrueOrFalse
from api.problems import DENIALS, ERRORS, INVALID, RETRY_SECONDS, ProblemError
from api.services import services
from api.timestamps import Timestamp
from api.v1.audit_schemas import InclusionAnswer
from api.v1.prefer import PREFER, with_proof
from crypto.blind_index import normalise
from crypto.errors import MalformedError
from exchange import request_states, requests
from exchange.errors import ProviderError, ProviderUnavailableError
from exchange.model import GRANTOR, AttributeRequest, Caller, RequestedAttribute, SubjectName
from exchange.outcomes import Answered, Failed, Outcome, Refused, Repeated, Waiting
from exchange.request_states import RequestState

PATH: Final = "/v1/attribute-requests"
blueprint = Blueprint(
    "attribute-requests",
    __name__,
    url_prefix=PATH,
    description="Ask for verified attributes of a person.",
)

ASKED: Final = "cdx.asked"
"""Where ``api.fast_lane`` leaves the caller and what came of the request, in an environment no header can write to."""
SCOPE: Final = "attributes:request"
_JWT: Final = "application/jwt"
_JSON: Final = "application/json"
_WAIT_SECONDS: Final = 30
_KEY: Final = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": True,
    "description": "Yours, and new for each new request: the same key with the same body has one effect.",
    "schema": {"type": "string", "pattern": "^[!-~]{8,128}$"},
}
_NAME = validate.Regexp(r"^[A-Za-z][A-Za-z0-9_.:-]{0,63}$(?!\n)", error="not a catalogue name")
_LINE = validate.And(
    validate.Length(min=1, max=256), validate.Regexp(r"^[^\x00-\x1f\x7f]*$(?!\n)", error="no control characters")
)


def _visible(identifier: str) -> None:
    try:
        normalise(identifier)
    except MalformedError:
        raise ValidationError("no visible character") from None


class SubjectSchema(Schema):
    """How the person is named: by a national identifier, or by the ``sub`` of an earlier answer."""

    scheme = fields.String(required=True, validate=_NAME, metadata={"example": "national-id"})
    id = fields.String(required=True, validate=validate.And(_LINE, _visible))


class LineSchema(Schema):
    """One attribute in one form."""

    name = fields.String(required=True, validate=_NAME)
    form = fields.String(load_default="value", validate=_NAME, metadata={"example": "at_least:18"})
    required = TrueOrFalse(load_default=True)
    compare_to = fields.String(validate=_LINE, metadata={"description": "only with the form `equals`"})


class OfficerSchema(Schema):
    """Who acts at the agency: its own pseudonymous staff id, and the role that the citizen will see."""

    id = fields.String(required=True, validate=_LINE)
    role = fields.String(required=True, validate=_LINE)


class AskSchema(Schema):
    """A request for attributes."""

    subject = fields.Nested(
        SubjectSchema, metadata={"description": "left out with a token for a person's permission: it names the person"}
    )
    agreement = fields.String(required=True, validate=_LINE)
    purpose = fields.String(required=True, validate=_LINE)
    attributes = fields.List(fields.Nested(LineSchema), required=True, validate=validate.Length(min=1, max=64))
    acting_officer = fields.Nested(OfficerSchema, required=True)
    case_reference = fields.String(required=True, validate=_LINE)
    message = fields.String(validate=_LINE, metadata={"description": "shown to the citizen, as text"})


class StateSchema(Schema):
    """Where a request stands, and once released, the sealed answer."""

    id = fields.UUID(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(["waiting", "ready", "taken", "released", "denied", "lapsed", "failed", "cancelled"]),
    )
    created_at = Timestamp()
    expires_at = Timestamp(metadata={"description": "a request that nobody decides lapses then"})
    reference = fields.String(metadata={"description": "for the clerk to hand over; told once"})
    disclosure = fields.UUID()
    entry = fields.UUID(metadata={"description": "id of the entry in the audit log"})
    acknowledged_at = Timestamp(allow_none=True)
    response = fields.String(metadata={"description": "compact JWE around a JWS: the answer"})
    receipt = fields.String(metadata={"description": "signed promise that the entry will stand in the log"})
    proof = fields.Nested(InclusionAnswer, metadata={"description": "of the entry, with `Prefer: wait`"})


@blueprint.route("")
class AttributeRequests(MethodView):
    """Asking."""

    @blueprint.doc(parameters=[_KEY, PREFER])
    @blueprint.arguments(AskSchema)
    @blueprint.response(200, StateSchema, description="Answered at once.")
    @blueprint.alt_response(202, schema=StateSchema, description="The citizen decides.")
    def post(self, asked: dict[str, Any]) -> Any:
        """Ask for attributes of a person."""
        service = services()
        now = service.clock()
        if (before := asked_before(request.environ)) is not None:
            caller, outcome = before
        else:
            caller = authenticate_agency(SCOPE)
            outcome = requests.submit(
                service.exchange,
                caller,
                request_of(asked, caller),
                idempotency_key=idempotency_key(request.headers.getlist("Idempotency-Key")),
                body_digest=sha256(request.get_data(cache=True)).digest(),
                now=now,
            )
        if isinstance(outcome, Repeated):
            state = request_states.look_up(service.exchange, caller, outcome.request_id, now)
            return state_body(state), 202 if state.state == "waiting" else 200, _located(outcome.request_id)
        return with_proof(outcome, answer_of(outcome))


@blueprint.route("/<uuid:request_id>")
class OneRequest(MethodView):
    """State and cancelling."""

    @blueprint.response(200, StateSchema)
    def get(self, request_id: UUID) -> Any:
        """Where a request stands."""
        service = services()
        caller = authenticate_agency(SCOPE)
        return state_body(request_states.state_of(service.exchange, caller, request_id, service.clock()))

    @blueprint.response(200, StateSchema)
    def delete(self, request_id: UUID) -> Any:
        """Take a request back."""
        service = services()
        caller = authenticate_agency(SCOPE)
        return state_body(request_states.cancel(service.exchange, caller, request_id, service.clock()))


@blueprint.route("/<uuid:request_id>/response")
class Answer(MethodView):
    """Collecting."""

    @blueprint.doc(parameters=[PREFER], responses={200: {"content": {_JWT: {"schema": {"type": "string"}}}}})
    @blueprint.response(200, StateSchema, description="JWS in JWE, encrypted to your key.")
    @blueprint.alt_response(202, schema=StateSchema, description="Still waiting.")
    def get(self, request_id: UUID) -> Any:
        """Collect the answer.

        With `Accept: application/json` it comes as a member of what asking would have answered, and so can a proof.
        """
        service = services()
        caller = authenticate_agency(SCOPE)
        outcome = requests.collect(service.exchange, caller, request_id, service.clock())
        if isinstance(outcome, Answered) and request.accept_mimetypes.best_match([_JWT, _JSON]) != _JSON:
            return Response(outcome.jwe, mimetype=_JWT, headers={"Cache-Control": "no-store"})
        return with_proof(outcome, answer_of(outcome))


@blueprint.route("/<uuid:request_id>/receipt-acknowledgement")
class Acknowledgement(MethodView):
    """Confirming arrival."""

    @blueprint.response(200, StateSchema)
    def post(self, request_id: UUID) -> Any:
        """Confirm that the answer arrived and opened; it is not sent again then."""
        service = services()
        caller = authenticate_agency(SCOPE)
        return state_body(request_states.acknowledge(service.exchange, caller, request_id, service.clock()))


def asked_before(environ: Mapping[str, Any]) -> tuple[Caller, Outcome] | None:
    """Caller and outcome, where the fast lane has run the use case for this request.

    Raises:
        Exception: what the use case raised.
    """
    caller, came = environ.get(ASKED, (None, None))
    if isinstance(came, Exception):
        raise came
    return None if came is None else (caller, came)


def request_of(asked: dict[str, Any], caller: Caller) -> AttributeRequest:
    """What :class:`AskSchema` has read, as a value.

    Raises:
        ProblemError: body and token both name the person, or neither does. Naming somebody beside a token for a
            person's permission would tell whose permission it is.
    """
    if ("subject" in asked) is caller.stands_for_person:
        told = "leave it out: the token names the person" if caller.stands_for_person else "missing"
        raise ProblemError(INVALID, errors=[{"pointer": "/subject", "detail": told}])
    return AttributeRequest(
        subject=GRANTOR if caller.stands_for_person else SubjectName(**asked["subject"]),
        agreement=asked["agreement"],
        purpose=asked["purpose"],
        attributes=tuple(RequestedAttribute(**line) for line in asked["attributes"]),
        acting_officer=asked["acting_officer"]["id"],
        officer_role=asked["acting_officer"]["role"],
        case_reference=asked["case_reference"],
        message=asked.get("message"),
    )


def idempotency_key(values: Sequence[str]) -> str:
    """The header of a call that creates, of the values that came.

    Raises:
        ProblemError: there is not one, or it has not 8 to 128 visible characters.
    """
    if len(values) != 1 or not 8 <= len(values[0]) <= 128 or not all("!" <= char <= "~" for char in values[0]):
        raise ProblemError(INVALID, "send one Idempotency-Key header of 8 to 128 visible ASCII characters")
    return values[0]


def answer_of(outcome: Outcome) -> Any:
    """Body, status and headers of an outcome; a refusal is raised as its problem, after it was committed."""
    match outcome:
        case Answered():
            body = {
                "id": outcome.request_id,
                "state": "released",
                "disclosure": outcome.disclosure_id,
                "entry": outcome.entry_id,
                "response": outcome.jwe,
                "receipt": outcome.receipt,
            }
            return body, 200, _located(outcome.request_id)
        case Waiting():
            body = {"id": outcome.request_id, "state": "waiting", "expires_at": outcome.expires_at}
            if outcome.reference is not None:
                body["reference"] = outcome.reference
            return body, 202, {**_located(outcome.request_id), "Retry-After": str(_WAIT_SECONDS)}
        case Refused():
            detail = f"attributes: {', '.join(outcome.lines)}" if outcome.lines else None
            raise ProblemError(DENIALS[outcome.reason], detail)
        case Failed():
            unavailable = outcome.code == ProviderUnavailableError.code
            problem = ERRORS[ProviderUnavailableError if unavailable else ProviderError]
            headers = {**_located(outcome.request_id), "Retry-After": str(RETRY_SECONDS)}
            raise ProblemError(problem, headers=headers)
        case Repeated():
            raise AssertionError("a repeated call is answered with the request's state")


def state_body(state: RequestState) -> dict[str, Any]:
    """A request's state as a body."""
    body: dict[str, Any] = {
        "id": state.id,
        "state": state.state,
        "created_at": state.created_at,
        "expires_at": state.expires_at,
    }
    if state.disclosure_id is not None:
        body["disclosure"] = state.disclosure_id
        body["acknowledged_at"] = state.acknowledged_at
    return body


def _located(request_id: UUID) -> dict[str, str]:
    return {"Location": f"{PATH}/{request_id}"}
