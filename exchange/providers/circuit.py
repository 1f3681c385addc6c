"""A circuit breaker: after some failures in a row a provider is left alone for a while, and callers learn it at once.

    closed ── enough failures in a row ──► open ── time has passed ──► half-open ── one call succeeds ──► closed
                                            ▲                              │
                                            └───────── it fails ───────────┘

Times are passed in. Safe to share between threads; each process has its own.
"""

import threading
from datetime import datetime, timedelta
from enum import StrEnum

from exchange.errors import ProviderUnavailableError


class CircuitState(StrEnum):
    """As :meth:`Circuit.state` tells it, for health pages and metrics."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Circuit:
    """The breaker of one provider.

    Args:
        failures: how many in a row open it.
        open_for: how long it stays open before one call may try.
    """

    def __init__(self, *, failures: int, open_for: timedelta) -> None:
        if failures < 1 or open_for <= timedelta(0):
            raise ValueError("a circuit opens after at least one failure, for some time")
        self._limit = failures
        self._open_for = open_for
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._open_until: datetime | None = None
        self._probing = False

    def state(self, now: datetime) -> CircuitState:
        """What a call at ``now`` would meet."""
        with self._lock:
            if self._open_until is None:
                return CircuitState.CLOSED
            return CircuitState.OPEN if now < self._open_until else CircuitState.HALF_OPEN

    def admit(self, now: datetime) -> None:
        """Let a call through; it must be followed by :meth:`succeeded`, :meth:`failed` or :meth:`gave_up`.

        Raises:
            ProviderUnavailableError: the circuit is open, or somebody else tries just now whether it can close.
        """
        with self._lock:
            if self._open_until is None:
                return
            if now < self._open_until or self._probing:
                raise ProviderUnavailableError("the provider failed several times and is left alone for a while")
            self._probing = True

    def succeeded(self) -> None:
        """The call went well: closed."""
        with self._lock:
            self._failed_in_a_row = 0
            self._open_until = None
            self._probing = False

    def failed(self, now: datetime) -> None:
        """The call failed: the last of several in a row, or the one that tried, opens the circuit (again)."""
        with self._lock:
            self._failed_in_a_row += 1
            if self._probing or self._failed_in_a_row >= self._limit:
                self._open_until = now + self._open_for
            self._probing = False

    def gave_up(self) -> None:
        """The call ended without telling anything about the provider."""
        with self._lock:
            self._probing = False
