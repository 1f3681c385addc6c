from base64 import b64decode, b64encode

import pytest

from crypto.checkpoint import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    NoteVerifier,
    cosign,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    read_note,
    sign_note,
)
from crypto.errors import MalformedError, VerificationError
from tests.vectors import load

LOG = NoteSigner("log.example/1", bytes(range(32)))
WITNESS = Cosigner("witness.example", bytes(32))
CHECKPOINT = Checkpoint(origin="log.example/1", size=42, root=bytes(range(32)))
TEXT = format_checkpoint(CHECKPOINT)
NOW = 1_764_000_000


def verifier(signer):
    return NoteVerifier.parse(signer.vkey)


def test_a_checkpoint_has_three_lines():
    assert f"log.example/1\n42\n{b64encode(bytes(range(32))).decode()}\n" == TEXT
    assert parse_checkpoint(TEXT) == CHECKPOINT


def test_a_foreign_log_may_add_lines():
    checkpoint = parse_checkpoint(TEXT + "extension 1\nextension 2\n")
    assert checkpoint.extensions == ("extension 1", "extension 2")
    assert format_checkpoint(checkpoint) == TEXT + "extension 1\nextension 2\n"


def test_a_published_checkpoint_is_read():
    note = load("signed_notes.json")["accept"][1]
    text, _ = open_note(note["note"], [NoteVerifier.parse(vkey) for vkey in note["vkeys"]])
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("go.sum database tree", 6476701)
    assert format_checkpoint(checkpoint) == text


def test_the_empty_log_has_a_checkpoint():
    assert parse_checkpoint(TEXT.replace("42", "0")).size == 0


@pytest.mark.parametrize(
    "change",
    [
        {"origin": ""},
        {"origin": "a\nb"},
        {"origin": "a\tb"},
        {"origin": "\ud800"},
        {"size": -1},
        {"size": 2**63},
        {"size": True},
        {"size": "1"},
        {"root": b""},
        {"root": bytes(31)},
        {"root": "x" * 32},
        {"extensions": ("",)},
        {"extensions": ("a\nb",)},
    ],
    ids=str,
)
def test_a_faulty_checkpoint_cannot_be_made(change):
    with pytest.raises(MalformedError):
        Checkpoint(**{"origin": "o", "size": 1, "root": bytes(32), **change})


def test_a_cosignature_tells_when_it_was_made():
    note = sign_note(TEXT, [LOG]) + WITNESS.sign(TEXT, time=NOW)
    opened = read_note(note, [verifier(LOG), verifier(WITNESS)])
    assert [(signature.name, signature.time) for signature in opened.signatures] == [
        ("log.example/1", None),
        ("witness.example", NOW),
    ]
    assert open_note(note, [verifier(WITNESS)]) == (TEXT, ("witness.example",))
    assert cosign(TEXT, name="witness.example", seed=bytes(32), time=NOW) == WITNESS.sign(TEXT, time=NOW)


def test_the_time_of_a_cosignature_is_signed():
    line = WITNESS.sign(TEXT, time=NOW)
    name, encoded = line.split(" ")[1:]
    raw = bytearray(b64decode(encoded))
    raw[11] ^= 1
    forged = f"— {name} {b64encode(bytes(raw)).decode()}\n"
    with pytest.raises(VerificationError):
        read_note(f"{TEXT}\n{forged}", [verifier(WITNESS)])


@pytest.mark.parametrize("signature", [b"", bytes(64), bytes(71), bytes(72), bytes(73), b"\xff" * 72])
def test_a_cosignature_has_a_time_and_its_length(signature):
    with pytest.raises(VerificationError):
        verifier(WITNESS).verify(TEXT, signature)


@pytest.mark.parametrize("time", [0, -1, 2**63, True, 1.5, None])
def test_a_cosignature_needs_a_time(time):
    with pytest.raises(MalformedError):
        WITNESS.sign(TEXT, time=time)


def test_only_checkpoints_are_cosigned():
    with pytest.raises(MalformedError):
        WITNESS.sign("a text\n", time=NOW)


def test_a_witness_key_is_no_log_key():
    # The same seed under both types: neither signature counts as the other.
    log = NoteSigner("witness.example", bytes(32))
    assert verifier(log).key_id != verifier(WITNESS).key_id
    with pytest.raises(VerificationError):
        read_note(sign_note(TEXT, [log]), [verifier(WITNESS)])
    with pytest.raises(VerificationError):
        read_note(f"{TEXT}\n{WITNESS.sign(TEXT, time=NOW)}", [verifier(log)])


def test_the_seed_of_a_witness_is_not_shown():
    assert bytes(32).hex() not in repr(WITNESS)
    assert WITNESS.vkey in repr(WITNESS)
