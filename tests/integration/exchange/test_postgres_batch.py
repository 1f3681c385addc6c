"""The batch on PostgreSQL: every type arrives as it was, an error leaves nothing and a connection that can go on."""

import struct
import threading
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    Uuid,
    bindparam,
    insert,
    select,
    text,
    update,
)

from consent.columns import Instant
from exchange.database import Database
from exchange.errors import DatabaseError
from exchange.postgres_batch import BoundStatement
from exchange.prepared import Prepared, Step, affected, run_batch
from tests.postgres import drop_database, fresh_database

TABLE = Table(
    "every_type",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("data", LargeBinary),
    Column("number", Integer),
    Column("large", BigInteger),
    Column("at", Instant),
    Column("word", String(64)),
    Column("words", Text),
)
INSERT = Prepared(insert(TABLE), columns=TABLE.c.keys())
BUMP = Prepared(
    update(TABLE)
    .where(TABLE.c.id == bindparam("the_id", type_=Uuid), TABLE.c.word == "constant")
    .values(number=TABLE.c.number + 1)
    .returning(TABLE.c.id, TABLE.c.number)
)
EMPTY = dict.fromkeys(TABLE.c.keys())
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module")
def lasting():
    url = fresh_database()
    opened = Database(url)
    with opened.write() as connection:
        TABLE.create(connection)
        connection.commit()
    yield opened
    opened.dispose()
    drop_database(url)


def row(**values):
    return EMPTY | {"id": uuid4()} | values


def write(database, *steps, then=lambda: None):
    with database.write() as connection:
        run_batch(connection, steps, then)
        connection.commit()


def steps(*rows):
    return [Step(statement=INSERT, values=values, check=affected(AssertionError)) for values in rows]


def count(database):
    with database.read() as connection:
        return connection.execute(text("SELECT count(*) FROM every_type")).scalar_one()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.fixed_dictionaries(
        {
            "id": st.uuids(),
            "data": st.none() | st.binary(max_size=300),
            "number": st.none() | st.integers(-(2**31), 2**31 - 1),
            "large": st.none() | st.integers(-(2**63), 2**63 - 1),
            "at": st.none() | st.integers(0, 2**41).map(lambda ms: datetime.fromtimestamp(ms // 1000, UTC)),
            "word": st.none() | WORDS,
            "words": st.none() | WORDS,
        }
    )
)
def test_every_value_arrives_as_it_was(lasting, values):
    with lasting.write() as connection:
        run_batch(connection, steps(values), lambda: None)
        (found,) = connection.execute(select(*TABLE.c).where(TABLE.c.id == values["id"])).mappings().all()
    assert dict(found) == values


def test_a_check_sees_the_rows_and_how_many(lasting):
    one = row(number=6, word="constant")
    seen = []

    def look(cursor):
        seen.append((cursor.rowcount, cursor.fetchone()))

    bump = {"the_id": one["id"]}
    nobody = {"the_id": uuid4()}
    write(lasting, *steps(one), *[Step(statement=BUMP, values=values, check=look) for values in (bump, nobody)])
    assert seen == [(1, (one["id"], 7)), (0, None)]


def test_more_than_are_sent_at_once_and_what_comes_then(lasting):
    before = count(lasting)
    with lasting.write() as connection:
        run_batch(connection, steps(*[row() for _ in range(150)]), lambda: INSERT.execute(connection, row()))
        connection.commit()
    assert count(lasting) == before + 151
    with lasting.write() as connection:
        run_batch(connection, (), lambda: INSERT.execute_many(connection, [row(), row()]))
        connection.commit()
    assert count(lasting) == before + 153


@pytest.mark.parametrize("place", [0, 1, 70])
def test_an_error_leaves_nothing_and_a_connection_that_goes_on(lasting, place):
    before = count(lasting)
    rows = [row() for _ in range(80)]
    rows[place + 1] = rows[place]
    with lasting.write() as connection:
        driver = connection.connection.driver_connection
        with pytest.raises(psycopg.errors.UniqueViolation):
            run_batch(connection, steps(*rows), lambda: None)
        connection.rollback()
        run_batch(connection, steps(row()), lambda: None)
        connection.commit()
    assert count(lasting) == before + 1
    assert driver.pgconn.pipeline_status == psycopg.pq.PipelineStatus.OFF


def test_a_check_that_fails_leaves_nothing(lasting):
    before = count(lasting)
    refusing = Step(statement=BUMP, values={"the_id": uuid4()}, check=affected(LookupError))
    with pytest.raises(LookupError):
        write(lasting, *steps(row()), refusing, *steps(row()))
    assert count(lasting) == before


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"number": 2**31}, struct.error),
        ({"word": 7}, AttributeError),
        ({"id": "no uuid"}, AttributeError),
        # NUL is nothing that a text of PostgreSQL can hold; it must not end the text either.
        ({"word": "a\0b"}, psycopg.DataError),
    ],
)
def test_what_cannot_be_written_leaves_nothing(lasting, values, error):
    before = count(lasting)
    with pytest.raises(error):
        write(lasting, *steps(row()), *steps(row(**values)))
    assert count(lasting) == before
    write(lasting, *steps(row()))
    assert count(lasting) == before + 1


def test_a_lost_connection_is_a_database_error_and_the_next_works(lasting):
    before = count(lasting)

    def cut():
        with lasting.write() as connection:
            run_batch(connection, steps(row()), lambda: None)
            process = connection.connection.driver_connection.info.backend_pid
            with lasting.read() as other:
                other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": process})
            run_batch(connection, steps(row()), lambda: None)

    with pytest.raises(DatabaseError):
        cut()
    assert count(lasting) == before
    write(lasting, *steps(row()))
    assert count(lasting) == before + 1


def test_nothing_takes_the_statements_of_a_connection_back(lasting):
    """psycopg would, at a rollback, had it prepared any of its own."""
    for _ in range(3):
        with lasting.write() as connection:
            for _ in range(8):  # psycopg prepares what it has seen five times
                connection.execute(text("SELECT count(*) FROM every_type"))
            run_batch(connection, steps(row()), lambda: None)
            connection.rollback()
            run_batch(connection, steps(row()), lambda: None)
            connection.commit()


def test_a_connection_that_has_lost_its_statements_is_not_used_again(lasting):
    with lasting.write() as connection:
        run_batch(connection, steps(row()), lambda: None)
        connection.execute(text("DEALLOCATE ALL"))
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            run_batch(connection, steps(row()), lambda: None)
    for _ in range(3):
        write(lasting, *steps(row()))


def test_a_read_outside_of_a_transaction_begins_none(lasting):
    read = Prepared(
        select(TABLE.c.id, TABLE.c.data, TABLE.c.at, TABLE.c.number).where(TABLE.c.id == bindparam("the_id"))
    )
    one = row(data=b"\0\xff", at=datetime(2026, 11, 2, tzinfo=UTC), number=-1)
    write(lasting, *steps(one))
    with lasting.read() as connection:
        (found,) = read.fetch(connection, {"the_id": one["id"]})
        assert (found.id, found.data, found.at, found.number) == (one["id"], one["data"], one["at"], -1)
        status = connection.connection.driver_connection.info.transaction_status
        assert status == psycopg.pq.TransactionStatus.IDLE
        assert read.fetch(connection, {"the_id": uuid4()}) == []


def test_other_threads_go_on_while_a_batch_waits_for_a_lock(lasting):
    one = row(number=0, word="constant")
    write(lasting, *steps(one))
    bump = Step(statement=BUMP, values={"the_id": one["id"]}, check=affected(AssertionError))
    with lasting.write() as holder:
        run_batch(holder, [bump], lambda: None)
        waiting = threading.Thread(target=write, args=(lasting, bump))
        waiting.start()
        with lasting.read() as look:  # this thread has to run for the other to come to its end
            while not look.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one():
                assert waiting.is_alive()
        holder.commit()
    waiting.join(60)
    assert not waiting.is_alive()
    with lasting.read() as connection:
        assert connection.execute(select(TABLE.c.number).where(TABLE.c.id == one["id"])).scalar_one() == 2


def test_a_type_that_is_not_known_is_a_fault_of_the_program():
    odd = Table("odd", MetaData(), Column("x", Float))
    with pytest.raises(TypeError):
        BoundStatement(insert(odd), ["x"])


def test_all_types_of_the_batch_are_tried_here():
    assert isinstance(row()["id"], UUID)
    assert BoundStatement(insert(TABLE), TABLE.c.keys()).types == [2950, 17, 23, 20, 20, 25, 25]
