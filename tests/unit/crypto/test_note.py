import pytest

from crypto.errors import MalformedError, VerificationError
from crypto.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    NoteSigner,
    NoteVerifier,
    open_note,
    read_note,
    sign_note,
    split_note,
)
from tests.vectors import load

VECTORS = load("signed_notes.json")
LOG = NoteSigner("log.example", bytes(range(32)))
OTHER = NoteSigner("other.example", bytes(32))
TEXT = "a text\nof two lines\n"


def verifier(signer):
    return NoteVerifier.parse(signer.vkey)


@pytest.mark.parametrize("vector", VECTORS["accept"], ids=lambda vector: vector["name"])
def test_the_published_notes_open(vector):
    verifiers = [NoteVerifier.parse(vkey) for vkey in vector["vkeys"]]
    text, names = open_note(vector["note"], verifiers)
    assert list(names) == vector["names"]
    assert vector["note"].startswith(text + "\n— ")
    assert open_note(vector["note"].encode(), verifiers) == (text, names)


@pytest.mark.parametrize("vector", VECTORS["accept"], ids=lambda vector: vector["name"])
def test_a_changed_letter_in_a_published_note_is_noticed(vector):
    verifiers = [NoteVerifier.parse(vkey) for vkey in vector["vkeys"]]
    changed = ("X" if vector["note"][0] != "X" else "Y") + vector["note"][1:]
    with pytest.raises(VerificationError):
        open_note(changed, verifiers)


def test_a_note_with_several_signatures_tells_who_signed():
    note = sign_note(TEXT, [LOG, OTHER])
    assert open_note(note, [verifier(LOG), verifier(OTHER)]) == (TEXT, ("log.example", "other.example"))
    assert open_note(note, [verifier(OTHER)]) == (TEXT, ("other.example",))


def test_a_note_by_strangers_does_not_open():
    note = sign_note(TEXT, [OTHER])
    with pytest.raises(VerificationError):
        open_note(note, [verifier(LOG)])
    with pytest.raises(VerificationError):
        open_note(note, [])


def test_one_bad_signature_by_a_known_key_spoils_the_note():
    good = sign_note(TEXT, [LOG])
    foreign_line = sign_note("another\n", [OTHER]).split("\n\n")[1]
    assert open_note(good + foreign_line, [verifier(LOG)])
    with pytest.raises(VerificationError):
        open_note(good + foreign_line, [verifier(LOG), verifier(OTHER)])


def test_a_key_that_signed_twice_is_named_once():
    note = sign_note(TEXT, [LOG, LOG])
    assert open_note(note, [verifier(LOG)])[1] == ("log.example",)


def test_two_verifiers_with_one_name_and_id_are_refused():
    with pytest.raises(MalformedError):
        open_note(sign_note(TEXT, [LOG]), [verifier(LOG), verifier(LOG)])


def test_empty_lines_inside_a_text_belong_to_it():
    text = "one\n\n— looks like a signature\n\nend\n"
    assert open_note(sign_note(text, [LOG]), [verifier(LOG)])[0] == text


def test_a_note_can_be_split_without_any_key():
    text, lines = split_note(sign_note(TEXT, [LOG, OTHER]))
    assert text == TEXT
    assert [(name, len(signature)) for name, signature in lines] == [("log.example", 68), ("other.example", 68)]
    assert lines[0][1][:4] == verifier(LOG).key_id


@pytest.mark.parametrize("text", ["", "no newline", "a\tb\n", "a\rb\n", "a\x00b\n", "\ud800\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(text):
    with pytest.raises(MalformedError):
        LOG.sign(text)
    with pytest.raises(MalformedError):
        sign_note(text, [LOG])


def test_a_note_needs_a_signer():
    with pytest.raises(MalformedError):
        sign_note(TEXT, [])


def test_sizes_are_limited():
    line = LOG.sign(TEXT)
    assert open_note(TEXT + "\n" + line * MAX_SIGNATURES, [verifier(LOG)])
    with pytest.raises(MalformedError):
        open_note(TEXT + "\n" + line * (MAX_SIGNATURES + 1), [verifier(LOG)])
    with pytest.raises(MalformedError):
        open_note("x" * (MAX_NOTE_BYTES + 1), [verifier(LOG)])


def test_bytes_that_are_not_utf8_are_no_note():
    with pytest.raises(MalformedError):
        open_note(sign_note(TEXT, [LOG]).encode().replace(b"text", b"te\xff"), [verifier(LOG)])


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\nb", "a\x1fb", "\ud800"])
def test_a_name_fits_into_its_line(name):
    with pytest.raises(MalformedError):
        NoteSigner(name, bytes(32))


def test_a_verifier_key_round_trips():
    assert verifier(LOG).vkey == LOG.vkey
    assert read_note(sign_note(TEXT, [LOG]), [verifier(LOG)]).signatures[0].time is None


def test_the_seed_is_not_shown():
    assert bytes(range(32)).hex() not in repr(LOG)
    assert LOG.vkey in repr(LOG)
