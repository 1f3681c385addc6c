"""What an agency may see and do with its own requests besides collecting: state, cancelling, confirming arrival."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Row

from consent import store as consent_store
from consent.errors import IllegalTransitionError
from consent.ledger import ConsentLedger
from consent.model import Actor, ActorKind, ConsentStatus
from crypto.ids import new_id
from exchange import access, refusals, store
from exchange.consent_entries import record_consent_events
from exchange.errors import RequestNotReadyError, UnknownRequestError
from exchange.events import Event, EventType
from exchange.ground import agreement_by_id
from exchange.model import Caller, RequestStatus

if TYPE_CHECKING:
    from exchange.context import Exchange

_OPEN = (RequestStatus.WAITING, RequestStatus.TAKEN, RequestStatus.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestState:
    """A request as its agency sees it.

    ``state``: waiting | ready | taken | released | denied | lapsed | failed | cancelled. A request about nobody
    waits and lapses.
    """

    id: UUID
    state: str
    created_at: datetime
    expires_at: datetime
    disclosure_id: UUID | None = None
    acknowledged_at: datetime | None = None


def state_of(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> RequestState:
    """The state of a request of this client.

    Raises:
        UnknownRequestError: there is none; the same for somebody else's. Audited, both alike.
        AccessRefusedError, ReplayedError: as ``access.admit``.
    """
    live = access.admit(exchange, caller, now)
    with refusals.unknown_requests_recorded(exchange, caller, live.agency, request_id, now):
        return look_up(exchange, caller, request_id, now)


def look_up(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> RequestState:
    """As :func:`state_of`, for a caller that was let in already."""
    with exchange.database.read() as connection:
        stored = store.find_request(connection, request_id, caller=caller)
        if stored is None:
            raise UnknownRequestError(f"no request {request_id}")
        consent = None if stored.consent_id is None else store.consent_status(connection, stored.consent_id)
        disclosure = store.find_disclosure(connection, request_id)
        in_force = agreement_by_id(connection, stored.agreement_id).is_in_force(now)
    return RequestState(
        id=request_id,
        state=_outward(stored, consent, now, agreement_in_force=in_force),
        created_at=stored.created_at,
        expires_at=stored.expires_at,
        disclosure_id=None if disclosure is None else disclosure.id,
        acknowledged_at=None if disclosure is None else disclosure.acknowledged_at,
    )


def _outward(stored: Row[Any], consent: Row[Any] | None, now: datetime, *, agreement_in_force: bool) -> str:
    if stored.status != RequestStatus.WAITING:
        return str(stored.status).lower()
    status = ConsentStatus(consent.status) if consent is not None else ConsentStatus.REQUESTED
    if status is ConsentStatus.REQUESTED:
        return "lapsed" if now >= stored.expires_at else "waiting"
    if now >= stored.expires_at:
        return "lapsed"
    if status in (ConsentStatus.GIVEN, ConsentStatus.PAUSED, ConsentStatus.SUPERSEDED):
        return "ready"
    if status is ConsentStatus.TERMINATED and agreement_in_force:
        return "waiting"  # the person was erased: nobody answers, as with one who never was (invariant 6)
    return "denied"


def cancel(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> RequestState:
    """Take a request back; the question to the citizen goes with it.

    Raises:
        UnknownRequestError: no such request of this client. Audited.
        RequestNotReadyError: it has ended.
    """
    live = access.admit(exchange, caller, now)
    with (
        refusals.unknown_requests_recorded(exchange, caller, live.agency, request_id, now),
        exchange.unit_of_work(now) as uow,
    ):
        stored = store.find_request(uow.connection, request_id, caller=caller)
        if stored is None:
            raise UnknownRequestError(f"no request {request_id}")
        store.hold_person(uow.connection, stored.subject_ref)
        if stored.consent_id is not None:
            consent_store.lock(uow.connection, stored.consent_id)
        moved = store.settle_request(
            uow.connection,
            request_id,
            status=RequestStatus.CANCELLED,
            expected=[status.value for status in _OPEN],
            values={"settled_at": now},
        )
        if not moved:
            raise RequestNotReadyError(f"request {request_id} has ended; it cannot be cancelled")
        kept = store.subject_has_key(uow.connection, stored.sealed_by)
        sealed_by = stored.sealed_by if kept else exchange.installation.operator_ref
        if stored.consent_id is not None:
            ledger = ConsentLedger(uow.connection, now=now, new_entry_id=lambda: new_id(now))
            try:
                events = ledger.cancel(
                    stored.consent_id, consumer=live.agency, actor=Actor(kind=ActorKind.AGENCY, ref=live.agency)
                )
            except IllegalTransitionError:
                # The citizen decided first: the decision stands, only this request is taken back.
                events = []
            record_consent_events(
                uow,
                events,
                subject_ref=stored.subject_ref,
                org=live.agency,
                purpose=stored.purpose,
                request_id=request_id,
                sealed_by=sealed_by,
            )
        uow.record(
            Event(
                type=EventType.REQUEST_CANCELLED,
                org=live.agency,
                purpose=stored.purpose,
                request=request_id,
                subject_ref=stored.subject_ref if sealed_by == stored.sealed_by else None,
            ),
            sealed_by=sealed_by,
        )
        uow.commit()
    return look_up(exchange, caller, request_id, now)


def acknowledge(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> RequestState:
    """The agency confirms that the answer arrived; it is not sent again. Repeating changes nothing.

    Raises:
        UnknownRequestError: no such request of this client. Audited.
        RequestNotReadyError: nothing was disclosed under it.
    """
    live = access.admit(exchange, caller, now)
    with (
        refusals.unknown_requests_recorded(exchange, caller, live.agency, request_id, now),
        exchange.unit_of_work(now) as uow,
    ):
        stored = store.find_request(uow.connection, request_id, caller=caller)
        if stored is None:
            raise UnknownRequestError(f"no request {request_id}")
        store.hold_person(uow.connection, stored.subject_ref)
        disclosure = store.find_disclosure(uow.connection, request_id)
        if disclosure is None:
            raise RequestNotReadyError(f"request {request_id} was not answered")
        if store.acknowledge_disclosure(uow.connection, disclosure.id, now):
            erased = not store.subject_has_key(uow.connection, stored.subject_ref)
            uow.record(
                Event(
                    type=EventType.DISCLOSURE_ACKNOWLEDGED,
                    org=live.agency,
                    purpose=stored.purpose,
                    request=request_id,
                    subject_ref=None if erased else stored.subject_ref,
                    facts={"disclosure": str(disclosure.id)},
                )
            )
        uow.commit()
    return look_up(exchange, caller, request_id, now)
