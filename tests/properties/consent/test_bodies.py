"""Stored bytes: every event round-trips, and no other bytes read as the same event."""

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from consent.events import ConsentEvent
from crypto.errors import MalformedError
from tests.properties.consent.strategies import histories


@given(histories())
def test_every_event_reads_as_it_was_written(events):
    for one in events:
        assert ConsentEvent.read(one.body, entry_id=one.entry_id) == one


@given(histories(), st.data())
def test_a_flipped_bit_is_refused_or_says_something_else(events, data):
    one = data.draw(st.sampled_from(events))
    place = data.draw(st.integers(0, len(one.body) * 8 - 1))
    spoiled = bytearray(one.body)
    spoiled[place // 8] ^= 1 << place % 8
    try:
        read = ConsentEvent.read(bytes(spoiled), entry_id=one.entry_id)
    except MalformedError:
        return
    assert read != one
    assert read.digest != one.digest
    assert read.body == bytes(spoiled)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_foreign_bytes_are_malformed_and_nothing_worse(data):
    try:
        ConsentEvent.read(data, entry_id=uuid4())
    except MalformedError:
        return
    raise AssertionError("no event is that short")


JSON = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "form", "kind"]), inner),
    max_leaves=5,
)


@given(histories(), JSON, st.data())
def test_any_value_in_any_place_is_malformed_and_nothing_worse(events, value, data):
    from crypto import canonical

    one = data.draw(st.sampled_from(events))
    body = canonical.decode(one.body)
    place = body
    while True:
        name = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[name], dict) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = value
    spoiled = canonical.encode(body)
    try:
        read = ConsentEvent.read(spoiled, entry_id=one.entry_id)
    except MalformedError:
        return
    assert read.body == spoiled
