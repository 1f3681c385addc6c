"""Statements for what people and officers are shown of the log: lines of a history, sealed openings, one entry.

A line that is hidden from its person (GDPR art. 23) is left out by every statement for that person, in SQL, before
anything is counted or cut into pages: what is not read cannot betray itself by a gap, a short page or a cursor.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal, null, or_, select, union_all

from exchange.audit.rows import FoundEntry, HistoryRow
from exchange.audit.tables import audit_leaf, audit_opening, audit_outbox, audit_subject_entry

_AT_ONCE = 1000
_line = audit_subject_entry.c
_LINES: Select[Any] = select(
    _line.entry_id,
    _line.at,
    audit_leaf.c.seq,
    func.coalesce(audit_leaf.c.body, audit_outbox.c.body).label("body"),
    audit_opening.c.ct,
).select_from(
    audit_subject_entry.outerjoin(audit_leaf, audit_leaf.c.id == _line.entry_id)
    .outerjoin(audit_outbox, audit_outbox.c.id == _line.entry_id)
    .outerjoin(
        audit_opening,
        and_(audit_opening.c.entry_id == _line.entry_id, audit_opening.c.subject_ref == _line.subject_ref),
    )
)


def _shows(now: datetime) -> ColumnElement[bool]:
    return or_(_line.visible_from.is_(None), _line.visible_from <= now)


def history(
    connection: Connection, subject_ref: UUID, *, limit: int, before: tuple[datetime, UUID] | None, now: datetime
) -> list[HistoryRow]:
    """A person's entries with what opens them, newest first; those that are hidden from them are not there."""
    statement = _LINES.where(_line.subject_ref == subject_ref, _shows(now))
    if before is not None:
        at, entry_id = before
        statement = statement.where(or_(_line.at < at, and_(_line.at == at, _line.entry_id < entry_id)))
    rows = connection.execute(statement.order_by(_line.at.desc(), _line.entry_id.desc()).limit(limit))
    return [_history_row(row) for row in rows]


def entries_of_type(
    connection: Connection, subject_ref: UUID, kind: str, *, since: datetime, now: datetime
) -> list[HistoryRow]:
    """A person's entries of one type, oldest first, and all that still wait, whose type only their bytes tell."""
    statement = _LINES.where(
        _line.subject_ref == subject_ref,
        _line.at >= since,
        _shows(now),
        or_(audit_leaf.c.type == kind, audit_leaf.c.id.is_(None)),
    )
    return [_history_row(row) for row in connection.execute(statement.order_by(_line.at, _line.entry_id))]


def is_hidden(subject_ref: ColumnElement[UUID], entry_id: ColumnElement[UUID], now: datetime) -> ColumnElement[bool]:
    """A condition for statements on other tables: whether an entry is hidden from a person by now."""
    hidden = select(literal(1)).where(_line.subject_ref == subject_ref, _line.entry_id == entry_id)
    return hidden.where(_line.visible_from > now).correlate_except(audit_subject_entry).exists()


def find_entry(connection: Connection, entry_id: UUID) -> FoundEntry | None:
    """An entry wherever it stands. One statement: it may move from the outbox into the log between two."""
    leaf, waiting = audit_leaf.c, audit_outbox.c
    row = connection.execute(
        union_all(
            select(leaf.seq, leaf.body).where(leaf.id == entry_id),
            select(null().label("seq"), waiting.body).where(waiting.id == entry_id),
        )
    ).first()
    return None if row is None else FoundEntry(seq=row.seq, body=row.body)


def places(connection: Connection, entry_ids: Collection[UUID]) -> dict[UUID, FoundEntry]:
    """The entries of some ids that are in the log."""
    leaf = audit_leaf.c
    rows = connection.execute(select(leaf.id, leaf.seq, leaf.body).where(leaf.id.in_(entry_ids)))
    return {row.id: FoundEntry(seq=row.seq, body=row.body) for row in rows}


def sealed_openings(connection: Connection, entry_id: UUID) -> dict[UUID, bytes]:
    """Owner of the key → sealed openings of an entry."""
    opening = audit_opening.c
    rows = connection.execute(select(opening.subject_ref, opening.ct).where(opening.entry_id == entry_id))
    return {row.subject_ref: row.ct for row in rows}


def openings_of(connection: Connection, owner_ref: UUID) -> Iterator[tuple[bytes, bytes | None]]:
    """Sealed openings of one owner, each with the bytes of its entry; None: there is no such entry."""
    opening = audit_opening.c
    body = func.coalesce(audit_leaf.c.body, audit_outbox.c.body).label("body")
    statement = (
        select(opening.ct, body)
        .select_from(
            audit_opening.outerjoin(audit_leaf, audit_leaf.c.id == opening.entry_id).outerjoin(
                audit_outbox, audit_outbox.c.id == opening.entry_id
            )
        )
        .where(opening.subject_ref == owner_ref)
    )
    for row in connection.execute(statement.execution_options(yield_per=_AT_ONCE)):
        yield row.ct, row.body


def hidden_until(connection: Connection, entry_id: UUID) -> dict[UUID, datetime | None]:
    """Person → until when the entry is hidden from them, for all whose history it stands in."""
    rows = connection.execute(select(_line.subject_ref, _line.visible_from).where(_line.entry_id == entry_id))
    return {row.subject_ref: row.visible_from for row in rows}


def _history_row(row: Row[Any]) -> HistoryRow:
    return HistoryRow(entry_id=row.entry_id, at=row.at, seq=row.seq, body=row.body, opening=row.ct)
