from dataclasses import FrozenInstanceError, replace
from threading import Thread
from uuid import UUID

import pytest

from crypto.errors import DecryptionError, MalformedError, UnknownKeyError
from crypto.fields import (
    MAX_VALUE_BYTES,
    OVERHEAD_BYTES,
    DataKey,
    FieldAddress,
    FieldContext,
    open_field,
    row_binding,
    seal_field,
    sealed_kid,
)

KEY = DataKey.generate()
ADDRESS = FieldAddress(
    installation=UUID(int=1),
    table="subject_attribute",
    column="value",
    subject_ref=UUID(int=2),
    record_id=UUID(int=3),
    version=4,
)


def test_a_sealed_value_opens_and_is_never_the_same():
    first, second = seal_field(KEY, b"x", address=ADDRESS), seal_field(KEY, b"x", address=ADDRESS)
    assert first != second
    assert open_field(KEY, first, address=ADDRESS) == open_field(KEY, second, address=ADDRESS) == b"x"


@pytest.mark.parametrize("length", [*range(50), 255, 256, 257, 4096])
@pytest.mark.parametrize("pad_to", [16, 32, 64, 128, 256])
def test_the_length_is_hidden_up_to_the_padding(length, pad_to):
    value = bytes([0x80]) * length
    sealed = seal_field(KEY, value, address=ADDRESS, pad_to=pad_to)
    assert (len(sealed) - OVERHEAD_BYTES) % pad_to == 0
    assert length + 2 <= len(sealed) - OVERHEAD_BYTES < length + 2 + pad_to
    assert open_field(KEY, sealed, address=ADDRESS) == value


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00" * 31, b"\x80", b"\x80\x00\x00", b"\x01", b"a\x80"])
def test_values_that_look_like_padding_come_back_unchanged(value):
    assert open_field(KEY, seal_field(KEY, value, address=ADDRESS), address=ADDRESS) == value


@pytest.mark.parametrize(
    "change",
    [
        {"installation": UUID(int=9)},
        {"table": "subject_identifier"},
        {"column": "label"},
        {"table": "subject_attributev", "column": "alue"},
        {"subject_ref": UUID(int=9)},
        {"record_id": UUID(int=9)},
        {"subject_ref": UUID(int=3), "record_id": UUID(int=2)},
        {"version": 5},
        {"version": 0},
    ],
    ids=str,
)
def test_a_value_opens_in_its_own_place_only(change):
    sealed = seal_field(KEY, b"x", address=ADDRESS)
    with pytest.raises(DecryptionError):
        open_field(KEY, sealed, address=replace(ADDRESS, **change))


def test_another_key_is_told_from_damage():
    sealed = seal_field(KEY, b"x", address=ADDRESS)
    with pytest.raises(UnknownKeyError):
        open_field(DataKey.generate(), sealed, address=ADDRESS)


def test_a_field_under_a_forged_kid_does_not_open():
    # The name of our key in front of what another key sealed.
    other = DataKey.generate()
    sealed = seal_field(other, b"x", address=ADDRESS)
    with pytest.raises(DecryptionError):
        open_field(KEY, sealed[:2] + KEY.kid + sealed[18:], address=ADDRESS)


def test_the_kid_is_readable_without_a_key():
    assert sealed_kid(seal_field(KEY, b"x", address=ADDRESS)) == KEY.kid == KEY.commitment[:16]


@pytest.mark.parametrize("sealed", [b"", b"\xc1", b"\xc1\x01", b"\xc1\x01" + bytes(59), b"\xc1\x01" + bytes(61)])
def test_what_is_no_field_is_malformed_for_every_reader(sealed):
    with pytest.raises(MalformedError):
        sealed_kid(sealed)
    with pytest.raises(MalformedError):
        open_field(KEY, sealed, address=ADDRESS)
    with pytest.raises(MalformedError):
        open_field(KEY, (b"\xc1\x01" + KEY.kid + sealed)[:60], address=ADDRESS)


@pytest.mark.parametrize("pad_to", [0, 1, 8, 17, 512, -16, None, "16"])
def test_only_some_paddings_exist(pad_to):
    with pytest.raises(MalformedError, match="pad_to"):
        seal_field(KEY, b"x", address=ADDRESS, pad_to=pad_to)


def test_a_value_may_be_large_but_not_huge():
    value = bytes(MAX_VALUE_BYTES)
    assert open_field(KEY, seal_field(KEY, value, address=ADDRESS), address=ADDRESS) == value
    with pytest.raises(MalformedError):
        seal_field(KEY, value + b"x", address=ADDRESS)


@pytest.mark.parametrize("version", [-1, 2**32, True, 1.0, "1", None])
def test_a_version_is_an_integer_of_32_bits(version):
    with pytest.raises(MalformedError):
        row_binding(subject_ref=UUID(int=1), record_id=UUID(int=2), version=version)
    with pytest.raises(MalformedError):
        replace(ADDRESS, version=version)


@pytest.mark.parametrize("name", ["x" * 65_536, "\ud800"])
def test_a_name_that_no_prefix_can_carry_is_refused(name):
    with pytest.raises(MalformedError):
        replace(ADDRESS, table=name)
    with pytest.raises(MalformedError):
        FieldContext(installation=UUID(int=1), table="t", column=name)


@pytest.mark.parametrize("material", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_data_key_has_32_bytes(material):
    with pytest.raises(MalformedError):
        DataKey.from_bytes(material)


def test_generated_keys_differ():
    assert DataKey.generate().commitment != DataKey.generate().commitment


def test_no_representation_shows_a_key():
    shown = repr(KEY) + str(KEY)
    assert KEY.material().hex() not in shown
    assert repr(KEY.material()) not in shown
    assert KEY.kid.hex() in shown
    assert "FieldContext(table='t'" in repr(FieldContext(installation=UUID(int=1), table="t", column="c"))
    assert "_binding" not in repr(ADDRESS)


def test_an_address_cannot_be_changed_in_place():
    with pytest.raises(FrozenInstanceError):
        ADDRESS.version = 5
    assert replace(ADDRESS) == ADDRESS
    assert hash(ADDRESS) == hash(replace(ADDRESS))


def test_one_key_serves_many_threads():
    context = FieldContext(installation=UUID(int=1), table="t", column="c")
    row = row_binding(subject_ref=UUID(int=2), record_id=UUID(int=3), version=1)
    failures = []

    def seal_and_open(number):
        for _ in range(500):
            value = str(number).encode()
            if context.open(KEY, context.seal(KEY, value, row), row) != value:
                failures.append(number)

    threads = [Thread(target=seal_and_open, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
