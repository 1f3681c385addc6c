"""Giving the roles of ``exchange.grants`` their rights on PostgreSQL, and finding out whether they have more.

A right can come from elsewhere: by PUBLIC, by membership in another role, by being superuser or owner. So what counts
is what PostgreSQL says a role may do in the end, not what was granted.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, Row, text

from exchange.database import Database
from exchange.errors import DatabaseError
from exchange.grants import GRANTS, Rights, Roles, privileges, statements

_OF_COLUMNS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
_OF_TABLES = ("DELETE", "TRUNCATE", "TRIGGER")

_COLUMNS = text(
    """
    SELECT c.relname, p.privilege, a.attname, has_column_privilege(:role, c.oid, a.attnum, p.privilege) AS may
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN unnest(CAST(:privileges AS text[])) AS p (privilege)
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname, p.privilege, a.attnum
    """
)
_TABLES = text(
    """
    SELECT c.relname, p.privilege, has_table_privilege(:role, c.oid, p.privilege) AS may
    FROM pg_class c CROSS JOIN unnest(CAST(:privileges AS text[])) AS p (privilege)
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname, p.privilege
    """
)
_ATTRIBUTES = text(
    """
    SELECT r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolreplication, r.rolbypassrls,
           has_schema_privilege(r.oid, current_schema(), 'CREATE') AS creates,
           ARRAY(SELECT m.rolname::text FROM pg_roles m
                 WHERE m.oid <> r.oid AND pg_has_role(r.oid, m.oid, 'MEMBER') ORDER BY 1) AS member_of
    FROM pg_roles r WHERE r.rolname = :role
    """
)


def grant_statements(database: Database, roles: Roles) -> list[str]:
    """The statements for this database, in order.

    Raises:
        DatabaseError: it is no PostgreSQL, or the three roles are not three.
    """
    _require(database, roles)
    with database.read() as connection:
        return _statements(connection, roles)


def grant(database: Database, roles: Roles) -> int:
    """Run the statements as the owner of the tables, in one transaction; how many there were.

    Raises:
        DatabaseError: a role does not exist, may not be what it should be, or could do more than it should: then
            nothing was changed.
    """
    _require(database, roles)
    with database.write() as connection:
        for role in (roles.web, roles.log, roles.auditor):
            if connection.execute(_ATTRIBUTES, {"role": role}).first() is None:
                raise DatabaseError(f"there is no role {role}: CREATE ROLE makes it")
        done = _statements(connection, roles)
        for statement in done:
            connection.exec_driver_sql(statement)
        faults = list(_faults(connection, roles))
        if faults:
            raise DatabaseError("nothing was granted:\n" + "\n".join(faults))
        # A crash before this line leaves the rights as they were.
        connection.commit()
    return len(done)


def role_faults(database: Database, roles: Roles) -> list[str]:
    """What the roles can do and should not, or cannot and should: each a role, and its right.

    Raises:
        DatabaseError: as :func:`grant_statements`.
    """
    _require(database, roles)
    with database.read() as connection:
        return list(_faults(connection, roles))


def _require(database: Database, roles: Roles) -> None:
    if database.is_sqlite:
        raise DatabaseError("SQLite has no roles: whoever reads the file reads all of it")
    if len({roles.web, roles.log, roles.auditor}) != len(("web", "log", "auditor")):
        raise DatabaseError("web, log and auditor are three roles")


def _statements(connection: Connection, roles: Roles) -> list[str]:
    row = connection.execute(text("SELECT current_database() AS database, current_schema() AS schema")).one()
    quote = connection.dialect.identifier_preparer.quote_identifier
    return list(statements(roles, database=row.database, schema=row.schema, quote=quote))


def _faults(connection: Connection, roles: Roles) -> Iterator[str]:
    for kind, role in {"web": roles.web, "log": roles.log, "auditor": roles.auditor}.items():
        wanted = {table: privileges(getattr(grants, kind)) for table, grants in GRANTS.items()}
        faults = connection.execute(_ATTRIBUTES, {"role": role}).one()
        yield from _attribute_faults(role, faults)
        yield from _right_faults(connection, role, wanted)
        # Where nothing is inherited, SET ROLE is the way.
        for other in () if faults.rolsuper else faults.member_of:
            for fault in _right_faults(connection, other, wanted, only_more=True):
                yield f"{role} can become {fault}"


def _right_faults(
    connection: Connection, role: str, wanted: Mapping[str, Rights], *, only_more: bool = False
) -> Iterator[str]:
    for row in connection.execute(_COLUMNS, {"role": role, "privileges": list(_OF_COLUMNS)}):
        rights = wanted.get(row.relname, {})
        columns = rights.get(row.privilege)
        should = row.privilege in rights and (columns is None or row.attname in columns)
        if should != row.may and not (only_more and should):
            yield f"{role}, which {'may' if row.may else 'may not'} {row.privilege} {row.relname}.{row.attname}"
    for row in connection.execute(_TABLES, {"role": role, "privileges": list(_OF_TABLES)}):
        should = row.privilege in wanted.get(row.relname, {})
        if should != row.may and not (only_more and should):
            yield f"{role}, which {'may' if row.may else 'may not'} {row.privilege} {row.relname}"


def _attribute_faults(role: str, row: Row[*tuple[Any, ...]]) -> Iterator[str]:
    for name, has in {
        "SUPERUSER": row.rolsuper,
        "CREATEROLE": row.rolcreaterole,
        "CREATEDB": row.rolcreatedb,
        "REPLICATION": row.rolreplication,
        "BYPASSRLS": row.rolbypassrls,
    }.items():
        if has:
            yield f"{role}, which has {name}"
    if row.creates:
        yield f"{role}, which may create tables in the schema"
