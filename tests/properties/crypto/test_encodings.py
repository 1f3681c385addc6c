"""Every parser takes exactly what its formatter writes."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import canonical
from crypto.blind_index import BlindIndex, normalise
from crypto.encoding import b64_decode, b64_encode, b64u_decode, b64u_encode, lp16
from crypto.errors import CryptoError, MalformedError
from crypto.ids import new_id

base64_like = st.text(alphabet="ABCQgwxyz019-_+/= \n", max_size=20)
integers = st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
ascii_keys = st.text(alphabet=st.characters(max_codepoint=127), max_size=8)
canonical_values = st.recursive(
    st.booleans() | integers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_keys, inner, max_size=4),
    max_leaves=20,
)
json_values = st.recursive(
    st.none() | st.booleans() | integers | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(data=st.binary(max_size=100))
def test_base64_round_trips(data):
    assert b64u_decode(b64u_encode(data)) == data
    assert b64_decode(b64_encode(data)) == data
    assert b64u_encode(data) == base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@given(text=base64_like)
def test_base64url_has_one_spelling(text):
    try:
        data = b64u_decode(text)
    except MalformedError:
        return
    assert b64u_encode(data) == text


@given(text=base64_like)
def test_base64_has_one_spelling(text):
    try:
        data = b64_decode(text)
    except MalformedError:
        return
    assert b64_encode(data) == text


@given(one=st.lists(st.binary(max_size=20), max_size=4), two=st.lists(st.binary(max_size=20), max_size=4))
def test_prefixed_parts_cannot_be_read_in_two_ways(one, two):
    assert (b"".join(map(lp16, one)) == b"".join(map(lp16, two))) == (one == two)


@given(value=canonical_values)
def test_canonical_json_round_trips(value):
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert json.loads(data) == value


@given(value=canonical_values)
def test_no_other_spelling_of_a_value_is_canonical(value):
    data = canonical.encode(value)
    for spelling in (
        json.dumps(value, sort_keys=True).encode(),
        json.dumps(value, indent=1).encode(),
        json.dumps(value, separators=(",", ":")).encode(),
        data + b"\n",
    ):
        if spelling != data:
            with pytest.raises(MalformedError):
                canonical.decode(spelling)


@given(data=st.binary(max_size=60))
def test_only_canonical_bytes_are_decoded(data):
    try:
        value = canonical.decode(data)
    except MalformedError:
        return
    assert canonical.encode(value) == data


@given(value=json_values)
def test_the_safe_loader_reads_what_is_unambiguous(value):
    assert canonical.load_json(json.dumps(value), max_bytes=10**6) == value
    assert canonical.load_json(json.dumps(value, ensure_ascii=False).encode(), max_bytes=10**6) == value


@given(text=st.text(alphabet='{}[]",:0123456789.eE+-truefalsn\\ud8 ', max_size=40))
def test_the_safe_loader_fails_in_one_way_only(text):
    try:
        value = canonical.load_json(text, max_bytes=1000, allow_float=True)
    except MalformedError:
        return
    assert value == json.loads(text)


@given(text=st.text(max_size=30))
def test_normalising_twice_changes_nothing(text):
    try:
        once = normalise(text)
    except MalformedError:
        return
    assert normalise(once) == once
    assert normalise(f" {text}-") == once


@given(text=st.text(max_size=30))
def test_an_identifier_is_indexed_or_refused(text):
    index = BlindIndex(key=bytes(32), version=1, table="t", column="c")
    try:
        assert len(index.compute("scheme", text)) == 16
    except CryptoError:
        assert not text


@given(now=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # given its zone beside
def test_an_id_holds_its_time(now):
    made = new_id(now)
    assert made.int >> 80 == (now - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    assert UUID(str(made)).version == 7
