"""Times in bodies: RFC 3339, UTC, always with milliseconds. One length, so that no time tells more than the time."""

from datetime import datetime
from typing import Any

from marshmallow import fields

from consent.receipt_record import rfc3339


class Timestamp(fields.AwareDateTime):
    """A time as ``2026-11-02T09:30:00.000Z``; read in any zone, written in one form."""

    def _serialize(self, value: datetime | None, *_of: Any, **_options: Any) -> str | None:
        return None if value is None else rfc3339(value)
