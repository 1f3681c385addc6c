"""Erasing a person (invariant 11): one transaction, after which nothing of theirs opens and every proof still holds.

The person's row is locked first, so that a release under way ends before us or finds the person gone. The order of
locks is that of every permission: subject, then consents. What stays: the log's entries, whose commitments nobody can
open any more; the ledger's events and the disclosures, about a reference that leads to nobody; the reference, ERASED.

Copies in backups hold the data key wrapped under its KEK epoch: they die with that epoch (runbook: keys destroy).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from consent import store as consent_store
from consent.events import ConsentEvent
from consent.ledger import ConsentLedger
from consent.model import BROKER
from crypto.errors import CryptoError
from crypto.ids import new_id
from exchange import subjects_store as store
from exchange.audit import history_store, outbox
from exchange.audit.entry import decode_entry
from exchange.consent_entries import AUDITED_AS
from exchange.database import Database
from exchange.errors import ExchangeError, SubjectErasedError, UnknownSubjectError
from exchange.events import Event, EventType
from exchange.model import SubjectStatus
from exchange.openings import unseal
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange

REASON: Final = "erased"
_OWN: Final = "cdx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What was done.

    Attributes:
        entry_id: the audit entry.
        consents_ended: how many permissions and open questions ended.
        rows: rows deleted or emptied, by table.
        file_is_clean: SQLite's write-ahead log, which still holds what was deleted, was emptied; False while a long
            reader keeps it: run a checkpoint later. Always True on PostgreSQL, where dead rows go with the next VACUUM.
    """

    entry_id: UUID
    consents_ended: int
    rows: Mapping[str, int]
    file_is_clean: bool


def erase(exchange: "Exchange", subject_ref: UUID, now: datetime) -> Erasure:
    """Erase a person. Final.

    Raises:
        UnknownSubjectError: there is no such person.
        SubjectErasedError: done before.
    """
    with exchange.unit_of_work(now) as uow:
        connection = uow.connection
        status = store.lock_for_erasure(connection, subject_ref)
        if status is None or status == SubjectStatus.OPERATOR:
            raise UnknownSubjectError(f"no subject {subject_ref}")
        if status == SubjectStatus.ERASED:
            raise SubjectErasedError(f"subject {subject_ref} was erased")
        ledger = ConsentLedger(connection, now=now, new_entry_id=lambda: new_id(now))
        ended = ledger.terminate_subject(subject_ref, actor=BROKER, reason=REASON)
        openings = _openings_that_open(exchange, connection, subject_ref)
        rows = store.erase_rows(connection, subject_ref)
        erased = outbox.erase(connection, subject_ref)
        rows |= {"audit_opening": erased.openings, "audit_subject_entry": erased.history_lines}
        store.set_status(connection, subject_ref, SubjectStatus.ERASED.value)
        _record_ends(uow, ended)
        # Nobody's facts: the person has no key any more, and no history that the entry could be a line of.
        # Whom it was, in a fact that only the operator's key opens: a restore of an older database erases them again.
        facts = {"openings": str(openings), "subject": str(subject_ref)}
        entry = uow.record(Event(type=EventType.SUBJECT_ERASED, org=_OWN, facts=facts))
        # A crash before this line leaves the person whole; after it nothing opens, in any process: the key row is gone.
        uow.commit()
    exchange.keyring.forget(subject_ref)
    return Erasure(
        entry_id=entry.id, consents_ended=len(ended), rows=rows, file_is_clean=empty_write_ahead_log(exchange.database)
    )


def _openings_that_open(exchange: "Exchange", connection: Connection, owner_ref: UUID) -> int:
    """How many openings of this owner are true ones, and so may be missing from now on.

    Not how many rows there are: one that somebody planted, or put under this name, would otherwise pay for another
    that they remove later, and the sum would tell nothing.
    """
    try:
        keys = exchange.keyring.load_all(connection, [owner_ref])
    except (CryptoError, ExchangeError):
        return 0  # nothing opens any more: every opening that goes now is missed
    return sum(
        body is not None and unseal(exchange, keys, owner_ref, decode_entry(body), ct) is not None
        for ct, body in history_store.openings_of(connection, owner_ref)
    )


def _record_ends(uow: UnitOfWork, ended: Iterable[ConsentEvent]) -> None:
    """An entry for each end, sealed for the operator, so that the ledger can still be checked against the log."""
    for event in ended:
        row = consent_store.find(uow.connection, event.consent_id)
        uow.record(
            Event(
                type=AUDITED_AS[event.type],
                org=_OWN if row is None else row.consumer,
                purpose=None if row is None else row.purpose,
                facts={
                    "consent": str(event.consent_id),
                    "consent_event": event.digest,
                    "actor": f"{event.actor.kind}:{event.actor.ref}",
                },
                id=event.entry_id,
            )
        )


def empty_write_ahead_log(database: Database) -> bool:
    """Bring SQLite's write-ahead log into the file and cut it to nothing; whether that was possible just now."""
    if not database.is_sqlite:
        return True
    raw = database.engine.raw_connection()  # outside any transaction: a checkpoint cannot run in one
    try:
        cursor = raw.cursor()
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        row = cursor.fetchone()
        cursor.close()
        return row is not None and row[0] == 0
    finally:
        raw.close()
