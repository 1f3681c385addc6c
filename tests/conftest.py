"""Databases for tests: each test has its own, migrated, on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

# The PostgreSQL of the tests warns without it, and warnings are errors. Set before that server can start.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

from api.schema import upgrade
from exchange.database import Database
from tests.postgres import drop_database, fresh_database


def migrate(url: str) -> None:
    """Prepares a template database; tests/postgres.py wants a named function."""
    upgrade(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, made once per worker and copied for each test."""
    path = tmp_path_factory.mktemp("template") / "cdx.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated, empty database."""
    if request.param == "sqlite":
        path = tmp_path / "cdx.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    url = fresh_database(migrate)
    yield url
    drop_database(url)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated, empty database, opened."""
    opened = Database(database_url)
    yield opened
    opened.dispose()


@pytest.fixture
def now() -> datetime:
    """A time to begin with: aware UTC, whole milliseconds."""
    return datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)
