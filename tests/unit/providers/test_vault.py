"""Sealed values: exact plaintext, round trip, one length, one place."""

from types import SimpleNamespace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.canonical import decode
from crypto.envelope import LocalKeyWrapper
from crypto.errors import DecryptionError, MalformedError, UnknownKeyError
from crypto.fields import DataKey, row_binding
from exchange.keyring import Keyring
from exchange.model import HeldValue
from exchange.providers.vault import absent, column_of, decode_value, encode_value, open_values, seal_value

INSTALLATION, PERSON, RECORD = (UUID(int=n) for n in (1, 2, 3))
KEY = DataKey(bytes(range(32)))
KEYRING = Keyring(LocalKeyWrapper(bytes(32)), installation_id=INSTALLATION)


def row(held: HeldValue, **changes: object) -> SimpleNamespace:
    binding = row_binding(subject_ref=PERSON, record_id=RECORD, version=1)
    sealed = seal_value(encode_value(held), key=KEY, column=column_of(INSTALLATION, held.name), row=binding)
    made = {
        "attribute": held.name,
        "provider": held.provider,
        "record_id": RECORD,
        "version": 1,
        "ct": sealed,
    }
    return SimpleNamespace(**(made | changes))


def value(content: object = "Anna", **more: object) -> HeldValue:
    return HeldValue(name="full_name", provider="register", state="present", value=content, **more)


@pytest.mark.parametrize(
    ("held", "plaintext"),
    [
        (absent("full_name", "register"), b'{"state":"absent"}'),
        (value(), b'{"state":"present","value":"Anna"}'),
        (value({"code": "F", "label": "female"}), b'{"code":"F","label":"female","state":"present"}'),
        (value(False), b'{"state":"present","value":false}'),
        (
            value(7, last_updated="2026-01-31", valid_until="2027-01-31", assurance="high", source_class="self"),
            b'{"assurance":"high","last_updated":"2026-01-31","source_class":"self","state":"present",'
            b'"valid_until":"2027-01-31","value":7}',
        ),
    ],
)
def test_the_plaintext_of_a_value_never_changes(held, plaintext):
    assert encode_value(held) == plaintext
    decode(plaintext)  # canonical
    assert decode_value(plaintext, held.name, held.provider) == held


@given(
    st.one_of(
        st.booleans(),
        st.integers(-(2**53) + 1, 2**53 - 1),
        st.text(st.characters(codec="utf-8"), min_size=1),
        st.fixed_dictionaries({"code": st.text(min_size=1), "label": st.text(min_size=1)}).filter(
            lambda one: all(text.isprintable() for text in one.values())
        ),
    )
)
def test_every_value_comes_back(content):
    held = value(content)
    assert open_values(KEYRING, PERSON, [row(held)], {KEY.kid: KEY}) == {"full_name": held}
    decode(encode_value(held))


def test_absence_a_name_and_a_dated_value_are_equally_long():
    kinds = (absent("full_name", "register"), value(), value("A longer name", last_updated="2026-01-31"))
    assert {len(row(held).ct) for held in kinds} == {174}


@pytest.mark.parametrize("change", [{"attribute": "birth_date"}, {"version": 2}, {"record_id": UUID(int=9)}], ids=str)
def test_a_value_opens_in_its_own_place_only(change):
    with pytest.raises(DecryptionError):
        open_values(KEYRING, PERSON, [row(value(), **change)], {KEY.kid: KEY})
    other = Keyring(LocalKeyWrapper(bytes(32)), installation_id=UUID(int=7))
    for keyring, person in ((other, PERSON), (KEYRING, UUID(int=8))):
        with pytest.raises(DecryptionError):
            open_values(keyring, person, [row(value())], {KEY.kid: KEY})


def test_a_value_under_a_key_that_is_not_there_names_the_missing_key():
    with pytest.raises(UnknownKeyError):
        open_values(KEYRING, PERSON, [row(value())], {})


@pytest.mark.parametrize("plaintext", [b"", b"[]", b"{}", b"\xff", b'{"state":"present","code":"F"}'])
def test_a_plaintext_of_another_form_is_malformed(plaintext):
    with pytest.raises(MalformedError):
        decode_value(plaintext, "full_name", "register")
