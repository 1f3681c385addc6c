import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey

from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.jwk import jwk_thumbprint, load_jwk_set, load_public_jwk
from crypto.keypairs import EncryptionPrivateKey, SigningKey
from tests.unit.crypto.jose_forge import RSA_KEY, b64u, number, ps256, rsa_jwk

ES256 = SigningKey.generate("es")
ED25519 = SigningKey.generate("ed", "Ed25519")
ENCRYPTION = EncryptionPrivateKey.generate("en")
RSA = rsa_jwk(RSA_KEY)
P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def test_thumbprints_are_those_of_the_standards():
    # RFC 7638 §3.1 and RFC 8037 appendix A.3.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    key = {"kty": "RSA", "n": modulus, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert jwk_thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert jwk_thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert load_public_jwk(key, use="sig").thumbprint == jwk_thumbprint(key)


def test_a_thumbprint_does_not_depend_on_other_members():
    jwk = ES256.public_jwk()
    assert jwk_thumbprint(jwk) == jwk_thumbprint(without(jwk, "kid", "use", "alg")) == ES256.public_key().thumbprint
    assert jwk_thumbprint(ES256.to_private_jwk()) == jwk_thumbprint(jwk)


@pytest.mark.parametrize(
    "jwk", [{}, {"kty": "oct", "k": "AA"}, {"kty": "EC"}, {"kty": 1}, {"kty": "OKP", "crv": "Ed25519", "x": "\ud800"}]
)
def test_what_has_no_thumbprint_is_refused(jwk):
    with pytest.raises(MalformedError):
        jwk_thumbprint(jwk)


@pytest.mark.parametrize("names", [(), ("kid",), ("use",), ("alg",), ("kid", "use", "alg")])
def test_optional_members_may_be_missing(names):
    for key, use in ((ES256, "sig"), (ED25519, "sig"), (ENCRYPTION, "enc")):
        jwk = without(key.public_jwk(), *names)
        assert load_public_jwk(jwk, use=use).kid == (None if "kid" in names else key.kid)


def test_each_key_has_one_algorithm():
    assert load_public_jwk(ES256.public_jwk(), use="sig").algorithm == "ES256"
    assert load_public_jwk(ED25519.public_jwk(), use="sig").algorithm == "Ed25519"
    assert load_public_jwk({**ED25519.public_jwk(), "alg": "EdDSA"}, use="sig").algorithm == "Ed25519"
    assert load_public_jwk(RSA, use="sig").algorithm == "PS256"
    assert load_public_jwk(ENCRYPTION.public_jwk(), use="enc").algorithm == "ECDH-ES"


def test_a_key_serves_one_use():
    with pytest.raises(VerificationError):
        ENCRYPTION.public_key().verify(bytes(64), b"x")
    with pytest.raises(MalformedError):
        ES256.public_key().agreement_point()


FAULTS = {
    "not an object": [],
    "text": "jwk",
    "empty": {},
    "private EC": ES256.to_private_jwk(),
    "private OKP": ED25519.to_private_jwk(),
    "a private RSA member": {**RSA, "dp": "AQAB"},
    "a null private member": {**ES256.public_jwk(), "d": None},
    "symmetric": {"kty": "oct", "k": "AAAA", "alg": "HS256"},
    "a symmetric member": {**ES256.public_jwk(), "k": "AAAA"},
    "wrong use": {**ES256.public_jwk(), "use": "enc"},
    "use is null": {**ES256.public_jwk(), "use": None},
    "use is a list": {**ES256.public_jwk(), "use": ["sig"]},
    "key_ops for signing": {**ES256.public_jwk(), "key_ops": ["sign"]},
    "key_ops for both": {**ES256.public_jwk(), "key_ops": ["sign", "verify"]},
    "key_ops for encryption": {**ES256.public_jwk(), "key_ops": ["encrypt"]},
    "key_ops empty": {**ES256.public_jwk(), "key_ops": []},
    "key_ops twice": {**ES256.public_jwk(), "key_ops": ["verify", "verify"]},
    "key_ops is text": {**ES256.public_jwk(), "key_ops": "verify"},
    "key_ops of numbers": {**ES256.public_jwk(), "key_ops": [1]},
    "key_ops of lists": {**ES256.public_jwk(), "key_ops": [["verify"]]},
    "alg of another curve": {**ES256.public_jwk(), "alg": "ES384"},
    "alg of another key": {**ES256.public_jwk(), "alg": "PS256"},
    "alg none": {**ES256.public_jwk(), "alg": "none"},
    "alg HS256": {**ES256.public_jwk(), "alg": "HS256"},
    "alg is null": {**ES256.public_jwk(), "alg": None},
    "alg ECDH-ES for signatures": {**ES256.public_jwk(), "alg": "ECDH-ES"},
    "kid is a number": {**ES256.public_jwk(), "kid": 1},
    "kid is null": {**ES256.public_jwk(), "kid": None},
    "kid is empty": {**ES256.public_jwk(), "kid": ""},
    "kid is long": {**ES256.public_jwk(), "kid": "x" * 257},
    "kid with a line break": {**ES256.public_jwk(), "kid": "a\nb"},
    "kty is null": {**ES256.public_jwk(), "kty": None},
    "kty is a list": {**ES256.public_jwk(), "kty": ["EC"]},
    "kty in small letters": {**ES256.public_jwk(), "kty": "ec"},
    "EC under kty RSA": {**ES256.public_jwk(), "kty": "RSA"},
    "EC under kty OKP": {**ES256.public_jwk(), "kty": "OKP"},
    "P-384": {**ES256.public_jwk(), "crv": "P-384"},
    "secp256k1": {**ES256.public_jwk(), "crv": "secp256k1"},
    "no curve": without(ES256.public_jwk(), "crv"),
    "no x": without(ES256.public_jwk(), "x"),
    "no y": without(ES256.public_jwk(), "y"),
    "x is a number": {**ES256.public_jwk(), "x": 1},
    "x with padding": {**ES256.public_jwk(), "x": ES256.public_jwk()["x"] + "="},
    "x short": {**ES256.public_jwk(), "x": b64u(bytes(31))},
    "x long": {**ES256.public_jwk(), "x": b64u(bytes(33))},
    "off the curve": {**ES256.public_jwk(), "x": b64u(bytes(31) + b"\x01"), "y": b64u(bytes(31) + b"\x01")},
    "origin": {**ES256.public_jwk(), "x": b64u(bytes(32)), "y": b64u(bytes(32))},
    "coordinate past the prime": {**ES256.public_jwk(), "x": number(P256_PRIME), "y": ES256.public_jwk()["y"]},
    "Ed448": {"kty": "OKP", "crv": "Ed448", "x": b64u(Ed448PrivateKey.generate().public_key().public_bytes_raw())},
    "Ed25519 of another length": {**ED25519.public_jwk(), "x": b64u(bytes(31))},
    "Ed25519 of small order": {**ED25519.public_jwk(), "x": b64u(bytes(32))},
    "X25519": {**ED25519.public_jwk(), "crv": "X25519"},
    "RS256": {**RSA, "alg": "RS256"},
    "RSA of 1024 bits": rsa_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    "RSA of 2047 bits": {**RSA, "n": number(2**2046 + 1)},
    "RSA of 16384 bits": {**RSA, "n": number(2**16383 + 1)},
    "RSA with an even modulus": {**RSA, "n": number(2**2047)},
    "RSA with exponent 1": {**RSA, "e": "AQ"},
    "RSA with exponent 3": {**RSA, "e": "Aw"},
    "RSA with an even exponent": {**RSA, "e": number(65538)},
    "RSA with a huge exponent": {**RSA, "e": number(2**64 + 1)},
    "RSA with a leading zero": {**RSA, "e": b64u(b"\x00\x01\x00\x01")},
    "RSA with an empty exponent": {**RSA, "e": ""},
    "RSA without a modulus": without(RSA, "n"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_key_is_refused(name):
    with pytest.raises(MalformedError):
        load_public_jwk(FAULTS[name], use="sig")


@pytest.mark.parametrize(
    "jwk",
    [
        ES256.public_jwk(),
        ED25519.public_jwk(),
        RSA,
        {**RSA, "alg": "RSA-OAEP"},
        {**ENCRYPTION.public_jwk(), "alg": "ECDH-ES+A256KW"},
        {**ENCRYPTION.public_jwk(), "key_ops": ["verify"]},
        {**ENCRYPTION.public_jwk(), "key_ops": ["deriveKey", "verify"]},
        ENCRYPTION.to_private_jwk(),
    ],
)
def test_a_key_that_is_not_for_encryption_is_refused(jwk):
    with pytest.raises(MalformedError):
        load_public_jwk(jwk, use="enc")


@pytest.mark.parametrize("key_ops", [[], ["deriveKey"], ["deriveBits"], ["deriveKey", "deriveBits"]])
def test_an_encryption_key_may_name_the_derivation(key_ops):
    assert load_public_jwk({**ENCRYPTION.public_jwk(), "key_ops": key_ops}, use="enc")


def test_certificates_and_addresses_in_a_key_are_ignored():
    jwk = {**ES256.public_jwk(), "x5c": ["AAAA"], "x5u": "https://attacker.example/", "x5t": 1, "ext": True}
    assert load_public_jwk(jwk, use="sig").thumbprint == ES256.public_key().thumbprint


def test_an_rsa_key_verifies_ps256_with_the_salt_of_the_standard_only():
    key = load_public_jwk(RSA, use="sig")
    key.verify(ps256(RSA_KEY)(b"x"), b"x")
    for signature in (ps256(RSA_KEY, salt_length=20)(b"x"), bytes(256), b"", bytes(1000)):
        with pytest.raises(VerificationError):
            key.verify(signature, b"x")


@pytest.mark.parametrize(
    "signature", [b"", bytes(63), bytes(64), bytes(65), b"\xff" * 64, bytes(31) + b"\x01" + bytes(32)]
)
def test_no_trivial_ecdsa_signature_verifies(signature):
    with pytest.raises(VerificationError):
        ES256.public_key().verify(signature, b"x")


def test_a_key_set_yields_the_usable_keys_in_order():
    jwks = {
        "keys": [
            ENCRYPTION.public_jwk(),
            ES256.public_jwk(),
            {"kty": "unknown"},
            {**RSA, "alg": "RS256"},
            ED25519.public_jwk(),
            "not a key",
        ]
    }
    assert [key.kid for key in load_jwk_set(jwks, use="sig")] == ["es", "ed"]
    assert [key.kid for key in load_jwk_set(jwks, use="enc")] == ["en"]
    assert load_jwk_set({"keys": []}, use="sig") == ()


def test_a_key_set_with_private_members_counts_as_leaked():
    with pytest.raises(MalformedError):
        load_jwk_set({"keys": [ES256.public_jwk(), ENCRYPTION.to_private_jwk()]}, use="sig")


@pytest.mark.parametrize("jwks", [[], None, {}, {"keys": None}, {"keys": {}}, {"keys": [{}] * 33}])
def test_what_is_no_key_set_is_refused(jwks):
    with pytest.raises(MalformedError):
        load_jwk_set(jwks, use="sig")


def test_a_key_file_round_trips():
    for key in (ES256, ED25519):
        again = SigningKey.from_private_jwk(key.to_private_jwk())
        assert again.public_jwk() == key.public_jwk()
        key.public_key().verify(again.sign(b"x"), b"x")
    again = EncryptionPrivateKey.from_jwk(ENCRYPTION.to_private_jwk())
    assert again.public_jwk() == ENCRYPTION.public_jwk()
    assert SigningKey.from_private_jwk({**ES256.to_private_jwk(), "key_ops": ["sign"]}).kid == "es"


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        [],
        {},
        ES256.public_jwk(),
        without(ES256.to_private_jwk(), "kid"),
        {**ES256.to_private_jwk(), "d": b64u(bytes(31) + b"\x01")},
        {**ES256.to_private_jwk(), "d": b64u(bytes(32))},
        {**ES256.to_private_jwk(), "d": number(ORDER)},
        {**ES256.to_private_jwk(), "d": b64u(bytes(31))},
        {**ES256.to_private_jwk(), "d": 1},
        {**ES256.to_private_jwk(), "p": "AAAA"},
        {**ES256.to_private_jwk(), "use": "enc"},
        {**ED25519.to_private_jwk(), "d": b64u(bytes(32))},
        {**RSA, "kid": "rsa", "d": b64u(bytes(31) + b"\x01")},
    ],
)
def test_a_faulty_signing_key_file_is_refused(jwk):
    with pytest.raises(MalformedError):
        SigningKey.from_private_jwk(jwk)


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        {},
        ENCRYPTION.public_jwk(),
        ES256.to_private_jwk(),
        without(ENCRYPTION.to_private_jwk(), "kid"),
        {**ENCRYPTION.to_private_jwk(), "d": b64u(bytes(31) + b"\x01")},
    ],
)
def test_a_faulty_encryption_key_file_is_refused(jwk):
    with pytest.raises(MalformedError):
        EncryptionPrivateKey.from_jwk(jwk)


def test_a_key_pair_is_of_its_algorithm():
    with pytest.raises(MalformedError):
        SigningKey(kid="k", algorithm="ES256", private=ec.generate_private_key(ec.SECP384R1()))
    with pytest.raises(MalformedError):
        SigningKey(kid="k", algorithm="Ed25519", private=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(MalformedError):
        EncryptionPrivateKey(kid="k", private=ec.generate_private_key(ec.SECP384R1()))
    for algorithm in ("PS256", "HS256", "none", ""):
        with pytest.raises(MalformedError):
            SigningKey.generate("k", algorithm)
    for kid in ("", None, "x" * 257):
        with pytest.raises(CryptoError):
            SigningKey.generate(kid)
        with pytest.raises(CryptoError):
            EncryptionPrivateKey.generate(kid)


def test_no_representation_shows_a_private_key():
    for key in (ES256, ED25519, ENCRYPTION):
        private = key.to_private_jwk()["d"]
        assert private not in repr(key)
        assert "d" not in key.public_jwk()
    assert "PublicKey(kid='es'" in repr(ES256.public_key())


def test_a_published_key_is_a_copy():
    ES256.public_jwk()["kid"] = "changed"
    assert ES256.public_jwk()["kid"] == "es"
