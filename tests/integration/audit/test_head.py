"""The head row: moved on only from where it was read, whoever tries (invariant 12)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from exchange.audit import log, store
from exchange.audit.age import refuse_unfinished
from exchange.audit.rows import OriginRow
from exchange.audit.tables import audit_head
from exchange.database import Database
from exchange.errors import InconsistentLogError
from tests.integration.audit.small_log import ORIGIN, SmallLog


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


@pytest.mark.parametrize("first_size", [0, 2, 9])
def test_a_next_name_begins_with_an_entry_or_is_nobodys(small_log: SmallLog, first_size: int):
    """The owner of the database could otherwise have the key sign an empty tree under a name that nobody watches."""
    small_log.append_many(2)
    small_log.round()
    other = f"{ORIGIN}/2"
    with small_log.database.write() as connection:
        store.insert_origin(
            connection, OriginRow(generation=2, origin=other, first_size=first_size, opened_at=small_log.now)
        )
        connection.execute(audit_head.update().values(origin=other))
        connection.commit()
    with small_log.database.read() as connection, pytest.raises(InconsistentLogError, match="no entry under it"):
        refuse_unfinished(connection, other)
