import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from crypto.checkpoint import NoteSigner, NoteVerifier, open_note, parse_checkpoint
from exchange.audit import log, outbox, store
from exchange.audit.sequencer import ENTRIES_PER_ROUND, Sequencer
from exchange.audit.tables import audit_outbox
from exchange.database import Database
from exchange.errors import DatabaseError, InconsistentLogError, UnknownEntryError
from tests.conftest import migrate
from tests.integration.audit.small_log import ORIGIN, SIGNER, SmallLog
from tests.postgres import drop_database, fresh_database
from tests.unit.audit.samples import an_event

STEPS = ["read_head", "take_outbox", "insert_leaves", "widen_tile", "insert_tiles", "swap_head", "insert_checkpoint"]


class PowerCut(BaseException):
    """Nobody catches this, as nobody catches a power cut."""


def test_entries_come_in_the_order_of_their_acceptance(small_log):
    entries = small_log.append_many(5)
    with small_log.database.write() as connection:
        entries += (late := [small_log.prepare(an_event()) for _ in range(3)])
        small_log.append_in(connection, reversed(late))
        connection.commit()
    assert small_log.round() == 8
    with small_log.database.read() as connection:
        leaves = [store.leaf_at(connection, seq) for seq in range(8)]
    expected = sorted(entries, key=lambda entry: (entry.accepted_at, entry.id))
    assert [leaf.id for leaf in leaves if leaf] == [entry.id for entry in expected]
    small_log.assert_sound()


def test_nothing_waiting_means_no_round_and_no_checkpoint(small_log):
    assert small_log.round() == 0
    with small_log.database.read() as connection, pytest.raises(UnknownEntryError):
        log.latest_checkpoint(connection)
    assert small_log.restart() == 0
    small_log.assert_sound()


@pytest.mark.parametrize("sizes", [[1, 1, 1], [255, 1, 1], [256, 256], [300, 300, 5], [700]])
def test_rounds_of_any_size_make_the_same_kind_of_log(small_log, sizes, tmp_path):
    for size in sizes:
        small_log.append_many(size)
        assert small_log.round() == size
        assert small_log.restart() == len(small_log.accepted)
    small_log.assert_sound(tmp_path)
    with small_log.database.read() as connection:
        newest = log.latest_checkpoint(connection)
    body, names = open_note(newest.note, [NoteVerifier.parse(SIGNER.vkey)])
    assert names == (ORIGIN,)
    assert parse_checkpoint(body).size == sum(sizes)


def test_a_round_takes_no_more_than_its_share(small_log):
    small_log.append_many(ENTRIES_PER_ROUND + 1)
    assert small_log.round() == ENTRIES_PER_ROUND
    assert small_log.round() == 1
    small_log.assert_sound()


def test_an_entry_that_was_rolled_back_never_appears(small_log):
    with small_log.database.write() as connection:
        outbox.append(connection, [small_log.prepare(an_event())], [])
    assert small_log.round() == 0
    small_log.assert_sound()


def test_the_backlog_tells_how_far_the_sequencer_is_behind(small_log):
    with small_log.database.read() as connection:
        assert outbox.backlog(connection, small_log.now).count == 0
    small_log.append_many(3)
    with small_log.database.read() as connection:
        backlog = outbox.backlog(connection, small_log.now + timedelta(seconds=7))
    assert backlog.count == 3
    assert backlog.oldest_age_seconds == pytest.approx(7.002)


@pytest.mark.invariant(12)
@pytest.mark.parametrize("persisted", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_loses_and_doubles_nothing(small_log, step, persisted, monkeypatch, tmp_path):
    small_log.append_many(250)
    small_log.round()
    small_log.append_many(20)
    real = getattr(store, step)

    def fail(*arguments, **named):
        if persisted:
            real(*arguments, **named)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(store, step, fail)
        with pytest.raises(PowerCut):
            small_log.round()
    small_log.assert_sound()
    # Both the same process and a new one go on from what is stored.
    if persisted:
        assert small_log.restart() == 250
    assert small_log.round() == 20
    small_log.assert_sound(tmp_path)


@pytest.mark.invariant(12)
@pytest.mark.parametrize("persisted", [False, True], ids=["before", "after"])
def test_a_commit_whose_answer_is_lost_leaves_one_history(small_log, persisted, monkeypatch, tmp_path):
    from sqlalchemy import Connection

    small_log.append_many(5)
    real = Connection.commit

    def fail(connection):
        if persisted:
            real(connection)
        raise PowerCut

    with monkeypatch.context() as patched:
        patched.setattr(Connection, "commit", fail)
        with pytest.raises(PowerCut):
            small_log.round()
    small_log.assert_sound()
    assert small_log.round() == (0 if persisted else 5)
    assert small_log.restart() == 5
    small_log.assert_sound(tmp_path)


@pytest.mark.invariant(12)
def test_two_sequencers_in_turn_write_one_history(small_log, tmp_path):
    other = small_log.new_sequencer()
    for turn in range(6):
        small_log.append_many(50)
        small_log.tick()
        assert (small_log.sequencer if turn % 2 else other).run_round() == 50
    small_log.assert_sound(tmp_path)


@pytest.mark.invariant(12)
def test_sequencers_at_once_write_one_history(small_log, tmp_path):
    stop, failures = threading.Event(), []

    def work() -> None:
        sequencer = small_log.new_sequencer()
        try:
            while not stop.is_set():
                sequencer.run_round()
            while sequencer.run_round():
                pass
        except (InconsistentLogError, DatabaseError) as exc:
            failures.append(exc)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        small_log.append_many(20)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    small_log.assert_sound(tmp_path)
    with small_log.database.read() as connection:
        assert log.size(connection) == 300


KILLED = """
import sys, threading
from datetime import UTC, datetime
from crypto.checkpoint import NoteSigner
from exchange.audit.sequencer import Sequencer
from exchange.database import Database
url, origin = sys.argv[1:]
signer = NoteSigner(origin, bytes(range(32)))
sequencer = Sequencer(Database(url), [signer], origin=origin, clock=lambda: datetime.now(UTC))
print("ready", flush=True)
while True:
    sequencer.run_round()
"""


@pytest.mark.invariant(12)
def test_a_killed_sequencer_leaves_one_history(small_log, tmp_path):
    url = small_log.database.engine.url.render_as_string(hide_password=False)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", KILLED, url, ORIGIN], stdout=subprocess.PIPE) as killed:
            assert killed.stdout is not None
            killed.stdout.readline()
            for _ in range(10):
                small_log.append_many(30)
            killed.kill()
        small_log.assert_sound()
    small_log.restart()
    small_log.now = datetime.now(UTC)
    while small_log.round():
        pass
    small_log.assert_sound(tmp_path)
    with small_log.database.read() as connection:
        assert log.size(connection) == 900


def test_the_loop_integrates_and_stops(small_log):
    stop = threading.Event()
    thread = threading.Thread(target=small_log.sequencer.run, args=(stop,))
    thread.start()
    small_log.append_many(30)
    done = threading.Event()
    while not done.wait(0.01):
        with small_log.database.read() as connection:
            if log.size(connection) == 30:
                break
    stop.set()
    small_log.sequencer.wake()
    thread.join()
    small_log.assert_sound()


def test_an_idle_log_is_compared_and_stated_alive_again(small_log):
    small_log.append_many(3)
    small_log.round()
    with small_log.database.read() as connection:
        before = log.latest_checkpoint(connection)
    small_log.tick(minutes=11)
    assert small_log.sequencer.run_round() == 0
    with small_log.database.read() as connection:
        after = log.latest_checkpoint(connection)
    assert (after.note, after.signed_at) == (before.note, before.signed_at)
    assert after.fresh_at == small_log.now > before.fresh_at
    small_log.assert_sound()


def test_a_clock_that_goes_back_does_not_take_the_log_with_it(small_log):
    small_log.append_many(3)
    small_log.round()
    small_log.now -= timedelta(hours=1)
    small_log.append_many(3)
    assert small_log.round() == 3
    small_log.assert_sound()


def test_there_is_no_log_before_somebody_makes_it(database):
    bare = SmallLog(database)
    bare.append_many(1)
    with pytest.raises(InconsistentLogError, match="no log"):
        bare.round()
    bare.create()
    with pytest.raises(InconsistentLogError, match="already"):
        bare.create()
    assert bare.round() == 1


def test_a_sequencer_of_another_origin_or_without_a_key_does_nothing(small_log):
    small_log.append_many(1)
    signer = NoteSigner("other.example", bytes(32))
    with pytest.raises(InconsistentLogError, match=r"other\.example"):
        Sequencer(small_log.database, [signer], origin="other.example", clock=lambda: small_log.now).run_round()
    with pytest.raises(InconsistentLogError):
        Sequencer(small_log.database, [], origin=ORIGIN, clock=lambda: small_log.now)
    small_log.round()
    stranger = NoteSigner(ORIGIN, bytes(32))
    with pytest.raises(InconsistentLogError, match="does not verify"):
        Sequencer(small_log.database, [stranger], origin=ORIGIN, clock=lambda: small_log.now).check()


def alter_body(entry):
    return {"body": entry.body.replace(b'"v":1', b'"v":2')}


def alter_time(entry):
    return {"accepted_at": entry.accepted_at + timedelta(milliseconds=1)}


def alter_id(entry):
    return {"id": UUID(int=entry.id.int + 1)}


@pytest.mark.parametrize("altered", [alter_body, alter_time, alter_id])
def test_an_entry_that_was_altered_while_it_waited_is_not_signed(small_log, altered):
    entry = small_log.append_many(1)[0]
    with small_log.database.write() as connection:
        connection.execute(audit_outbox.update().values(**altered(entry)))
        connection.commit()
    with pytest.raises(InconsistentLogError, match="altered"):
        small_log.round()
    with small_log.database.read() as connection:
        assert log.size(connection) == 0


def test_an_entry_that_is_in_the_log_already_is_not_sequenced_again(small_log):
    entry = small_log.append_many(1)[0]
    small_log.round()
    row = {"id": entry.id, "body": entry.body, "accepted_at": entry.accepted_at}
    for copies in (1, 2):  # one row goes by INSERT, several by COPY on PostgreSQL
        with small_log.database.write() as connection:
            connection.execute(audit_outbox.delete())
            connection.execute(audit_outbox.insert().values(**row))
            if copies == 2:
                small_log.append_in(connection, [small_log.prepare(an_event())])
            connection.commit()
        with pytest.raises((InconsistentLogError, DatabaseError)):
            small_log.round()
        with small_log.database.read() as connection:
            assert log.size(connection) == 1


@pytest.fixture
def standby(small_log, sqlite_template, tmp_path) -> Iterator[SmallLog]:
    """Another database with a log of the same name and key, which has its own three entries."""
    if small_log.database.is_sqlite:
        shutil.copyfile(sqlite_template, tmp_path / "standby.db")
        url = f"sqlite:///{tmp_path / 'standby.db'}"
    else:
        url = fresh_database(migrate)
    made = SmallLog(Database(url)).create()
    made.append_many(3)
    made.round()
    yield made
    made.database.dispose()
    if not made.database.is_sqlite:
        drop_database(url)


@pytest.mark.parametrize("before", [1, 3, 7])
@pytest.mark.invariant(12)
def test_a_running_sequencer_signs_on_no_database_that_does_not_continue_what_it_saw(small_log, standby, before):
    """A standby took over behind the same address, or an older copy was put in place: each is sound in itself."""
    small_log.append_many(before)
    small_log.round()
    running = small_log.sequencer
    running._database = standby.database
    standby.append_many(4)
    for _ in range(2):
        with pytest.raises(InconsistentLogError, match="an older database took its place"):
            running.run_round()
    with standby.database.read() as connection:
        assert log.size(connection) == 3
        assert store.has_outbox(connection)
