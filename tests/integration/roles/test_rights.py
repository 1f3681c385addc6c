"""Each role against each table, as PostgreSQL sees it: what the table of rights gives works, all else is refused."""

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

import consent.tables
import exchange.audit.tables
import exchange.tables
from exchange.database import Database
from exchange.errors import DatabaseError
from exchange.grants import GRANTS, Roles, privileges
from exchange.roles import grant, grant_statements, role_faults
from tests.integration.roles.conftest import quoted

METADATA = (consent.tables.metadata, exchange.tables.metadata, exchange.audit.tables.metadata)
TABLES = {table.name: list(table.c.keys()) for metadata in METADATA for table in metadata.sorted_tables}
TABLES["alembic_version"] = ["version_num"]
KINDS = ("web", "log", "auditor")
AUDIT = [name for name in TABLES if name.startswith("audit_")]


def is_refused(connection, statement):
    """Whether the right is missing; what fails for another reason was allowed."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(statement)
    except DBAPIError as exc:
        return isinstance(exc.orig, psycopg.errors.InsufficientPrivilege)
    return False


def attempts(table, columns):
    """(privilege, column or None, statement); none of them reads a row or finds one to change."""
    for column in columns:
        yield "SELECT", column, f"SELECT {quoted(column)} FROM {table} LIMIT 0"
        yield "UPDATE", column, f"UPDATE {table} SET {quoted(column)} = NULL WHERE false"
    yield "INSERT", None, f"INSERT INTO {table} DEFAULT VALUES"
    yield "DELETE", None, f"DELETE FROM {table} WHERE false"
    yield "TRUNCATE", None, f"TRUNCATE {table}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("table", GRANTS)
def test_a_role_can_do_what_it_was_given_and_no_more(roled, kind, table):
    given = privileges(getattr(GRANTS[table], kind))
    with roled.server.as_role(getattr(roled.roles, kind)) as connection:
        for privilege, column, statement in attempts(table, TABLES[table]):
            columns = given.get(privilege)
            may = privilege in given and (column is None or columns is None or column in columns)
            assert is_refused(connection, statement) == (not may), statement


TRICKS = (
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "ALTER TABLE {table} DISABLE TRIGGER {table}_append_only",
    "DROP TRIGGER {table}_append_only ON {table}",
    "DROP TABLE {table}",
    "ALTER TABLE {table} OWNER TO CURRENT_USER",
    "ALTER TABLE {table} RENAME TO elsewhere",
    "CREATE TRIGGER mine BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION cdx_append_only()",
    "CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE",
)
ANYWHERE = (
    "SET session_replication_role = replica",
    "CREATE TABLE mine (number integer)",
    "CREATE TEMPORARY TABLE audit_leaf (number integer)",
    "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION cdx_append_only() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION cdx_append_only() CASCADE",
    "COPY audit_leaf TO PROGRAM 'cat'",
    "CREATE ROLE mine",
)


@pytest.mark.parametrize("kind", KINDS)
def test_no_role_gets_past_the_triggers(roled, kind):
    with roled.server.as_role(getattr(roled.roles, kind)) as connection:
        for table in ("audit_leaf", "audit_checkpoint", "audit_tile", "consent_event", "audit_origin"):
            for trick in TRICKS:
                if "LOCK" in trick and kind == "log" and table == "audit_tile":
                    continue  # who may update rows may lock the table
                assert is_refused(connection, trick.format(table=table)), trick
            is_refused(connection, f"GRANT ALL ON {table} TO CURRENT_USER")  # or a warning: either way nothing is given
            assert is_refused(connection, f"TRUNCATE {table}")
        for trick in (*ANYWHERE, f"SET ROLE {quoted(roled.owner)}"):
            assert is_refused(connection, trick), trick


def test_a_stranger_can_do_nothing(roled):
    stranger = roled.server.role("stranger")
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        roled.server.as_role(stranger).__enter__()


def test_the_log_cannot_change_what_it_wrote(roled, house):
    """Rights to INSERT are none to change: triggers hold against those who may UPDATE some column."""
    house.integrate()
    for statement in (
        "UPDATE audit_tile SET data = data WHERE width = 256",
        "UPDATE audit_leaf SET body = body",
        "DELETE FROM audit_leaf",
        "DELETE FROM audit_checkpoint",
        "UPDATE audit_checkpoint SET note = note",
        "UPDATE audit_head SET origin = 'elsewhere'",
    ):
        with roled.server.as_role(roled.roles.log) as connection:
            if "width" not in statement:
                assert is_refused(connection, statement), statement


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("GRANT TRUNCATE ON audit_leaf TO {web}", "may TRUNCATE audit_leaf"),
        ("GRANT UPDATE (body) ON audit_leaf TO {web}", "may UPDATE audit_leaf.body"),
        ("GRANT SELECT ON attribute_value TO PUBLIC", "may SELECT attribute_value.ct"),
        ("GRANT pg_write_all_data TO {web}", "may INSERT audit_leaf.body"),
        ("GRANT {owner} TO {web} WITH INHERIT FALSE", "can become"),
        ("ALTER ROLE {web} CREATEROLE", "has CREATEROLE"),
        ("ALTER ROLE {web} SUPERUSER", "has SUPERUSER"),
        ("GRANT CREATE ON SCHEMA public TO {web}", "may create tables"),
        ("REVOKE INSERT ON audit_outbox FROM {web}", "may not INSERT audit_outbox.body"),
    ],
)
def test_rights_from_elsewhere_are_noticed(roled, given, said):
    undo = {
        "GRANT pg_write_all_data TO {web}": "REVOKE pg_write_all_data FROM {web}",
        "GRANT {owner} TO {web} WITH INHERIT FALSE": "REVOKE {owner} FROM {web}",
        "ALTER ROLE {web} CREATEROLE": "ALTER ROLE {web} NOCREATEROLE",
        "ALTER ROLE {web} SUPERUSER": "ALTER ROLE {web} NOSUPERUSER",
    }
    names = {"web": quoted(roled.roles.web), "owner": quoted(roled.owner)}
    owner = Database(roled.server.url_of(roled.owner), pool_size=1)
    assert role_faults(owner, roled.roles) == []
    try:
        roled.server.sql(given.format(**names))
        faults = role_faults(owner, roled.roles)
        assert any(said in fault for fault in faults), faults
        if given in undo:  # no statement of ours takes that away: so nothing is granted at all
            with pytest.raises(DatabaseError, match="nothing was granted"):
                grant(owner, roled.roles)
            roled.server.sql(undo[given].format(**names))
        grant(owner, roled.roles)
        assert role_faults(owner, roled.roles) == []
    finally:
        owner.dispose()


def test_what_cannot_be_granted_is_said_clearly(roled, tmp_path):
    owner = Database(roled.server.url_of(roled.owner), pool_size=1)
    web = Database(roled.server.url_of(roled.roles.web), pool_size=1)
    lite = Database(f"sqlite:///{tmp_path / 'cdx.db'}")
    nobody = Roles(web=roled.roles.web, log="nobody-is-called-that", auditor=roled.roles.auditor)
    same = Roles(web=roled.roles.web, log=roled.roles.web, auditor=roled.roles.auditor)
    with pytest.raises(DatabaseError, match="no role nobody-is-called-that"):
        grant(owner, nobody)
    with pytest.raises(DatabaseError, match="three roles"):
        grant_statements(owner, same)
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"):
        grant(web, roled.roles)
    with pytest.raises(DatabaseError, match="SQLite has no roles"):
        grant_statements(lite, roled.roles)
    for database in (owner, web, lite):
        database.dispose()
