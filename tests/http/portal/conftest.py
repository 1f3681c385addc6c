"""The desk of these tests. What the database decides is tried on both of them, in tests/integration/authorization."""

import shutil

import pytest

from tests.http.portal.desk import open_desk


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    shutil.copyfile(sqlite_template, tmp_path / "cdx.db")
    return f"sqlite:///{tmp_path / 'cdx.db'}"


@pytest.fixture
def desk(tmp_path, database_url):
    opened = open_desk(tmp_path, database_url)
    yield opened
    opened.close()
