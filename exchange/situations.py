"""A stored request and what it stands on, read again as things are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from crypto import canonical
from crypto.fields import open_field
from exchange import store
from exchange.asking import Opened, open_vault, question
from exchange.errors import SubjectErasedError, UnknownRequestError
from exchange.ground import Ground, read_again
from exchange.model import AttributeRequest, Caller, RequestedAttribute, RequestStatus, SubjectName
from exchange.policy import Decision, Permit, decide

if TYPE_CHECKING:
    from exchange.context import Exchange


COLLECTABLE = (RequestStatus.WAITING.value, RequestStatus.TAKEN.value, RequestStatus.FAILED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A stored request and its ground, as things are now."""

    stored: Row[Any]
    request: AttributeRequest
    ground: Ground
    decision: Decision
    opened: Opened | None
    was_refused: bool


def situation_of(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> Situation:
    """Read and decide; UnknownRequestError when the request is not this client's."""
    with exchange.database.read() as connection:
        exchange.pressure.check(connection, now)
        stored = store.find_request(connection, request_id, caller=caller)
        if stored is None:
            raise UnknownRequestError(f"no request {request_id}")
        lines = canonical.decode(stored.attributes.encode())
        ground = read_again(exchange, connection, caller, stored, [line["name"] for line in lines], now)
        assert ground.agreement is not None  # a stored request has one
        request = _stored_request(exchange, connection, stored, lines, ground.agreement.code)
        decision = decide(question(connection, ground, request, caller.scopes, now), now)
        opened = open_vault(exchange, connection, ground, decision)
        asked = None if stored.consent_id is None else store.consent_status(connection, stored.consent_id)
    return Situation(
        stored=stored,
        request=request,
        ground=ground,
        decision=decision,
        opened=opened,
        was_refused=asked is not None and asked.status == "REFUSED",
    )


def details_of(exchange: "Exchange", connection: Connection, stored: Row[Any]) -> dict[str, Any]:
    """Open the sealed members of a stored request.

    Raises:
        SubjectErasedError: the key that sealed them is gone.
    """
    key = exchange.keyring.load(connection, stored.sealed_by)
    address = exchange.keyring.address(
        "attribute_request", "details", subject_ref=stored.sealed_by, record_id=stored.id, version=1
    )
    details: dict[str, Any] = canonical.decode(open_field(key, stored.details, address=address))
    return details


def _stored_request(
    exchange: "Exchange", connection: Connection, stored: Row[Any], lines: Sequence[Mapping[str, Any]], agreement: str
) -> AttributeRequest:
    try:
        details = details_of(exchange, connection, stored)
    except SubjectErasedError:
        # Erased: the decision will be that nobody answers, as for a person who never was (invariant 6).
        details = {"officer": "", "role": "", "case": ""}
    compare_to = details.get("compare_to", {})
    return AttributeRequest(
        # Found by reference from here on; the name it was asked under is not kept.
        subject=SubjectName(scheme="ref", id=str(stored.subject_ref)),
        agreement=agreement,
        purpose=stored.purpose,
        attributes=tuple(
            RequestedAttribute(
                name=line["name"],
                form=line["form"],
                required=line["required"],
                compare_to=compare_to.get(line["name"], "-") if line["form"] == "equals" else None,
            )
            for line in lines
        ),
        acting_officer=details["officer"],
        officer_role=details["role"],
        case_reference=details["case"],
        message=details.get("message"),
    )


def needs_provider(ground: Ground, permit: Permit) -> bool:
    """Whether a value must be fetched from its provider at this moment."""
    return any(ground.catalogue.attribute(line.name).live for line in permit.lines)
