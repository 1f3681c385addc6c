"""Every statement on the tables of the audit log, for SQLite and PostgreSQL alike. Columns are always named.

Nothing here decides: callers hold the rules, and the transaction. What only ``verify_db`` asks stands in
``exchange.audit.check_store``, what people and officers are shown in ``exchange.audit.history_store``.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Uuid, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from exchange.audit.entry import PreparedEntry
from exchange.audit.rows import CheckpointRow, HeadRow, LeafRow, NewLeaf, OriginRow, TileRow, WaitingEntry
from exchange.audit.tables import (
    audit_checkpoint,
    audit_head,
    audit_leaf,
    audit_opening,
    audit_origin,
    audit_outbox,
    audit_subject_entry,
    audit_tile,
)
from exchange.errors import DatabaseError, InconsistentLogError
from exchange.prepared import Prepared

_HEAD_ID = 1

# --- the outbox and what stands beside it -----------------------------------------------------------------------------


_INSERT_OUTBOX = Prepared(insert(audit_outbox), columns=("id", "body", "accepted_at"))
_INSERT_OPENING = Prepared(insert(audit_opening), columns=("entry_id", "subject_ref", "ct"))
_INSERT_LINE = Prepared(insert(audit_subject_entry), columns=("subject_ref", "entry_id", "at", "visible_from"))


def insert_entries(
    connection: Connection, entries: Sequence[PreparedEntry], sealed_openings: Sequence[tuple[UUID, UUID, bytes]]
) -> None:
    """Insert outbox rows, sealed openings and history lines: one statement per table, none where there is no row."""
    rows = [{"id": entry.id, "body": entry.body, "accepted_at": entry.accepted_at} for entry in entries]
    openings = [{"entry_id": entry, "subject_ref": owner, "ct": ct} for entry, owner, ct in sealed_openings]
    lines = [
        {
            "subject_ref": sealing.subject_ref,
            "entry_id": entry.id,
            "at": entry.accepted_at,
            "visible_from": sealing.visible_from,
        }
        for entry in entries
        for sealing in entry.sealings
        if sealing.subject_ref is not None
    ]
    for statement, values in ((_INSERT_OUTBOX, rows), (_INSERT_OPENING, openings), (_INSERT_LINE, lines)):
        if len(values) == 1:
            statement.execute(connection, values[0])
        elif values:
            statement.execute_many(connection, values)


def outbox_backlog(connection: Connection) -> tuple[int, datetime | None]:
    """How many entries wait, and since when the oldest does."""
    row = connection.execute(select(func.count(), func.min(audit_outbox.c.accepted_at)).select_from(audit_outbox)).one()
    return row[0], row[1]


def has_outbox(connection: Connection) -> bool:
    """Whether anything waits: asked before a round, so that an idle sequencer takes no lock."""
    return connection.execute(select(audit_outbox.c.id).limit(1)).first() is not None


_TAKE = Prepared(
    delete(audit_outbox)
    .where(
        audit_outbox.c.id.in_(
            select(audit_outbox.c.id)
            .order_by(audit_outbox.c.id)  # UUIDv7: the oldest first, along the primary key
            .limit(bindparam("limit", type_=Integer))
            # No FOR UPDATE: only a sequencer takes rows away, and it holds the head. It would need the right to UPDATE.
        )
    )
    .returning(audit_outbox.c.id, audit_outbox.c.body, audit_outbox.c.accepted_at)
)


_TAKE_ONE = Prepared(
    delete(audit_outbox)
    .where(audit_outbox.c.id == bindparam("entry_id", type_=Uuid))
    .returning(audit_outbox.c.id, audit_outbox.c.body, audit_outbox.c.accepted_at)
)


def take_outbox(connection: Connection, limit: int) -> list[WaitingEntry]:
    """Delete and return the oldest entries, in no particular order."""
    rows = _TAKE.execute(connection, {"limit": limit}).fetchall()
    return [WaitingEntry._make(row) for row in rows]


def take_waiting(connection: Connection, entry_id: UUID) -> list[WaitingEntry]:
    """Delete and return one entry of the outbox, in the form of :func:`take_outbox`."""
    return [WaitingEntry._make(row) for row in _TAKE_ONE.execute(connection, {"entry_id": entry_id}).fetchall()]


def delete_openings(connection: Connection, subject_ref: UUID) -> int:
    """Delete what a person's key opens; returns how many rows."""
    return connection.execute(delete(audit_opening).where(audit_opening.c.subject_ref == subject_ref)).rowcount


def delete_history(connection: Connection, subject_ref: UUID) -> int:
    """Delete a person's history lines; returns how many rows."""
    return connection.execute(
        delete(audit_subject_entry).where(audit_subject_entry.c.subject_ref == subject_ref)
    ).rowcount


# --- the head: the only lock ------------------------------------------------------------------------------------------


def create_head(connection: Connection, head: HeadRow) -> None:
    """Insert the one head row; an existing one raises IntegrityError."""
    connection.execute(
        insert(audit_head).values(
            id=_HEAD_ID,
            origin=head.origin,
            size=head.size,
            root=head.root,
            frontier=head.state,
            updated_at=head.updated_at,
        )
    )


def read_head(connection: Connection, *, lock: bool = False) -> HeadRow | None:
    """The head row; ``lock`` holds it until the transaction ends (SQLite: the write transaction does that already)."""
    statement = select(
        audit_head.c.origin, audit_head.c.size, audit_head.c.root, audit_head.c.frontier, audit_head.c.updated_at
    ).where(audit_head.c.id == _HEAD_ID)
    row = connection.execute(statement.with_for_update() if lock else statement).one_or_none()
    if row is None:
        return None
    return HeadRow(origin=row.origin, size=row.size, root=row.root, state=row.frontier, updated_at=row.updated_at)


_SIZE = Prepared(select(audit_head.c.size).where(audit_head.c.id == _HEAD_ID))


def read_size(connection: Connection) -> int | None:
    """The number of entries in the log, by a lean statement: every proof asks for it."""
    row = _SIZE.execute(connection, {}).fetchone()
    return None if row is None else int(row[0])


def swap_head(connection: Connection, old: HeadRow, new: HeadRow) -> bool:
    """Compare and swap; False when the row is not ``old`` any more."""
    done = connection.execute(
        update(audit_head)
        .where(
            audit_head.c.id == _HEAD_ID,
            audit_head.c.origin == old.origin,
            audit_head.c.size == old.size,
            audit_head.c.root == old.root,
        )
        .values(size=new.size, root=new.root, frontier=new.state, updated_at=new.updated_at)
    )
    return done.rowcount == 1


def rename_head(connection: Connection, old: HeadRow, origin: str) -> HeadRow:
    """Give the log its next name; the head row with it. The caller holds the lock."""
    connection.execute(update(audit_head).where(audit_head.c.id == _HEAD_ID).values(origin=origin))
    return replace(old, origin=origin)


def insert_origin(connection: Connection, row: OriginRow) -> None:
    """Note a name of the log."""
    connection.execute(
        insert(audit_origin).values(
            generation=row.generation, origin=row.origin, first_size=row.first_size, opened_at=row.opened_at
        )
    )


def origins(connection: Connection) -> list[OriginRow]:
    """All names that the log has had, in order."""
    origin = audit_origin.c
    rows = connection.execute(
        select(origin.generation, origin.origin, origin.first_size, origin.opened_at).order_by(origin.generation)
    )
    return [OriginRow(**row) for row in rows.mappings()]


# --- leaves -----------------------------------------------------------------------------------------------------------

_LEAF = (
    audit_leaf.c.seq,
    audit_leaf.c.id,
    audit_leaf.c.body,
    audit_leaf.c.type,
    audit_leaf.c.org,
    audit_leaf.c.at,
)


def _leaf(row: Any) -> LeafRow:
    return LeafRow(seq=row.seq, id=row.id, body=row.body, type=row.type, org=row.org, at=row.at)


_INSERT_LEAF = Prepared(insert(audit_leaf), columns=[column.name for column in _LEAF])


def insert_leaves(connection: Connection, leaves: Sequence[NewLeaf]) -> None:
    """Write leaves; COPY on PostgreSQL.

    Raises:
        InconsistentLogError: the log holds such a position or such an entry already.
        DatabaseError: the database refused.
    """
    try:
        if connection.dialect.name == "postgresql":
            _copy_leaves(connection, leaves)
        else:
            _INSERT_LEAF.execute_rows(connection, leaves)
    except connection.dialect.dbapi.IntegrityError as exc:  # type: ignore[union-attr]  # a connected dialect has one
        raise InconsistentLogError("an entry is in the log already, or its position is taken") from exc
    except connection.dialect.dbapi.Error as exc:  # type: ignore[union-attr]  # a connected dialect has one
        raise DatabaseError(f"the database refused ({type(exc).__name__}); nothing was committed") from exc


def _copy_leaves(connection: Connection, leaves: Sequence[NewLeaf]) -> None:
    driver: Any = connection.connection.driver_connection
    columns = ", ".join(column.name for column in _LEAF)
    with driver.cursor() as cursor, cursor.copy(f"COPY audit_leaf ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "uuid", "bytea", "varchar", "varchar", "int8"])
        for leaf in leaves:
            copy.write_row(leaf)


def leaf_by_id(connection: Connection, entry_id: UUID) -> LeafRow | None:
    """The leaf of an entry."""
    row = connection.execute(select(*_LEAF).where(audit_leaf.c.id == entry_id)).one_or_none()
    return None if row is None else _leaf(row)


def leaf_at(connection: Connection, seq: int) -> LeafRow | None:
    """The leaf at a position."""
    row = connection.execute(select(*_LEAF).where(audit_leaf.c.seq == seq)).one_or_none()
    return None if row is None else _leaf(row)


def bodies(connection: Connection, start: int, end: int) -> list[bytes]:
    """The bodies of the leaves from ``start`` up to ``end`` (exclusive), in order."""
    return list(
        connection.scalars(
            select(audit_leaf.c.body)
            .where(audit_leaf.c.seq >= start, audit_leaf.c.seq < end)
            .order_by(audit_leaf.c.seq)
        )
    )


def last_position(connection: Connection) -> int | None:
    """The position of the newest leaf."""
    return connection.execute(select(func.max(audit_leaf.c.seq))).scalar()


# --- tiles ------------------------------------------------------------------------------------------------------------


_READ_TILE = Prepared(
    select(audit_tile.c.width, audit_tile.c.data).where(
        audit_tile.c.level == bindparam("level"), audit_tile.c.n == bindparam("n")
    )
)


def read_tile(connection: Connection, level: int, n: int) -> TileRow | None:
    """A tile as it stands: full, or as wide as it is now."""
    row = _READ_TILE.execute(connection, {"level": level, "n": n}).fetchone()
    return None if row is None else TileRow(level=level, n=n, width=row[0], data=row[1])


def insert_tiles(connection: Connection, tiles: Sequence[TileRow]) -> None:
    """Write tiles that do not exist yet.

    Raises:
        InconsistentLogError: one does.
    """
    try:
        connection.execute(
            insert(audit_tile),
            [{"level": tile.level, "n": tile.n, "width": tile.width, "data": tile.data} for tile in tiles],
        )
    except IntegrityError as exc:
        raise InconsistentLogError("a tile that should not exist yet does") from exc


def widen_tile(connection: Connection, tile: TileRow, *, old_width: int) -> bool:
    """Replace a partial tile by a wider one; False when it is not ``old_width`` wide."""
    done = connection.execute(
        update(audit_tile)
        .where(audit_tile.c.level == tile.level, audit_tile.c.n == tile.n, audit_tile.c.width == old_width)
        .values(width=tile.width, data=tile.data)
    )
    return done.rowcount == 1


# --- checkpoints ------------------------------------------------------------------------------------------------------

_CHECKPOINT = (audit_checkpoint.c.size, audit_checkpoint.c.note, audit_checkpoint.c.signed_at)


def _checkpoint(row: Any) -> CheckpointRow | None:
    return None if row is None else CheckpointRow(size=row.size, note=row.note, signed_at=row.signed_at)


def insert_checkpoint(connection: Connection, checkpoint: CheckpointRow) -> None:
    """Publish a checkpoint (with the caller's commit).

    Raises:
        InconsistentLogError: one of that size was published before.
    """
    try:
        connection.execute(
            insert(audit_checkpoint).values(size=checkpoint.size, note=checkpoint.note, signed_at=checkpoint.signed_at)
        )
    except IntegrityError as exc:
        raise InconsistentLogError(f"a checkpoint of size {checkpoint.size} was published before") from exc


def latest_checkpoint(connection: Connection) -> CheckpointRow | None:
    """The newest checkpoint."""
    statement = select(*_CHECKPOINT).order_by(audit_checkpoint.c.size.desc()).limit(1)
    return _checkpoint(connection.execute(statement).one_or_none())


def checkpoint_of_size(connection: Connection, size: int) -> CheckpointRow | None:
    """The checkpoint of exactly that size."""
    return _checkpoint(connection.execute(select(*_CHECKPOINT).where(audit_checkpoint.c.size == size)).one_or_none())
