"""Our tokens in other libraries, and theirs in ours."""

import jwt
import pytest
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OKPKey

from crypto.jose import (
    EncryptionPrivateKey,
    SigningKey,
    decrypt_jwe,
    encrypt_jwe,
    jwk_thumbprint,
    load_public_jwk,
    sign_jws,
    verify_jws,
)
from tests.unit.crypto.jose_forge import RSA_KEY, rsa_jwk

ES256 = SigningKey.generate("es")
ED25519 = SigningKey.generate("ed", "Ed25519")
CLAIMS = {"iss": "https://cdx.example", "sub": "é", "list": [1, {"a": None, "b": True}]}
TYPED = {"typ": "at+jwt"}


def test_pyjwt_verifies_our_es256():
    text = sign_jws(CLAIMS, key=ES256, typ="at+jwt")
    assert jwt.decode(text, jwt.PyJWK(ES256.public_jwk()), algorithms=["ES256"]) == CLAIMS
    assert jwt.get_unverified_header(text) == {"alg": "ES256", "typ": "at+jwt", "kid": "es"}


@pytest.mark.parametrize(("key", "alg"), [(ES256, "ES256"), (ED25519, "EdDSA")], ids=["ES256", "EdDSA"])
def test_we_verify_what_pyjwt_signs(key, alg):
    private = jwt.PyJWK({**key.to_private_jwk(), "alg": alg})
    text = jwt.encode(CLAIMS, private.key, algorithm=alg, headers=TYPED)
    assert verify_jws(text, key=key.public_key(), typ="at+jwt").claims() == CLAIMS


def test_we_verify_the_ps256_that_pyjwt_signs():
    text = jwt.encode(CLAIMS, RSA_KEY, algorithm="PS256", headers=TYPED)
    key = load_public_jwk(rsa_jwk(RSA_KEY), use="sig")
    assert verify_jws(text, key=key, typ="at+jwt").claims() == CLAIMS


@pytest.mark.parametrize(("key", "kind"), [(ES256, ECKey), (ED25519, OKPKey)], ids=["ES256", "Ed25519"])
def test_joserfc_and_we_verify_each_other(key, kind):
    theirs = kind.import_key(key.to_private_jwk())
    registry = jws.JWSRegistry(algorithms=[key.algorithm])
    text = jws.serialize_compact({"alg": key.algorithm, **TYPED}, b'{"a":1}', theirs, registry=registry)
    assert verify_jws(text, key=key.public_key(), typ="at+jwt").claims() == {"a": 1}
    ours = sign_jws({"a": 1}, key=key, typ="at+jwt")
    assert jws.deserialize_compact(ours, theirs, registry=registry).payload == b'{"a":1}'


def test_thumbprints_agree_with_joserfc():
    assert jwk_thumbprint(ES256.public_jwk()) == ECKey.import_key(ES256.public_jwk()).thumbprint()
    assert jwk_thumbprint(ED25519.public_jwk()) == OKPKey.import_key(ED25519.public_jwk()).thumbprint()


@pytest.mark.parametrize("parties", [{}, {"apu": "QWxpY2U", "apv": "Qm9i"}, {"apv": ""}])
def test_joserfc_and_we_open_each_others_encryption(parties):
    key = EncryptionPrivateKey.generate("en")
    theirs = ECKey.import_key(key.to_private_jwk())
    registry = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"])
    header = {"alg": "ECDH-ES", "enc": "A256GCM", **parties}
    text = jwe.encrypt_compact(header, b"x" * 300, ECKey.import_key(key.public_jwk()), registry=registry)
    assert decrypt_jwe(text, key=key) == b"x" * 300
    ours = encrypt_jwe(b"y" * 300, key=key.public_key())
    opened = jwe.decrypt_compact(ours, theirs, registry=registry)
    assert opened.plaintext == b"y" * 300
    assert opened.protected["cty"] == "JWT"
