import hashlib
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from crypto import canonical
from crypto.encoding import b64u_encode
from crypto.errors import MalformedError, VerificationError
from exchange.audit import commitments
from exchange.audit.commitments import Opening, check_opening, check_openings, parse_openings
from exchange.audit.entry import MAX_BODY, decode_entry, prepare
from exchange.errors import AuditError
from exchange.events import EventType
from tests.unit.audit.samples import ENTRY, NOW, OPERATOR, REQUEST, SUBJECT, an_entry, an_event

# The exact bytes of an entry whose random bytes are 0x00, 0x01, 0x02 …: they may never change.
VECTOR = (
    b'{"id":"0195587a-1111-7222-8333-444444444444","n":"AAECAwQFBgcICQoLDA0ODw",'
    b'"org":"tax","out":"permit","pur":"benefit.eligibility","req":"0195587a-5555-7666-8777-888888888888","sd":['
    b'"0NHS09TV1tfY2drb3N3e3-Dh4uPk5ebn6Onq6-zt7u8","8PHy8_T19vf4-fr7_P3-_wABAgMEBQYHCAkKCwwNDg8",'
    b'"UFFSU1RVVldYWVpbXF1eX2BhYmNkZWZnaGlqa2xtbm8","cHFyc3R1dnd4eXp7fH1-f4CBgoOEhYaHiImKi4yNjo8",'
    b'"kJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq8","lDg-cQO45VVCG2o_7fabQ3R1_4Hfi2F6qSYKaS9OjIg",'
    b'"sLGys7S1tre4ubq7vL2-v8DBwsPExcbHyMnKy8zNzs8","zx_xcfyvvBXBR-yPni86k3tq3KN6gUhQ3J7PZXFLyok"'
    b'],"ts":1772443800123,"typ":"attribute.disclosed","v":1}'
)


def counting(count: int) -> bytes:
    return bytes(number % 256 for number in range(count))


def rewrite(body: bytes, **changes: object) -> bytes:
    """The entry with members replaced (None: left out), canonically written."""
    members = json.loads(body) | changes
    return canonical.encode({name: value for name, value in members.items() if value is not None})


def test_an_entry_has_exactly_these_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commitments, "random_bytes", counting)
    entry = prepare(an_event(), entry_id=ENTRY, now=NOW, operator_ref=OPERATOR)

    salts = [counting(48)[16:], counting(80)[48:]]
    first = hashlib.sha256(b"cdx/sd/v1" + salts[0] + b"\x00\x07consent" + b"\x00\x03yes").digest()
    second = hashlib.sha256(b"cdx/sd/v1" + salts[1] + b"\x00\x07officer" + b"\x00\x04Zo\xc3\xab").digest()
    decoys = [counting(272)[start : start + 32] for start in range(80, 272, 32)]
    assert entry.body == VECTOR
    assert json.loads(VECTOR)["sd"] == sorted(b64u_encode(value) for value in (first, second, *decoys))
    assert entry.leaf_hash == hashlib.sha256(b"\x00" + VECTOR).digest()


def test_openings_have_exactly_these_members(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commitments, "random_bytes", counting)
    entry = prepare(an_event(), entry_id=ENTRY, now=NOW, operator_ref=OPERATOR)
    value = canonical.decode(entry.sealings[0].openings)
    assert set(value) == {"facts", "leaf", "subject"}
    assert value["leaf"] == entry.leaf_hash.hex()
    assert value["subject"] == str(SUBJECT)
    assert [(item["n"], item["v"]) for item in value["facts"]] == [("consent", "yes"), ("officer", "Zoë")]
    assert value["facts"][0]["s"] == b64u_encode(counting(48)[16:])
    assert canonical.encode(value) == entry.sealings[0].openings


def test_decoding_gives_back_what_was_prepared():
    prepared = an_entry(detail={"agency": "tax", "vkey": "a.example+1a2b3c4d+AbC/+=="})
    entry = decode_entry(prepared.body)
    assert (entry.id, entry.at, entry.type, entry.org) == (prepared.id, NOW, "attribute.disclosed", "tax")
    assert (entry.outcome, entry.purpose, entry.request) == ("permit", "benefit.eligibility", REQUEST)
    assert entry.detail == {"agency": "tax", "vkey": "a.example+1a2b3c4d+AbC/+=="}
    assert entry.leaf_hash == prepared.leaf_hash
    check_openings(entry, parse_openings(prepared.sealings[0].openings))


@pytest.mark.parametrize(("facts", "slots"), [(0, 8), (1, 8), (8, 8), (9, 16), (16, 16), (17, 24), (64, 64)])
def test_the_number_of_facts_shows_only_in_steps_of_eight(facts, slots):
    entry = an_entry(facts={f"f{number}": "x" for number in range(facts)})
    assert len(decode_entry(entry.body).commitments) == slots
    opened = parse_openings(entry.sealings[0].openings)
    assert len(opened.facts) == facts
    check_openings(decode_entry(entry.body), opened)


def test_an_entry_about_nobody_belongs_to_the_operator():
    entry = an_entry(subject_ref=None, facts={"openings": "3"})
    assert entry.sealings[0].subject_ref is None
    assert entry.sealings[0].owner_ref == OPERATOR
    assert parse_openings(entry.sealings[0].openings).subject_ref is None


def test_a_hidden_line_says_until_when_in_its_openings_and_nowhere_in_the_entry():
    until = datetime(2026, 4, 1, 12, 0, 0, 789_000, tzinfo=UTC)
    entry = an_entry(visible_from=until)
    value = canonical.decode(entry.sealings[0].openings)
    assert value["visible_from"] == 1775044800789
    assert canonical.encode(value) == entry.sealings[0].openings
    assert parse_openings(entry.sealings[0].openings).visible_from == until
    assert set(json.loads(entry.body)) == set(json.loads(an_entry().body))


def test_no_fact_shows_in_the_entry():
    entry = an_entry(facts={"income": "41000"})
    assert b"41000" not in entry.body
    assert b"income" not in entry.body
    assert str(SUBJECT).encode() not in entry.body
    assert "41000" not in repr(entry)


def test_two_entries_of_one_event_share_no_commitment():
    one, two = (decode_entry(an_entry().body) for _ in range(2))
    assert not set(one.commitments) & set(two.commitments)


@pytest.mark.parametrize(
    "changes",
    [
        {"org": "Tax"},
        {"org": ""},
        {"org": "a" * 65},
        {"org": 'tax"'},
        {"purpose": ""},
        {"purpose": "p" * 129},
        {"purpose": "a b"},
        {"detail": {"Agency": "x"}},
        {"detail": {"sealings": "2"}},
        {"subject_ref": None, "visible_from": NOW},
        {"detail": {"agency": ""}},
        {"detail": {"agency": "x" * 513}},
        {"detail": {"agency": "a\nb"}},
        {"detail": {"agency": "{}"}},
        {"detail": {"agency": "\ud800"}},
        {"detail": {f"d{number}": "x" for number in range(17)}},
        {"detail": {f"d{number}": "x" * 500 for number in range(10)}},
        {"facts": {f"f{number}": "x" for number in range(65)}},
        {"facts": {"f": "x" * 65_536}},
        {"facts": {"f": "\ud800"}},
        {"facts": {"\ud800": "x"}},
        {"facts": {"n" * 65_536: "x"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_event_that_no_entry_can_carry_is_refused(changes):
    with pytest.raises(AuditError):
        an_entry(**changes)


def test_an_id_that_is_no_uuid7_is_refused():
    with pytest.raises(AuditError, match="UUIDv7"):
        prepare(an_event(), entry_id=uuid4(), now=NOW, operator_ref=OPERATOR)


def test_the_longest_entry_still_fits():
    entry = an_entry(purpose="p" * 128, org="o" * 64, detail={"d": "x" * 512}, facts={f"f{n}": "x" for n in range(56)})
    assert len(entry.body) <= MAX_BODY
    decode_entry(entry.body)


BODY = an_entry(detail={"a": "1", "b": "2"}).body
PLAIN = an_entry().body
SLOTS = json.loads(PLAIN)["sd"]

MUST_FAIL = {
    "empty": b"",
    "not JSON": b"entry",
    "unknown member": rewrite(PLAIN, z="1"),
    "missing member": rewrite(PLAIN, n=None),
    "another version": rewrite(PLAIN, v=2),
    "a space": PLAIN.replace(b'","n"', b'", "n"'),
    "another order": b'{"v":1,' + PLAIN[1:].replace(b',"v":1}', b"}"),
    "a trailing newline": PLAIN + b"\n",
    "a duplicate member": PLAIN.replace(b',"v":1}', b',"v":1,"v":1}'),
    "an upper-case id": rewrite(PLAIN, id=json.loads(PLAIN)["id"].upper()),
    "an id of version 4": rewrite(PLAIN, id="0195587a-1111-4222-8333-444444444444"),
    "a time as text": rewrite(PLAIN, ts="1772443800123"),
    "a time of 1970": rewrite(PLAIN, ts=5),
    "an unknown letter in org": rewrite(PLAIN, org="Tax"),
    "a type without a colon or point": rewrite(PLAIN, typ="disclosed"),
    "a nonce that is too short": rewrite(PLAIN, n="AAAA"),
    "a nonce with trailing bits": rewrite(PLAIN, n="AAECAwQFBgcICQoLDA0ODx"),
    "no commitments": rewrite(PLAIN, sd=[]),
    "seven commitments": rewrite(PLAIN, sd=SLOTS[:7]),
    "nine commitments": rewrite(PLAIN, sd=[*SLOTS, "z" * 42 + "8"]),
    "descending commitments": rewrite(PLAIN, sd=SLOTS[::-1]),
    "the same commitment twice": rewrite(PLAIN, sd=[SLOTS[0], *SLOTS[:7]]),
    "a commitment that is too short": rewrite(PLAIN, sd=[*SLOTS[:7], SLOTS[7][:-1]]),
    "a commitment with trailing bits": rewrite(PLAIN, sd=[*SLOTS[:7], "z" * 42 + "9"]),
    "an empty d": PLAIN.replace(b'{"id"', b'{"d":{},"id"'),
    "a number in d": rewrite(PLAIN, d={"a": 1}),
    "an object in d": rewrite(PLAIN, d={"a": {}}),
    "unordered d": BODY.replace(b'{"a":"1","b":"2"}', b'{"b":"2","a":"1"}'),
    "duplicate in d": BODY.replace(b'{"a":"1","b":"2"}', b'{"a":"1","a":"2"}'),
    "an escape in d that needs none": BODY.replace(b'"a":"1"', b'"a":"\\u0031"'),
    "one sealing": rewrite(PLAIN, d={"sealings": "1"}),
    "seventeen sealings": rewrite(PLAIN, d={"sealings": "17"}),
    "sealings with a zero before": rewrite(PLAIN, d={"sealings": "02"}),
    "too long": rewrite(PLAIN, d={f"d{number}": "x" * 500 for number in range(9)}),
}


@pytest.mark.parametrize("body", MUST_FAIL.values(), ids=MUST_FAIL)
def test_an_entry_with_one_fault_is_refused(body):
    with pytest.raises(MalformedError):
        decode_entry(body)


def test_openings_of_another_entry_are_refused():
    one, two = an_entry(), an_entry()
    with pytest.raises(VerificationError, match="other bytes"):
        check_openings(decode_entry(one.body), parse_openings(two.sealings[0].openings))


@pytest.mark.parametrize(
    "change",
    [{"value": "no"}, {"name": "consen"}, {"salt": bytes(32)}, {"salt": b"short"}, {"index": -1}, {"index": 8}],
    ids=["value", "name", "salt", "short salt", "negative index", "index too large"],
)
def test_an_opening_with_one_fault_is_refused(change):
    entry = an_entry()
    real = parse_openings(entry.sealings[0].openings).facts[0]
    values = {"index": real.index, "name": real.name, "salt": real.salt, "value": real.value}
    with pytest.raises(VerificationError):
        check_opening(decode_entry(entry.body), Opening(**(values | change)))


def test_a_fact_does_not_open_the_place_of_another():
    entry = an_entry()
    first, second = parse_openings(entry.sealings[0].openings).facts
    moved = Opening(index=second.index, name=first.name, salt=first.salt, value=first.value)
    with pytest.raises(VerificationError):
        check_opening(decode_entry(entry.body), moved)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"[]",
        b"{}",
        b'{"facts":[],"leaf":"zz"}',
        b'{"facts":{},"leaf":""}',
        b'{"facts":[{}],"leaf":""}',
        b'{"facts":[],"leaf":"","subject":"x"}',
        b'{"facts":[],"leaf":"","x":"y"}',
        b'{"facts":[],"leaf":"","visible_from":5}',
        b'{"facts":[],"leaf":"","subject":"0195587a-0000-7000-8000-0000000000aa","visible_from":"5"}',
        b'{"facts":[],"leaf":"","subject":"0195587a-0000-7000-8000-0000000000aa","visible_from":true}',
        b'{"facts":[],"leaf":"","subject":"0195587a-0000-7000-8000-0000000000aa","visible_from":9007199254740991}',
        b'{"facts":[{"i":"0","n":"a","s":"","v":"b"}],"leaf":""}',
        b'{"facts":[{"i":0,"n":"a","s":"","v":1}],"leaf":""}',
        b'{"facts":[{"i":0,"n":"a","s":"","v":"1"},{"i":1,"n":"a","s":"","v":"2"}],"leaf":""}',
    ],
)
def test_openings_of_another_shape_are_refused(plaintext):
    with pytest.raises(MalformedError):
        parse_openings(plaintext)


def test_every_type_of_event_makes_a_valid_entry():
    for kind in EventType:
        assert decode_entry(an_entry(type=kind, subject_ref=UUID(int=0)).body).type == kind.value
