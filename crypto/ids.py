"""The one place of randomness and of identifiers.

A UUIDv7 (RFC 9562 §5.7) sorts by time and tells when it was made. It is an identifier, never a secret: whatever grants
access takes :func:`random_bytes`.
"""

import os
import threading
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from crypto.errors import MalformedError

random_bytes: Final = os.urandom
"""``random_bytes(n)``: n bytes from the system's generator. An alias, not a wrapper: it is on the hot path."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_COUNTER_MAX = 0xFFF  # the 12 bits after the version
_NOISE = (1 << 62) - 1  # the bits after the variant
_MAX_MILLISECONDS = (1 << 48) - 1


class _Sequence:
    """Orders the ids that this process makes within one millisecond (RFC 9562 §6.2, method 1)."""

    __slots__ = ("_counter", "_lock", "_milliseconds")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = -1
        self._counter = 0

    def next(self, milliseconds: int, start: int) -> int:
        """12 bits: above those of the id before, if that was made for the same millisecond; else ``start``."""
        with self._lock:
            if milliseconds == self._milliseconds and self._counter < _COUNTER_MAX:
                self._counter += 1
            else:
                self._milliseconds, self._counter = milliseconds, start
            return self._counter


_sequence = _Sequence()


def new_id(now: datetime) -> UUID:
    """Make a UUIDv7 for the time ``now``: a 12-bit counter within the millisecond, then 62 random bits.

    Ids of one process sort in the order in which they were made, up to some 3,800 within a millisecond; ids of several
    processes never collide, and sort by millisecond.

    Raises:
        MalformedError: ``now`` has no time zone or lies before 1970.
    """
    if now.tzinfo is None:
        raise MalformedError("a time needs its time zone")
    milliseconds = (now - _EPOCH) // _MILLISECOND
    if not 0 <= milliseconds <= _MAX_MILLISECONDS:
        raise MalformedError("a time before 1970 fits no UUIDv7")
    noise = int.from_bytes(random_bytes(9), "big")
    counter = _sequence.next(milliseconds, noise >> 64)  # begins at one of 256 places
    return UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT | (counter << 64) | (noise & _NOISE))
