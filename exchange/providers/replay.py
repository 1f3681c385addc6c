"""A small file that remembers which queries a provider has answered: each is taken once, by one atomic insert."""

import sqlite3
import threading
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from consent.columns import to_millis
from crypto.encoding import lp16_text
from exchange.errors import DatabaseError


class ReplayFile:
    """The query ids that are still in their time. Several processes may share the file.

    Args:
        path: a SQLite file; made when it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()

    def take(self, *, issuer: str, jti: str, expires_at: datetime, now: datetime) -> bool:
        """True for the one that comes first. Durable when it returns: a restart forgets nothing.

        Raises:
            DatabaseError: the file cannot be written: nothing is answered.
        """
        digest = sha256(lp16_text(issuer) + lp16_text(jti)).digest()
        try:
            connection = self._connection()
            connection.execute("DELETE FROM taken WHERE expires_at < ?", (to_millis(now),))
            cursor = connection.execute(
                "INSERT INTO taken (digest, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (digest, to_millis(expires_at)),
            )
        except sqlite3.Error as exc:
            raise DatabaseError(f"the file of answered queries refused ({type(exc).__name__})") from exc
        return cursor.rowcount == 1

    def close(self) -> None:
        """Close this thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            # Each statement commits by itself.
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=5)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS taken (digest BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID"
            )
            connection.execute("CREATE INDEX IF NOT EXISTS ix_taken_expires_at ON taken (expires_at)")
            self._local.connection = connection
        return connection
