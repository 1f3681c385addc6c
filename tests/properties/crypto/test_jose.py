"""Tokens: whatever is signed or encrypted comes back, any change is refused, nothing crashes."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.errors import CryptoError
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

SIGNERS = [SigningKey.generate("es"), SigningKey.generate("ed", "Ed25519")]
RECIPIENT = EncryptionPrivateKey.generate("en")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ "
signers = st.sampled_from(SIGNERS)
plain_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5))
)
claims = st.dictionaries(st.text(max_size=10), plain_values, max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
key_members = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"])
header_members = st.sampled_from(["alg", "typ", "kid", "jwk", "enc", "epk", "zip", "x"])


def changed(data, text):
    """The same token with one character replaced, removed or inserted."""
    position = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from(ALPHABET))
    kind = data.draw(st.sampled_from(["replace", "remove", "insert"]))
    if kind == "remove":
        return text[:position] + text[position + 1 :]
    return text[:position] + character + text[position + (kind == "replace") :]


@given(payload=claims, key=signers)
def test_signed_claims_come_back(payload, key):
    verified = verify_jws(sign_jws(payload, key=key, typ="x"), key=key.public_key(), typ="x")
    assert verified.claims() == payload


@given(payload=st.binary(max_size=200), key=signers)
def test_signed_bytes_come_back(payload, key):
    assert verify_jws(sign_jws(payload, key=key, typ="x"), key=key.public_key(), typ="x").payload == payload


@given(payload=claims, key=signers, data=st.data())
def test_any_changed_character_of_a_signed_token_is_refused(payload, key, data):
    text = sign_jws(payload, key=key, typ="x")
    forged = changed(data, text)
    assume(forged != text)
    with pytest.raises(CryptoError):
        verify_jws(forged, key=key.public_key(), typ="x")


@given(plaintext=st.binary(max_size=200), data=st.data())
def test_an_encrypted_token_comes_back_unchanged_or_not_at_all(plaintext, data):
    text = encrypt_jwe(plaintext, key=RECIPIENT.public_key())
    assert decrypt_jwe(text, key=RECIPIENT) == plaintext
    forged = changed(data, text)
    assume(forged != text)
    with pytest.raises(CryptoError):
        decrypt_jwe(forged, key=RECIPIENT)


@given(text=st.text(alphabet=ALPHABET + "\x00é\ud800", max_size=60))
def test_no_text_crashes_a_reader_of_tokens(text):
    for reader in (
        lambda: verify_jws(text, key=SIGNERS[0].public_key(), typ=None),
        lambda: decrypt_jwe(text, key=RECIPIENT),
        lambda: unverified_header(text),
    ):
        with pytest.raises(CryptoError):
            reader()


@given(
    members=st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "key_ops"]), json_values
    )
)
def test_no_object_crashes_the_loading_of_a_key(members):
    for jwk in (members, *({**key.public_jwk(), **members} for key in (*SIGNERS, RECIPIENT))):
        for use in ("sig", "enc"):
            try:
                key = load_public_jwk(jwk, use=use)
            except CryptoError:
                continue
            assert key.algorithm in ("ES256", "Ed25519", "PS256", "ECDH-ES")


@given(
    header=st.dictionaries(st.sampled_from(["alg", "typ", "kid", "jwk", "enc", "epk", "zip", "x"]), json_values),
    key=signers,
)
def test_no_header_crashes_a_reader_of_tokens(header, key):
    for base in ({}, {"alg": key.algorithm}, {"alg": "ECDH-ES", "enc": "A256GCM"}):
        encoded = urlsafe_b64encode(json.dumps({**base, **header}).encode()).rstrip(b"=").decode()
        with pytest.raises(CryptoError):
            verify_jws(f"{encoded}.e30.{'A' * 86}", key=key.public_key(), typ="x")
        with pytest.raises(CryptoError):
            decrypt_jwe(f"{encoded}..{'A' * 16}.AAAA.{'A' * 22}", key=RECIPIENT)
