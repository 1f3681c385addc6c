"""A request whose values a live provider holds: two transactions, the call between them (flow 4)."""

import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from exchange import store
from exchange.asking import Opened, attempt_facts, owner_now
from exchange.errors import ContentionError, ProviderError, RequestNotReadyError
from exchange.events import Event, EventType
from exchange.events import Outcome as PublicOutcome
from exchange.model import AttributeRequest, Caller, HeldValue, RequestStatus
from exchange.outcomes import Answered, Failed, Outcome, Waiting
from exchange.policy import Deny, Permit
from exchange.providers.live import fetch_live
from exchange.release import GroundMovedError
from exchange.settling import permit_again, redeliver, refuse_stored, release_stored, require_repeatable
from exchange.situations import COLLECTABLE, Situation, needs_provider, situation_of

if TYPE_CHECKING:
    from exchange.context import Exchange


def received(caller: Caller, agency: str, request: AttributeRequest, request_id: UUID, subject_ref: UUID) -> Event:
    """The event of the first transaction: taken, not yet answered."""
    return Event(
        type=EventType.REQUEST_RECEIVED,
        org=agency,
        outcome=PublicOutcome.WAIT,
        purpose=request.purpose,
        request=request_id,
        subject_ref=subject_ref,
        facts=attempt_facts(caller, request),
    )


def mark_taken(exchange: "Exchange", caller: Caller, situation: Situation, now: datetime) -> None:
    """The first transaction of a request that waited: on record before its provider is asked."""
    stored = situation.stored
    with exchange.unit_of_work(now) as uow:
        store.hold_person(uow.connection, stored.subject_ref)
        if not store.settle_request(
            uow.connection, stored.id, status=RequestStatus.TAKEN, expected=COLLECTABLE, values={}
        ):
            raise GroundMovedError
        uow.record(received(caller, situation.ground.agency, situation.request, stored.id, stored.subject_ref))
        uow.commit()


def answer_with_provider(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> Outcome:
    """Call the provider outside any transaction, then decide again on what stands then, and release.

    The call may take seconds, which are added to ``now``: what ran out meanwhile has run out.
    """
    live: Mapping[str, HeldValue] | None = None
    for _ in range(1 + exchange.settings.attempts):
        situation = situation_of(exchange, caller, request_id, now)
        try:
            if situation.stored.status == RequestStatus.RELEASED:
                return send_again(exchange, caller, situation, now)
            if situation.stored.status not in COLLECTABLE:
                raise RequestNotReadyError(f"request {request_id} ended without an answer")
            permit, opened = situation.decision, situation.opened
            if not isinstance(permit, Permit) or opened is None:
                return _ended_meanwhile(exchange, caller, situation, now)
            if live is None:
                started = time.monotonic()
                try:
                    live = fetch(exchange, situation, permit, now)
                except ProviderError as exc:
                    return _fail(exchange, situation, exc, now)
                now += _since(started)
                continue  # what stands now counts, not what stood before the call
            everything = Opened(held={**opened.held, **live}, key=opened.key)
            return release_stored(exchange, caller, situation, permit, everything, now)
        except GroundMovedError:
            continue
    raise ContentionError("what the request rests on kept changing; nothing was disclosed")


def fetch(exchange: "Exchange", situation: Situation, permit: Permit, now: datetime) -> dict[str, HeldValue]:
    """The values of a permit that only their providers hold."""
    names = [line.name for line in permit.lines if situation.ground.catalogue.attribute(line.name).live]
    return fetch_live(
        exchange,
        subject_ref=situation.stored.subject_ref,
        attributes=[situation.ground.catalogue.attribute(name) for name in dict.fromkeys(names)],
        request_id=situation.stored.id,
        purpose=situation.request.purpose,
        now=now,
    )


def _ended_meanwhile(exchange: "Exchange", caller: Caller, situation: Situation, now: datetime) -> Outcome:
    """The permission ended while the provider was asked: nothing of its answer is kept."""
    if isinstance(situation.decision, Deny):
        return refuse_stored(exchange, caller, situation, situation.decision, now)
    return Waiting(request_id=situation.stored.id, expires_at=situation.stored.expires_at)


def _fail(exchange: "Exchange", situation: Situation, error: ProviderError, now: datetime) -> Failed:
    stored = situation.stored
    provider = error.provider or "unknown"
    with exchange.unit_of_work(now) as uow:
        subject_ref, sealed_by = owner_now(exchange, uow, stored)
        store.settle_request(
            uow.connection, stored.id, status=RequestStatus.FAILED, expected=COLLECTABLE, values={"settled_at": now}
        )
        uow.record(
            Event(
                type=EventType.REQUEST_FAILED,
                org=situation.ground.agency,
                outcome=PublicOutcome.FAIL,
                purpose=stored.purpose,
                request=stored.id,
                detail={"provider": provider, "reason": error.code},
                subject_ref=subject_ref,
            ),
            sealed_by=sealed_by,
        )
        uow.commit()
    return Failed(request_id=stored.id, provider=provider, code=error.code)


def _since(started: float) -> timedelta:
    return timedelta(milliseconds=int((time.monotonic() - started) * 1000))


def send_again(exchange: "Exchange", caller: Caller, situation: Situation, now: datetime) -> Answered | Failed:
    """Deliver a disclosure once more, with values fetched anew where they are live.

    Raises:
        RequestNotReadyError: it can no longer be sent again; no provider is asked then.
    """
    with exchange.database.read() as connection:
        earlier = store.find_disclosure(connection, situation.stored.id)
    assert earlier is not None  # released and disclosed in one commit
    require_repeatable(exchange, situation, earlier, now)
    permit = permit_again(earlier, situation)
    live: Mapping[str, HeldValue] = {}
    if needs_provider(situation.ground, permit):
        started = time.monotonic()
        try:
            live = fetch(exchange, situation, permit, now)
        except ProviderError as exc:
            return _fail(exchange, situation, exc, now)
        now += _since(started)
    return redeliver(exchange, caller, situation, earlier, live, now)
