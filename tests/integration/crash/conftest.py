"""Whole installations on each database, and the vehicle registry that one of them asks live."""

import pytest

from exchange.providers.http import LiveLimits
from tests.http.v1.site import open_site
from tests.integration.crash.registry import VehicleRegistry


@pytest.fixture
def site(tmp_path, database_url):
    """Impatient with its live providers, and never giving up on them."""
    limits = LiveLimits(connect_seconds=1.0, read_seconds=0.4, total_seconds=0.8, failures=100)
    opened = open_site(tmp_path, database_url, limits=limits)
    yield opened
    opened.close()


@pytest.fixture
def registry(site, tmp_path):
    opened = VehicleRegistry(tmp_path / "registry", site.house)
    yield opened
    opened.close()
