from uuid import UUID

import pytest

from crypto.envelope import (
    WRAPPED_DATA_KEY_BYTES,
    KeyEncryptionKey,
    LocalKeyWrapper,
    generate_kek,
    unwrap_kek,
    wrap_kek,
)
from crypto.errors import DecryptionError, MalformedError
from crypto.fields import DataKey

SUBJECT = UUID(int=7)
ROOT = LocalKeyWrapper(bytes(range(32)))


def test_a_wrapped_data_key_comes_back():
    kek, key = generate_kek(3), DataKey.generate()
    wrapped = kek.wrap_data_key(key, subject_ref=SUBJECT)
    assert len(wrapped) == WRAPPED_DATA_KEY_BYTES == 72
    again = kek.unwrap_data_key(wrapped, subject_ref=SUBJECT, commitment=key.commitment)
    assert again.material() == key.material()
    assert again.commitment == key.commitment
    assert wrapped != kek.wrap_data_key(key, subject_ref=SUBJECT)


def test_it_comes_back_for_its_person_only():
    kek, key = generate_kek(3), DataKey.generate()
    wrapped = kek.wrap_data_key(key, subject_ref=SUBJECT)
    with pytest.raises(DecryptionError):
        kek.unwrap_data_key(wrapped, subject_ref=UUID(int=8), commitment=key.commitment)


@pytest.mark.parametrize("commitment", [b"", bytes(31), bytes(32), bytes(33)])
def test_it_comes_back_under_its_commitment_only(commitment):
    kek, key = generate_kek(3), DataKey.generate()
    wrapped = kek.wrap_data_key(key, subject_ref=SUBJECT)
    with pytest.raises(DecryptionError):
        kek.unwrap_data_key(wrapped, subject_ref=SUBJECT, commitment=commitment)


def test_it_comes_back_in_its_epoch_only():
    kek, key = generate_kek(3), DataKey.generate()
    wrapped = kek.wrap_data_key(key, subject_ref=SUBJECT)
    other = KeyEncryptionKey(epoch=4, material=kek.material)
    with pytest.raises(DecryptionError):
        other.unwrap_data_key(wrapped, subject_ref=SUBJECT, commitment=key.commitment)
    with pytest.raises(DecryptionError):
        generate_kek(3).unwrap_data_key(wrapped, subject_ref=SUBJECT, commitment=key.commitment)


@pytest.mark.parametrize("length", [0, 24, 40, 71, 73])
def test_a_wrapped_key_of_another_length_does_not_open(length):
    with pytest.raises(DecryptionError):
        generate_kek(3).unwrap_data_key(bytes(length), subject_ref=SUBJECT, commitment=bytes(32))


def test_a_kek_comes_back_under_its_root_and_epoch_only():
    kek = generate_kek(9)
    wrapped = wrap_kek(ROOT, kek)
    assert unwrap_kek(ROOT, wrapped, 9) == kek
    with pytest.raises(DecryptionError):
        unwrap_kek(ROOT, wrapped, 8)
    with pytest.raises(DecryptionError):
        unwrap_kek(LocalKeyWrapper(bytes(32)), wrapped, 9)
    with pytest.raises(DecryptionError):
        unwrap_kek(ROOT, b"", 9)


def test_a_root_that_gives_something_else_is_noticed():
    class ForgetfulWrapper:
        def wrap(self, plaintext, *, context):
            return plaintext + context

        def unwrap(self, wrapped, *, context):
            return wrapped[:16]

    with pytest.raises(MalformedError):
        unwrap_kek(ForgetfulWrapper(), wrap_kek(ForgetfulWrapper(), generate_kek(1)), 1)


@pytest.mark.parametrize("epoch", [-1, 2**32, True, None, 1.0])
def test_an_epoch_is_an_integer_of_32_bits(epoch):
    with pytest.raises(MalformedError):
        generate_kek(epoch)
    with pytest.raises(MalformedError):
        unwrap_kek(ROOT, wrap_kek(ROOT, generate_kek(1)), epoch)


def test_keys_have_32_bytes():
    with pytest.raises(MalformedError):
        LocalKeyWrapper(bytes(16))
    with pytest.raises(MalformedError):
        KeyEncryptionKey(epoch=1, material=bytes(31))


def test_no_representation_shows_a_key():
    kek = generate_kek(2)
    assert repr(kek) == "KeyEncryptionKey(epoch=2)"
    assert repr(ROOT) == "LocalKeyWrapper(<redacted>)"
