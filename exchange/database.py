"""Connections and transactions for SQLite and PostgreSQL, with the durability that the audit log rests on.

SQLite (WAL, synchronous=FULL): writers take a lock file first and then ``BEGIN IMMEDIATE``, since busy waiting
between processes starves now and then. PostgreSQL: READ COMMITTED, psycopg 3. Both run the same statements; ``FOR
UPDATE`` is dropped on SQLite, whose writers exclude each other anyway.
"""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, InternalError, OperationalError, ProgrammingError

from exchange.errors import DatabaseError

# A connection that was closed just now, our own included, may still be counted.
_LEAVING: Final = 20
_LEAVING_SECONDS: Final = 0.1
_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


class Database:
    """An engine with two ways in: ``read`` and ``write``.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://…``.
        pool_size: connections kept open per process.
    """

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._write_lock: _FileLock | None = None
        if self.is_sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise DatabaseError("SQLite needs a file: sqlite:///path/to/cdx.db")
            self._write_lock = _FileLock(Path(parsed.database + ".lock"))
            # No pool limit games: each thread of a worker holds one connection.
            self.engine: Engine = create_engine(parsed, pool_size=pool_size, max_overflow=32)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=32,
                pool_pre_ping=False,
                # exchange.postgres_batch prepares, and writes text as UTF-8.
                connect_args={"prepare_threshold": None, "client_encoding": "UTF8"},
            )
        self._write_engine = self.engine.execution_options(cdx_begin="IMMEDIATE")
        # Under READ COMMITTED each statement has its own snapshot anyway: no BEGIN and COMMIT around a read.
        self._read_engine = (
            self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        driver = self.engine.dialect.dbapi
        assert driver is not None  # create_engine has loaded it
        # Raised by SQLAlchemy, or by the driver itself where a prepared statement ran on its cursor. The internal one
        # is what psycopg says of a PostgreSQL that can only be read, such as a standby.
        own = (driver.OperationalError, driver.InterfaceError, driver.InternalError)
        self._driver_errors = (OperationalError, InterfaceError, InternalError, *own)
        # What a role of the database has no right to (exchange.grants); SQLite knows no roles.
        self._refused: tuple[type[Exception], ...] = () if self.is_sqlite else (driver.errors.InsufficientPrivilege,)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction (a snapshot on SQLite)."""
        with self._explained(), self._read_engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction; the caller commits. Leaving without commit rolls back."""
        with self._explained():
            if self._write_lock is None:
                with self._write_engine.connect() as connection:
                    yield connection
                return
            with self._write_lock, self._write_engine.connect() as connection:
                yield connection

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (*self._driver_errors, *self._refused) as exc:
            raise _database_error(exc) from exc
        except ProgrammingError as exc:
            if isinstance(exc.orig, self._refused):
                raise _database_error(exc) from exc
            raise

    def assert_durable(self) -> None:
        """Refuse to run where a commit may be lost: the audit log's promise would be empty."""
        wanted: dict[str, str]
        with self.read() as connection:
            if self.is_sqlite:
                wanted = {"journal_mode": "wal", "synchronous": "2"}
                found = {name: str(connection.exec_driver_sql(f"PRAGMA {name}").scalar()) for name in wanted}
            else:
                wanted = {"synchronous_commit": "on", "fsync": "on", "full_page_writes": "on"}
                found = {name: str(connection.exec_driver_sql(f"SHOW {name}").scalar()) for name in wanted}
        wrong = [f"{name} is {found[name]}, must be {wanted[name]}" for name in wanted if found[name] != wanted[name]]
        if wrong:
            raise DatabaseError("the database may lose commits: " + "; ".join(wrong))

    def is_used_by_others(self) -> bool:
        """Whether anybody else has the database open just now. Closes our own connections first.

        Raises:
            DatabaseError: it cannot be reached.
        """
        self.dispose()
        if not self.is_sqlite:
            with self.read() as connection:
                for _ in range(_LEAVING):
                    if not connection.exec_driver_sql(_OTHERS).scalar_one():
                        return False
                    time.sleep(_LEAVING_SECONDS)
            return True
        alone = sqlite3.connect(str(self.engine.url.database), timeout=0, isolation_level=None)
        try:
            # In WAL mode every open connection holds a lock that this one asks for alone.
            alone.execute("PRAGMA locking_mode=EXCLUSIVE")
            alone.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return True
        else:
            return False
        finally:
            alone.close()

    def dispose(self) -> None:
        """Close all pooled connections (before a fork, and at the end of tests)."""
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves; pysqlite's own would start it too late
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # erased ciphertexts do not linger in free pages
        "busy_timeout=5000",
        "cache_size=-65536",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("cdx_begin", "DEFERRED")
    # To the driver itself: an execution of SQLAlchemy's costs more than the whole transaction's beginning.
    driver = connection.connection.driver_connection
    assert driver is not None  # it is open
    driver.execute(f"BEGIN {mode}")


def _database_error(exc: BaseException) -> DatabaseError:
    # The driver's text may quote values: only its class is passed on.
    kind = type(exc.orig) if isinstance(exc, DBAPIError) else type(exc)
    return DatabaseError(f"the database refused ({kind.__name__}); nothing was committed")


class _FileLock:
    """``flock`` between processes and a lock between threads; reopened after a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread_lock = threading.Lock()
        self._descriptor: int | None = None
        self._pid = 0

    def __enter__(self) -> None:
        self._thread_lock.acquire()
        try:
            if self._descriptor is None or self._pid != os.getpid():
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
                self._pid = os.getpid()
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._thread_lock.release()
            raise

    def __exit__(self, *_exc: object) -> None:
        assert self._descriptor is not None  # entered before it is left
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._thread_lock.release()
