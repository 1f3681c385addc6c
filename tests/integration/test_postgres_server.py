"""The PostgreSQL of the test run itself: real, durable, one database for each who asks."""

import pytest
import sqlalchemy as sa

from tests.postgres import drop_database, fresh_database


@pytest.fixture
def connect():
    engines, urls = [], []

    def connect_to(url):
        engine = sa.create_engine(url)
        engines.append(engine)
        urls.append(url)
        return engine

    yield connect_to
    for engine in engines:
        engine.dispose()
    for url in urls:
        drop_database(url)


def make_a_table(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE prepared (number integer)"))
    engine.dispose()


def test_a_real_server_answers(connect):
    with connect(fresh_database()).connect() as connection:
        version = connection.scalar(sa.text("SELECT version()"))
    assert version.startswith("PostgreSQL ")


def test_what_is_committed_is_durable(connect):
    with connect(fresh_database()).connect() as connection:
        assert connection.scalar(sa.text("SHOW fsync")) == "on"
        assert connection.scalar(sa.text("SHOW synchronous_commit")) == "on"


def test_two_databases_share_nothing(connect):
    one, other = connect(fresh_database()), connect(fresh_database())
    with one.begin() as connection:
        connection.execute(sa.text("CREATE TABLE mine (number integer)"))
    assert sa.inspect(one).has_table("mine")
    assert not sa.inspect(other).has_table("mine")


def test_a_prepared_database_is_a_copy_each(connect):
    one, other = connect(fresh_database(make_a_table)), connect(fresh_database(make_a_table))
    with one.begin() as connection:
        connection.execute(sa.text("INSERT INTO prepared VALUES (1)"))
    with other.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM prepared")) == 0


def test_a_database_is_dropped_under_an_open_connection():
    url = fresh_database()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT 1"))
        drop_database(url)
        with pytest.raises(sa.exc.OperationalError):
            connection.execute(sa.text("SELECT 1"))
    engine.dispose()
