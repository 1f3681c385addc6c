"""The world of these tests, on both databases."""

import pytest

from tests.http.oauth.world import Clock, World


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
