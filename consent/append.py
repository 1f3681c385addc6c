"""One step of one record: lock the row, fold its events, write down what the clock has decided, check, append."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from consent import store
from consent.errors import InconsistentConsentError, UnknownConsentError
from consent.events import ConsentEvent, Content, EventType
from consent.instants import whole_millis
from consent.lifecycle import apply, check_step, replay, status_at
from consent.model import CLOCK, Actor, ConsentRecord
from consent.rows import ConsentRow


class Appender:
    """Appends events within one transaction, at one time. What may be appended for whom is for the ledger to say."""

    def __init__(self, connection: Connection, *, now: datetime, new_entry_id: Callable[[], UUID]) -> None:
        self.connection = connection
        self.now = whole_millis(now)
        self.new_entry_id = new_entry_id

    def open(
        self, consent_id: UUID, *, subject_ref: UUID | None = None, consumer: str | None = None
    ) -> tuple[ConsentRecord, list[ConsentEvent]]:
        """Lock and fold a record; also the event, if any, by which the clock's end had to be written down first.

        Raises:
            UnknownConsentError: there is none, or it is another party's.
        """
        row = store.lock(self.connection, consent_id)
        return self.settled(known(row, consent_id, subject_ref=subject_ref, consumer=consumer))

    def settled(self, row: ConsentRow) -> tuple[ConsentRecord, list[ConsentEvent]]:
        """As ``open``, of a row that is locked already."""
        record = replay(store.events_of(self.connection, row.id))
        if (record.version, record.status) != (row.version, row.status):
            raise InconsistentConsentError(f"the projection of {row.id} contradicts its events")
        status = status_at(record.status, record.valid_until, max(self.now, record.as_of))
        if status is record.status:
            return record, []
        event, record = self._append(record.id, record, EventType(status.value), CLOCK, Content())
        return record, [event]

    def first(self, consent_id: UUID, actor: Actor, content: Content) -> list[ConsentEvent]:
        """Begin a record."""
        return [self._append(consent_id, None, EventType.REQUESTED, actor, content)[0]]

    def step(self, record: ConsentRecord, kind: EventType, actor: Actor, content: Content) -> list[ConsentEvent]:
        """Append one event to a locked record.

        Raises:
            IllegalTransitionError: no such step from where it stands, or not for this kind of actor.
            ConsentConflictError: somebody else was faster; roll back.
        """
        return [self._append(record.id, record, kind, actor, content)[0]]

    def _append(
        self, consent_id: UUID, record: ConsentRecord | None, kind: EventType, actor: Actor, content: Content, /
    ) -> tuple[ConsentEvent, ConsentRecord]:
        if record is not None:
            check_step(record.status, kind, actor.kind, paused_by=record.paused_by)
        event = ConsentEvent.write(
            kind,
            consent_id=consent_id,
            seq=1 if record is None else record.version + 1,
            # Clocks of two machines differ; a record's time never runs back.
            at=self.now if record is None else max(self.now, record.as_of),
            actor=actor,
            content=content,
            entry_id=self.new_entry_id(),
        )
        after = apply(record, event)
        store.write(self.connection, event, after)
        return event, after


def known(
    row: ConsentRow | None, consent_id: UUID, *, subject_ref: UUID | None = None, consumer: str | None = None
) -> ConsentRow:
    """The row, if there is one and it is this party's; else the same error for both (invariant 6)."""
    if row is None or subject_ref not in (None, row.subject_ref) or consumer not in (None, row.consumer):
        raise UnknownConsentError(f"no consent {consent_id}")
    return row
