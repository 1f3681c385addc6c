"""One real PostgreSQL for a whole test run, and a database of its own for whoever asks.

The server is the one that CDX_TEST_POSTGRES_URL names or, without that, one which a keeper process
(tests/postgres_keeper.py) starts in a temporary folder. All xdist workers of a run share it. Each
worker holds a shared lock on a file in that folder for as long as it lives; the keeper stops the
server as soon as nobody holds it. The kernel drops a lock with its process, so that a killed run
leaves no server behind either.
"""

import atexit
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import sqlalchemy as sa

KEEPER = Path(__file__).with_name("postgres_keeper.py")
EXTERNAL = "CDX_TEST_POSTGRES_URL"
START_SECONDS = 60

# The same in every worker of a run: xdist hands it to them.
RUN = hashlib.sha256(os.environ.get("PYTEST_XDIST_TESTRUNUID", uuid.uuid4().hex).encode()).hexdigest()[:12]

_presence: IO[str] | None = None
_created: set[str] = set()


def fresh_database(prepare: Callable[[str], None] | None = None) -> str:
    """Creates a database and returns its address, postgresql+psycopg://….

    `prepare` is given the address of a template, once a run, and brings it to the wanted state, for
    instance by migrating it; every database is then a copy, which costs some hundredths of a second. It
    must be a named function and must leave no connection open.
    """
    name = f"cdx_test_{RUN}_{uuid.uuid4().hex[:16]}"
    template = "template0" if prepare is None else _template(prepare)
    _administer(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    _created.add(name)
    return _address(name)


def drop_database(url: str) -> None:
    """Drops a database that fresh_database made, even if a connection to it is still open."""
    name = sa.make_url(url).database
    assert name in _created, f"{name} was not made by this process"
    _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    _created.discard(name)


def copy_database(url: str) -> str:
    """Copies a database that nobody uses just now; returns the address of the copy."""
    name = f"cdx_test_{RUN}_{uuid.uuid4().hex[:16]}"
    _administer(f'CREATE DATABASE "{name}" TEMPLATE "{sa.make_url(url).database}"')
    _created.add(name)
    return _address(name)


def put_back(url: str, copy: str) -> None:
    """Replaces a database that fresh_database made by a copy of it, whoever still uses it."""
    name = sa.make_url(url).database
    assert name in _created, f"{name} was not made by this process"
    _administer(f'DROP DATABASE "{name}" WITH (FORCE)')
    _administer(f'CREATE DATABASE "{name}" TEMPLATE "{sa.make_url(copy).database}"')


@cache
def server_url() -> str:
    """Returns the address of the server's own database; starts the server if this run has none yet."""
    external = os.environ.get(EXTERNAL)
    if external:
        _enter(_folder())
        atexit.register(_leave_external_server)
        return sa.make_url(external).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    folder = _folder()
    _enter(folder)
    with _exclusively(folder / "starting"):
        address = folder / "address"
        if not address.exists():
            _start_keeper(folder)
        return address.read_text()


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"cdx-test-postgres-{RUN}"


def _enter(folder: Path) -> None:
    """Takes this process's share of the lock that keeps the server alive."""
    global _presence  # noqa: PLW0603  # held for the life of the process, on purpose
    while True:
        folder.mkdir(exist_ok=True)
        # The folder vanishes between two lines when a keeper has just stopped: then begin again.
        with suppress(FileNotFoundError):
            presence = (folder / "users").open("a")
            fcntl.flock(presence, fcntl.LOCK_SH)
            if _is_still_there(presence, folder / "users"):
                _presence = presence
                # Closed by hand, since an unclosed file is a ResourceWarning, and warnings are errors.
                atexit.register(presence.close)
                return
            presence.close()


def _is_still_there(opened: IO[str], path: Path) -> bool:
    try:
        return os.fstat(opened.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _start_keeper(folder: Path) -> None:
    log = folder / "keeper.log"
    # A session of its own: an interrupt at the terminal reaches the tests, and the server ends after them.
    # -P, because a folder named like a standard module stands beside the keeper (tests/http).
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-P", str(KEEPER), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=START_SECONDS,
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        shutil.rmtree(folder / "data", ignore_errors=True)
        raise RuntimeError(f"PostgreSQL for the tests did not start:\n{log.read_text()}")


def _template(prepare: Callable[[str], None]) -> str:
    origin = f"{prepare.__module__}.{prepare.__qualname__}"
    name = f"cdx_test_{RUN}_t_{hashlib.sha256(origin.encode()).hexdigest()[:16]}"
    server_url()
    with _exclusively(_folder() / name):
        made = _folder() / f"{name}.made"
        if not made.exists():
            # What a failed attempt has left behind is no template.
            _administer(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            _administer(f'CREATE DATABASE "{name}" TEMPLATE template0')
            prepare(_address(name))
            made.touch()
    return name


def _administer(statement: str) -> None:
    """Runs a statement that PostgreSQL refuses inside a transaction."""
    engine = sa.create_engine(server_url(), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(statement))


def _address(name: str) -> str:
    return sa.make_url(server_url()).set(database=name).render_as_string(hide_password=False)


@contextmanager
def _exclusively(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _leave_external_server() -> None:
    """Drops what this process made; the last one of the run drops the templates too."""
    for name in tuple(_created):
        drop_database(_address(name))
    assert _presence is not None
    with suppress(BlockingIOError):
        fcntl.flock(_presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for made in _folder().glob("*.made"):
            _administer(f'DROP DATABASE IF EXISTS "{made.stem}" WITH (FORCE)')
        for file in _folder().iterdir():
            file.unlink()
        _folder().rmdir()
