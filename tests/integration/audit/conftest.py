import pytest

from exchange.database import Database
from tests.integration.audit.small_log import SmallLog


@pytest.fixture
def small_log(database: Database) -> SmallLog:
    """An empty log on a fresh database."""
    return SmallLog(database).create()
