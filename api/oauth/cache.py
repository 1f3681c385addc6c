"""A bounded memory of what was verified before."""

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class RecentlyUsed(Generic[Value]):
    """At most ``size`` values by a digest; the one that was not used for longest goes first. Safe between threads.

    A value here saves a computation that has one right result. It must never save a look at the database.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: OrderedDict[bytes, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, digest: bytes) -> Value | None:
        """The value, if it is still there."""
        with self._lock:
            value = self._values.get(digest)
            if value is not None:
                self._values.move_to_end(digest)
            return value

    def put(self, digest: bytes, value: Value) -> None:
        """Remember a value."""
        with self._lock:
            self._values[digest] = value
            self._values.move_to_end(digest)
            if len(self._values) > self._size:
                self._values.popitem(last=False)

    def drop(self, digest: bytes) -> None:
        """Forget a value."""
        with self._lock:
            self._values.pop(digest, None)
