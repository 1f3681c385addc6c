"""Moments in time as the house keeps them: aware, UTC, whole milliseconds. Pure."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_millis(moment: datetime) -> int:
    """Milliseconds since the Unix epoch of an aware datetime (truncated, never rounded up)."""
    delta = moment - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def from_millis(millis: int) -> datetime:
    """The aware UTC datetime of milliseconds since the Unix epoch."""
    seconds, rest = divmod(millis, 1000)
    return datetime.fromtimestamp(seconds, tz=UTC).replace(microsecond=rest * 1000)


def whole_millis(moment: datetime) -> datetime:
    """An aware UTC datetime cut to the milliseconds that the ledger keeps.

    Raises:
        ValueError: no time zone, or not UTC.
    """
    if moment.utcoffset() != timedelta(0):
        raise ValueError("moments are aware and in UTC")
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)
