"""Column types that SQLite and PostgreSQL store alike, shared by every table of the house."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Dialect
from sqlalchemy.types import TypeDecorator

from consent.instants import from_millis, to_millis

__all__ = ["Instant", "from_millis", "to_millis"]


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as a BIGINT of milliseconds: SQLite has no time zones; integers compare alike on both."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002  # SQLAlchemy's
        """Milliseconds; a naive datetime is a programming error and raises TypeError."""
        return None if value is None else to_millis(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # SQLAlchemy's
        """An aware UTC datetime."""
        return None if value is None else from_millis(value)
