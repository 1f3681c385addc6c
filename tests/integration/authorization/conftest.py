"""A house with a client that people come to in the browser, on both databases."""

import pytest

from tests.house import HOUSING, build
from tests.integration.authorization.flow import CODE_FLOW


@pytest.fixture
def house(tmp_path, database_url):
    built = build(tmp_path, database_url)
    yield built
    built.close()


@pytest.fixture
def client(house):
    return house.add_client(HOUSING, **CODE_FLOW)
