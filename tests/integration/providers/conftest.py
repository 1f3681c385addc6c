"""A provider's gateway over a real registry."""

from pathlib import Path

import pytest

from tests.integration.providers.parts import Provider, make_provider


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    """Registry, mapping and keys in a folder."""
    return make_provider(tmp_path)
