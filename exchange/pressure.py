"""Back-pressure of the audit log: when the sequencer is too far behind, releases wait (fail closed).

A promise that nobody keeps proves nothing, so nothing more is promised until the outbox has drained.
"""

import threading
from datetime import datetime, timedelta

from sqlalchemy import Connection

from exchange.audit import outbox
from exchange.errors import AuditUnavailableError

_LOOK_EVERY = timedelta(seconds=1)


class LogPressure:
    """Looks at the outbox now and then, and remembers.

    Args:
        max_outbox: entries that may wait.
    """

    def __init__(self, max_outbox: int) -> None:
        self._max = max_outbox
        self._lock = threading.Lock()
        self._looked_at: datetime | None = None
        self._behind = False

    def check(self, connection: Connection, now: datetime) -> None:
        """Refuse to release while the log is behind.

        Raises:
            AuditUnavailableError: more entries wait than may; looked at within the last second.
        """
        with self._lock:
            due = self._looked_at is None or not timedelta(0) <= now - self._looked_at < _LOOK_EVERY
            if due:
                self._looked_at = now
        if due:
            self._behind = outbox.backlog(connection, now).count > self._max
        if self._behind:
            raise AuditUnavailableError("the audit log is behind; nothing is released until it has caught up")
