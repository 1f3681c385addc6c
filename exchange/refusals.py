"""Attempts that got no further than the door, and are entries all the same (invariant 7): ``access.refused``.

Each is recorded once per kind, per whoever tried and per hour, or anybody could fill the log with them; how often it
came within the hour is in the operational log. It is recorded after the transaction that refused has rolled back, and
before the refusal is told: what cannot be recorded is answered as a failure of ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Row

from exchange import access_store, store
from exchange.errors import UnknownRequestError
from exchange.events import Event, EventType, Outcome
from exchange.model import Caller
from exchange.single_use import single_use_digest, take_single_use

if TYPE_CHECKING:
    from exchange.context import Exchange


NO_MATCH: Final = "no-match"
NOT_IN_FORCE: Final = "not-in-force"
"""Why a sign-in led to nobody: the fact ``reason``."""


class Refusal(StrEnum):
    """``what`` of the entry."""

    SUSPENDED = "suspended"  # a client with its own keys, while it or its agency is suspended
    UNKNOWN_REQUEST = "unknown-request"  # somebody else's, or one that never was: they are not told apart
    KEY_CONFLICT = "key-conflict"  # an Idempotency-Key with another body
    REDELIVERY = "redelivery"  # an answer that is no longer sent again
    SIGN_IN = "sign-in"  # the identity provider named somebody, and nobody here may sign in by that name


def record_suspended(exchange: "Exchange", client_id: str, now: datetime) -> None:
    """If the client or its agency is suspended, record that it tried. For callers that proved who they are."""
    with exchange.database.read() as connection:
        row = access_store.select_suspended_client(connection, client_id)
    if row is not None:
        _record(exchange, _of_client(Refusal.SUSPENDED, row.agency, client_id), once=client_id, now=now)


@contextmanager
def unknown_requests_recorded(
    exchange: "Exchange", caller: Caller, org: str, request_id: UUID, now: datetime
) -> Iterator[None]:
    """Record a question about a request that the caller does not have, and pass the refusal on.

    Another's request and none at all are the same here as everywhere (invariant 6). The id that was asked for is a fact
    under the operator's key: opened, it tells whether somebody probes.
    """
    try:
        yield
    except UnknownRequestError:
        event = _of_client(Refusal.UNKNOWN_REQUEST, org, caller.client_id)
        _record(exchange, replace(event, facts={"asked": str(request_id)}), once=caller.client_id, now=now)
        raise


def record_key_conflict(exchange: "Exchange", caller: Caller, org: str, request_id: UUID, now: datetime) -> None:
    """Record that the Idempotency-Key of a request came again with another body."""
    event = _of_client(Refusal.KEY_CONFLICT, org, caller.client_id)
    _record(exchange, replace(event, request=request_id), once=caller.client_id, now=now)


def record_redelivery(exchange: "Exchange", caller: Caller, org: str, stored: Row[Any], now: datetime) -> None:
    """Record that the answer of a stored request was asked for again, too late; the person sees it too."""
    event = _of_client(Refusal.REDELIVERY, org, caller.client_id)
    event = replace(event, request=stored.id, purpose=stored.purpose)
    _record(exchange, event, once=str(stored.id), now=now, about=stored.subject_ref)


def record_sign_in(exchange: "Exchange", who: str, reason: str, now: datetime) -> None:
    """Record that a sign-in led to nobody.

    Args:
        exchange: the exchange.
        who: tells one person that tries from another, and nothing else: a keyed index, or a reference.
        reason: :data:`NO_MATCH` or :data:`NOT_IN_FORCE`; a fact under the operator's key.
        now: the time of the request.
    """
    detail = {"what": Refusal.SIGN_IN.value}
    event = Event(type=EventType.ACCESS_REFUSED, org="subject", outcome=Outcome.DENY, detail=detail)
    _record(exchange, replace(event, facts={"reason": reason}), once=who, now=now)


def _of_client(what: Refusal, org: str, client_id: str) -> Event:
    detail = {"what": what.value, "client": client_id}
    return Event(type=EventType.ACCESS_REFUSED, org=org, outcome=Outcome.DENY, detail=detail)


def _record(exchange: "Exchange", event: Event, *, once: str, now: datetime, about: UUID | None = None) -> None:
    hour = now.replace(minute=0, second=0, microsecond=0)
    seen = single_use_digest("refused", event.detail["what"], f"{once} {hour.isoformat()}")
    with exchange.unit_of_work(now) as uow:
        if not take_single_use(uow.connection, seen, hour + timedelta(hours=1), now):
            return
        if about is not None and store.hold_person(uow.connection, about):
            event = replace(event, subject_ref=about)
        uow.record(event)
        uow.commit()
