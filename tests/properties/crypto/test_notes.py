"""Signed notes and checkpoints: every pair of writer and reader, and every forgery of one character."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.checkpoint import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    read_note,
    sign_note,
)
from crypto.errors import CryptoError, MalformedError

lines = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)
names = lines.filter(lambda name: "+" not in name and not any(character.isspace() for character in name))
seeds = st.binary(min_size=32, max_size=32)
checkpoints = st.builds(
    Checkpoint,
    origin=lines,
    size=st.integers(0, 2**63 - 1),
    root=st.binary(min_size=32, max_size=32),
    extensions=st.lists(lines, max_size=3).map(tuple),
)


@given(checkpoint=checkpoints)
def test_a_checkpoint_round_trips(checkpoint):
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


@given(text=st.text(alphabet="a1\n+/=0 ", max_size=80))
def test_a_checkpoint_has_one_spelling(text):
    try:
        checkpoint = parse_checkpoint(text)
    except MalformedError:
        return
    assert format_checkpoint(checkpoint) == text


@given(
    text=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])), min_size=1), name=names, seed=seeds
)
def test_a_signed_note_opens(text, name, seed):
    body = "\n".join(text) + "\n"
    signer = NoteSigner(name, seed)
    verifier = NoteVerifier.parse(signer.vkey)
    assert verifier.vkey == signer.vkey
    note = sign_note(body, [signer])
    assert open_note(note, [verifier]) == (body, (name,))
    assert open_note(note.encode(), [verifier]) == (body, (name,))


@given(checkpoint=checkpoints, data=st.data())
def test_any_changed_character_of_a_signed_checkpoint_is_noticed(checkpoint, data):
    signer = NoteSigner("log", bytes(32))
    text = format_checkpoint(checkpoint)
    note = sign_note(text, [signer])
    position = data.draw(st.integers(0, len(note) - 1))
    character = data.draw(st.sampled_from("Aa0+/=\n— é"))
    forged = note[:position] + character + note[position + 1 :]
    assume(forged != note)
    with pytest.raises(CryptoError):
        open_note(forged, [NoteVerifier.parse(signer.vkey)])


@given(checkpoint=checkpoints, time=st.integers(1, 2**63 - 1), name=names, seed=seeds)
def test_a_cosignature_round_trips(checkpoint, time, name, seed):
    witness = Cosigner(name, seed)
    text = format_checkpoint(checkpoint)
    opened = read_note(f"{text}\n{witness.sign(text, time=time)}", [NoteVerifier.parse(witness.vkey)])
    assert [(signature.name, signature.time) for signature in opened.signatures] == [(name, time)]


@given(note=st.text(alphabet="ab\n— +=A/\x00\ud800", max_size=80))
def test_no_text_crashes_the_reader_of_notes(note):
    verifier = NoteVerifier.parse(NoteSigner("a", bytes(32)).vkey)
    for reader in (lambda: open_note(note, [verifier]), lambda: NoteVerifier.parse(note)):
        with pytest.raises(CryptoError):
            reader()
