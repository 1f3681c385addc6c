"""Sites: one of its own for a test that changes something, a lasting one for tests that only knock."""

import shutil
from collections.abc import Iterator

import pytest

from tests.conftest import migrate
from tests.http.v1.site import Site, open_site
from tests.postgres import drop_database, fresh_database


@pytest.fixture
def site(tmp_path, database_url) -> Iterator[Site]:
    """A fresh installation on each database."""
    opened = open_site(tmp_path, database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def lasting_url(request, tmp_path_factory, sqlite_template) -> Iterator[str]:
    """A database for all tests of a module."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("lasting") / "cdx.db"
        shutil.copyfile(sqlite_template, path)
        yield f"sqlite:///{path}"
        return
    url = fresh_database(migrate)
    yield url
    drop_database(url)


@pytest.fixture(scope="module")
def lasting(lasting_url, tmp_path_factory) -> Iterator[Site]:
    """An installation for all tests of a module: none may end what another needs."""
    opened = open_site(tmp_path_factory.mktemp("site"), lasting_url)
    yield opened
    opened.close()


@pytest.fixture
def agency(site):
    return site.agency()


@pytest.fixture
def anna(site):
    return site.citizen()
