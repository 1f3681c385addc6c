"""Moves the journal's rows into its files, and keeps the newest checkpoint beside them. A thread of ``cdx worker``.

Rows leave the table only after the files that hold them are durable: a crash between doubles lines, which is harmless.
A journal that cannot be written is told once, and again when it can; it never stops the publication of the log.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from crypto.errors import CryptoError, MalformedError
from exchange.audit import history_store, journal_store, store
from exchange.audit.age import read_checkpoint_note, refuse_older
from exchange.audit.entry import decode_entry
from exchange.audit.journal import MAX_RECORDS, parse_record
from exchange.audit.journal_files import JournalWriter, Verifiers
from exchange.database import Database
from exchange.errors import ExchangeError

EVERY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


class JournalKeeper:
    """Writes one journal.

    Args:
        database: where the rows are.
        writer: of the files.
        verifiers: of checkpoints of this log, by its name.
        clock: gives the time of each batch.
    """

    def __init__(
        self, database: Database, writer: JournalWriter, *, verifiers: Verifiers, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._verifiers = verifiers
        self._writer = writer
        self._clock = clock
        self._checkpoint: str | None = None
        self._failure: str | None = None
        self._strangers = 0

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
        except (OSError, ExchangeError, CryptoError) as exc:
            # What was written last is not known: the next try looks for the end again.
            self._writer.release()
            self._checkpoint = None
            reason = f"{exc.strerror}: {exc.filename}" if isinstance(exc, OSError) else str(exc)
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
            # Signed is only what the log tells of too: whoever can insert into the table must not get a line signed
            # that the exchange did not write, nor one that nobody can read when it is needed.
            sound = [row for row in rows if _tells(connection, *row)]
        if len(sound) < len(rows):
            self._tell_strangers(len(rows) - len(sound))
        if not sound:
            return False
        self._writer.append([body for _, _, body in sound], self._clock())
        # A crash before this commit leaves the rows in the table and in the files.
        with self._database.write() as connection:
            journal_store.delete_rows(connection, [row_id for row_id, _, _ in sound])
            connection.commit()
        return len(sound) == MAX_RECORDS

    def _tell_strangers(self, count: int) -> None:
        if count != self._strangers:
            _log.error("%d rows of the journal are not what the log tells of; they stay where they are", count)
        self._strangers = count

    def _write_checkpoint(self) -> None:
        with self._database.read() as connection:
            newest = store.latest_checkpoint(connection)
            if newest is None or newest.note == self._checkpoint:
                return
            head, kept = store.read_head(connection), self._writer.kept()
            if head is not None and kept is not None:
                # What is kept is there to notice an older database: it is never moved back to fit one.
                refuse_older(connection, head, read_checkpoint_note(kept, self._verifiers))
        self._writer.write_checkpoint(newest.note)
        self._checkpoint = newest.note


def _tells(connection: Connection, row_id: UUID, _at: datetime, body: bytes) -> bool:
    """Whether a row is a line about an entry of the log, and of its kind."""
    try:
        record = parse_record(body)
    except MalformedError:
        return False
    found = history_store.find_entry(connection, row_id)
    return record.entry == row_id and found is not None and decode_entry(found.body).type == record.kind
