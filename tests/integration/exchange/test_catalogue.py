"""The catalogue in the database: versions, and what is written when nothing has changed or something is wrong."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from exchange.catalogue import load_catalogue
from exchange.errors import CatalogueError
from exchange.tables import catalogue as catalogue_table
from tests.house import COUNTRY, House
from tests.integration.main_job.rows import entries, types

TEXT = (COUNTRY / "catalogue.yaml").read_text(encoding="utf-8")
RENAMED = TEXT.replace("label: Full name", "label: Whole name")


def current(house: House):
    with house.exchange.database.read() as connection:
        return house.exchange.catalogue(connection)


def versions(house: House):
    with house.exchange.database.read() as connection:
        return list(connection.scalars(select(catalogue_table.c.version).order_by(catalogue_table.c.version)))


def test_a_changed_file_is_a_new_version_and_an_entry(house: House):
    loaded = load_catalogue(house.exchange, RENAMED, house.clock.move(seconds=1))
    assert loaded.version == 2
    assert current(house).attribute("full_name").label == "Whole name"
    newest = entries(house)[-1]
    assert newest.type == "catalogue.loaded"
    assert newest.detail == {"version": "2", "digest": loaded.digest}


def test_the_same_again_changes_nothing(house: House):
    before = types(house)
    loaded = load_catalogue(house.exchange, "# only a comment more\n" + TEXT, house.clock())
    assert (loaded.version, loaded.digest) == (1, current(house).digest)
    assert types(house) == before
    assert versions(house) == [1]


def test_going_back_is_a_new_version_too(house: House):
    first = current(house)
    load_catalogue(house.exchange, RENAMED, house.clock())
    again = load_catalogue(house.exchange, TEXT, house.clock())
    assert (again.version, again.digest) == (3, first.digest)


def test_a_faulty_file_changes_nothing(house: House):
    before = types(house)
    with pytest.raises(CatalogueError):
        load_catalogue(house.exchange, TEXT.replace("type: money", "type: gold"), house.clock())
    assert types(house) == before
    assert versions(house) == [1]


def test_two_that_load_at_once_do_not_overwrite_each_other(house: House):
    texts = [TEXT.replace("label: Full name", f"label: Name {number}") for number in range(6)]

    def load(text):
        try:
            return load_catalogue(house.exchange, text, house.clock()).version
        except CatalogueError:
            return None

    with ThreadPoolExecutor(6) as pool:
        loaded = [version for version in pool.map(load, texts) if version is not None]
    assert loaded
    assert sorted(loaded) == versions(house)[1:]
    assert types(house).count("catalogue.loaded") == len(versions(house))
