"""Databases, a composed installation and an HTTP client: each test has its own, on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

# The PostgreSQL of the tests warns without it, and warnings are errors. Set before that server can start.
os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())

from api.schema import upgrade
from exchange.database import Database
from tests.postgres import drop_database, fresh_database

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from api.config import Config
    from api.wiring import LogServices, Services
    from exchange.context import Exchange


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


class Clock:
    """A clock that a test moves: call it for the time, ``advance`` it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, delta: timedelta | None = None, **units: float) -> datetime:
        """Moves on, by a timedelta or by ``seconds=``, ``days=`` …; returns the new time."""
        self.now += delta if delta is not None else timedelta(**units)
        return self.now


@pytest.fixture
def now() -> datetime:
    """A time to begin with: aware UTC, whole milliseconds."""
    return datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)


@pytest.fixture
def clock(now: datetime) -> Clock:
    """A clock that stands at ``now`` until it is moved."""
    return Clock(now)


@pytest.fixture
def make_config(database_url: str, tmp_path: Path) -> "Callable[..., Config]":
    """Makes the configuration of a development installation on the fresh database."""
    from api.config import Config, Environment

    def make(**changes: object) -> "Config":
        values: dict[str, object] = {
            "environment": Environment.DEVELOPMENT,
            "public_url": "https://exchange.example",
            "database_url": database_url,
            "unsafe_local_keys_dir": tmp_path / "keys",
        }
        return Config(**(values | changes))  # type: ignore[arg-type]  # a test may try anything

    return make


@pytest.fixture
def config(make_config: "Callable[..., Config]") -> "Config":
    """The configuration of a development installation on the fresh database."""
    return make_config()


@pytest.fixture
def services(config: "Config", clock: Clock) -> "Iterator[Services]":
    """A freshly initialised installation with keys of its own: what ``cdx init`` makes."""
    from api.wiring import initialise

    made = initialise(config, clock=clock)
    yield made
    made.close()


@pytest.fixture
def exchange(services: "Services") -> "Exchange":
    """The exchange of a freshly initialised installation."""
    return services.exchange


@pytest.fixture
def log_services(services: "Services", clock: Clock) -> "Iterator[LogServices]":
    """The sequencer of that installation; a test calls ``log_services.sequencer.run_round()``."""
    from api.wiring import open_log

    opened = open_log(services.config, clock=clock)
    yield opened
    opened.database.dispose()


@pytest.fixture
def api_app(services: "Services") -> "Flask":
    """The API application of that installation."""
    from api.app import create_api_app

    return create_api_app(services)


@pytest.fixture
def api_client(api_app: "Flask") -> "FlaskClient":
    """A client of that application, without a token."""
    return api_app.test_client()
