"""A working house on each database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import HOUSING, Client, House, build


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Initialised, with the demonstration country and two people."""
    built = build(tmp_path, database_url)
    yield built
    built.close()


@pytest.fixture
def client(house: House) -> Client:
    """A client of the housing benefit office."""
    return house.add_client(HOUSING)
