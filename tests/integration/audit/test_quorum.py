"""Witnesses cosign our log: real ones over real HTTP, and some that lie."""

import logging
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Response

from crypto.checkpoint import Cosigner, NoteVerifier, parse_checkpoint, read_note, split_note
from exchange.audit import cosigned_store, log, store
from exchange.audit.proofs import Prover
from exchange.audit.rows import CosignedRow
from exchange.audit.witness import Refuse
from exchange.audit.witness_client import clients_of
from exchange.errors import InconsistentLogError, UnknownEntryError
from exchange.http_client import CallLimits
from tests.integration.audit.small_log import ORIGIN, SIGNER
from tests.integration.audit.witnessed import (
    PATIENT,
    a_policy,
    in_background,
    leaf_hashes,
    liar,
    quorum_of,
    real_witnesses,
    rows,
    show_future,
    signed,
    stored,
)
from tests.integration.providers.parts import answering
from tests.witnesses import consistency_of, request_body, running_witness

KEY = Cosigner("liar", b"\7" * 32)
DUMB = Response("nobody at home", status=404)


@pytest.fixture
def grown(small_log):
    """A log of ten entries."""
    small_log.append_many(10)
    small_log.round()
    return small_log


def test_a_quorum_cosigns_and_everybody_can_check_it(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha", "beta") as witnesses:
        policy = a_policy(one.policy_line for one in witnesses)
        merged = quorum_of(grown, policy).ask()
    assert merged.is_complete
    assert merged.cosigners == {"alpha", "beta"}
    row = stored(grown)
    assert (row.size, row.note, row.cosigned_at) == (10, merged.note, grown.now)
    opened = read_note(row.note, [NoteVerifier.parse(SIGNER.vkey), *policy.witness_verifiers])
    assert [one.name for one in opened.signatures] == [ORIGIN, "alpha", "beta"]
    with grown.database.read() as connection:
        assert log.checkpoint_note(connection) == row.note
        assert log.cosigned_checkpoint(connection, policy).cosigners == {"alpha", "beta"}
        assert Prover().inclusion(connection, index=3, cosigned=policy).checkpoint == row.note
    grown.assert_sound(tmp_path / "export")


def test_an_empty_log_has_nothing_to_cosign(small_log, tmp_path):
    with real_witnesses(tmp_path, "alpha") as (witness,):
        quorum = quorum_of(small_log, a_policy([witness.policy_line]))
        quorum.check_start()
        assert quorum.ask() is None
    assert stored(small_log) is None


def test_it_follows_a_log_that_grows_and_renews_one_that_stands_still(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha") as (witness,):
        quorum = quorum_of(grown, a_policy([witness.policy_line]))
        quorum.check_start()
        for size in (11, 256, 300):
            grown.append_many(size - len(grown.accepted))
            grown.round()
            assert quorum.ask().is_complete
            assert stored(grown).size == size
        before = rows(grown)
        grown.tick(minutes=5)
        assert quorum.ask().is_complete
        assert stored(grown).cosigned_at == grown.now
        assert rows(grown) == before == 3
        # A new process knows nothing of what the witness has.
        grown.append_many(5)
        grown.round()
        assert quorum_of(grown, a_policy([witness.policy_line])).ask().is_complete


def test_an_entry_that_is_not_cosigned_yet_is_not_proved_so(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha") as (witness,):
        policy = a_policy([witness.policy_line])
        with grown.database.read() as connection, pytest.raises(UnknownEntryError, match="ask again later"):
            Prover().inclusion(connection, index=3, cosigned=policy)
        quorum_of(grown, policy).ask()
    grown.append_many(1)
    grown.round()
    with grown.database.read() as connection:
        with pytest.raises(UnknownEntryError, match="the witnesses cosign a larger one soon"):
            Prover().inclusion(connection, index=10, cosigned=policy)
        assert Prover().inclusion(connection, index=9, cosigned=policy).size == 10
        # The newest checkpoint of all has no cosignature, and the one of size 10 has its own.
        assert len(split_note(Prover().inclusion(connection, index=10).checkpoint)[1]) == 1
        assert len(split_note(Prover().inclusion(connection, index=9, size=10).checkpoint)[1]) == 2


LIES = {
    "another key": lambda text: Response(Cosigner("liar", b"\1" * 32).sign(text, time=7)),
    "another text": lambda text: Response(KEY.sign(text.replace("\n10\n", "\n11\n"), time=7)),
    "another's line": lambda text: Response(Cosigner("alpha", b"\7" * 32).sign(text, time=7)),
    "garbage": lambda _text: Response(b"\x00\xff\n\n\xe2\x80\x94 liar AAAA\n"),
    "a web page": lambda _text: Response("<h1>It works!</h1>", mimetype="text/html"),
    "a gigabyte": lambda _text: Response((b"x" * 2**20 for _ in range(2**10)), direct_passthrough=True),
    "a redirect": lambda _text: Response(status=307, headers={"Location": "http://127.0.0.1:1/add-checkpoint"}),
    "an error": lambda _text: Response(status=500),
    "an unknown log": lambda _text: DUMB,
    "a small size": lambda _text: Response("3\n", status=409),
    "a size of nothing": lambda _text: Response("0\n", status=409),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_liar_is_no_quorum_and_keeps_nobody_from_one(grown, tmp_path, lie):
    text = split_note(signed(leaf_hashes(grown)))[0]
    with real_witnesses(tmp_path, "alpha", "beta") as honest, liar("liar", KEY.vkey, lambda: LIES[lie](text)) as line:
        lines = [one.policy_line for one in honest] + [line]
        assert not quorum_of(grown, a_policy(lines, 3)).ask().is_complete
        assert stored(grown) is None
        assert quorum_of(grown, a_policy(lines, 2)).ask().cosigners == {"alpha", "beta"}
        assert stored(grown).size == 10


@pytest.mark.parametrize("kind", ["hanging", "dripping", "nobody there"])
def test_one_that_hangs_keeps_nobody_waiting_for_long(grown, tmp_path, kind):
    def talk(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" if kind == "dripping" else b"")
        for _ in range(100):
            connection.sendall(b"x" if kind == "dripping" else b"")
            time.sleep(0.05)
            if connection.fileno() < 0:
                return

    with real_witnesses(tmp_path, "alpha") as (witness,), answering(talk) as (there, _count):
        url = "http://127.0.0.1:1" if kind == "nobody there" else there
        policy = a_policy([witness.policy_line, f"witness liar {KEY.vkey} {url}"], 1)
        in_haste = CallLimits(connect_seconds=0.5, read_seconds=0.3, total_seconds=0.5)
        clients = [
            replace(one, limits=one.limits if one.name == "alpha" else in_haste)
            for one in clients_of(policy, limits=PATIENT)
        ]
        assert quorum_of(grown, policy, clients=clients).ask().cosigners == {"alpha"}
        assert stored(grown).size == 10


def test_publication_waits_for_no_witness(grown):
    asked, go_on = threading.Event(), threading.Event()

    def reply():
        asked.set()
        go_on.wait(10)
        return DUMB

    with liar("slow", KEY.vkey, reply) as line:
        quorum = quorum_of(grown, a_policy([line]))
        with in_background(lambda _stop: quorum.ask()) as failures:
            assert asked.wait(10)
            grown.append_many(3)
            assert grown.round() == 3
            go_on.set()
    assert not failures


def test_one_that_comes_back_gets_the_proof_that_it_needs(grown, tmp_path):
    with running_witness(tmp_path / "alpha", SIGNER.vkey, name="alpha") as witness:
        quorum_of(grown, a_policy([witness.policy_line])).ask()
    for _ in range(3):
        grown.append_many(100)
        grown.round()
        assert not quorum_of(grown, a_policy([witness.policy_line])).ask().is_complete
    assert stored(grown).size == 10
    with running_witness(tmp_path / "alpha", name="alpha") as witness:
        assert quorum_of(grown, a_policy([witness.policy_line])).ask().is_complete
    assert stored(grown).size == 310


def test_what_is_stored_never_goes_back(grown):
    def keep(note, at):
        with grown.database.write() as connection:
            cosigned_store.keep(connection, CosignedRow(size=10, note=note, cosigned_at=at))
            connection.commit()

    keep("first", grown.now)
    keep("older", grown.now - timedelta(seconds=1))
    assert stored(grown).note == "first"
    keep("newer", grown.now + timedelta(seconds=1))
    assert stored(grown).note == "newer"


def test_two_workers_at_once_have_one_history_cosigned(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha", "beta") as witnesses:
        policy = a_policy(one.policy_line for one in witnesses)
        one, two = quorum_of(grown, policy), quorum_of(grown, policy)
        with in_background(one.run) as first, in_background(two.run) as second:
            for _ in range(15):
                grown.append_many(7)
                grown.round()
                time.sleep(0.01)
        assert not first + second
        grown.tick()
        assert one.ask().is_complete
    assert stored(grown).size == len(grown.accepted) == 115
    with grown.database.read() as connection:
        row = cosigned_store.newest(connection)
        raw = store.checkpoint_of_size(connection, row.size)
    assert split_note(row.note)[0] == split_note(raw.note)[0]
    grown.assert_sound()


def test_a_policy_that_changed_is_met_anew(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha", "beta") as (alpha, beta):
        old, new = a_policy([alpha.policy_line]), a_policy([alpha.policy_line, beta.policy_line])
        quorum_of(grown, old).ask()
        with grown.database.read() as connection:
            with pytest.raises(UnknownEntryError):
                log.cosigned_checkpoint(connection, new)
            with pytest.raises(UnknownEntryError, match="no witnesses are asked here"):
                log.cosigned_checkpoint(connection, None)
        grown.tick()
        assert quorum_of(grown, new).ask().is_complete
        with grown.database.read() as connection:
            assert log.cosigned_checkpoint(connection, new).cosigners == {"alpha", "beta"}
            assert log.cosigned_checkpoint(connection, old).cosigners == {"alpha"}


@pytest.fixture
def told(caplog):
    """What was logged about witnesses so far."""
    logger = logging.getLogger("exchange.audit.quorum")
    caplog.set_level(logging.INFO, logger=logger.name)
    return lambda: [one.getMessage() for one in caplog.records if one.name == logger.name]


def test_a_change_is_told_once_and_not_at_every_look(grown, tmp_path, told):
    with running_witness(tmp_path / "alpha", SIGNER.vkey, name="alpha") as witness:
        quorum = quorum_of(grown, a_policy([witness.policy_line]))
        quorum.ask()
        quorum.ask()
        assert told() == []
    for _ in range(3):
        grown.append_many(1)
        grown.round()
        quorum.ask()
    assert told() == ["witness alpha: gives no answer: it cannot be reached", "the quorum: not complete"]


# Our own history against what witnesses have of it


@pytest.mark.invariant(12)
@pytest.mark.parametrize("later", [0, 3], ids=["set back", "set back and gone on"])
def test_a_log_that_was_set_back_refuses_to_sign(grown, tmp_path, later):
    with real_witnesses(tmp_path, "alpha", "beta") as (alpha, beta):
        show_future(grown, alpha, 5)
        if later:
            grown.append_many(later)
            grown.round()
        quorum = quorum_of(grown, a_policy([alpha.policy_line, beta.policy_line], 1))
        with pytest.raises(InconsistentLogError, match=r"witness alpha has cosigned .* run `cdx db restored`"):
            quorum.check_start()
        with pytest.raises(InconsistentLogError, match="size 15, signed by our key"):
            quorum_of(grown, a_policy([alpha.policy_line, beta.policy_line], 1)).ask()


@pytest.mark.invariant(12)
@pytest.mark.parametrize(("keep", "more"), [(8, 2), (8, 1), (0, 4)], ids=["same size", "smaller", "all other"])
def test_a_log_with_another_history_refuses_to_sign(grown, tmp_path, keep, more):
    with real_witnesses(tmp_path, "alpha") as (alpha,):
        show_future(grown, alpha, more, keep=keep)
        quorum = quorum_of(grown, a_policy([alpha.policy_line]))
        with pytest.raises(InconsistentLogError, match="alpha"):
            quorum.check_start()
        with pytest.raises(InconsistentLogError, match="signed by our key"):
            quorum.ask()
    assert stored(grown) is None


@pytest.mark.invariant(12)
def test_a_log_that_was_emptied_refuses_to_sign(small_log, tmp_path):
    with real_witnesses(tmp_path, "alpha") as (alpha,):
        show_future(small_log, alpha, 5)
        with pytest.raises(InconsistentLogError, match="the log here is empty"):
            quorum_of(small_log, a_policy([alpha.policy_line])).check_start()


CLAIMS = {
    "more than we have": Response("11\n", status=409),
    "very much more": Response(f"{2**63 - 1}\n", status=409),
    "another root": Response("no", status=422),
    "what was never published": Response("3\n", status=409),
}


@pytest.mark.parametrize("shows", ["nothing", "ours", "a forgery"])
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_bare_word_stops_a_start_and_nobody_who_runs(grown, tmp_path, claim, shows):
    ours = signed(leaf_hashes(grown))
    shown = {"nothing": None, "ours": ours, "a forgery": ours.replace("\n10\n", "\n11\n")}[shows]
    with (
        real_witnesses(tmp_path, "alpha") as (alpha,),
        liar("liar", KEY.vkey, lambda: CLAIMS[claim], shows=shown) as line,
    ):
        quorum = quorum_of(grown, a_policy([alpha.policy_line, line], 1))
        assert quorum.ask().cosigners == {"alpha"}
        with pytest.raises(InconsistentLogError, match="witness liar"):
            quorum.check_start()


def test_another_worker_that_was_faster_is_no_doubt(grown):
    """It published and was cosigned while we asked: the witness is beyond our checkpoint, and not beyond the log."""

    def reply():
        grown.append_many(3)
        grown.round()
        return Response("13\n", status=409)

    with liar("busy", KEY.vkey, reply) as line:
        quorum_of(grown, a_policy([line])).check_start()
    assert len(leaf_hashes(grown)) == 13


def test_who_is_away_stops_no_start(grown, told):
    policy = a_policy([f"witness away {KEY.vkey} http://127.0.0.1:1"])
    quorum_of(grown, policy).check_start()
    assert told() == ["witness away: gives no answer: it cannot be reached"]


def test_the_evidence_ends_whoever_asks_again_and_again(grown, tmp_path):
    with real_witnesses(tmp_path, "alpha") as (alpha,):
        show_future(grown, alpha, 5)
        quorum = quorum_of(grown, a_policy([alpha.policy_line]))
        with pytest.raises(InconsistentLogError):
            quorum.run(threading.Event())


def test_of_two_histories_for_two_readers_a_witness_cosigns_one(grown, tmp_path):
    """A dishonest operator, who has the log's key, signs two checkpoints of one size."""
    hashes = leaf_hashes(grown)
    for_one, for_other = signed(hashes), signed(list(reversed(hashes)))
    sizes = {parse_checkpoint(split_note(note)[0]).size for note in (for_one, for_other)}
    assert sizes == {10}
    with running_witness(tmp_path / "alpha", SIGNER.vkey, name="alpha") as running:
        policy = a_policy([running.policy_line])
        merged = quorum_of(grown, policy).ask()
        assert split_note(merged.note)[0] == split_note(for_one)[0]
        for old in (0, 4, 10):
            proof = consistency_of(list(reversed(hashes)), old) if 0 < old < 10 else []
            refused = running.witness.add_checkpoint(request_body(old, proof, for_other))
            assert isinstance(refused, Refuse)
        # Whoever asks for a quorum takes the one history and not the other, though the log's own key signed both.
        for note, holds in ((merged.note, True), (for_other, False)):
            opened = read_note(note, [NoteVerifier.parse(SIGNER.vkey), *policy.witness_verifiers])
            assert policy.is_met_by(policy.cosigners(opened)) == holds
