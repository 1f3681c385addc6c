"""Every statement on cosigned checkpoints, and the one look that releases depend on."""

from typing import Any

from sqlalchemy import Connection, func, select, true
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from exchange.audit.rows import CosignedRow, PressureRow
from exchange.audit.tables import audit_cosigned, audit_origin, audit_outbox

_COLUMNS = (audit_cosigned.c.size, audit_cosigned.c.note, audit_cosigned.c.cosigned_at)


def _keep(make: Any) -> Any:
    statement = make(audit_cosigned)
    return statement.on_conflict_do_update(
        index_elements=["size"],
        set_={"note": statement.excluded.note, "cosigned_at": statement.excluded.cosigned_at},
        where=statement.excluded.cosigned_at > audit_cosigned.c.cosigned_at,
    )


_KEEP = {"sqlite": _keep(sqlite_insert), "postgresql": _keep(postgresql_insert)}


def keep(connection: Connection, row: CosignedRow) -> None:
    """Store a cosigned checkpoint, or renew it in place; an older look never replaces a newer one."""
    connection.execute(
        _KEEP[connection.dialect.name], {"size": row.size, "note": row.note, "cosigned_at": row.cosigned_at}
    )


def newest(connection: Connection) -> CosignedRow | None:
    """The largest checkpoint that was cosigned."""
    return _cosigned(connection.execute(select(*_COLUMNS).order_by(audit_cosigned.c.size.desc()).limit(1)).first())


def of_size(connection: Connection, size: int) -> CosignedRow | None:
    """The cosigned checkpoint of exactly that size."""
    return _cosigned(connection.execute(select(*_COLUMNS).where(audit_cosigned.c.size == size)).first())


def _pressure() -> Any:
    waiting = select(func.count().label("waiting"), func.min(audit_outbox.c.accepted_at).label("oldest_at")).subquery()
    name = (
        select(audit_origin.c.origin, audit_origin.c.opened_at)
        .order_by(audit_origin.c.generation.desc())
        .limit(1)
        .subquery()
    )
    cosigned = select(*_COLUMNS).order_by(audit_cosigned.c.size.desc()).limit(1).subquery()
    return select(*waiting.c, *name.c, *cosigned.c).select_from(
        waiting.outerjoin(name, true()).outerjoin(cosigned, true())
    )


_PRESSURE = _pressure()


def pressure(connection: Connection) -> PressureRow:
    """What waits, the log's name, and the newest cosigned checkpoint: one statement."""
    row = connection.execute(_PRESSURE).one()
    return PressureRow(
        waiting=row.waiting,
        oldest_at=row.oldest_at,
        origin=row.origin,
        opened_at=row.opened_at,
        cosigned=None if row.size is None else _cosigned(row),
    )


def _cosigned(row: Any) -> CosignedRow | None:
    return None if row is None else CosignedRow(size=row.size, note=row.note, cosigned_at=row.cosigned_at)
