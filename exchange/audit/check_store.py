"""What only ``verify_db`` asks of the database: long reads in order, and rows that belong to nothing.

Reads two tables of other rooms, consent events and sealed values, to hold them against what the log says about them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Table, func, select

from consent.tables import consent_event
from crypto.errors import MalformedError
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.rows import CheckpointRow, LeafRow, OutboxRow, TileRow
from exchange.audit.tables import (
    audit_checkpoint,
    audit_leaf,
    audit_opening,
    audit_outbox,
    audit_subject_entry,
    audit_tile,
)
from exchange.tables import attribute_value

_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningRow:
    """A sealed opening."""

    entry_id: UUID
    owner_ref: UUID
    ct: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRow:
    """A line of somebody's history."""

    entry_id: UUID
    subject_ref: UUID
    at: datetime
    visible_from: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEventRow:
    """An event of the consent ledger; all but the body repeats members of the body."""

    entry_id: UUID
    consent_id: UUID
    seq: int
    type: str
    at: datetime
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueRow:
    """A sealed value of a person."""

    subject_ref: UUID
    attribute: str
    version: int
    ct: bytes = field(repr=False)


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Let all reads in the block see one moment, while sequencer and requests go on (SQLite: a read does so anyway)."""
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name != "postgresql" or not driver.autocommit:
        yield
        return
    # Readers run without BEGIN (exchange.database), so this is a transaction of our own making.
    connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        connection.exec_driver_sql("ROLLBACK")


def leaf_bounds(connection: Connection) -> tuple[int, int | None, int | None]:
    """How many leaves there are, the first position and the last."""
    row = connection.execute(select(func.count(), func.min(audit_leaf.c.seq), func.max(audit_leaf.c.seq))).one()
    return row[0], row[1], row[2]


def leaves(connection: Connection, start: int, end: int) -> list[LeafRow]:
    """The leaves from ``start`` up to ``end`` (exclusive), in order."""
    leaf = audit_leaf.c
    rows = connection.execute(
        select(leaf.seq, leaf.id, leaf.body, leaf.type, leaf.org, leaf.at)
        .where(leaf.seq >= start, leaf.seq < end)
        .order_by(leaf.seq)
    )
    return [LeafRow(**row) for row in rows.mappings()]


def outbox_rows(connection: Connection) -> list[OutboxRow]:
    """What waits, without taking it."""
    outbox = audit_outbox.c
    rows = connection.execute(select(outbox.id, outbox.body, outbox.accepted_at).order_by(outbox.id))
    return [OutboxRow(**row) for row in rows.mappings()]


def tile_rows(connection: Connection, level: int, start: int, end: int) -> list[TileRow]:
    """The tiles of a level from number ``start`` up to ``end`` (exclusive), in order."""
    tile = audit_tile.c
    rows = connection.execute(
        select(tile.level, tile.n, tile.width, tile.data)
        .where(tile.level == level, tile.n >= start, tile.n < end)
        .order_by(tile.n)
    )
    return [TileRow(**row) for row in rows.mappings()]


def tile_counts(connection: Connection) -> dict[int, int]:
    """How many tiles each level has."""
    rows = connection.execute(select(audit_tile.c.level, func.count()).group_by(audit_tile.c.level))
    return {row[0]: row[1] for row in rows}


def checkpoints(connection: Connection, after: int, up_to: int) -> list[CheckpointRow]:
    """The checkpoints with sizes above ``after`` up to ``up_to``, in order."""
    checkpoint = audit_checkpoint.c
    rows = connection.execute(
        select(checkpoint.size, checkpoint.note, checkpoint.signed_at)
        .where(checkpoint.size > after, checkpoint.size <= up_to)
        .order_by(checkpoint.size)
    )
    return [CheckpointRow(**row) for row in rows.mappings()]


def checkpoint_count(connection: Connection) -> int:
    """How many checkpoints were published."""
    return connection.execute(select(func.count()).select_from(audit_checkpoint)).scalar_one()


class Companions:
    """What stands beside a set of entries: those of a stretch of the log, or those that wait."""

    def __init__(self, connection: Connection, stretch: tuple[int, int] | None) -> None:
        """Take a stretch of positions, end exclusive; None: the outbox."""
        self._connection = connection
        self._stretch = stretch

    def openings(self) -> list[OpeningRow]:
        """Their sealed openings."""
        opening = audit_opening.c
        rows = self._beside(opening.entry_id, opening.entry_id, opening.subject_ref.label("owner_ref"), opening.ct)
        return [OpeningRow(**row) for row in rows.mappings()]

    def lines(self) -> list[LineRow]:
        """Their lines in people's histories."""
        line = audit_subject_entry.c
        rows = self._beside(line.entry_id, line.entry_id, line.subject_ref, line.at, line.visible_from)
        return [LineRow(**row) for row in rows.mappings()]

    def consent_events(self) -> list[ConsentEventRow]:
        """The ledger's events that they tell of."""
        event = consent_event.c
        rows = self._beside(
            event.entry_id, event.entry_id, event.consent_id, event.seq, event.type, event.at, event.body
        )
        return [ConsentEventRow(**row) for row in rows.mappings()]

    def _beside(self, entry_id: ColumnElement[UUID], *columns: ColumnElement[Any]) -> Any:
        if self._stretch is None:
            among = select(audit_outbox.c.id)
        else:
            start, end = self._stretch
            among = select(audit_leaf.c.id).where(audit_leaf.c.seq >= start, audit_leaf.c.seq < end)
        return self._connection.execute(select(*columns).where(entry_id.in_(among)))


def strangers(connection: Connection) -> Iterator[tuple[str, UUID]]:
    """Rows beside entries that do not exist, as (table, entry id)."""
    for table in (audit_opening, audit_subject_entry, consent_event):
        for entry_id in connection.scalars(_without_entry(table)):
            yield table.name, entry_id
    twice = select(audit_outbox.c.id).where(audit_outbox.c.id.in_(select(audit_leaf.c.id)))
    for entry_id in connection.scalars(twice):
        yield audit_outbox.name, entry_id


def _without_entry(table: Table) -> Any:
    entry_id = table.c.entry_id
    return select(entry_id).where(
        ~select(audit_leaf.c.id).where(audit_leaf.c.id == entry_id).exists(),
        ~select(audit_outbox.c.id).where(audit_outbox.c.id == entry_id).exists(),
    )


def sealed_values(connection: Connection) -> Iterator[ValueRow]:
    """Every sealed value of every person."""
    value = attribute_value.c
    statement = select(value.subject_ref, value.attribute, value.version, value.ct)
    for row in connection.execute(statement.execution_options(yield_per=_PAGE)).mappings():
        yield ValueRow(**row)


def public_members(connection: Connection, types: Sequence[str]) -> Iterator[Entry]:
    """Entries of some types, oldest first; those that still wait come last."""
    leaves = select(audit_leaf.c.body).where(audit_leaf.c.type.in_(types)).order_by(audit_leaf.c.seq)
    waiting = select(audit_outbox.c.body).order_by(audit_outbox.c.accepted_at, audit_outbox.c.id)
    for statement in (leaves, waiting):
        for body in connection.scalars(statement):
            try:
                entry = decode_entry(body)
            except MalformedError:
                continue  # told where every entry is read; here it says nothing
            if entry.type in types:
                yield entry
