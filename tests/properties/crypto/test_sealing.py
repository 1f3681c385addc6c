"""Whatever is sealed opens in its place, and nowhere else; one flipped bit is enough to fail."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.envelope import KeyEncryptionKey, LocalKeyWrapper, unwrap_kek, wrap_kek
from crypto.errors import CryptoError, DecryptionError, MalformedError, UnknownKeyError
from crypto.fields import DataKey, FieldAddress, FieldContext, open_field, row_binding, seal_field, sealed_kid
from crypto.keyset import KeyPurpose, KeyStatus, generate_keyset, open_keyset, seal_keyset
from crypto.xaes import XAES256GCM

keys = st.binary(min_size=32, max_size=32)
values = st.binary(max_size=300)
names = st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable())
numbers = st.integers(min_value=0, max_value=2**32 - 1)
addresses = st.builds(
    FieldAddress,
    installation=st.uuids(),
    table=names,
    column=names,
    subject_ref=st.uuids(),
    record_id=st.uuids(),
    version=numbers,
)


def flipped(data, bit):
    position = bit % (len(data) * 8)
    changed = bytearray(data)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


@given(key=keys, value=values, address=addresses, pad_to=st.sampled_from([16, 32, 64, 128, 256]))
def test_a_sealed_field_opens_in_its_place(key, value, address, pad_to):
    data_key = DataKey(key)
    sealed = seal_field(data_key, value, address=address, pad_to=pad_to)
    assert open_field(data_key, sealed, address=address) == value
    assert sealed_kid(sealed) == data_key.kid
    assert (len(sealed) - 46) % pad_to == 0
    context = FieldContext(installation=address.installation, table=address.table, column=address.column)
    row = row_binding(subject_ref=address.subject_ref, record_id=address.record_id, version=address.version)
    assert context.open(data_key, sealed, row) == value


@given(key=keys, value=values, here=addresses, there=addresses)
def test_a_sealed_field_opens_nowhere_else(key, value, here, there):
    assume(here != there)
    data_key = DataKey(key)
    with pytest.raises(DecryptionError):
        open_field(data_key, seal_field(data_key, value, address=here), address=there)


@given(key=keys, value=values, address=addresses, bit=st.integers(min_value=0))
def test_any_flipped_bit_of_a_field_fails(key, value, address, bit):
    data_key = DataKey(key)
    sealed = seal_field(data_key, value, address=address)
    with pytest.raises((DecryptionError, MalformedError, UnknownKeyError)):
        open_field(data_key, flipped(sealed, bit), address=address)


@given(one=keys, two=keys, value=values, address=addresses)
def test_another_key_never_opens_a_field(one, two, value, address):
    assume(one != two)
    sealed = seal_field(DataKey(one), value, address=address)
    with pytest.raises(UnknownKeyError):
        open_field(DataKey(two), sealed, address=address)


@given(data=st.binary(max_size=200))
def test_no_bytes_crash_the_opening_of_a_field(data):
    address = FieldAddress(
        installation=UUID(int=0), table="t", column="c", subject_ref=UUID(int=1), record_id=UUID(int=2), version=0
    )
    key = DataKey(bytes(32))
    for sealed in (data, b"\xc1\x01" + data, b"\xc1\x01" + key.kid + data):
        with pytest.raises(CryptoError):
            open_field(key, sealed, address=address)


@given(kek=keys, key=keys, epoch=numbers, subject=st.uuids(), bit=st.integers(min_value=0))
def test_a_wrapped_data_key_comes_back_unchanged_or_not_at_all(kek, key, epoch, subject, bit):
    key_encryption_key, data_key = KeyEncryptionKey(epoch=epoch, material=kek), DataKey(key)
    wrapped = key_encryption_key.wrap_data_key(data_key, subject_ref=subject)
    again = key_encryption_key.unwrap_data_key(wrapped, subject_ref=subject, commitment=data_key.commitment)
    assert again.material() == key
    with pytest.raises(DecryptionError):
        key_encryption_key.unwrap_data_key(flipped(wrapped, bit), subject_ref=subject, commitment=data_key.commitment)
    with pytest.raises(DecryptionError):
        key_encryption_key.unwrap_data_key(wrapped, subject_ref=subject, commitment=flipped(data_key.commitment, bit))
    with pytest.raises(DecryptionError):
        key_encryption_key.unwrap_data_key(
            wrapped, subject_ref=UUID(bytes=flipped(subject.bytes, bit)), commitment=data_key.commitment
        )


@given(root=keys, kek=keys, epoch=numbers, other=numbers, bit=st.integers(min_value=0))
def test_a_wrapped_kek_comes_back_in_its_epoch_only(root, kek, epoch, other, bit):
    wrapper, key = LocalKeyWrapper(root), KeyEncryptionKey(epoch=epoch, material=kek)
    wrapped = wrap_kek(wrapper, key)
    assert unwrap_kek(wrapper, wrapped, epoch) == key
    with pytest.raises(DecryptionError):
        unwrap_kek(wrapper, flipped(wrapped, bit), epoch)
    assume(epoch != other)
    with pytest.raises(DecryptionError):
        unwrap_kek(wrapper, wrapped, other)


@given(key=keys, plaintext=values, aad=values, other=values, bit=st.integers(min_value=0))
def test_xaes_round_trips_and_notices_any_change(key, plaintext, aad, other, bit):
    aead = XAES256GCM(key)
    sealed = aead.seal(plaintext, aad=aad)
    assert aead.open(sealed, aad=aad) == plaintext
    with pytest.raises(DecryptionError):
        aead.open(flipped(sealed, bit), aad=aad)
    assume(aad != other)
    with pytest.raises(DecryptionError):
        aead.open(sealed, aad=other)


@st.composite
def keysets(draw):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    purposes = draw(st.lists(st.sampled_from(list(KeyPurpose)), unique=True))
    keyset = generate_keyset(purposes, now=start)
    steps = draw(st.lists(st.tuples(st.sampled_from(["rotate", *KeyStatus]), st.integers(0, 100)), max_size=8))
    for step, choice in steps:
        if not keyset.keys:
            break
        key = keyset.keys[choice % len(keyset.keys)]
        if step == "rotate":
            keyset = keyset.rotate(key.purpose, start + timedelta(seconds=choice))
        elif key.status is not KeyStatus.DESTROYED:
            keyset = keyset.with_status(key.purpose, key.kid, KeyStatus(step))
    return keyset


@given(keyset=keysets(), root=keys, bit=st.integers(min_value=0))
def test_a_keyset_round_trips_and_notices_any_change(keyset, root, bit):
    sealed = seal_keyset(keyset, root_key=root)
    assert open_keyset(sealed, root_key=root) == keyset
    with pytest.raises((DecryptionError, MalformedError)):
        open_keyset(flipped(sealed, bit), root_key=root)


@given(keyset=keysets())
def test_a_keyset_never_hands_out_what_is_not_enabled(keyset):
    for purpose in KeyPurpose:
        enabled = keyset.all(purpose)
        assert all(key.status is KeyStatus.ENABLED and key.purpose is purpose for key in enabled)
        assert sum(key.is_primary for key in enabled) <= 1
        assert not any(key.is_primary for key in enabled[1:])
        for key in enabled:
            assert keyset.get(purpose, key.kid) is key
    assert all(not key.material for key in keyset.keys if key.status is KeyStatus.DESTROYED)
