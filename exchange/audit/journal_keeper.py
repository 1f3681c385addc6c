"""Moves the journal's rows into its files, and keeps the newest checkpoint beside them. A thread of ``cdx worker``.

Rows leave the table only after the files that hold them are durable: a crash between doubles lines, which is harmless.
A journal that cannot be written is told once, and again when it can; it never stops the publication of the log.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final

from exchange.audit import journal_store, store
from exchange.audit.journal import MAX_RECORDS
from exchange.audit.journal_files import JournalWriter
from exchange.database import Database
from exchange.errors import DatabaseError, JournalError

EVERY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class JournalKeeper:
    """Writes one journal.

    Args:
        database: where the rows are.
        writer: of the files.
        clock: gives the time of each batch.
    """

    def __init__(self, database: Database, writer: JournalWriter, *, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._writer = writer
        self._clock = clock
        self._checkpoint: str | None = None
        self._failure: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Write every second until ``stop`` is set, and once more then."""
        while not stop.wait(EVERY_SECONDS):
            self.keep()
        self.keep()
        self._writer.release()

    def keep(self) -> bool:
        """Write what waits; False when that was not possible (or is another process's to do)."""
        try:
            if not self._writer.claim():
                return False
            while self._move_rows():
                pass
            self._write_checkpoint()
        except (OSError, DatabaseError, JournalError) as exc:
            # What was written last is not known: the next try looks for the end again.
            self._writer.release()
            self._checkpoint = None
            reason = str(exc) if isinstance(exc, JournalError | DatabaseError) else f"{exc.strerror}: {exc.filename}"
            if reason != self._failure:
                _log.error("the journal cannot be written: %s", reason)
            self._failure = reason
            return False
        if self._failure is not None:
            _log.warning("the journal is written again")
        self._failure = None
        return True

    def _move_rows(self) -> bool:
        with self._database.read() as connection:
            rows = journal_store.oldest_rows(connection, MAX_RECORDS)
        if not rows:
            return False
        self._writer.append([body for _, _, body in rows], self._clock())
        # A crash before this commit leaves the rows in the table and in the files.
        with self._database.write() as connection:
            journal_store.delete_rows(connection, [row_id for row_id, _, _ in rows])
            connection.commit()
        return len(rows) == MAX_RECORDS

    def _write_checkpoint(self) -> None:
        with self._database.read() as connection:
            newest = store.latest_checkpoint(connection)
        if newest is None or newest.note == self._checkpoint:
            return
        self._writer.write_checkpoint(newest.note)
        self._checkpoint = newest.note
