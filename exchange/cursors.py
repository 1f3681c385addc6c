"""Cursors of lists that go back in time: the last one shown, by moment and id. Opaque to callers, and no secret."""

from datetime import datetime
from uuid import UUID

from consent.columns import from_millis, to_millis
from crypto.errors import MalformedError


def write_cursor(at: datetime, last: UUID) -> str:
    """The cursor that leads on from a line."""
    return f"{to_millis(at)}.{last}"


def read_cursor(text: str) -> tuple[datetime, UUID]:
    """Where a cursor leads on from.

    Raises:
        MalformedError: not one that :func:`write_cursor` made.
    """
    at, _, last = text.partition(".")
    try:
        return from_millis(int(at)), UUID(last)
    except (ValueError, OverflowError, OSError) as exc:  # OSError: a year that the platform's clock does not know
        raise MalformedError("the cursor is not one that this list gave out") from exc
