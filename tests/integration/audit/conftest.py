import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from exchange.database import Database
from tests.conftest import migrate
from tests.integration.audit.small_log import SmallLog
from tests.postgres import drop_database, fresh_database


@pytest.fixture
def small_log(database: Database) -> SmallLog:
    """An empty log on a fresh database."""
    return SmallLog(database).create()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Database]:
    """A migrated database for all tests of a module, which must leave it as they found it."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("lasting") / "cdx.db"
        shutil.copyfile(sqlite_template, path)
        url = f"sqlite:///{path}"
    else:
        url = fresh_database(migrate)
    opened = Database(url)
    yield opened
    opened.dispose()
    if request.param == "postgresql":
        drop_database(url)
