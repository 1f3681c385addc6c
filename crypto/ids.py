"""The one place of randomness and of identifiers.

A UUIDv7 (RFC 9562 §5.7) sorts by time and tells when it was made. It is an identifier, never a secret: whatever grants
access takes :func:`random_bytes`.
"""

import os
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from crypto.errors import MalformedError

random_bytes: Final = os.urandom
"""``random_bytes(n)``: n bytes from the system's generator. An alias, not a wrapper: it is on the hot path."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
# 12 random bits after the version and 62 after the variant.
_RANDOM_BITS = (0xFFF << 64) | ((1 << 62) - 1)
_MAX_MILLISECONDS = (1 << 48) - 1


def new_id(now: datetime) -> UUID:
    """Make a UUIDv7 for the time ``now``; all 74 remaining bits are random.

    Raises:
        MalformedError: ``now`` has no time zone or lies before 1970.
    """
    if now.tzinfo is None:
        raise MalformedError("a time needs its time zone")
    milliseconds = (now - _EPOCH) // _MILLISECOND
    if not 0 <= milliseconds <= _MAX_MILLISECONDS:
        raise MalformedError("a time before 1970 fits no UUIDv7")
    noise = int.from_bytes(random_bytes(10), "big") & _RANDOM_BITS
    return UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT | noise)
