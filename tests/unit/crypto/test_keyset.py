from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest

from crypto.errors import DecryptionError, MalformedError, UnknownKeyError
from crypto.jose import SigningKey
from crypto.keyset import ALGORITHM_OF, Key, KeyPurpose, Keyset, KeyStatus, generate_keyset, open_keyset, seal_keyset

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ROOT = bytes(range(32))


def keyset_of(*purposes):
    return generate_keyset(purposes or KeyPurpose, now=NOW)


def test_a_new_keyset_has_one_primary_key_for_each_purpose():
    keyset = keyset_of()
    assert len(keyset.keys) == len(KeyPurpose)
    for purpose in KeyPurpose:
        key = keyset.primary(purpose)
        assert key.algorithm == ALGORITHM_OF[purpose]
        assert key.status is KeyStatus.ENABLED
        assert keyset.get(purpose, key.kid) is key
        assert keyset.all(purpose) == (key,)
        assert key.created_at == NOW.replace(microsecond=0)
    assert len({key.material for key in keyset.keys}) == len(KeyPurpose)


def test_an_absent_purpose_means_deny():
    keyset = keyset_of(KeyPurpose.LOG_SIGNING)
    assert keyset.all(KeyPurpose.PSEUDONYM) == ()
    with pytest.raises(UnknownKeyError):
        keyset.primary(KeyPurpose.PSEUDONYM)
    with pytest.raises(UnknownKeyError):
        keyset.get(KeyPurpose.PSEUDONYM, "v1")
    with pytest.raises(UnknownKeyError):
        Keyset().primary(KeyPurpose.LOG_SIGNING)


def test_a_key_is_found_only_under_its_own_purpose():
    keyset = keyset_of()
    kid = keyset.primary(KeyPurpose.LOG_SIGNING).kid
    with pytest.raises(UnknownKeyError):
        keyset.get(KeyPurpose.RECEIPT_SIGNING, kid)


def test_rotation_makes_a_new_primary_key_and_keeps_the_old_one_working():
    before = keyset_of(KeyPurpose.PSEUDONYM, KeyPurpose.LOG_SIGNING)
    old = before.primary(KeyPurpose.PSEUDONYM)
    after = before.rotate(KeyPurpose.PSEUDONYM, NOW + timedelta(days=1))
    new = after.primary(KeyPurpose.PSEUDONYM)
    assert new.material != old.material
    assert (old.version, new.version) == (1, 2)
    assert after.get(KeyPurpose.PSEUDONYM, old.kid).material == old.material
    assert after.all(KeyPurpose.PSEUDONYM) == (new, replace(old, is_primary=False))
    assert after.primary(KeyPurpose.LOG_SIGNING) == before.primary(KeyPurpose.LOG_SIGNING)
    assert before.primary(KeyPurpose.PSEUDONYM) is old


def test_version_numbers_do_not_come_twice():
    keyset = keyset_of(KeyPurpose.BLIND_INDEX).rotate(KeyPurpose.BLIND_INDEX, NOW)
    keyset = keyset.with_status(KeyPurpose.BLIND_INDEX, "v2", KeyStatus.DESTROYED)
    assert keyset.rotate(KeyPurpose.BLIND_INDEX, NOW).primary(KeyPurpose.BLIND_INDEX).kid == "v3"


def test_names_of_signing_keys_are_random():
    first, second = keyset_of(KeyPurpose.LOG_SIGNING), keyset_of(KeyPurpose.LOG_SIGNING)
    assert first.primary(KeyPurpose.LOG_SIGNING).kid != second.primary(KeyPurpose.LOG_SIGNING).kid
    with pytest.raises(MalformedError):
        _ = first.primary(KeyPurpose.LOG_SIGNING).version


@pytest.mark.parametrize("kid", ["v", "v01", "1", "v-1", "v1x", "version", "w1"])
def test_a_name_of_another_form_is_no_version(kid):
    key = replace(keyset_of(KeyPurpose.PSEUDONYM).keys[0], kid=kid)
    with pytest.raises(MalformedError):
        _ = key.version


def test_a_disabled_key_is_not_found_until_it_is_enabled_again():
    keyset = keyset_of(KeyPurpose.TOKEN_SIGNING)
    key = keyset.primary(KeyPurpose.TOKEN_SIGNING)
    disabled = keyset.with_status(key.purpose, key.kid, KeyStatus.DISABLED)
    assert disabled.all(key.purpose) == ()
    with pytest.raises(UnknownKeyError):
        disabled.get(key.purpose, key.kid)
    with pytest.raises(UnknownKeyError):
        disabled.primary(key.purpose)
    enabled = disabled.with_status(key.purpose, key.kid, KeyStatus.ENABLED)
    assert enabled.get(key.purpose, key.kid).material == key.material
    with pytest.raises(UnknownKeyError):
        enabled.primary(key.purpose)


def test_destroying_is_final_and_leaves_no_material():
    keyset = keyset_of(KeyPurpose.KEK_WRAP)
    key = keyset.keys[0]
    destroyed = keyset.with_status(key.purpose, key.kid, KeyStatus.DESTROYED)
    assert destroyed.keys[0].material == b""
    with pytest.raises(UnknownKeyError):
        destroyed.with_status(key.purpose, key.kid, KeyStatus.ENABLED)
    with pytest.raises(UnknownKeyError):
        destroyed.with_status(key.purpose, "v9", KeyStatus.DISABLED)


def test_adding_a_key_under_its_name_replaces_it():
    keyset = keyset_of(KeyPurpose.PSEUDONYM)
    key = replace(keyset.keys[0], material=bytes(32))
    assert keyset.with_key(key).keys == (key,)
    other = replace(key, kid="v2", is_primary=False)
    assert keyset.with_key(other).primary(KeyPurpose.PSEUDONYM) == keyset.keys[0]


def test_every_generated_signing_key_can_sign():
    for key in keyset_of().keys:
        if key.algorithm == "A256":
            with pytest.raises(MalformedError):
                SigningKey.from_key(key)
        else:
            signer = SigningKey.from_key(key)
            signer.public_key().verify(signer.sign(b"x"), b"x")


@pytest.mark.parametrize(
    "change",
    [
        {"kid": ""},
        {"kid": "x" * 65},
        {"kid": "a\nb"},
        {"algorithm": "HS256"},
        {"material": bytes(31)},
        {"material": bytearray(32)},
        {"material": None},
        {"status": KeyStatus.DISABLED},
        {"status": KeyStatus.DESTROYED},
        {"created_at": datetime(2026, 1, 1)},  # noqa: DTZ001  # the fault under test
    ],
    ids=str,
)
def test_a_faulty_key_cannot_be_made(change):
    with pytest.raises(MalformedError):
        replace(keyset_of(KeyPurpose.PSEUDONYM).keys[0], **change)


def test_a_keyset_refuses_doubles():
    key = keyset_of(KeyPurpose.PSEUDONYM).keys[0]
    with pytest.raises(MalformedError):
        Keyset(keys=(key, replace(key, is_primary=False)))
    with pytest.raises(MalformedError):
        Keyset(keys=(key, replace(key, kid="v2")))


def test_a_sealed_keyset_opens_under_its_root_key_only():
    keyset = keyset_of().rotate(KeyPurpose.LOG_SIGNING, NOW)
    sealed = seal_keyset(keyset, root_key=ROOT)
    assert open_keyset(sealed, root_key=ROOT) == keyset
    assert seal_keyset(keyset, root_key=ROOT) != sealed
    with pytest.raises(DecryptionError):
        open_keyset(sealed, root_key=bytes(32))
    with pytest.raises(MalformedError):
        open_keyset(sealed, root_key=bytes(16))
    with pytest.raises(MalformedError):
        seal_keyset(keyset, root_key=b"")
    for key in keyset.keys:
        assert key.material not in sealed


def test_an_empty_keyset_seals_too():
    assert open_keyset(seal_keyset(Keyset(), root_key=ROOT), root_key=ROOT) == Keyset()


def test_a_huge_file_is_refused_before_it_is_decrypted():
    sealed = seal_keyset(Keyset(), root_key=ROOT)
    with pytest.raises(MalformedError):
        open_keyset(sealed + bytes(2**20), root_key=ROOT)


def test_no_representation_shows_material():
    keyset = keyset_of()
    shown = repr(keyset) + str(keyset) + repr(keyset.keys[0])
    for key in keyset.keys:
        assert repr(key.material) not in shown
        assert key.material.hex() not in shown


def test_keys_cannot_be_changed_in_place():
    key = keyset_of(KeyPurpose.PSEUDONYM).keys[0]
    with pytest.raises(FrozenInstanceError):
        key.is_primary = False
    assert isinstance(key, Key)
