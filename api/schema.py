"""The database's schema: bring it up to date, and tell whether it is. The revisions stand in ``migrations/``."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from exchange.database import Database

_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def alembic_config(database_url: str) -> AlembicConfig:
    """Alembic's own configuration, pointed at a database.

    Args:
        database_url: ``sqlite:///path`` or ``postgresql+psycopg://…``; it is handed over as an attribute, so that a
            percent sign in a password needs no escaping.
    """
    config = AlembicConfig(_MIGRATIONS / "alembic.ini")
    config.attributes["url"] = database_url
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Bring the schema up to ``revision``. Safe to run at the same time from several processes: one of them works."""
    command.upgrade(alembic_config(database_url), revision)


def head() -> str | None:
    """The newest revision that this code knows."""
    return ScriptDirectory.from_config(alembic_config("")).get_current_head()


def current(database: Database) -> str | None:
    """The revision that a database stands at; None: no schema yet."""
    with database.read() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
