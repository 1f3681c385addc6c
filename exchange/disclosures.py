"""A citizen's own history of disclosures, each with the proof that it stands in the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from crypto import canonical
from crypto.encoding import b64_encode
from exchange import access, citizen_store, store
from exchange.audit import history_store
from exchange.audit.rows import FoundEntry, HistoryRow
from exchange.cursors import read_cursor, write_cursor
from exchange.errors import SubjectErasedError
from exchange.events import Event, EventType
from exchange.model import Citizen
from exchange.situations import details_of

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDisclosure:
    """Who got what, when, why, and under which permission. ``proof`` is None until the entry is integrated."""

    id: UUID
    at: datetime
    agency: str
    agency_name: str
    purpose: str
    attributes: list[dict[str, str]]
    officer_role: str | None
    consent_id: UUID | None
    entry_id: UUID
    acknowledged_at: datetime | None
    proof: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A page of disclosures, newest first. ``next`` leads to the following page; no ``checkpoint``: the log is new."""

    disclosures: list[OwnDisclosure]
    checkpoint: str | None
    next: str | None


def history(exchange: "Exchange", citizen: Citizen, *, cursor: str | None, limit: int, now: datetime) -> History:
    """Disclosures about this person. Looking is on record, in the person's own history.

    Raises:
        MalformedError: the cursor is not one of ours.
    """
    before = None if cursor is None else read_cursor(cursor)
    access.admit_citizen(exchange, citizen, now)
    with exchange.unit_of_work(now) as uow:
        if not citizen_store.hold_subject(uow.connection, citizen.subject_ref):
            raise SubjectErasedError("the person was erased")
        uow.record(Event(type=EventType.HISTORY_READ, org="subject", subject_ref=citizen.subject_ref))
        uow.commit()
    with exchange.database.read() as connection:
        rows = citizen_store.disclosures_of_subject(
            connection, citizen.subject_ref, before=before, limit=limit + 1, now=now
        )
        names = {row.code: row.name for row in citizen_store.agencies(connection)}
        entries = history_store.places(connection, [row.entry_id for row in rows[:limit]])
        found = [entries.get(row.entry_id, FoundEntry(seq=None, body=b"")) for row in rows[:limit]]
        proved = exchange.prover.page(connection, [(one.seq, one.body) for one in found])
        own = [
            _own(exchange, connection, row, names, proof_members(one, hashes, proved.size))
            for row, one, hashes in zip(rows[:limit], found, proved.hashes, strict=True)
        ]
    more = len(rows) > limit
    following = write_cursor(rows[limit - 1].at, rows[limit - 1].id) if more else None
    return History(disclosures=own, checkpoint=proved.checkpoint, next=following)


def proof_members(
    entry: FoundEntry | HistoryRow, hashes: Sequence[bytes] | None, tree_size: int
) -> dict[str, Any] | None:
    """A proof as a citizen's device checks it: entry, place and hashes; None: not in the published tree yet."""
    if hashes is None:
        return None
    return {
        "index": entry.seq,
        "size": tree_size,
        "leaf": entry.body.decode(),
        "hashes": [b64_encode(step) for step in hashes],  # as /audit/proof/inclusion writes them
    }


def _own(
    exchange: "Exchange",
    connection: Connection,
    row: Row[Any],
    names: dict[str, str],
    proof: dict[str, Any] | None,
) -> OwnDisclosure:
    request = store.find_request(connection, row.request_id)
    role = None if request is None else details_of(exchange, connection, request)["role"]
    return OwnDisclosure(
        id=row.id,
        at=row.at,
        agency=row.agency,
        agency_name=names.get(row.agency, row.agency),
        purpose=row.purpose,
        attributes=canonical.decode(row.attributes.encode()),
        officer_role=role,
        consent_id=row.consent_id,
        entry_id=row.entry_id,
        acknowledged_at=row.acknowledged_at,
        proof=proof,
    )
