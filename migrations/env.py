"""Runs revisions: one transaction for all of them, and one migration at a time.

The address of the database is ``config.attributes["url"]`` (set by ``api.schema``) or ``-x url=…`` on the command line.
"""

from typing import Any

import sqlalchemy as sa
from alembic import context

# Any number does, as long as nobody else in the same database takes it.
ADVISORY_LOCK = 0x6364786D
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "15min"


def database_url() -> str:
    """The database to migrate."""
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("no database given: use `cdx db upgrade`, or -x url=sqlite:///path")
    return str(url)


def prepare_sqlite(connection: Any, _record: Any) -> None:
    """Begin transactions by ourselves: the driver would start none before DDL."""
    connection.isolation_level = None
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock at once, so that a second migration waits."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def run_online() -> None:
    """Migrate a database."""
    engine = sa.create_engine(database_url(), poolclass=sa.NullPool)
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:
        sa.event.listen(engine, "connect", prepare_sqlite)
        sa.event.listen(engine, "begin", begin_sqlite)
    with engine.connect() as connection:
        context.configure(connection=connection, transactional_ddl=True)
        with context.begin_transaction():
            if not sqlite:
                connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
                # After the advisory lock: a second migration may wait long, but no table lock may hold up the service.
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
            context.run_migrations()
    engine.dispose()


def run_offline() -> None:
    """Print the SQL instead of running it (``alembic upgrade --sql``)."""
    context.configure(url=database_url(), literal_binds=True, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()
