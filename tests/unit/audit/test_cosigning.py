"""What is sent to witnesses, and what of their answers counts."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.checkpoint import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    parse_checkpoint,
    sign_note,
    split_note,
)
from exchange.audit.cosigning import (
    Behind,
    Cosigned,
    Refused,
    merge,
    read_answer,
    read_cosigned,
    read_shown,
    write_request,
)
from exchange.audit.policy_file import Policy, parse_policy
from exchange.audit.witness import parse_add_checkpoint

LOG = NoteSigner("log.example/audit", bytes(32))
SIZE = 5
TEXT = format_checkpoint(Checkpoint(origin=LOG.name, size=SIZE, root=b"\1" * 32))
OTHER_TEXT = format_checkpoint(Checkpoint(origin=LOG.name, size=5, root=b"\2" * 32))
NOTE = sign_note(TEXT, [LOG])
COSIGNERS = {name: Cosigner(f"{name}.example", bytes([number]) * 32) for number, name in enumerate("abc", start=1)}
STRANGER = Cosigner("stranger.example", b"\x09" * 32)
VERIFIER = NoteVerifier.parse(COSIGNERS["a"].vkey)


def a_policy(threshold: str = "2", names: str = "abc") -> Policy:
    lines = [f"witness {name} {COSIGNERS[name].vkey} https://{name}.example" for name in names]
    return parse_policy("\n".join([*lines, f"group all-of-them {threshold} {' '.join(names)}", "quorum all-of-them"]))


def answer(body: str | bytes, status: int = 200) -> object:
    data = body.encode() if isinstance(body, str) else body
    return read_answer(status, data, note=NOTE, verifier=VERIFIER)


@pytest.mark.parametrize(("old", "proof"), [(0, []), (5, []), (3, [b"\1" * 32, b"\2" * 32])])
def test_a_request_is_what_a_witness_reads(old, proof):
    read = parse_add_checkpoint(write_request(NOTE, old_size=old, proof=proof))
    assert (read.old_size, list(read.proof)) == (old, proof)
    assert read.checkpoint == parse_checkpoint(TEXT)


def test_a_line_of_the_witness_that_holds_is_taken():
    line = COSIGNERS["a"].sign(TEXT, time=7)
    assert answer(line) == Cosigned(line=line)


LINE = COSIGNERS["a"].sign(TEXT, time=7)
FORGED = COSIGNERS["a"].sign(OTHER_TEXT, time=7)
FOREIGN = STRANGER.sign(TEXT, time=7)
UNDER_ITS_NAME = Cosigner("a.example", b"\x09" * 32).sign(TEXT, time=7)


@pytest.mark.parametrize(
    "around",
    [[FOREIGN], [FORGED], [UNDER_ITS_NAME], ["hello\n"], ["\n"], [LOG.sign(TEXT)], [FORGED, FOREIGN, "— x\n"]],
    ids=["foreign", "forged", "another key", "text", "empty", "the log's own", "several"],
)
def test_what_stands_around_it_is_ignored(around):
    for lines in ([*around, LINE], [LINE, *around]):
        assert answer("".join(lines)) == Cosigned(line=LINE)
    assert isinstance(answer("".join(around)), Refused)


def test_one_line_of_a_witness_is_enough():
    later = COSIGNERS["a"].sign(TEXT, time=8)
    assert answer(LINE + later) == Cosigned(line=LINE)


def test_lines_after_the_sixteenth_are_not_looked_at():
    assert answer(FOREIGN * 15 + LINE) == Cosigned(line=LINE)
    assert isinstance(answer(FOREIGN * 16 + LINE), Refused)


@pytest.mark.parametrize("body", ["", "\n", "—", "— a.example", "\xff", "x" * 16_000, LINE[:-1] + "A\n", f" {LINE}"])
def test_no_line_at_all_is_a_refusal(body):
    assert answer(body.encode("latin-1", "replace")) == Refused(status=200, text="no cosignature of its key that holds")


@pytest.mark.parametrize("size", [0, 1, 2**63 - 1])
def test_a_conflict_names_the_size_of_the_witness(size):
    assert answer(f"{size}\n", 409) == Behind(size=size)


@pytest.mark.parametrize(
    "body", ["", "5", "05\n", "-1\n", "5\n\n", "5 \n", f"{2**63}\n", "9" * 5000 + "\n", "\u0665\n", "<p>"]
)
def test_any_other_conflict_is_a_refusal(body):
    assert isinstance(answer(body, 409), Refused)


@pytest.mark.parametrize("status", [201, 302, 400, 403, 404, 422, 429, 500])
def test_any_other_status_is_a_refusal_that_nobody_has_to_trust(status):
    told = answer(b"no\x1b[31m\n" + b"\xff" * 500, status)
    assert isinstance(told, Refused)
    assert told.status == status
    assert len(told.text) <= 120
    assert told.text.isascii()
    assert told.text.isprintable()


@given(st.integers(100, 599), st.binary(max_size=300))
def test_no_answer_raises_and_none_is_believed(status, body):
    assert not isinstance(answer(body, status), Cosigned)


@given(st.binary(max_size=100).filter(lambda junk: b"\n" not in junk), st.integers(1, 2**40))
def test_whatever_stands_in_other_lines_the_own_one_counts(junk, time):
    line = COSIGNERS["a"].sign(TEXT, time=time)
    assert answer(junk + b"\n" + line.encode()) == Cosigned(line=line)


def test_a_quorum_is_complete_with_enough_and_not_before():
    for count in range(4):
        for names in itertools.combinations("abc", count):
            merged = merge(NOTE, a_policy(), [COSIGNERS[name].sign(TEXT, time=7) for name in names])
            assert merged.cosigners == frozenset(names)
            assert merged.is_complete == (count >= 2)
            assert split_note(merged.note)[0] == TEXT
            assert len(split_note(merged.note)[1]) == 1 + count
            # Stored, and read again: the same.
            assert read_cosigned(merged.note, a_policy(), origin=LOG.name, size=SIZE) == merged


def test_nobody_is_no_quorum_whatever_a_policy_says():
    none = parse_policy("quorum none")
    assert none.is_met_by([])
    assert not merge(NOTE, none, []).is_complete
    assert not read_cosigned(NOTE, none, origin=LOG.name, size=SIZE).is_complete


def test_what_was_stored_counts_by_the_policy_of_today():
    note = merge(NOTE, a_policy(), [COSIGNERS[name].sign(TEXT, time=7) for name in "ab"]).note
    assert read_cosigned(note, a_policy(), origin=LOG.name, size=SIZE).is_complete
    assert not read_cosigned(note, a_policy("all"), origin=LOG.name, size=SIZE).is_complete
    assert not read_cosigned(note, a_policy("any", "c"), origin=LOG.name, size=SIZE).is_complete
    assert read_cosigned(note, a_policy("any", "bc"), origin=LOG.name, size=SIZE).is_complete


def test_a_stored_note_of_another_log_or_altered_counts_for_nothing():
    note = merge(NOTE, a_policy(), [COSIGNERS[name].sign(TEXT, time=7) for name in "ab"]).note
    assert not read_cosigned(note, a_policy(), origin="log.example/audit/2", size=SIZE).is_complete
    assert not read_cosigned(note.replace("\n5\n", "\n6\n"), a_policy(), origin=LOG.name, size=SIZE).is_complete
    assert not read_cosigned(note, a_policy(), origin=LOG.name, size=10**18).is_complete
    assert not read_cosigned("", a_policy(), origin=LOG.name, size=SIZE).is_complete


def test_only_a_checkpoint_of_our_own_key_is_shown_to_us():
    verifiers = [NoteVerifier.parse(LOG.vkey)]
    assert read_shown(NOTE + LINE, verifiers, LOG.name) == parse_checkpoint(TEXT)
    forged = sign_note(TEXT, [NoteSigner(LOG.name, b"\5" * 32)])
    for note in ("", "nonsense", forged, NOTE.replace("\n5\n", "\n6\n"), f"{TEXT}\n{LINE}"):
        assert read_shown(note, verifiers, LOG.name) is None
    assert read_shown(NOTE, verifiers, "another.example/log") is None
