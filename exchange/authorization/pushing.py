"""A client pushes an authorization request (RFC 9126): checked against its agreement, sealed, stored for minutes."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from crypto.fields import open_field, seal_field
from crypto.ids import new_id
from exchange import access
from exchange.access import ClientRecord, SingleUse
from exchange.agreement_model import Agreement, add_duration, is_duration
from exchange.agreements import find_agreement
from exchange.authorization import store
from exchange.authorization.model import (
    DECISION_TIME,
    URI_LIFETIME,
    NotAdmitted,
    Opened,
    Permission,
    Pushed,
    PushedRequest,
    digest_of,
    new_secret,
)
from exchange.errors import UnknownAgreementError
from exchange.forms import FormKind
from exchange.model import AttributeRequest, RequestedAttribute, SubjectName
from exchange.policy import Deny, Question, decide

if TYPE_CHECKING:
    from exchange.context import Exchange

_TABLE = "authorization_request"
_NOBODY = SubjectName(scheme="", id="")


def push(
    exchange: "Exchange",
    client: ClientRecord,
    request: PushedRequest,
    *,
    jkt: str | None,
    uses: Sequence[SingleUse],
    now: datetime,
) -> Pushed | NotAdmitted | SingleUse:
    """Store a request that a person can decide upon.

    Args:
        exchange: the exchange.
        client: who pushes, authenticated.
        request: what is pushed, its shape checked.
        jkt: thumbprint of the key that the code shall be bound to, if the client named one.
        uses: assertion, and proof if there is one; taken with the request, or nothing is.
        now: the time of the request.

    Returns:
        The value that had been used before, if there is one: audited, nothing stored.
    """
    secret = new_secret()
    replayed = None
    with exchange.database.write() as connection:
        agreement = _agreement(connection, request.permission.agreement)
        fault = not_admitted(exchange, connection, client, request.permission, agreement, now)
        replayed = access.take_all(connection, uses, now)
        if replayed is None:
            if fault is None:
                _insert(exchange, connection, client, request, secret=secret, jkt=jkt, now=now)
            # Also of a request that is not admitted: assertion and proof were used.
            connection.commit()
    if replayed is not None:
        access.record_replay(exchange, replayed, org=client.agency, client_id=client.id, now=now)
        return replayed
    return fault or Pushed(secret=secret, expires_at=now + URI_LIFETIME)


def not_admitted(
    exchange: "Exchange",
    connection: Connection,
    client: ClientRecord,
    permission: Permission,
    agreement: Agreement | None,
    now: datetime,
) -> NotAdmitted | None:
    """What forbids to ask for this, by the same steps as any request (``exchange.policy``); None: nothing."""
    asked = AttributeRequest(
        subject=_NOBODY,
        agreement=permission.agreement,
        purpose=permission.purpose,
        attributes=tuple(
            RequestedAttribute(
                name=line.name,
                form=line.form,
                required=line.required,
                # What is compared comes with each use; the permission is for comparing.
                compare_to="-" if line.form == FormKind.EQUALS else None,
            )
            for line in permission.lines
        ),
        acting_officer="",
        officer_role="",
        case_reference="",
    )
    question = Question(
        request=asked,
        scopes=client.scopes,
        agency=client.agency,
        agreement=agreement,
        catalogue=exchange.catalogue(connection),
        subject=None,
    )
    decision = decide(question, now)
    if isinstance(decision, Deny):
        if decision.reason.is_callers_fault:
            names = ", ".join(line.name for line in decision.lines)
            return NotAdmitted(text=decision.reason.outward.value + (f": {names}" if names else ""))
        return NotAdmitted(text="nobody is asked under this agreement: it rests on law")
    assert agreement is not None  # policy step 5
    return _fault_of_the_limits(permission, agreement, now)


def _fault_of_the_limits(permission: Permission, agreement: Agreement, now: datetime) -> NotAdmitted | None:
    if permission.uses is not None and permission.uses > (agreement.max_uses or permission.uses):
        return NotAdmitted(text="uses: more than the agreement admits")
    if permission.duration is None:
        return None
    if not is_duration(permission.duration):
        return NotAdmitted(text="duration: expected an ISO 8601 duration such as P6M or P30D")
    try:
        ends = add_duration(now, permission.duration)
    except ValueError:
        return NotAdmitted(text="duration: it leaves the calendar")
    if ends > add_duration(now, agreement.max_duration):
        return NotAdmitted(text="duration: longer than the agreement admits")
    return None


def find_pushed(exchange: "Exchange", secret: str, *, client_id: str, now: datetime) -> Opened | None:
    """The request behind a request_uri of that client, while somebody may begin with it; the same None for all else."""
    with exchange.database.read() as connection:
        row = store.find_waiting(connection, now, uri_hash=digest_of(secret))
        return None if row is None or row.client_id != client_id else opened(exchange, connection, row)


def find_begun(exchange: "Exchange", request_id: UUID, now: datetime) -> Opened | None:
    """A request that somebody has begun with, while it waits for the decision."""
    with exchange.database.read() as connection:
        row = store.find_waiting(connection, now, request_id=request_id)
        return None if row is None else opened(exchange, connection, row)


def opened(exchange: "Exchange", connection: Connection, row: Row[Any]) -> Opened:
    """A row of ``find_waiting`` with its content."""
    return Opened(
        id=row.id,
        client_id=row.client_id,
        agency=row.agency,
        agency_name=row.name,
        request=unseal(exchange, connection, row.id, row.ct),
        decide_until=row.decide_until,
    )


def unseal(exchange: "Exchange", connection: Connection, request_id: UUID, ct: bytes) -> PushedRequest:
    """What was pushed. Nobody is known when it is: the operator's key sealed it."""
    operator = exchange.installation.operator_ref
    key = exchange.keyring.load(connection, operator)
    address = exchange.keyring.address(_TABLE, "ct", subject_ref=operator, record_id=request_id, version=1)
    return PushedRequest.from_bytes(open_field(key, ct, address=address))


def _insert(
    exchange: "Exchange",
    connection: Connection,
    client: ClientRecord,
    request: PushedRequest,
    *,
    secret: str,
    jkt: str | None,
    now: datetime,
) -> None:
    request_id, operator = new_id(now), exchange.installation.operator_ref
    key = exchange.keyring.load(connection, operator)
    address = exchange.keyring.address(_TABLE, "ct", subject_ref=operator, record_id=request_id, version=1)
    store.insert_request(
        connection,
        id=request_id,
        uri_hash=digest_of(secret),
        client_id=client.id,
        ct=seal_field(key, request.to_bytes(), address=address, pad_to=256),
        jkt=jkt,
        pushed_at=now,
        expires_at=now + URI_LIFETIME,
        decide_until=now + DECISION_TIME,
    )


def _agreement(connection: Connection, code: str) -> Agreement | None:
    try:
        return find_agreement(connection, code)
    except UnknownAgreementError:
        return None
