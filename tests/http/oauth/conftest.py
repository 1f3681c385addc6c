"""The world of these tests. What the database decides is tried on both of them, in tests/integration/access."""

import shutil

import pytest

from tests.http.oauth.world import Clock, World


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "cdx.db")
    return f"sqlite:///{tmp_path / 'cdx.db'}"


@pytest.fixture
def clock(now):
    return Clock(now)


@pytest.fixture
def world(database, clock):
    return World(database, clock)


@pytest.fixture
def http(world):
    return world.http()


@pytest.fixture
def client(world):
    return world.client
