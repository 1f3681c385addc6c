"""Rows to records and back: events are inserted, the projection row is moved along in the same call (decision 14).

No rule about who may do what stands here; ``consent.ledger`` decides, under the locks taken here. Columns are always
listed. On SQLite ``FOR UPDATE`` vanishes: there a writer holds the whole database (BEGIN IMMEDIATE) before it reads.

A use is a disclosure, not an event: ``take_use`` counts ``uses_left`` down in one conditional statement without a new
version, and only the last use is an event (``mark_used_up``). ``uses_left`` is therefore the one column that follows
from the events and the disclosures together; ``consent.rebuild`` is told how many there were.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql import ColumnElement

from consent.errors import ConsentConflictError
from consent.events import ConsentEvent, Content, EventType
from consent.model import BROKER, Actor, ConsentRecord, ConsentStatus
from consent.rows import COLUMNS, EVENT_COLUMNS, ConsentRow, event_to_columns, read_event, read_row, record_to_columns
from consent.tables import consent, consent_event

C: Final = consent.c
# Spelled out, not bound: only so is the partial index of the same words used.
_IN_FORCE: Final = text("consent.status IN ('GIVEN', 'PAUSED')")
_OPEN: Final = C.status.in_(("REQUESTED", "GIVEN", "PAUSED"))
_IDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A use was taken: under which version of the consent, and how many are left (None: any number)."""

    version: int
    uses_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeDecision:
    """The person said no: refused, or withdrew."""

    consent_id: UUID
    type: EventType
    at: datetime


def find(connection: Connection, consent_id: UUID) -> ConsentRow | None:
    """One projection row, without a lock."""
    return _one(connection, C.id == consent_id)


_FIND_IN_FORCE: Final = select(*COLUMNS).where(
    C.subject_ref == bindparam("the_subject"), C.agreement_id == bindparam("the_agreement"), _IN_FORCE
)


def find_in_force(connection: Connection, *, subject_ref: UUID, agreement_id: UUID) -> ConsentRow | None:
    """The one row of this person and agreement that is GIVEN or PAUSED as stored; its time may have run out."""
    row = connection.execute(_FIND_IN_FORCE, {"the_subject": subject_ref, "the_agreement": agreement_id}).one_or_none()
    return None if row is None else read_row(row)


def lock(connection: Connection, consent_id: UUID) -> ConsentRow | None:
    """One projection row, locked until the transaction ends."""
    return _one(connection, C.id == consent_id, locked=True)


def lock_open(connection: Connection, *, subject_ref: UUID, agreement_id: UUID) -> list[ConsentRow]:
    """All rows of this person and agreement that have not ended, locked in the order of their ids.

    Two that give at once for the same person and agreement meet here, and the second sees what the first did.
    """
    return _many(connection, C.subject_ref == subject_ref, C.agreement_id == agreement_id, _OPEN, locked=True)


def lock_open_of_agreement(connection: Connection, agreement_id: UUID, *, limit: int | None = None) -> list[ConsentRow]:
    """Rows of an agreement that have not ended, locked in the order of their ids."""
    return _many(connection, C.agreement_id == agreement_id, _OPEN, locked=True, limit=limit)


def lock_open_of_subject(connection: Connection, subject_ref: UUID) -> list[ConsentRow]:
    """Rows of a person that have not ended, locked in the order of their ids."""
    return _many(connection, C.subject_ref == subject_ref, _OPEN, locked=True)


def lock_given(connection: Connection, *, limit: int) -> list[ConsentRow]:
    """Rows of anybody that are GIVEN as stored, locked in the order of their ids."""
    return _many(connection, C.status == "GIVEN", locked=True, limit=limit)


def count_given(connection: Connection) -> int:
    """How many rows are GIVEN as stored."""
    return connection.execute(select(func.count()).select_from(consent).where(C.status == "GIVEN")).scalar_one()


def list_for_subject(
    connection: Connection, subject_ref: UUID, *, before: tuple[datetime, UUID] | None = None, limit: int = 100
) -> list[ConsentRow]:
    """A person's consents, newest request first; ``before``: (requested_at, id) of the last one already seen."""
    older: list[ColumnElement[bool]] = []
    if before is not None:
        at, last_id = before
        older = [or_(C.requested_at < at, (C.requested_at == at) & (C.id < last_id))]
    statement = select(*COLUMNS).where(C.subject_ref == subject_ref, *older)
    statement = statement.order_by(C.requested_at.desc(), C.id.desc()).limit(limit)
    return [read_row(row) for row in connection.execute(statement)]


def list_by_agreement(
    connection: Connection, agreement_id: UUID, *, after: UUID | None = None, limit: int = 100
) -> list[ConsentRow]:
    """Consents of an agreement in the order of their ids; ``after``: the last id already seen."""
    later = [] if after is None else [C.id > after]
    return _many(connection, C.agreement_id == agreement_id, *later, limit=limit)


def list_due(connection: Connection, now: datetime, *, limit: int = 100) -> list[UUID]:
    """Ids of rows whose time has run out while no event says so yet: work for ``ConsentLedger.settle``."""
    statement = select(C.id).where(_OPEN, C.valid_until <= now).order_by(C.valid_until).limit(limit)
    return list(connection.scalars(statement))


def events_of(connection: Connection, consent_id: UUID) -> tuple[ConsentEvent, ...]:
    """The events of one consent in order; empty when there is none.

    Raises:
        InconsistentConsentError: a stored body is not what its row says.
    """
    return events_of_each(connection, [consent_id])[consent_id]


def events_of_each(connection: Connection, consent_ids: Sequence[UUID]) -> dict[UUID, tuple[ConsentEvent, ...]]:
    """The events of several consents, each in order."""
    found: dict[UUID, list[ConsentEvent]] = {consent_id: [] for consent_id in consent_ids}
    for start in range(0, len(consent_ids), _IDS_AT_ONCE):
        some = consent_ids[start : start + _IDS_AT_ONCE]
        statement = select(*EVENT_COLUMNS).where(consent_event.c.consent_id.in_(some)).order_by(consent_event.c.seq)
        for row in connection.execute(statement):
            found[row.consent_id].append(read_event(row))
    return {consent_id: tuple(events) for consent_id, events in found.items()}


def write(connection: Connection, event: ConsentEvent, record: ConsentRecord) -> None:
    """Insert an event and bring the projection to ``record``, the state right after it.

    Raises:
        ConsentConflictError: the row has moved on since it was read, or another consent of the same person and
            agreement came into force. The transaction must be rolled back.
    """
    values = record_to_columns(record)
    if event.seq == 1:
        connection.execute(insert(consent).values(**values))
    else:
        # Never written from what was read: take_use may have counted since.
        if event.type not in (EventType.GIVEN, EventType.USED_UP):
            del values["uses_left"]
        statement = update(consent).where(C.id == event.consent_id, C.version == event.seq - 1).values(**values)
        try:
            changed = connection.execute(statement).rowcount
        except IntegrityError as exc:
            raise ConsentConflictError(f"another consent than {event.consent_id} is in force") from exc
        if changed != 1:
            raise ConsentConflictError(f"{event.consent_id} is no longer at version {event.seq - 1}")
    connection.execute(insert(consent_event).values(**event_to_columns(event)))


TAKE_USE: Final = (
    update(consent)
    .where(
        C.id == bindparam("the_id"),
        C.version == bindparam("the_version"),
        C.status == "GIVEN",
        C.valid_from <= bindparam("the_time"),
        C.valid_until > bindparam("the_time"),
        or_(C.uses_left.is_(None), C.uses_left > 0),
    )
    .values(uses_left=C.uses_left - 1)
    .returning(C.version, C.uses_left)
)


def take_use(connection: Connection, *, consent_id: UUID, version: int, now: datetime) -> Taken | None:
    """Take one use, if the consent is still exactly the one that was decided upon, in force at ``now``, with uses left.

    One statement, so that a withdrawal that commits first wins the race (invariant 2). None: nothing was taken. When
    ``uses_left`` comes back 0, the caller appends ``mark_used_up`` in the same transaction.
    """
    row = connection.execute(TAKE_USE, {"the_id": consent_id, "the_version": version, "the_time": now}).one_or_none()
    return None if row is None else Taken(version=row.version, uses_left=row.uses_left)


def mark_used_up(
    connection: Connection, *, consent_id: UUID, version: int, now: datetime, entry_id: UUID, actor: Actor = BROKER
) -> ConsentEvent:
    """Append USED_UP right after the ``take_use`` that took the last use, in its transaction (it holds the row).

    Raises:
        ConsentConflictError: uses are left, or the row is not at ``version``.
    """
    last = select(func.max(consent_event.c.at)).where(consent_event.c.consent_id == consent_id)
    event = ConsentEvent.write(
        EventType.USED_UP,
        consent_id=consent_id,
        seq=version + 1,
        at=max(now, connection.scalar(last) or now),  # clocks of two machines differ; a record's time never runs back
        actor=actor,
        content=Content(),
        entry_id=entry_id,
    )
    statement = (
        update(consent)
        .where(C.id == consent_id, C.version == version, C.status == "GIVEN", C.uses_left == 0)
        .values(status=ConsentStatus.USED_UP, version=event.seq, ended_at=event.at)
    )
    if connection.execute(statement).rowcount != 1:
        raise ConsentConflictError(f"{consent_id} has uses left or is no longer at version {version}")
    connection.execute(insert(consent_event).values(**event_to_columns(event)))
    return event


def last_negative_decision(connection: Connection, *, subject_ref: UUID, agreement_id: UUID) -> NegativeDecision | None:
    """The newest refusal or withdrawal by this person for this agreement, unless a later giving overtook it.

    Read off the events: a record that an officer invalidated afterwards was refused all the same. The cooling-off
    time (decision 15) counts from it.
    """
    decided = (EventType.GIVEN, EventType.REFUSED, EventType.WITHDRAWN)
    statement = (
        select(consent_event.c.consent_id, consent_event.c.type, consent_event.c.at)
        .join(consent, C.id == consent_event.c.consent_id)
        .where(C.subject_ref == subject_ref, C.agreement_id == agreement_id, consent_event.c.type.in_(decided))
        .order_by(consent_event.c.at.desc(), consent_event.c.consent_id.desc(), consent_event.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(statement).one_or_none()
    if row is None or row.type == EventType.GIVEN:
        return None
    return NegativeDecision(consent_id=row.consent_id, type=EventType(row.type), at=row.at)


def _one(connection: Connection, *where: ColumnElement[bool], locked: bool = False) -> ConsentRow | None:
    rows = _many(connection, *where, locked=locked)
    return rows[0] if rows else None


def _many(
    connection: Connection, *where: ColumnElement[bool], locked: bool = False, limit: int | None = None
) -> list[ConsentRow]:
    statement = select(*COLUMNS).where(*where).order_by(C.id).limit(limit)
    if locked:
        statement = statement.with_for_update(key_share=True)
    return [read_row(row) for row in connection.execute(statement)]
