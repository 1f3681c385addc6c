import json
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from crypto.errors import CryptoError, DecryptionError, MalformedError
from crypto.jose import (
    EncryptionPrivateKey,
    SigningKey,
    decrypt_jwe,
    encrypt_jwe,
    load_public_jwk,
    sign_jws,
    unverified_header,
    verify_jws,
)
from tests.unit.crypto.jose_forge import b64u, part

KEY = EncryptionPrivateKey.generate("en")


def header_of(text):
    encoded = text.split(".")[0]
    return json.loads(urlsafe_b64decode(encoded + "=="))


def with_header(text, **changes):
    header = {name: value for name, value in {**header_of(text), **changes}.items() if value is not ...}
    return ".".join([part(header), *text.split(".")[1:]])


def with_part(text, position, value):
    parts = text.split(".")
    parts[position] = value(parts[position])
    return ".".join(parts)


@pytest.mark.parametrize("plaintext", [b"", b"x", bytes(256), bytes(range(256)) * 100])
def test_what_is_encrypted_to_a_key_opens_with_it(plaintext):
    assert decrypt_jwe(encrypt_jwe(plaintext, key=KEY.public_key()), key=KEY) == plaintext


def test_the_header_names_key_and_content():
    header = header_of(encrypt_jwe(b"x", key=KEY.public_key()))
    assert list(header) == ["alg", "enc", "kid", "cty", "epk"]
    assert (header["alg"], header["enc"], header["kid"], header["cty"]) == ("ECDH-ES", "A256GCM", "en", "JWT")
    assert set(header["epk"]) == {"kty", "crv", "x", "y"}
    assert unverified_header(encrypt_jwe(b"x", key=KEY.public_key()))["kid"] == "en"


def test_a_kid_with_quotes_does_not_break_the_header():
    key = EncryptionPrivateKey.generate('a"},"alg":"none\\é')
    text = encrypt_jwe(b"x", key=key.public_key(), cty='"')
    assert (header_of(text)["kid"], header_of(text)["cty"]) == (key.kid, '"')
    assert decrypt_jwe(text, key=key) == b"x"


def test_a_key_without_a_name_is_encrypted_to_without_one():
    jwk = {name: value for name, value in KEY.public_jwk().items() if name != "kid"}
    text = encrypt_jwe(b"x", key=load_public_jwk(jwk, use="enc"))
    assert "kid" not in header_of(text)
    assert decrypt_jwe(text, key=KEY) == b"x"


def test_every_message_has_a_key_and_nonce_of_its_own():
    texts = [encrypt_jwe(b"x", key=KEY.public_key()) for _ in range(20)]
    assert len({header_of(text)["epk"]["x"] for text in texts}) == 20
    assert len({text.split(".")[2] for text in texts}) == 20


def test_another_key_does_not_open_it():
    with pytest.raises(DecryptionError):
        decrypt_jwe(encrypt_jwe(b"x", key=KEY.public_key()), key=EncryptionPrivateKey.generate("en"))


def test_a_signature_key_is_not_encrypted_to():
    with pytest.raises(MalformedError):
        encrypt_jwe(b"x", key=SigningKey.generate("k").public_key())


def test_a_signed_token_travels_inside():
    signer = SigningKey.generate("s")
    inner = sign_jws({"a": 1}, key=signer, typ="answer+jwt")
    opened = decrypt_jwe(encrypt_jwe(inner.encode(), key=KEY.public_key()), key=KEY).decode()
    assert verify_jws(opened, key=signer.public_key(), typ="answer+jwt").claims() == {"a": 1}


TEXT = encrypt_jwe(b"a plaintext", key=KEY.public_key())
EPK = header_of(TEXT)["epk"]
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1()).public_key().public_numbers()


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "ECDH-ES+A256KW"},
        {"alg": "RSA-OAEP-256"},
        {"alg": "dir"},
        {"alg": "none"},
        {"alg": "ES256"},
        {"alg": None},
        {"alg": ...},
        {"enc": "A128GCM"},
        {"enc": "A256CBC-HS512"},
        {"enc": None},
        {"enc": ...},
        {"zip": "DEF"},
        {"zip": None},
        {"crit": ["exp"]},
        {"kid": 5},
        {"epk": ...},
        {"epk": None},
        {"epk": "x"},
        {"epk": [EPK]},
        {"epk": {}},
        {"epk": {**EPK, "d": "AAAA"}},
        {"epk": {**EPK, "crv": "P-384"}},
        {"epk": {**EPK, "kty": "OKP"}},
        {"epk": {**EPK, "crv": "P-384", "x": b64u(OTHER_CURVE.x.to_bytes(48)), "y": b64u(OTHER_CURVE.y.to_bytes(48))}},
        {"epk": {**EPK, "x": b64u(bytes(32)), "y": b64u(bytes(32))}},
        {"epk": {**EPK, "x": EPK["y"], "y": EPK["x"]}},
        {"epk": {**EPK, "x": EPK["x"] + "="}},
        {"epk": {**EPK, "x": b64u(b"\x00" + urlsafe_b64decode(EPK["x"] + "=="))}},
        {"epk": {**EPK, "y": None}},
        {"apu": 1},
        {"apv": None},
        {"apu": "?"},
    ],
)
def test_a_faulty_header_is_refused_before_any_key_is_used(changes):
    with pytest.raises(MalformedError):
        decrypt_jwe(with_header(TEXT, **changes), key=KEY)


@pytest.mark.parametrize(
    "changes",
    [{"cty": "other"}, {"kid": "other"}, {"new": 1}, {"apu": "QQ"}, {"apv": "Qg"}, {"epk": {**EPK, "new": 1}}],
)
def test_every_bit_of_the_header_is_bound(changes):
    with pytest.raises(DecryptionError):
        decrypt_jwe(with_header(TEXT, **changes), key=KEY)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (1, lambda value: "AAAA"),
        (2, lambda value: ""),
        (2, lambda value: b64u(bytes(11))),
        (2, lambda value: b64u(bytes(13))),
        (2, lambda value: value + "="),
        (3, lambda value: value + "="),
        (4, lambda value: ""),
        (4, lambda value: b64u(bytes(15))),
        (4, lambda value: b64u(bytes(17))),
        (4, lambda value: b64u(bytes(12))),
        (4, lambda value: value[:-1] + chr(ord(value[-1]) + 1)),
    ],
)
def test_a_faulty_part_is_malformed(position, value):
    with pytest.raises(MalformedError):
        decrypt_jwe(with_part(TEXT, position, value), key=KEY)


@pytest.mark.parametrize(
    ("position", "value"),
    [
        (2, lambda value: b64u(bytes(12))),
        (3, lambda value: ""),
        (3, lambda value: value[4:]),
        (3, lambda value: "AAAA" + value),
        (4, lambda value: b64u(bytes(16))),
    ],
)
def test_a_changed_part_does_not_open(position, value):
    with pytest.raises(DecryptionError):
        decrypt_jwe(with_part(TEXT, position, value), key=KEY)


@pytest.mark.parametrize(
    "text",
    ["", "....", TEXT + ".", "." + TEXT, TEXT[: TEXT.rindex(".")], TEXT + "\n", "é" + TEXT, TEXT.encode(), None, {}],
)
def test_anything_but_the_compact_form_is_malformed(text):
    with pytest.raises(MalformedError):
        decrypt_jwe(text, key=KEY)


def test_a_signed_token_is_no_encrypted_one():
    with pytest.raises(MalformedError):
        decrypt_jwe(sign_jws({}, key=SigningKey.generate("k"), typ="x"), key=KEY)
    with pytest.raises(MalformedError):
        verify_jws(TEXT, key=KEY.public_key(), typ=None)


def test_the_longest_token_can_be_chosen():
    with pytest.raises(MalformedError):
        decrypt_jwe(TEXT, key=KEY, max_bytes=len(TEXT) - 1)
    assert decrypt_jwe(TEXT, key=KEY, max_bytes=len(TEXT)) == b"a plaintext"


def test_a_text_with_a_lone_surrogate_is_refused():
    with pytest.raises(CryptoError):
        encrypt_jwe(b"x", key=KEY.public_key(), cty="\ud800")
