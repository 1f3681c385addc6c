"""The memory of a witness: one file, made once, that cannot be made to forget."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from api.config import ConfigError
from api.witness_folder import make_witness, open_witness
from crypto.checkpoint import Cosigner, NoteSigner, NoteVerifier, read_note
from crypto.errors import MalformedError
from exchange.audit.witness import decide, parse_add_checkpoint
from exchange.audit.witness_store import WitnessStore, create
from exchange.audit.witnessing import Cosigned, Witness
from exchange.errors import WitnessError
from tests.conftest import Clock
from tests.witnesses import TinyLog

SIGNER = NoteSigner("log.example/1", bytes(range(32)))
KEY = NoteVerifier.parse(SIGNER.vkey)
LOG = TinyLog(SIGNER)
COSIGNER = Cosigner("witness.example", bytes(32))
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def path(tmp_path):
    create(tmp_path / "witness.db", COSIGNER.vkey)
    return tmp_path / "witness.db"


@pytest.fixture
def store(path):
    opened = WitnessStore(path, COSIGNER.vkey)
    opened.add_key(KEY)
    yield opened
    opened.close()


@pytest.fixture
def clock():
    return Clock(NOW)


@pytest.fixture
def witness(store, clock):
    return Witness(COSIGNER, store, clock)


def time_of(answer, size):
    assert isinstance(answer, Cosigned)
    return read_note(LOG.note(size) + answer.line, [NoteVerifier.parse(COSIGNER.vkey)]).signatures[0].time


def test_time_never_goes_back(witness, clock):
    begun = int(NOW.timestamp())
    assert time_of(witness.add_checkpoint(LOG.request(0, 2)), 2) == begun
    clock.advance(timedelta(hours=-3))
    assert time_of(witness.add_checkpoint(LOG.request(2, 2)), 2) == begun
    assert time_of(witness.add_checkpoint(LOG.request(2, 4)), 4) == begun
    clock.advance(timedelta(hours=3, seconds=7))
    assert time_of(witness.add_checkpoint(LOG.request(4, 4)), 4) == begun + 7


def test_of_two_decided_on_one_state_one_wins(store):
    log = store.find(SIGNER.name)
    decisions = [decide(parse_add_checkpoint(LOG.request(0, size)), log) for size in (3, 5)]
    assert store.advance(log, decisions[1], note="five", time=1)
    assert not store.advance(log, decisions[0], note="three", time=1)
    assert store.find(SIGNER.name).size == 5
    assert store.note(store.lines()[0].origin_hash) == "five"


def test_a_state_of_the_same_size_and_another_time_has_moved(store):
    log = store.find(SIGNER.name)
    decision = decide(parse_add_checkpoint(LOG.request(0, 0)), log)
    assert store.advance(log, decision, note="later", time=20)
    assert not store.advance(log, decision, note="earlier", time=10)
    assert store.find(SIGNER.name).cosigned_at == 20


def test_a_key_taken_away_between_decision_and_commit_counts_no_more(store):
    log = store.find(SIGNER.name)
    decision = decide(parse_add_checkpoint(LOG.request(0, 3)), log)
    store.remove_key(KEY)
    assert not store.advance(log, decision, note="three", time=1)
    store.add_key(KEY)
    assert store.find(SIGNER.name) == log


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE log SET size = 2", "only grows"),
        ("UPDATE log SET root = zeroblob(32)", "only grows"),
        ("UPDATE log SET cosigned_at = 1", "only grows"),
        ("UPDATE log SET origin = 'log.example/2'", "only grows"),
        ("DELETE FROM log", "not forgotten"),
        ("INSERT OR REPLACE INTO log SELECT origin, origin_hash, 0, root, note, 0 FROM log", "not replaced"),
    ],
)
def test_the_file_itself_refuses_to_forget(witness, path, statement, why):
    witness.add_checkpoint(LOG.request(0, 3))
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match=why):
        connection.execute(statement)
    assert witness.store.find(SIGNER.name).size == 3


# Keys of logs


def test_only_keys_of_logs_are_trusted(store):
    with pytest.raises(WitnessError, match="type 1"):
        store.add_key(NoteVerifier.parse(COSIGNER.vkey))
    store.add_key(KEY)
    assert [line.vkeys for line in store.lines()] == [(SIGNER.vkey,)]


def test_a_key_that_is_not_trusted_cannot_be_taken_away(store):
    store.remove_key(KEY)
    with pytest.raises(WitnessError, match="not trusted"):
        store.remove_key(KEY)


# Files


def test_a_memory_is_never_made_anew(path, store):
    with pytest.raises(WitnessError, match="never replaced"):
        create(path, COSIGNER.vkey)
    assert store.find(SIGNER.name) is not None


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be looked at" * 100])
def test_a_memory_that_is_gone_is_missed(tmp_path, content):
    path = tmp_path / "witness.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WitnessError):
        WitnessStore(path, COSIGNER.vkey)
    assert path.exists() == (content is not None), "nothing was made in its place"


def test_the_memory_of_another_witness_is_refused(path):
    with pytest.raises(WitnessError, match="another witness"):
        WitnessStore(path, Cosigner("witness.example", bytes([1]) * 32).vkey)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE witness SET schema = 2")
    with pytest.raises(WitnessError, match="another version"):
        WitnessStore(path, COSIGNER.vkey)


def test_a_folder_is_made_once_and_as_a_whole(tmp_path):
    vkey = make_witness(tmp_path / "w", "witness.example")
    before = {path.name: path.read_bytes() for path in (tmp_path / "w").iterdir()}
    assert {"witness.db", "witness.keyset", "witness.root", "witness.vkey"} <= before.keys()
    with pytest.raises(ConfigError):
        make_witness(tmp_path / "w", "witness.example")
    assert {path.name: path.read_bytes() for path in (tmp_path / "w").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["w"], "nothing is left of the second attempt"
    witness = open_witness(tmp_path / "w")
    assert (witness.vkey, witness.name) == (vkey, "witness.example")
    witness.store.close()


@pytest.mark.parametrize("name", ["", "two words", "with+plus", "line\nbreak"])
def test_a_name_that_no_line_can_bear_makes_nothing(tmp_path, name):
    with pytest.raises(MalformedError):
        make_witness(tmp_path / "w", name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["witness.db", "witness.keyset", "witness.root", "witness.vkey"])
def test_a_folder_that_lost_a_file_is_refused_and_not_repaired(tmp_path, missing):
    make_witness(tmp_path / "w", "witness.example")
    (tmp_path / "w" / missing).unlink()
    with pytest.raises((ConfigError, WitnessError)):
        open_witness(tmp_path / "w")
    assert not (tmp_path / "w" / missing).exists()


def test_parts_of_two_witnesses_do_not_make_one(tmp_path):
    for folder in ("a", "b"):
        make_witness(tmp_path / folder, "witness.example")
    for name in ("witness.keyset", "witness.root"):
        (tmp_path / "a" / name).replace(tmp_path / "b" / name)
    with pytest.raises(ConfigError, match="is not that of"):
        open_witness(tmp_path / "b")
    (tmp_path / "a" / "witness.vkey").replace(tmp_path / "b" / "witness.vkey")
    with pytest.raises(WitnessError, match="another witness"):
        open_witness(tmp_path / "b")
