"""A citizen's own log: every entry of their history, opened, with proof, and who else opened it.

What is given out is enough to check it without us: fact → commitment → entry → root → signature. A page costs the same
few statements whatever it holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from crypto.encoding import b64u_encode
from crypto.fields import DataKey
from exchange import access, citizen_store
from exchange.audit import history_store
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.rows import HistoryRow
from exchange.cursors import read_cursor, write_cursor
from exchange.disclosures import proof_members
from exchange.errors import SubjectErasedError
from exchange.events import Event, EventType
from exchange.model import Citizen
from exchange.openings import OPENED_ENTRY, unseal

if TYPE_CHECKING:
    from exchange.context import Exchange

_NOT_SHOWN: Final = frozenset({"officer"})
"""The person sees the role of who acted for an organisation, not the staff id (decision 17)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFact:
    """A fact of an entry, and what shows that the entry committed to it: its place among the commitments, its salt."""

    index: int
    name: str
    value: str = field(repr=False)
    salt: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBy:
    """An opening of an entry by an officer, itself an entry of the same history."""

    entry_id: UUID
    at: datetime
    org: str
    role: str
    reason: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEntry:
    """A line of the history. ``facts`` is None when they do not open; ``proof`` until the entry is in the log."""

    entry: Entry
    facts: tuple[OwnFact, ...] | None
    seen_by: tuple[SeenBy, ...]
    proof: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnLog:
    """A page, newest first. ``next`` leads to the following page; no ``checkpoint``: the log is new."""

    entries: list[OwnEntry]
    checkpoint: str | None
    next: str | None


def own_log(exchange: "Exchange", citizen: Citizen, *, cursor: str | None, limit: int, now: datetime) -> OwnLog:
    """The person's own entries. Looking is on record, in the same history.

    Raises:
        MalformedError: the cursor is not one of ours.
        AccessRefusedError, ReplayedError: as ``access.admit_citizen``.
    """
    before = None if cursor is None else read_cursor(cursor)
    access.admit_citizen(exchange, citizen, now)
    ref = citizen.subject_ref
    with exchange.unit_of_work(now) as uow:
        if not citizen_store.hold_subject(uow.connection, ref):
            raise SubjectErasedError("the person was erased")
        uow.record(Event(type=EventType.HISTORY_READ, org="subject", subject_ref=ref))
        uow.commit()
    with exchange.database.read() as connection:
        rows = history_store.history(connection, ref, limit=limit + 1, before=before, now=now)
        shown = rows[:limit]
        openings = []
        if shown:
            # No entry was opened before it was written, by clocks that are a little apart.
            since = shown[-1].at - access.PURGE_MARGIN
            openings = history_store.entries_of_type(
                connection, ref, EventType.AUDIT_OPENED.value, since=since, now=now
            )
        keys = exchange.keyring.load_all(connection, [ref])
        proved = exchange.prover.page(connection, [(row.seq, row.body) for row in shown])
    seen = _seen_by(exchange, keys, ref, openings)
    entries = []
    for row, hashes in zip(shown, proved.hashes, strict=True):
        entry = decode_entry(row.body)
        entries.append(
            OwnEntry(
                entry=entry,
                facts=_facts(exchange, keys, ref, entry, row),
                seen_by=tuple(seen.get(entry.id, ())),
                proof=proof_members(row, hashes, proved.size),
            )
        )
    following = write_cursor(shown[-1].at, shown[-1].entry_id) if len(rows) > limit else None
    return OwnLog(entries=entries, checkpoint=proved.checkpoint, next=following)


def _facts(
    exchange: "Exchange",
    keys: Mapping[tuple[UUID, bytes], DataKey],
    ref: UUID,
    entry: Entry,
    row: HistoryRow,
) -> tuple[OwnFact, ...] | None:
    openings = None if row.opening is None else unseal(exchange, keys, ref, entry, row.opening)
    if openings is None:
        return None
    return tuple(
        OwnFact(index=one.index, name=one.name, value=one.value, salt=b64u_encode(one.salt))
        for one in openings.facts
        if one.name not in _NOT_SHOWN
    )


def _seen_by(
    exchange: "Exchange", keys: Mapping[tuple[UUID, bytes], DataKey], ref: UUID, rows: Sequence[HistoryRow]
) -> dict[UUID, list[SeenBy]]:
    """Openings by the entry that was opened."""
    result: dict[UUID, list[SeenBy]] = {}
    for row in rows:
        entry = decode_entry(row.body)
        if entry.type != EventType.AUDIT_OPENED:
            continue  # of those that wait, any type comes
        openings = None if row.opening is None else unseal(exchange, keys, ref, entry, row.opening)
        told = {} if openings is None else openings.values()
        result.setdefault(UUID(entry.detail[OPENED_ENTRY]), []).append(
            SeenBy(
                entry_id=entry.id,
                at=entry.at,
                org=entry.org,
                role=told.get("role", ""),
                reason=told.get("reason", ""),
            )
        )
    return result
