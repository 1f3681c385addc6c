"""One use case, one transaction, nothing unaudited (invariants 1 and 10).

Events recorded during the work become audit entries in the same commit as the change they tell of. A transaction
that changed an audited table and recorded nothing is refused: that is a programming error, and it must not reach the
disk.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection

from crypto.fields import DataKey, seal_field
from crypto.ids import new_id
from exchange.audit import journal, journal_store, outbox
from exchange.audit.entry import PreparedEntry, Sealing, prepare
from exchange.audit.journal_store import JournalRow
from exchange.changes import changes_of, forget_changes
from exchange.errors import UnauditedChangeError
from exchange.events import Event
from exchange.prepared import Step, run_batch

if TYPE_CHECKING:
    from exchange.database import Database
    from exchange.keyring import Keyring

SealedOpening = tuple[UUID, UUID, bytes]
Append = Callable[[Connection, Sequence[PreparedEntry], Sequence[SealedOpening]], None]


class UnitOfWork:
    """A write transaction that ends in one commit with its audit entries, or in nothing.

    ``with exchange.unit_of_work(now) as uow: …; uow.record(event); uow.commit()``. Leaving without commit rolls back.
    """

    def __init__(
        self,
        database: "Database",
        keyring: "Keyring",
        *,
        operator_ref: UUID,
        now: datetime,
        append: Append = outbox.append,
    ) -> None:
        self._scope: AbstractContextManager[Connection] = database.write()
        self._keyring = keyring
        self._operator_ref = operator_ref
        self._append = append
        self._entries: list[PreparedEntry] = []
        self._openings: list[SealedOpening] = []
        self._journal: list[JournalRow] = []
        self._keys: dict[UUID, DataKey] = {}
        self._steps: list[Step] = []
        self._last: list[Callable[[], None]] = []
        self.now = now
        self.connection: Connection

    def __enter__(self) -> "UnitOfWork":
        self.connection = self._scope.__enter__()
        forget_changes(self.connection)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._scope.__exit__(kind, error, trace)

    def use_key(self, subject_ref: UUID, key: DataKey) -> None:
        """Give a key whose row was selected in this transaction, to save selecting it again."""
        self._keys[subject_ref] = key

    def record(self, event: Event, *, sealed_by: UUID | None = None) -> PreparedEntry:
        """Add an event; its entry is durable with the commit.

        Args:
            event: what happened.
            sealed_by: whose key seals the facts, when it is not the person concerned (an unknown person has none).

        Raises:
            AuditError: the event does not make a valid entry.
            SubjectErasedError: the person concerned has no key any more.
        """
        entry = prepare(
            event,
            entry_id=event.id or new_id(self.now),
            now=self.now,
            operator_ref=self._operator_ref,
            sealed_by=sealed_by,
        )
        line = journal.body_of(event, entry_id=entry.id, at=self.now)
        if line is not None:
            self._journal.append((entry.id, self.now, line))
        return self.record_prepared(entry)

    def record_prepared(self, entry: PreparedEntry, *, key: DataKey | None = None) -> PreparedEntry:
        """Add an entry that was prepared before the transaction began (its receipt is already in the answer).

        Args:
            entry: with one set of openings or several.
            key: of the owner of the first; otherwise it is selected here, as those of the others are.
        """
        self._entries.append(entry)
        for sealing in entry.sealings:
            self._openings.append((entry.id, sealing.owner_ref, self._seal(entry.id, sealing, key)))
            key = None
        return entry

    def plan(self, *steps: Step) -> None:
        """Writes that commit runs, in this order, together with the entries."""
        self._steps.extend(steps)

    def plan_last(self, write: Callable[[], None]) -> None:
        """A write whose statements depend on each other's outcome: runs at commit, after what was planned so far."""
        self._last.append(write)

    def commit(self, *, after_entries: Callable[[], None] | None = None) -> None:
        """Run what was planned, write the entries, and commit everything together.

        Args:
            after_entries: what must follow them in the same transaction.

        Raises:
            UnauditedChangeError: something changed and nothing was recorded.
        """
        if self._last:
            # The order of locks is that of the plan, so what comes first runs first.
            run_batch(self.connection, self._steps, lambda: None)
            for write in self._last:
                write()
            self._steps.clear()
        run_batch(self.connection, self._steps, self._append_entries)
        if after_entries is not None:
            after_entries()
        if not self._entries and (changed := changes_of(self.connection)):
            raise UnauditedChangeError(f"changed {', '.join(sorted(changed))} without recording an event")
        # A crash before this line leaves nothing; after it, the change and its entries are both durable.
        self.connection.commit()

    def _append_entries(self) -> None:
        if self._entries:
            self._append(self.connection, self._entries, self._openings)
        if self._journal:
            journal_store.insert_rows(self.connection, self._journal)

    def _seal(self, entry_id: UUID, sealing: Sealing, key: DataKey | None) -> bytes:
        owner_ref = sealing.owner_ref
        if key is None:
            key = self._keys.get(owner_ref)
        if key is None:
            key = self._keys[owner_ref] = self._keyring.load(self.connection, owner_ref)
        address = self._keyring.address("audit_opening", "ct", subject_ref=owner_ref, record_id=entry_id, version=1)
        return seal_field(key, sealing.openings, address=address)
