"""The sequencer: takes accepted entries from the outbox, appends them to the tree, signs and publishes.

One round is one transaction. It locks the head row first; the row is the only lock, so that any number of sequencers
may run and the history still has one line. Leaves, tiles, head and checkpoint are committed together: a checkpoint is
published by the commit and by nothing else, and there is no state in between that a crash could leave behind.

Signs nothing on a doubt: whatever does not agree is an InconsistentLogError, and the sequencer stops. The signing key
lives in this process only, never in a web worker.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from crypto.checkpoint import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, sign_note
from crypto.merkle import hash_leaf
from exchange.audit import store
from exchange.audit.age import holds
from exchange.audit.edge import TileWrite, pack_state
from exchange.audit.entry_batch import columns_of, malformed_entries
from exchange.audit.restart import LogState, load_state
from exchange.audit.rows import CheckpointRow, HeadRow, NewLeaf, TileRow, WaitingEntry
from exchange.database import Database
from exchange.errors import DatabaseError, InconsistentLogError

ROUND_SECONDS: Final = 0.02
"""Rounds begin at least this far apart: single entries do not pay for a commit each."""
IDLE_SECONDS: Final = 0.05
RETRY_SECONDS: Final = 1.0
ENTRIES_PER_ROUND: Final = 1024
REPUBLISH_AFTER: Final = timedelta(minutes=10)

_log = logging.getLogger(__name__)


class Sequencer:
    """Appends to one log. Use one object per process and thread.

    Args:
        database: where outbox and log are.
        signers: the log's keys, at least one; during a rotation the old and the new one.
        origin: the log's name, which must be the one in the head row.
        clock: gives the time of each round.
        verifiers: further keys whose checkpoints are trusted at a restart (a key that was rotated out).
    """

    def __init__(
        self,
        database: Database,
        signers: Sequence[NoteSigner],
        *,
        origin: str,
        clock: Callable[[], datetime],
        verifiers: Sequence[NoteVerifier] = (),
    ) -> None:
        if not signers:
            raise InconsistentLogError("a sequencer without a signing key would publish nothing")
        self._database = database
        self._signers = tuple(signers)
        self._verifiers = (*(NoteVerifier.parse(signer.vkey) for signer in signers), *verifiers)
        self._origin = origin
        self._clock = clock
        # What the last known commit left. None: not known, so the next round rebuilds it from the database.
        self._known: LogState | None = None
        # What this process last saw in the log. Never forgotten: whatever happens to the database while we run, nothing
        # is signed that does not continue it.
        self._seen: Checkpoint | None = None
        self._is_committing = False
        self._woken = threading.Event()

    def check(self) -> int:
        """Rebuild the log's state and compare it with the last checkpoint; returns the size.

        Raises:
            InconsistentLogError: they differ. Do not go on.
        """
        with self._database.write() as connection:
            self._known = self._load(connection, self._lock_head(connection))
        return self._known.head.size

    def run_round(self) -> int:
        """Integrate what waits, up to 1024 entries; returns how many.

        Raises:
            InconsistentLogError: the stored log contradicts itself; nothing was signed.
            DatabaseError: nothing was committed, or (raised by the commit itself) nobody knows. Either way the next
                round begins with what is stored.
        """
        # Forgotten until the commit is known: a round that ends in any other way leaves nothing in memory to build on.
        known, self._known = self._known, None
        with self._database.write() as connection:
            head = self._lock_head(connection)
            now = max(self._clock(), head.updated_at)
            is_ours = known is not None and (known.head.size, known.head.root) == (head.size, head.root)
            is_stale = now - head.updated_at >= REPUBLISH_AFTER
            if known is None or not is_ours or is_stale:
                known = self._load(connection, head)
            rows = store.take_outbox(connection, ENTRIES_PER_ROUND)
            if rows:
                after = self._append(connection, known, rows, now)
            elif is_stale:
                after = self._republish(connection, known, now)
            else:
                self._known = known
                return 0
            # A crash before this line leaves the old log and the entries in the outbox. A crash after it leaves the new
            # log, published. If the answer to the commit is lost, one of the two is stored: the restart finds out
            # which.
            self._is_committing = True
            connection.commit()
            self._is_committing = False
        self._known, self._seen = after, _checkpoint(after.head)
        return len(rows)

    def begin_name(self, connection: Connection, entry_id: UUID, former: Sequence[NoteVerifier]) -> None:
        """Append one waiting entry as the first under this log's name, in the caller's transaction.

        Everything before it bears the name in the head row, and is compared with that name's newest checkpoint first.

        Args:
            connection: of the transaction; the caller commits.
            entry_id: it waits in the outbox.
            former: verify checkpoints under the former name.

        Raises:
            InconsistentLogError: the stored log contradicts itself; roll back.
        """
        head = store.read_head(connection, lock=True)
        if head is None:
            raise InconsistentLogError("there is no log here")
        known = load_state(connection, head, former)
        known = replace(known, head=store.rename_head(connection, head, self._origin))
        self._append(connection, known, store.take_waiting(connection, entry_id), max(self._clock(), head.updated_at))

    def run(self, stop: threading.Event) -> None:
        """Rounds until ``stop`` is set.

        Raises:
            InconsistentLogError: see :meth:`run_round`. Whoever starts this must not simply start it again.
            DatabaseError: the outcome of a commit is unknown. Starting again is safe, and compares first.
        """
        self._database.assert_durable()
        size = self.check()
        _log.info("sequencer of %s starts at size %d", self._origin, size)
        while not stop.is_set():
            began = time.monotonic()
            try:
                done = self.run_round() if self._is_due() else 0
            except DatabaseError:
                if self._is_committing:
                    raise
                # The database is away or full; the entries wait, and the backlog's age stops releases in time.
                _log.warning("a round failed and will be tried again", exc_info=True)
                stop.wait(RETRY_SECONDS)
                continue
            except InconsistentLogError:
                _log.critical("the log contradicts itself; nothing more is signed", exc_info=True)
                raise
            if done:
                stop.wait(max(ROUND_SECONDS - (time.monotonic() - began), 0.0))
            else:
                self._woken.wait(IDLE_SECONDS)
            self._woken.clear()

    def wake(self) -> None:
        """Begin the next round at once (from a thread that has just appended, or is stopping the sequencer)."""
        self._woken.set()

    def _is_due(self) -> bool:
        # Asked without the lock: an idle sequencer must not keep writers waiting.
        with self._database.read() as connection:
            if store.has_outbox(connection):
                return True
            head = store.read_head(connection)
        return head is not None and self._clock() - head.updated_at >= REPUBLISH_AFTER

    def _lock_head(self, connection: Connection) -> HeadRow:
        # A crash while it is held releases it: it lives and dies with the transaction.
        head = store.read_head(connection, lock=True)
        if head is None:
            raise InconsistentLogError("there is no log here; create it once, by hand, with the installation")
        if head.origin != self._origin:
            raise InconsistentLogError(f"the log here is {head.origin!r}, not {self._origin!r}")
        return head

    def _load(self, connection: Connection, head: HeadRow) -> LogState:
        """Rebuild the log's state, which must continue what this process saw before.

        A standby may have taken over, or somebody put an older copy in place: both are consistent in themselves.
        """
        state = load_state(connection, head, self._verifiers)
        if self._seen is not None and not holds(connection, head, self._seen):
            raise InconsistentLogError(
                f"the log had {self._seen.size} entries when it was last looked at, and the {head.size} there now do "
                "not continue them: an older database took its place. Serve nothing, and run `cdx db restored`"
            )
        self._seen = _checkpoint(head)
        return state

    def _append(self, connection: Connection, known: LogState, rows: list[WaitingEntry], now: datetime) -> LogState:
        leaves = _leaves(rows, known.head.size)
        edge = known.edge.copy()
        writes = edge.extend([hash_leaf(leaf.body) for leaf in leaves])
        # From here to the commit every step is in one transaction: a crash at any of them leaves what was before the
        # round.
        store.insert_leaves(connection, leaves)
        _write_tiles(connection, writes)
        head = HeadRow(
            origin=self._origin,
            size=edge.size,
            root=edge.frontier.root(),
            state=pack_state(known.checkpoints + 1, edge.frontier),
            updated_at=now,
        )
        if not store.swap_head(connection, known.head, head):
            raise InconsistentLogError("the head moved while its row was locked")
        note = sign_note(
            format_checkpoint(Checkpoint(origin=head.origin, size=head.size, root=head.root)), self._signers
        )
        store.insert_checkpoint(connection, CheckpointRow(size=head.size, note=note, signed_at=now))
        return LogState(head=head, edge=edge, checkpoints=known.checkpoints + 1)

    def _republish(self, connection: Connection, known: LogState, now: datetime) -> LogState:
        """State that the log is alive and was compared just now. The checkpoint is unchanged: it bears no time."""
        head = replace(known.head, updated_at=now)
        if not store.swap_head(connection, known.head, head):
            raise InconsistentLogError("the head moved while its row was locked")
        return replace(known, head=head)


def _checkpoint(head: HeadRow) -> Checkpoint:
    return Checkpoint(origin=head.origin, size=head.size, root=head.root)


def _leaves(rows: list[WaitingEntry], start: int) -> list[NewLeaf]:
    """The leaves of a round, in order, each compared with what it was when it was accepted."""
    # Entries were checked when they were appended. One that is wrong now was altered in the database: not to be signed.
    for position, fault in malformed_entries([row.body for row in rows]):
        raise InconsistentLogError(f"the waiting entry {rows[position].id} was altered: {fault}")
    leaves = []
    for row in rows:
        entry_id, org, millis, kind = columns_of(row.body)
        digits = row.id if isinstance(row.id, str) else row.id.hex
        if entry_id.replace("-", "") != digits or int(millis) != row.accepted_at:
            raise InconsistentLogError(f"the waiting entry {row.id} was altered: it has another id or time")
        leaves.append((row.accepted_at, digits, row.id, row.body, kind, org))
    leaves.sort()
    return [
        NewLeaf(seq, driver_id, body, kind, org, at)
        for seq, (at, _, driver_id, body, kind, org) in enumerate(leaves, start=start)
    ]


def _write_tiles(connection: Connection, writes: Sequence[TileWrite]) -> None:
    new = []
    for write in writes:
        tile = TileRow(level=write.level, n=write.n, width=write.width, data=write.data)
        if not write.old_width:
            new.append(tile)
        elif not store.widen_tile(connection, tile, old_width=write.old_width):
            raise InconsistentLogError(f"tile {tile.level}/{tile.n} is not as wide as the head says")
    if new:
        store.insert_tiles(connection, new)
