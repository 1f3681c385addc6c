"""The head row: moved on only from where it was read, whoever tries (invariant 12)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import log, store
from exchange.database import Database


@pytest.mark.invariant(12)
@pytest.mark.parametrize("stale", [{"size": 7}, {"root": bytes(32)}, {"origin": "log.example/other"}])
def test_a_head_that_was_read_before_somebody_elses_round_moves_nothing(database: Database, now, stale):
    with database.write() as connection:
        log.create(connection, origin="log.example/audit", now=now)
        connection.commit()
    with database.write() as connection:
        head = store.read_head(connection, lock=True)
        assert head is not None
        ahead = replace(head, size=3, root=b"\x01" * 32, updated_at=now + timedelta(seconds=1))
        assert not store.swap_head(connection, replace(head, **stale), ahead)
        assert store.read_head(connection) == head
        assert store.swap_head(connection, head, ahead)
        assert store.read_head(connection) == ahead
