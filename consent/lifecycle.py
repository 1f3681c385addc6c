"""How a record changes: the table of steps, one step, and the state at any time as the fold of the events. Pure.

Three rules (invariant 4): the state is the fold of the events at a time; an end is final (only an officer's INVALIDATED
may follow, and it never lets data flow again); an expiry or a lapse is computed when read and waits for no job.
Nobody gives on a person's behalf without a mandate, and no step leads back from an end.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Final

from consent.errors import IllegalTransitionError, InconsistentConsentError, ScopeError
from consent.events import ConsentEvent, EventType
from consent.instants import whole_millis
from consent.model import CLOCK, ActorKind, ConsentRecord, ConsentStatus
from consent.scope import AttributeScope

S = ConsentStatus
E = EventType

_PERSON: Final = frozenset({ActorKind.SUBJECT, ActorKind.REPRESENTATIVE})
_ASKER: Final = frozenset({ActorKind.AGENCY})
_CLOSER: Final = frozenset({ActorKind.AGENCY, ActorKind.OFFICER, ActorKind.BROKER})
_OFFICER: Final = frozenset({ActorKind.OFFICER})
_BROKER: Final = frozenset({ActorKind.BROKER})
_CLOCK: Final = frozenset({ActorKind.CLOCK})

RESULT: Final[Mapping[EventType, ConsentStatus]] = MappingProxyType(
    {kind: S.GIVEN if kind is E.RESUMED else ConsentStatus(kind.value) for kind in EventType}
)
"""Where each event leads."""

TRANSITIONS: Final[Mapping[tuple[ConsentStatus | None, EventType], frozenset[ActorKind]]] = MappingProxyType(
    {
        (None, E.REQUESTED): _ASKER | _PERSON,  # a person asks when renewing, or starting it
        (S.REQUESTED, E.GIVEN): _PERSON,
        (S.REQUESTED, E.REFUSED): _PERSON | _BROKER,  # the broker what an older database has forgotten (decision 5)
        (S.REQUESTED, E.CANCELLED): _ASKER,
        (S.REQUESTED, E.LAPSED): _CLOCK,
        (S.REQUESTED, E.TERMINATED): _CLOSER,
        (S.GIVEN, E.WITHDRAWN): _PERSON | _BROKER,  # likewise
        (S.GIVEN, E.PAUSED): _PERSON | _BROKER,  # the broker after a restore (decision 5)
        (S.GIVEN, E.SUPERSEDED): _PERSON,
        (S.GIVEN, E.EXPIRED): _CLOCK,
        (S.GIVEN, E.USED_UP): _BROKER,
        (S.GIVEN, E.TERMINATED): _CLOSER,
        (S.GIVEN, E.INVALIDATED): _OFFICER,
        (S.PAUSED, E.RESUMED): _PERSON | _BROKER,  # the broker only what it paused itself
        (S.PAUSED, E.WITHDRAWN): _PERSON | _BROKER,
        (S.PAUSED, E.SUPERSEDED): _PERSON,
        (S.PAUSED, E.EXPIRED): _CLOCK,
        (S.PAUSED, E.TERMINATED): _CLOSER,
        (S.PAUSED, E.INVALIDATED): _OFFICER,
        **{(end, E.INVALIDATED): _OFFICER for end in ConsentStatus if end.is_ended and end is not S.INVALIDATED},
    }
)
"""(where the record stands, event) → who may do it. What does not stand here cannot happen."""


def status_at(status: ConsentStatus, valid_until: datetime, now: datetime) -> ConsentStatus:
    """A stored status seen at ``now``: from ``valid_until`` on, a question has lapsed and a permission has expired."""
    if status.is_ended or now < valid_until:
        return status
    return S.LAPSED if status is S.REQUESTED else S.EXPIRED


def check_step(
    status: ConsentStatus | None, kind: EventType, actor: ActorKind, *, paused_by: ActorKind | None = None
) -> None:
    """Refuse a step that the table does not have.

    Raises:
        IllegalTransitionError: no such step from there, or not for this kind of actor.
    """
    allowed = actor in TRANSITIONS.get((status, kind), frozenset())
    if kind is E.RESUMED and actor is ActorKind.BROKER and paused_by is not ActorKind.BROKER:
        allowed = False
    if not allowed:
        raise IllegalTransitionError(from_status=status, action=kind, to_status=RESULT[kind], actor_kind=actor)


def apply(record: ConsentRecord | None, event: ConsentEvent) -> ConsentRecord:
    """The record after one more event; ``record`` is what the events before it folded to (without the clock).

    Raises:
        IllegalTransitionError: the table has no such step from where the record stood at the time of the event.
        InconsistentConsentError: the event cannot follow: another consent, a gap, a step back in time, more than asked.
    """
    if record is None:
        return _requested(event)
    if event.consent_id != record.id or event.seq != record.version + 1 or event.at < record.as_of:
        raise InconsistentConsentError(f"event {event.seq} of {event.consent_id} does not follow {record.version}")
    status = status_at(record.status, record.valid_until, event.at)
    if event.type in (E.EXPIRED, E.LAPSED):
        # Written down after the fact: the clock has already decided, and must have.
        if status is record.status or status is not RESULT[event.type]:
            raise IllegalTransitionError(
                from_status=status, action=event.type, to_status=RESULT[event.type], actor_kind=event.actor.kind
            )
        status = record.status
    check_step(status, event.type, event.actor.kind, paused_by=record.paused_by)
    if status is not record.status:
        raise InconsistentConsentError(f"event {event.seq} of {record.id}: the clock's end was not written down first")
    return _changed(replace(record, version=event.seq, as_of=event.at, status=RESULT[event.type]), record, event)


def _requested(event: ConsentEvent) -> ConsentRecord:
    check_step(None, event.type, event.actor.kind)
    terms, deadline = event.content.terms, event.content.deadline
    if terms is None or deadline is None or event.seq != 1 or not event.at < deadline <= terms.valid_until:
        raise InconsistentConsentError(f"{event.consent_id} does not begin with a request that can be decided")
    return ConsentRecord(
        id=event.consent_id,
        terms=terms,
        status=S.REQUESTED,
        version=1,
        scope=terms.scope,
        valid_from=terms.valid_from,
        valid_until=deadline,
        uses=terms.uses,
        uses_left=terms.uses,
        requested_at=event.at,
        requested_by=event.actor,
        as_of=event.at,
        replaces=event.content.replaces,
    )


def _changed(record: ConsentRecord, before: ConsentRecord, event: ConsentEvent) -> ConsentRecord:
    content = event.content
    if event.type in (E.GIVEN, E.REFUSED) and not (content.manner and content.manner.is_informed):
        raise InconsistentConsentError(f"{record.id} was decided under unknown words")
    match event.type:
        case E.GIVEN:
            return _given(record, event)
        case E.REFUSED:
            record = replace(record, decided_at=event.at, decided_by=event.actor, manner=content.manner)
        case E.PAUSED:
            return replace(record, paused_by=event.actor.kind)
        case E.RESUMED:
            return replace(record, paused_by=None)
        case E.USED_UP:
            record = replace(record, uses_left=0)
    # An officer's finding about a record that had ended does not move its end.
    ended_at = record.valid_until if event.actor.kind is ActorKind.CLOCK else event.at
    return replace(
        record,
        paused_by=None,
        ended_at=before.ended_at or ended_at,
        ended_by=before.ended_by or event.actor,
        reason=content.reason,
        replaced_by=content.replaced_by or before.replaced_by,
    )


def _given(record: ConsentRecord, event: ConsentEvent) -> ConsentRecord:
    content, terms = event.content, record.terms
    scope, valid_from, valid_until, uses = content.scope, content.valid_from, content.valid_until, content.uses
    if scope is None or valid_from is None or valid_until is None:
        raise InconsistentConsentError(f"{record.id} was given without a scope or a window")
    narrowed = (
        _is_narrowed(scope, terms.scope)
        and terms.valid_from <= valid_from < valid_until <= terms.valid_until
        and (terms.uses is None or (uses is not None and uses <= terms.uses))
        and content.legal_basis is terms.legal_basis
        and event.at < valid_until
    )
    if not narrowed:
        raise InconsistentConsentError(f"{record.id} was given for more than was asked")
    return replace(
        record,
        scope=scope,
        valid_from=valid_from,
        valid_until=valid_until,
        uses=uses,
        uses_left=uses,
        decided_at=event.at,
        decided_by=event.actor,
        manner=content.manner,
        replaces=content.replaces,
    )


def _is_narrowed(scope: AttributeScope, asked: AttributeScope) -> bool:
    try:
        return scope == asked.narrow(scope.keys)
    except ScopeError:
        return False


def replay(events: Iterable[ConsentEvent]) -> ConsentRecord:
    """Fold all events, in order, without the clock: what the projection row holds.

    Raises:
        InconsistentConsentError: no events, or events that cannot have been written one after the other.
    """
    record: ConsentRecord | None = None
    for event in events:
        try:
            record = apply(record, event)
        except IllegalTransitionError as exc:
            raise InconsistentConsentError(f"event {event.seq} of {event.consent_id}: {exc}") from exc
    if record is None:
        raise InconsistentConsentError("a consent without events")
    return record


def at_time(record: ConsentRecord, now: datetime) -> ConsentRecord:
    """A replayed record as it stands at ``now``, clock included."""
    now = max(whole_millis(now), record.as_of)
    status = status_at(record.status, record.valid_until, now)
    if status is record.status:
        return replace(record, as_of=now)
    return replace(record, as_of=now, status=status, ended_at=record.valid_until, ended_by=CLOCK, paused_by=None)


def fold(events: Iterable[ConsentEvent], now: datetime, *, uses_taken: int = 0) -> ConsentRecord:
    """The record at ``now``: the fold of the events up to then, and the clock.

    A use is a disclosure, not an event: only the last one is (USED_UP). The number left therefore follows from the
    events *and* the number of disclosures made until ``now``, which the caller passes.

    Raises:
        InconsistentConsentError: nothing had happened by then, or the events do not fold.
    """
    now = whole_millis(now)
    record = at_time(replay(event for event in events if event.at <= now), now)
    if record.uses_left is None or record.status is S.USED_UP:
        return record
    return replace(record, uses_left=max(0, record.uses_left - uses_taken))
