from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from crypto import canonical
from crypto.errors import MalformedError
from crypto.ids import new_id
from exchange.audit.commitments import check_openings, parse_openings
from exchange.audit.entry import decode_entry, match_entry, prepare
from exchange.audit.entry_batch import malformed_entries, read_entries
from exchange.audit.proof_file import ProofFile, format_proof, parse_proof
from exchange.audit.tiles import decode_bundle, encode_bundle, index_path, parse_index_path
from exchange.events import Concerned, Event, EventType, Outcome
from tests.unit.audit.samples import OPERATOR, an_entry
from tests.unit.audit.test_entry import MUST_FAIL

codes = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True)
texts = st.text(st.characters(codec="utf-8"), max_size=200)
details = st.dictionaries(
    st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True),
    st.text(
        st.characters(codec="utf-8", categories=["L", "N", "P", "S"], exclude_characters="{}"), min_size=1, max_size=40
    ),
    max_size=5,
)
times = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # zone given
events = st.builds(
    Event,
    type=st.sampled_from(EventType),
    org=codes,
    outcome=st.sampled_from(Outcome),
    purpose=st.none() | codes,
    request=st.none() | st.uuids(),
    detail=details,
    subject_ref=st.none() | st.uuids(),
    facts=st.dictionaries(texts, texts, max_size=20),
)


@given(events, times)
def test_every_valid_event_makes_an_entry_that_says_the_same(event, now):
    prepared = prepare(event, entry_id=new_id(now), now=now, operator_ref=OPERATOR)
    entry = decode_entry(prepared.body)
    assert canonical.encode(canonical.decode(prepared.body)) == prepared.body
    assert (entry.type, entry.org, entry.outcome) == (event.type, event.org, event.outcome)
    assert (entry.purpose, entry.request, entry.detail) == (event.purpose, event.request, event.detail)
    assert entry.at == now.replace(microsecond=now.microsecond // 1000 * 1000)
    openings = parse_openings(prepared.sealings[0].openings)
    check_openings(entry, openings)
    assert openings.values() == event.facts
    assert openings.subject_ref == event.subject_ref
    assert malformed_entries([prepared.body]) == []


owners = st.lists(
    st.builds(
        Concerned,
        owner_ref=st.uuids(),
        facts=st.dictionaries(texts, texts, max_size=12),
        has_history=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda one: one.owner_ref,
).map(tuple)


@given(events, owners, times, st.none() | times, st.none() | times)
def test_each_owner_of_an_entry_opens_their_own_facts_and_no_other(event, also, now, until, others_until):
    subject = event.subject_ref
    also = tuple(
        replace(one, visible_from=others_until if one.has_history else None) for one in also if one.owner_ref != subject
    )
    event = replace(event, also=also, visible_from=None if subject is None else until)
    prepared = prepare(event, entry_id=new_id(now), now=now, operator_ref=OPERATOR)
    entry = decode_entry(prepared.body)
    assert entry.sealings == len(prepared.sealings) == 1 + len(also)
    assert len(entry.commitments) == max(8, -(-sum(map(len, [event.facts, *(one.facts for one in also)])) // 8) * 8)
    assert malformed_entries([prepared.body]) == []
    seen = []
    expected = [(subject or OPERATOR, subject, event.facts, event.visible_from)]
    expected += [
        (one.owner_ref, one.owner_ref if one.has_history else None, one.facts, one.visible_from) for one in also
    ]
    for sealing, (owner, history, facts, hidden) in zip(prepared.sealings, expected, strict=True):
        openings = parse_openings(sealing.openings)
        assert canonical.encode(canonical.decode(sealing.openings)) == sealing.openings
        check_openings(entry, openings)
        assert sealing.owner_ref == owner
        assert sealing.subject_ref == openings.subject_ref == history
        assert openings.values() == facts
        whole = None if hidden is None else hidden.replace(microsecond=hidden.microsecond // 1000 * 1000)
        assert openings.visible_from == whole
        seen += [fact.index for fact in openings.facts]
    assert len(set(seen)) == len(seen)


SOUND = [an_entry().body for _ in range(5)] + [an_entry(request=None, purpose=None, detail={"a": "b"}).body]


def is_entry(body: bytes) -> bool:
    try:
        match_entry(body)
    except MalformedError:
        return False
    return True


@given(st.integers(0, 5), st.integers(0, 700), st.binary(min_size=1, max_size=3))
@example(0, 7, b"g")
def test_many_entries_at_once_are_judged_like_each_alone(which, position, spoilt):
    bodies = SOUND.copy()
    body = bodies[which]
    bodies[which] = body[:position] + spoilt + body[position + len(spoilt) :]
    expected = [index for index, one in enumerate(bodies) if not is_entry(one)]
    assert [index for index, _ in malformed_entries(bodies)] == expected


def judged_slowly(bundle: bytes, count: int) -> object:
    try:
        bodies = decode_bundle(bundle, count)
    except MalformedError:
        return None
    return bodies, [index for index, one in enumerate(bodies) if not is_entry(one)]


@given(st.integers(0, 4000), st.integers(0, 3), st.binary(max_size=3), st.integers(-1, 1))
@example(0, 0, b"x", 0)
@example(4000, 0, b"x", 0)
@example(4000, 0, b"", 1)
def test_a_bundle_is_read_like_entry_by_entry(position, removed, spoilt, more):
    bundle = encode_bundle(SOUND)
    bundle = bundle[:position] + spoilt + bundle[position + removed :]
    count = len(SOUND) + more
    try:
        bodies, faults = read_entries(bundle, count)
    except MalformedError:
        assert judged_slowly(bundle, count) is None
    else:
        assert judged_slowly(bundle, count) == (list(bodies), [index for index, _ in faults])


def test_entries_with_a_known_fault_are_found_among_others():
    for name, body in MUST_FAIL.items():
        assert [index for index, _ in malformed_entries([*SOUND, body, *SOUND])] == [len(SOUND)], name


@given(st.integers(0, 5), st.integers(0, 10_000), st.integers(0, 7))
def test_any_flipped_bit_makes_another_leaf(which, position, bit):
    body = bytearray(SOUND[which])
    body[position % len(body)] ^= 1 << bit
    changed = bytes(body)
    assert not is_entry(changed) or decode_entry(changed).leaf_hash != decode_entry(SOUND[which]).leaf_hash


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_bundles_round_trip(bodies):
    assert decode_bundle(encode_bundle(bodies), len(bodies)) == bodies


@given(st.binary(max_size=200), st.integers(0, 20))
def test_a_bundle_of_strange_bytes_is_refused_or_is_the_only_one_of_them(data, count):
    try:
        bodies = decode_bundle(data, count)
    except MalformedError:
        return
    assert encode_bundle(bodies) == data


@given(st.integers(0, 2**60), st.integers(1, 256))
def test_paths_of_tiles_round_trip(n, width):
    assert parse_index_path(index_path(n, width)) == (n, width)


@given(st.text("x0123456789/.p", max_size=20))
def test_a_path_has_one_spelling(path):
    try:
        n, width = parse_index_path(path)
    except MalformedError:
        return
    assert index_path(n, width) == path


proof_files = st.builds(
    ProofFile,
    index=st.integers(0, 2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=64).map(tuple),
    checkpoint=st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=200),
    extra=st.none() | st.binary(max_size=100),
)


@given(proof_files)
def test_proof_files_round_trip(proof):
    assert parse_proof(format_proof(proof)) == proof
