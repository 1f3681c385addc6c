"""The rules of a witness, without HTTP or a file: what each request decides, whatever comes."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.checkpoint import NoteSigner, NoteVerifier, parse_checkpoint, split_note
from crypto.errors import MalformedError
from exchange.audit.witness import (
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    Cosign,
    KnownLog,
    Refuse,
    decide,
    parse_add_checkpoint,
)
from tests.witnesses import TinyLog, request_body

SIGNER = NoteSigner("log.example/1", bytes(range(32)))
SECOND = NoteSigner("log.example/1", bytes([7]) * 32)
HISTORIES = (TinyLog(SIGNER), TinyLog(SIGNER, forked_at=3), TinyLog(SIGNER, forked_at=0))
UNSEEN = KnownLog(origin=SIGNER.name, verifiers=(NoteVerifier.parse(SIGNER.vkey),))


def after(log, decision):
    """What is known once the decision was carried out."""
    if isinstance(decision, Refuse):
        return log
    new = decision.checkpoint
    return replace(log, size=new.size, root=new.root, note=f"{decision.text}\n{decision.signatures}")


def test_a_request_is_read_as_it_was_written():
    log = HISTORIES[0]
    request = parse_add_checkpoint(log.request(3, 7, "more"))
    checkpoint = parse_checkpoint(split_note(log.note(7, "more"))[0])
    assert request == AddCheckpoint(
        old_size=3, proof=tuple(log.proof(3, 7)), note=log.note(7, "more"), checkpoint=checkpoint
    )


def test_the_limit_of_a_request_is_exact():
    body = HISTORIES[0].request(0, 1)
    room = MAX_REQUEST_BYTES - len(body) - 1
    note = HISTORIES[0].note(1, "x" * room)
    assert len(request_body(0, [], note)) == MAX_REQUEST_BYTES
    assert parse_add_checkpoint(request_body(0, [], note)).checkpoint.size == 1
    with pytest.raises(MalformedError, match="more than"):
        parse_add_checkpoint(request_body(0, [], HISTORIES[0].note(1, "x" * (room + 1))))


@settings(deadline=None)  # a busy machine is no finding
@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_malformed(data):
    for body in (data, b"old 0\n\n" + data, HISTORIES[0].request(0, 1) + data):
        try:
            parse_add_checkpoint(body)
        except MalformedError:
            continue


@settings(deadline=None)  # a busy machine is no finding
@given(st.data())
def test_one_changed_byte_is_never_cosigned(data):
    body = bytearray(HISTORIES[0].request(3, 7))
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255).filter(lambda value: value != body[place]))
    known = after(UNSEEN, decide(parse_add_checkpoint(HISTORIES[0].request(0, 3)), UNSEEN))
    try:
        request = parse_add_checkpoint(bytes(body))
    except MalformedError:
        return
    log = known if request.checkpoint.origin == known.origin else None
    assert isinstance(decide(request, log), Refuse)


def test_a_key_that_signed_is_told_and_strangers_are_left_out():
    log = replace(UNSEEN, verifiers=(*UNSEEN.verifiers, NoteVerifier.parse(SECOND.vkey)))
    for signers in ((SIGNER,), (SECOND,), (SIGNER, SECOND)):
        note = TinyLog(*signers, NoteSigner("stranger.example", bytes(32))).note(2)
        decision = decide(parse_add_checkpoint(request_body(0, [], note)), log)
        assert isinstance(decision, Cosign)
        assert {one.vkey for one in decision.signed_by} == {signer.vkey for signer in signers}
        assert f"{decision.text}\n{decision.signatures}" == TinyLog(*signers).note(2)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(HISTORIES),
        st.integers(0, 9) | st.none(),  # the old size; None: the right one
        st.integers(0, 9),
        st.sampled_from(["right", "none", "of another history", "longer"]),
    ),
    max_size=25,
)


@settings(deadline=None)  # a busy machine is no finding
@given(STEPS)
def test_what_is_cosigned_is_one_history_that_only_grows(steps):
    known, cosigned = UNSEEN, [(0, UNSEEN.root)]
    for history, old, new, kind in steps:
        old_size = known.size if old is None else old
        proof = {
            "right": history.proof(old_size, new),
            "none": [],
            "of another history": HISTORIES[1].proof(old_size, new),
            "longer": [*history.proof(old_size, new), bytes(32)],
        }[kind]
        decision = decide(parse_add_checkpoint(request_body(old_size, proof, history.note(new))), known)
        is_continued = history.root(known.size) == known.root
        if isinstance(decision, Cosign):
            assert is_continued
            assert known.size == old_size <= new
            cosigned.append((new, decision.checkpoint.root))
        elif kind == "right":
            assert not (is_continued and known.size == old_size <= new), "an honest log is cosigned"
        known = after(known, decision)
    assert cosigned == sorted(cosigned, key=lambda one: one[0])
    assert any(all(history.root(size) == root for size, root in cosigned) for history in HISTORIES)
