"""The journal's format: what is kept, what never is, and that no batch is ever a checkpoint."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import canonical
from crypto.checkpoint import parse_checkpoint
from crypto.errors import MalformedError
from exchange.audit import journal
from exchange.audit.journal import Batch, body_of, format_batch, format_end, parse_batch, parse_end, split_notes
from exchange.events import Event, EventType
from tests.unit.audit.samples import NOW

ENTRY = UUID("0195587a-0000-7000-8000-000000000009")
PERSON = UUID("7f1f6a0e-3a70-4f0e-8a3a-0d1c2b3a4f5e")
CONSENT = "0195587a-0000-7000-8000-00000000000c"
ENDS = ["refused", "withdrawn", "cancelled", "used_up", "terminated", "invalidated", "superseded"]


def line(kind, **members):
    event = Event(type=EventType(kind), org="cdx", **members)
    body = body_of(event, entry_id=ENTRY, at=NOW)
    return None if body is None else canonical.decode(body)


@pytest.mark.parametrize("end", ENDS)
def test_the_end_of_a_consent_is_kept_by_its_id_and_nothing_else_of_it(end):
    facts = {"consent": CONSENT, "consent_event": "ab" * 32, "actor": "subject:x"}
    said = line(f"consent.{end}", subject_ref=PERSON, facts=facts)
    assert said.keys() == {"at", "entry", "kind", "consent"}
    assert said["consent"] == CONSENT


@pytest.mark.parametrize("kind", ["consent.given", "consent.expired", "attribute.disclosed", "subject.written"])
def test_what_an_older_database_may_forget_or_knows_by_the_clock_is_not_kept(kind):
    assert line(kind, subject_ref=PERSON, facts={"consent": CONSENT, "values": "{}"}) is None


def test_people_parties_agreements_and_keys():
    assert line("subject.erased", facts={"openings": "3", "subject": str(PERSON)})["subject"] == str(PERSON)
    status = line("subject.status_changed", subject_ref=PERSON, facts={"from": "ACTIVE", "to": "PROTECTED"})
    assert (status["subject"], status["status"]) == (str(PERSON), "PROTECTED")
    client = line("client.status_changed", detail={"client": "c-1", "agency": "tax", "status": "SUSPENDED"})
    assert (client["client"], client["status"]) == ("c-1", "SUSPENDED")
    assert line("agreement.ended", detail={"agreement": "a-1", "digest": "x"}, facts={"by": "officer"}).keys() == {
        "at",
        "entry",
        "kind",
        "agreement",
    }
    assert line("key.verifier_retired", detail={"use": "log", "key": "k"})["key"] == "k"


LINES = st.lists(
    st.builds(
        lambda consent: body_of(
            Event(type=EventType.CONSENT_WITHDRAWN, org="cdx", facts={"consent": str(consent)}), entry_id=ENTRY, at=NOW
        ),
        st.uuids(),
    ),
    min_size=1,
    max_size=5,
)


@given(
    number=st.integers(1, 2**40),
    origin=st.one_of(st.just("log.example/cdx"), st.integers(0, 10**18).map(str)),
    previous=st.binary(min_size=32, max_size=32),
    lines=LINES,
)
def test_a_batch_is_read_as_it_was_written_and_never_as_a_checkpoint(number, origin, previous, lines):
    batch = Batch(number=number, origin=origin, previous=previous, at=NOW, lines=tuple(lines))
    text = format_batch(batch)
    assert parse_batch(text) == batch
    assert [record.entry for record in batch.records()] == [ENTRY] * len(lines)
    end = format_end(number, origin, previous)
    assert parse_end(end) == (number, previous)
    for signed in (text, end):
        with pytest.raises(MalformedError):
            parse_checkpoint(signed)
    with pytest.raises(MalformedError):
        parse_batch(end)
    with pytest.raises(MalformedError):
        parse_end(text)


@given(
    notes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    cut=st.integers(0, 400),
)
def test_a_file_that_was_cut_anywhere_gives_the_notes_that_are_whole(notes, cut):
    written = [f"{journal.BATCH}\nbatch {number}\n\n— name {'A' * number}=\n" for number in notes]
    data = "".join(written)[:cut]
    whole, rest = split_notes(data)
    assert "".join(whole) + rest == data
    complete = sum(len("".join(written[: position + 1])) <= len(data) for position in range(len(written)))
    assert list(whole[:complete]) == written[:complete]


@pytest.mark.parametrize(
    "body",
    [
        b'{"at":1764000000000,"entry":"no","kind":"consent.withdrawn"}',
        b'{"at":1764000000000,"entry":"0195587a-0000-7000-8000-000000000009","kind":"future.kind"}',
        b"[]",
        b"{}",
    ],
)
def test_a_line_that_is_not_understood_is_refused(body):
    batch = Batch(number=1, origin="o", previous=bytes(32), at=NOW, lines=(body,))
    with pytest.raises(MalformedError):
        batch.records()
