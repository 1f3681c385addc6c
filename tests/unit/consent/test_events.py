"""What is stored: one spelling, nothing unknown, nothing missing, and the exact bytes stay as they are."""

import hashlib
from dataclasses import replace
from uuid import UUID

import pytest

from consent.events import MEMBERS, ConsentEvent, Content
from consent.events import EventType as E
from consent.model import ActorKind
from crypto import canonical
from crypto.errors import MalformedError
from tests.unit.consent.examples import (
    ACTORS,
    AGREEMENT,
    CONSENT,
    CONTENTS,
    DAY,
    MANNER,
    NOW,
    PAPER,
    TERMS,
    event,
)

FULL = {
    E.REQUESTED: replace(CONTENTS[E.REQUESTED], terms=replace(TERMS, uses=4), replaces=AGREEMENT),
    E.GIVEN: replace(CONTENTS[E.GIVEN], uses=4, replaces=AGREEMENT, manner=PAPER),
    E.REFUSED: Content(manner=PAPER, reason="too-much"),
    E.WITHDRAWN: Content(manner=MANNER, reason="moved"),
    E.PAUSED: Content(manner=MANNER, reason="restore"),
    E.RESUMED: Content(manner=MANNER, reason="restore"),
    E.CANCELLED: Content(reason="mistake"),
}
EXACT = (
    b'{"actor":{"kind":"representative","mandate":"mandate-3","ref":"parent-7"},"at":1772443800123,'
    b'"consent":"018f4e6a-0000-7000-8000-0000000000c1","legal_basis":"consent","manner":{"language":"en",'
    b'"method":"portal","notice_version":"housing-2026.1"},"scope":[{"form":"at_least","name":"income",'
    b'"required":true}],"seq":2,"type":"GIVEN","uses":4,"v":1,"valid_from":1772443800123,"valid_until":1780219800123}'
)


@pytest.mark.parametrize("kind", E)
@pytest.mark.parametrize("contents", [CONTENTS, CONTENTS | FULL])
def test_what_is_written_is_read(kind, contents):
    for actor in ACTORS.values():
        written = event(kind, 3, actor=actor, content=contents[kind])
        read = ConsentEvent.read(written.body, entry_id=written.entry_id)
        assert read == written
        assert (read.consent_id, read.seq, read.type, read.at) == (CONSENT, 3, kind, NOW)
        assert (read.actor, read.content) == (actor, contents[kind])


def test_exact_bytes():
    given = event(E.GIVEN, 2, actor=ACTORS[ActorKind.REPRESENTATIVE], content=replace(CONTENTS[E.GIVEN], uses=4))
    assert given.body == EXACT
    assert given.digest == hashlib.sha256(EXACT).hexdigest()


def test_the_giving_stores_notice_language_method_and_actor():
    stored = canonical.decode(EXACT)
    assert stored["manner"] == {"language": "en", "method": "portal", "notice_version": "housing-2026.1"}
    assert stored["actor"] == {"kind": "representative", "mandate": "mandate-3", "ref": "parent-7"}


@pytest.mark.parametrize("kind", E)
def test_each_member_that_must_stand_is_missed(kind):
    body = canonical.decode(event(kind, 1, content=(CONTENTS | FULL)[kind]).body)
    must = MEMBERS[kind][0] | {"v", "consent", "seq", "type", "at", "actor"}
    for name in must:
        without = canonical.encode({key: value for key, value in body.items() if key != name})
        with pytest.raises(MalformedError):
            ConsentEvent.read(without, entry_id=CONSENT)
        if name in MEMBERS[kind][0]:
            with pytest.raises(ValueError, match="not a"):
                event(kind, 1, content=replace(CONTENTS[kind], **{name: None}))


@pytest.mark.parametrize("kind", E)
def test_members_of_other_types_are_refused(kind):
    foreign = {
        "terms": TERMS, "deadline": NOW, "scope": TERMS.scope, "valid_from": NOW, "valid_until": NOW, "uses": 1,
        "legal_basis": TERMS.legal_basis, "manner": MANNER, "reason": "why",
        "replaces": CONSENT, "replaced_by": CONSENT,
    }  # fmt: skip
    for name in foreign.keys() - (MEMBERS[kind][0] | MEMBERS[kind][1]):
        with pytest.raises(ValueError, match="not a"):
            event(kind, 1, content=replace(CONTENTS[kind], **{name: foreign[name]}))


def changed(body, *path, to):
    value = canonical.decode(body)
    place = value
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = to
    return canonical.encode(value)


BODY = event(E.REQUESTED, 1, content=FULL[E.REQUESTED]).body
GIVEN = event(E.GIVEN, 2, content=FULL[E.GIVEN]).body


@pytest.mark.parametrize(
    ("fault", "body"),
    [
        ("not JSON", b"GIVEN"),
        ("not an object", b"[]"),
        ("a number", b"1"),
        ("empty", b""),
        ("white space", BODY.replace(b":", b": ", 1)),
        ("other order", b'{"v":1,' + BODY[1:-7] + b"}"),
        ("another version", changed(BODY, "v", to=2)),
        ("version true", changed(BODY, "v", to=True)),
        ("seq 0", changed(BODY, "seq", to=0)),
        ("seq true", changed(BODY, "seq", to=True)),
        ("unknown type", changed(BODY, "type", to="FORGOTTEN")),
        ("unknown member", changed(BODY, "note", to="hello")),
        ("unknown member below", changed(BODY, "terms", "note", to="hello")),
        ("unknown member of the actor", changed(BODY, "actor", "name", to="Anna")),
        ("unknown member of the scope", changed(BODY, "terms", "scope", 0, "value", to="1")),
        ("id in capitals", changed(BODY, "consent", to=str(CONSENT).upper())),
        ("id in braces", changed(BODY, "consent", to="{" + str(CONSENT) + "}")),
        ("id a number", changed(BODY, "consent", to=1)),
        ("time as text", changed(BODY, "at", to="2026-03-02")),
        ("time too late", changed(BODY, "at", to=2**53 - 1)),
        ("empty scope", changed(BODY, "terms", "scope", to=[])),
        ("scope out of order", changed(BODY, "terms", "scope", to=canonical.decode(BODY)["terms"]["scope"][::-1])),
        ("required as number", changed(BODY, "terms", "scope", 0, "required", to=1)),
        ("uses 0", changed(BODY, "terms", "uses", to=0)),
        ("uses true", changed(BODY, "terms", "uses", to=True)),
        ("by law", changed(BODY, "terms", "legal_basis", to="public_task")),
        ("unknown actor", changed(BODY, "actor", "kind", to="admin")),
        ("free words", changed(event(E.CANCELLED, 2, content=FULL[E.CANCELLED]).body, "reason", to="Anna moved")),
        ("unknown method", changed(GIVEN, "manner", "method", to="telepathy")),
        ("one clerk", changed(GIVEN, "manner", "paper", "second", to="clerk-1")),
        ("paper empty", changed(GIVEN, "manner", "paper", to={})),
    ],
)  # fmt: skip
def test_bodies_that_are_refused(fault, body):
    with pytest.raises(MalformedError):
        ConsentEvent.read(body, entry_id=CONSENT)


def test_one_more_day_is_another_digest():
    one = event(E.GIVEN, 2)
    other = event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], valid_until=NOW + 91 * DAY))
    assert one.digest != other.digest
    assert one.digest == event(E.GIVEN, 2).digest


def test_the_entry_is_no_part_of_the_body():
    other = UUID("018f4e6a-0000-7000-8000-0000000000e2")
    assert ConsentEvent.read(EXACT, entry_id=other).digest == ConsentEvent.read(EXACT, entry_id=CONSENT).digest
