"""The revisions build exactly the tables that the code speaks of, and lead back."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import consent.tables
import exchange.audit.tables
import exchange.tables
from api import schema
from exchange.database import Database
from tests.postgres import drop_database, fresh_database

MIGRATIONS = Path(__file__).parents[2] / "migrations"
METADATA = [consent.tables.metadata, exchange.tables.metadata, exchange.audit.tables.metadata]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    url = fresh_database()
    yield url
    drop_database(url)


def tables_of(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    return set(sa.inspect(engine).get_table_names())


def test_revisions_build_the_tables_that_the_code_speaks_of(database):
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def test_every_constraint_has_the_name_that_the_code_gives_it(database):
    inspector = sa.inspect(database.engine)
    for metadata in METADATA:
        for table in metadata.sorted_tables:
            # Rendered once, so that the naming convention has spoken.
            wanted = set(re.findall(r"CONSTRAINT (\w+) ", str(sa.schema.CreateTable(table))))
            found = {
                str(constraint["name"])
                for constraint in [
                    inspector.get_pk_constraint(table.name),
                    *inspector.get_foreign_keys(table.name),
                    *inspector.get_unique_constraints(table.name),
                    *inspector.get_check_constraints(table.name),
                ]
            }
            assert found == wanted, table.name


def test_partial_unique_index_covers_permissions_in_force_only(database):
    indexes = {index["name"]: index for index in sa.inspect(database.engine).get_indexes("consent")}
    index = indexes["uq_consent_in_force"]
    where = index["dialect_options"]["sqlite_where" if database.is_sqlite else "postgresql_where"]
    assert index["unique"]
    assert "GIVEN" in str(where)
    assert "PAUSED" in str(where)
    assert "REQUESTED" not in str(where)


def test_up_down_and_up_again(empty_url):
    schema.upgrade(empty_url)
    full = tables_of(empty_url)
    command.downgrade(schema.alembic_config(empty_url), "base")
    assert tables_of(empty_url) == {"alembic_version"}
    schema.upgrade(empty_url)
    assert tables_of(empty_url) == full


def test_each_step_leads_back(empty_url):
    config = schema.alembic_config(empty_url)
    for path in sorted((MIGRATIONS / "versions").glob("[0-9]*.py")):
        before = tables_of(empty_url) - {"alembic_version"}
        command.upgrade(config, "+1")
        command.downgrade(config, "-1")
        assert tables_of(empty_url) - {"alembic_version"} == before, path.stem
        command.upgrade(config, "+1")


def test_current_tells_where_a_database_stands(empty_url):
    database = Database(empty_url)
    try:
        assert schema.current(database) is None
        schema.upgrade(empty_url, "0001_consent_ledger")
        assert schema.current(database) == "0001_consent_ledger"
        schema.upgrade(empty_url)
        assert schema.current(database) == schema.head()
    finally:
        database.dispose()


def test_a_failing_revision_leaves_nothing_behind(empty_url, monkeypatch):
    """All of an upgrade is one transaction, on SQLite too."""
    from alembic.operations import Operations

    real = Operations.create_index

    def fail_late(self, name, *args, **kwargs):
        if name == "ix_audit_leaf_at":
            raise OSError("power cut")
        return real(self, name, *args, **kwargs)

    monkeypatch.setattr(Operations, "create_index", fail_late)
    with pytest.raises(OSError, match="power cut"):
        schema.upgrade(empty_url)
    assert tables_of(empty_url) == set()


def test_revisions_are_numbered_without_gaps_and_named_like_their_files():
    files = sorted((MIGRATIONS / "versions").glob("*.py"))
    assert [int(path.stem[:4]) for path in files] == list(range(1, len(files) + 1))
    previous = "None"
    for path in files:
        source = path.read_text()
        assert f'revision = "{path.stem}"' in source
        assert f"down_revision = {previous}" in source
        previous = f'"{path.stem}"'


def test_current_head_file_names_the_newest_revision():
    """Two branches that each add a revision conflict in git, not at deployment."""
    assert (MIGRATIONS / ".current-head").read_text().strip() == schema.head()


def test_revisions_import_nothing_of_ours():
    for path in [*(MIGRATIONS / "versions").glob("*.py"), MIGRATIONS / "env.py"]:
        assert not re.search(r"^\s*(from|import) (api|consent|crypto|exchange)\b", path.read_text(), re.MULTILINE), path
