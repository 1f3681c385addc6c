"""Every statement on rows of the journal: written with the change that they tell of, moved to files by the worker.

See ``exchange.audit.journal`` for what is in them.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select

from exchange.prepared import Prepared
from exchange.tables import journal

_INSERT = Prepared(insert(journal), columns=("id", "at", "body"))

JournalRow = tuple[UUID, datetime, bytes]
"""Entry id, time, line."""


def insert_rows(connection: Connection, rows: Sequence[JournalRow]) -> None:
    """Keep lines, in the transaction of what they tell of."""
    _INSERT.execute_many(connection, [{"id": row_id, "at": at, "body": body} for row_id, at, body in rows])


def oldest_rows(connection: Connection, limit: int) -> list[JournalRow]:
    """What waits to be written to files, oldest first."""
    statement = select(journal.c.id, journal.c.at, journal.c.body).order_by(journal.c.at, journal.c.id).limit(limit)
    return [(row.id, row.at, row.body) for row in connection.execute(statement)]


def delete_rows(connection: Connection, ids: Sequence[UUID]) -> None:
    """Forget rows that are in files now."""
    connection.execute(delete(journal).where(journal.c.id.in_(ids)))
