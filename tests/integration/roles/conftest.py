"""A PostgreSQL with real roles: an owner that is no superuser, and the three of ``exchange.grants``."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
import sqlalchemy as sa

from api import schema, wiring
from api.config import Config, Environment
from exchange.database import Database
from exchange.grants import Roles
from exchange.roles import grant
from tests.house import Clock, House, furnish
from tests.postgres import drop_database, fresh_database


@dataclass
class Server:
    """A database of its own owner, with roles that exist for one test module."""

    url: str
    mark: str = field(default_factory=lambda: secrets.token_hex(4))
    made: list[str] = field(default_factory=list)

    def sql(self, statement: str) -> None:
        """Run a statement as superuser, which only the tests have."""
        engine = sa.create_engine(self.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)

    def role(self, kind: str, attributes: str = "LOGIN") -> str:
        """Make a role; a quote and a capital in its name must not matter."""
        name = f'cdx {kind} "{self.mark}" Ü'
        self.sql(f"CREATE ROLE {quoted(name)} {attributes} PASSWORD 'tests-only'")
        self.made.append(name)
        return name

    def url_of(self, role: str) -> str:
        """The address of the database for a role."""
        url = sa.make_url(self.url).set(username=role, password="tests-only")
        return url.render_as_string(hide_password=False)

    @contextmanager
    def as_role(self, role: str) -> Iterator[sa.Connection]:
        """A connection of a role; whatever it did is rolled back."""
        engine = sa.create_engine(self.url_of(role), poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Drop database and roles."""
        drop_database(self.url)
        keeper = sa.create_engine(sa.make_url(self.url).set(database="postgres"), poolclass=sa.NullPool)
        with keeper.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            for name in reversed(self.made):
                connection.exec_driver_sql(f"DROP ROLE {quoted(name)}")


def quoted(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass
class Roled:
    """The server, its roles, and the settings of an installation that uses them."""

    server: Server
    owner: str
    roles: Roles
    config: Config


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    made = Server(fresh_database())
    yield made
    made.close()


@pytest.fixture(scope="module")
def roled(server, tmp_path_factory) -> Roled:
    """Initialised by the owner, granted by the owner."""
    owner = server.role("owner")
    database = quoted(sa.make_url(server.url).database)
    server.sql(f"ALTER DATABASE {database} OWNER TO {quoted(owner)}")
    roles = Roles(web=server.role("web"), log=server.role("log"), auditor=server.role("auditor"))
    folder = tmp_path_factory.mktemp("roles")
    (folder / "journal").mkdir()
    config = Config(
        environment=Environment.DEVELOPMENT,
        public_url="http://127.0.0.1:8000",
        database_url=server.url_of(owner),
        unsafe_local_keys_dir=folder / "keys",
        journal_dir=folder / "journal",
    )
    wiring.initialise(config, clock=Clock()).close()
    database = Database(config.connect_url(), pool_size=1)
    assert schema.current(database) == schema.head()
    assert grant(database, roles) > 50
    database.dispose()
    config = replace(config, database_url=server.url_of(roles.web), log_database_url=server.url_of(roles.log))
    return Roled(server=server, owner=owner, roles=roles, config=config)


@pytest.fixture(scope="module")
def house(roled) -> Iterator[House]:
    """A furnished house that never was the owner: requests and administration as web, the sequencer as log."""
    clock = Clock()
    opened = House(
        services=wiring.open_services(roled.config, clock=clock),
        clock=clock,
        log=wiring.open_log(roled.config, clock=clock),
    )
    yield furnish(opened)
    opened.close()
