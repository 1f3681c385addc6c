"""The ledger and the log are append-only in the database itself."""

import pytest
import sqlalchemy as sa
from alembic import command
from sqlalchemy.exc import IntegrityError

from api import schema
from consent.tables import consent, consent_event
from crypto.ids import new_id
from exchange.audit.tables import audit_checkpoint, audit_leaf, audit_tile
from exchange.database import Database


def consent_row(now, **changes):
    return {
        "id": new_id(now),
        "subject_ref": new_id(now),
        "agreement_id": new_id(now),
        "agreement_revision": 1,
        "consumer": "tax",
        "purpose": "assessment",
        "scope": "[]",
        "status": "REQUESTED",
        "version": 1,
        "valid_from": now,
        "valid_until": now,
        "requested_at": now,
    } | changes


def written_once(now, consent_id):
    """Table → (row, changes of a further insert that would put the row aside)."""
    event = {"consent_id": consent_id, "seq": 1, "type": "REQUESTED", "at": now, "body": b"{}", "entry_id": new_id(now)}
    leaf = {"seq": 0, "id": new_id(now), "body": b"{}", "type": "consent.given", "org": "cdx", "at": now}
    return {
        consent_event: (event, [{}, {"seq": 2}]),
        audit_leaf: (leaf, [{}, {"seq": 1}, {"id": new_id(now)}]),
        audit_tile: ({"level": 0, "n": 0, "width": 256, "data": b"\0" * 32}, [{}, {"width": 3}]),
        audit_checkpoint: ({"size": 1, "note": "note", "signed_at": now}, [{"note": "other"}]),
    }


@pytest.fixture
def filled(database, now):
    with database.write() as connection:
        row = consent_row(now)
        connection.execute(sa.insert(consent).values(row))
        rows = written_once(now, row["id"])
        for table, (values, _) in rows.items():
            connection.execute(sa.insert(table).values(values))
        connection.commit()
    return rows


def refused(database: Database, statement) -> None:
    with database.write() as connection:
        with pytest.raises(IntegrityError, match="append-only"):
            connection.execute(statement)
        connection.rollback()


@pytest.mark.parametrize("table", [consent_event, audit_leaf, audit_tile, audit_checkpoint], ids=str)
def test_rows_are_neither_changed_nor_removed(database, filled, table):
    column = next(column for column in table.c if not column.primary_key)
    refused(database, sa.update(table).values({column: filled[table][0][column.name]}))
    refused(database, sa.delete(table))
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has no TRUNCATE
@pytest.mark.parametrize("table", [consent_event, audit_leaf, audit_tile, audit_checkpoint], ids=str)
def test_postgresql_does_not_truncate(database, filled, table):
    refused(database, sa.text(f"TRUNCATE {table.name}"))
    refused(database, sa.text("TRUNCATE consent CASCADE") if table is consent_event else sa.delete(table))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL has no REPLACE
@pytest.mark.parametrize("table", [consent_event, audit_leaf, audit_tile, audit_checkpoint], ids=str)
def test_sqlite_does_not_replace(database, filled, table):
    """REPLACE removes the row in its way without asking the delete trigger."""
    values, changes = filled[table]
    for change in changes:
        refused(database, sa.insert(table).prefix_with("OR REPLACE").values(values | change))


def test_a_partial_tile_grows_until_it_is_full(database, now):
    def where(connection, statement):
        assert connection.execute(statement.where(audit_tile.c.level == 0)).rowcount == 1

    with database.write() as connection:
        connection.execute(sa.insert(audit_tile).values(level=0, n=0, width=255, data=b"a"))
        where(connection, sa.update(audit_tile).values(width=256, data=b"b"))
        connection.commit()
    refused(database, sa.update(audit_tile).values(data=b"c"))


def test_the_same_checkpoint_again_is_no_change(database, filled):
    row, _ = filled[audit_checkpoint]
    if database.is_sqlite:
        statement = sa.insert(audit_checkpoint).prefix_with("OR IGNORE").values(row)
    else:
        from sqlalchemy.dialects.postgresql import insert

        statement = insert(audit_checkpoint).values(row).on_conflict_do_nothing()
    with database.write() as connection:
        connection.execute(statement)
        connection.commit()


@pytest.mark.invariant(5)
def test_one_permission_in_force_per_person_and_agreement(database, now):
    first = consent_row(now, status="GIVEN")
    second = first | {"id": new_id(now), "status": "PAUSED"}
    ended = first | {"id": new_id(now), "status": "WITHDRAWN"}
    with database.write() as connection:
        connection.execute(sa.insert(consent), [first, ended])
        with pytest.raises(IntegrityError):
            connection.execute(sa.insert(consent).values(second))
        connection.rollback()


@pytest.mark.parametrize("table", [consent_event, audit_leaf], ids=str)
def test_a_downgrade_does_not_drop_what_was_written(database, database_url, filled, table):
    """All steps are one transaction: the refusal brings the triggers back too."""
    database.dispose()
    target = "0004_requests" if table is audit_leaf else "base"
    with pytest.raises(RuntimeError, match="not dropped"):
        command.downgrade(schema.alembic_config(database_url), target)
    refused(database, sa.delete(table))
