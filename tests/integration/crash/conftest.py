"""Whole installations on each database, and the vehicle registry that one of them asks live."""

import pytest

from exchange.providers.http import LiveLimits
from tests.http.v1.site import open_site
from tests.integration.crash.registry import VehicleRegistry


@pytest.fixture
def site(request, tmp_path, database_url):
    """Never gives up on its live providers; patient with them, but where a test is about a slow one."""
    called = getattr(request.node, "callspec", None)
    seconds = 0.3 if called is not None and called.params.get("fault") == "slow" else 30.0
    limits = LiveLimits(connect_seconds=30.0, read_seconds=seconds, total_seconds=2 * seconds, failures=100)
    opened = open_site(tmp_path, database_url, limits=limits)
    yield opened
    opened.close()


@pytest.fixture
def registry(site, tmp_path):
    opened = VehicleRegistry(tmp_path / "registry", site.house)
    yield opened
    opened.close()
