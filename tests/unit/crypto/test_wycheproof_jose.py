"""Project Wycheproof's JOSE cases, as far as they touch the algorithms that are allowed here."""

import pytest

from crypto.errors import CryptoError
from crypto.jose import EncryptionPrivateKey, decrypt_jwe, load_public_jwk, verify_jws
from tests.vectors import load

VECTORS = load("wycheproof_jose.json")
KEYS = VECTORS["keys"]


def name(case):
    return f"{case['id']}-{case['comment']}"


def verify(case):
    key = load_public_jwk(KEYS[case["key"]], use="sig")
    return verify_jws(case["token"], key=key, typ=None)


def decrypt(case):
    # The published keys name algorithms with key wrapping; only what the token says matters here.
    jwk = {member: value for member, value in KEYS[case["key"]].items() if member not in ("alg", "key_ops")}
    return decrypt_jwe(case["token"], key=EncryptionPrivateKey.from_jwk({**jwk, "kid": jwk.get("kid", "k")}))


@pytest.mark.parametrize("case", [case for case in VECTORS["jws"] if case["expect"] == "valid"], ids=name)
def test_a_valid_signature_of_an_allowed_algorithm_verifies(case):
    assert verify(case).header["alg"] in ("ES256", "PS256")


@pytest.mark.parametrize("case", [case for case in VECTORS["jws"] if case["expect"] != "valid"], ids=name)
def test_any_other_signature_is_refused(case):
    with pytest.raises(CryptoError):
        verify(case)


@pytest.mark.parametrize("case", [case for case in VECTORS["jwe"] if case["expect"] == "valid"], ids=name)
def test_a_valid_encryption_of_an_allowed_algorithm_opens(case):
    assert decrypt(case).hex() == case["plaintext"]


@pytest.mark.parametrize("case", [case for case in VECTORS["jwe"] if case["expect"] != "valid"], ids=name)
def test_any_other_encryption_is_refused(case):
    with pytest.raises(CryptoError):
        decrypt(case)


@pytest.mark.parametrize("case", VECTORS["jwk"], ids=name)
def test_no_published_bad_key_verifies_its_token(case):
    for jwk in case["jwks"]["keys"]:
        with pytest.raises(CryptoError):
            verify_jws(case["token"], key=load_public_jwk(jwk, use="sig"), typ=None)
