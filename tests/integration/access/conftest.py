"""The world of tests/http/oauth, here on both databases."""

import pytest

from tests.http.oauth.world import Clock, World


@pytest.fixture
def clock(now):
    return Clock(now)


@pytest.fixture
def world(database, clock):
    return World(database, clock)
