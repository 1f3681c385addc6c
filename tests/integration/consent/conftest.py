"""A connection in an open write transaction, on SQLite and on PostgreSQL."""

import pytest


@pytest.fixture
def connection(database):
    with database.write() as opened:
        yield opened
