"""Back-pressure of the audit log: when log or witnesses are too far behind, releases wait (fail closed).

A promise that nobody keeps proves nothing, and a history that nobody else has seen may still be changed: nothing more
is promised until the outbox has drained, and until a quorum of witnesses has cosigned.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from exchange.audit import cosigned_store
from exchange.audit.cosigning import read_cosigned
from exchange.audit.policy_file import Policy
from exchange.audit.rows import PressureRow
from exchange.errors import AuditUnavailableError

_LOOK_EVERY = timedelta(seconds=1)
_CLOCKS_APART = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureLimits:
    """How far log and witnesses may be behind."""

    max_outbox: int  # entries that may wait
    integrate_within: timedelta  # how long one may wait: what receipts promise
    witnesses: Policy | None  # None: nobody cosigns
    max_unwitnessed: timedelta


def fault_of(seen: PressureRow, limits: PressureLimits, now: datetime) -> str | None:
    """Why releases must wait, or None. Pure.

    Args:
        seen: one look at the log.
        limits: of the installation.
        now: the time of the request.
    """
    if seen.waiting > limits.max_outbox:
        return "too many entries wait for the audit log"
    if seen.oldest_at is not None and now - seen.oldest_at > limits.integrate_within:
        return "an entry waits for the audit log longer than was promised"
    policy = limits.witnesses
    if policy is not None and now - vouched(seen, policy, now).since > limits.max_unwitnessed:
        return "witnesses have not cosigned the audit log for too long"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Vouched:
    """Who cosigned the log last, and when; nobody yet: since when nobody has, which is a time of grace at first."""

    since: datetime
    cosigners: frozenset[str]


def vouched(seen: PressureRow, policy: Policy, now: datetime) -> Vouched:
    """What the newest cosigned checkpoint is worth by the policy of today. Pure."""
    row = seen.cosigned
    found = None if row is None else read_cosigned(row.note, policy, origin=seen.origin or "", size=row.size)
    # A time that has not come is nobody's: a row with one would never grow old.
    if row is None or found is None or not found.is_complete or row.cosigned_at > now + _CLOCKS_APART:
        return Vouched(since=seen.opened_at or now, cosigners=frozenset())
    return Vouched(since=row.cosigned_at, cosigners=found.cosigners)


class LogPressure:
    """Looks at the log now and then, and remembers.

    Args:
        limits: of the installation.
    """

    def __init__(self, limits: PressureLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._fault: str | None = None

    def check(self, connection: Connection, now: datetime) -> None:
        """Refuse to release while log or witnesses are behind.

        Raises:
            AuditUnavailableError: they were, when looked at within the last second.
        """
        with self._lock:
            due = self._looked_at is None or not timedelta(0) <= now - self._looked_at < _LOOK_EVERY
            if due:
                self._looked_at = now
        if due:
            self._fault = fault_of(cosigned_store.pressure(connection), self._limits, now)
        if self._fault is not None:
            raise AuditUnavailableError(f"{self._fault}; nothing is released until then")
