import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from crypto.errors import CryptoError, MalformedError, UnknownKeyError, VerificationError
from crypto.jose import EncryptionPrivateKey, SigningKey, load_public_jwk, sign_jws, unverified_header, verify_jws
from tests.unit.crypto.jose_forge import RSA_KEY, b64u, part, ps256, rs256, rsa_jwk, token

ES256 = SigningKey.generate("es")
ED25519 = SigningKey.generate("ed", "Ed25519")
CLAIMS = {"iss": "https://cdx.example", "sub": "x", "iat": 1764000000}
KEYS = pytest.mark.parametrize("key", [ES256, ED25519], ids=["ES256", "Ed25519"])


def verify(text, key=ES256, typ="at+jwt"):
    return verify_jws(text, key=key.public_key(), typ=typ)


@KEYS
def test_a_signed_token_verifies(key):
    verified = verify(sign_jws(CLAIMS, key=key, typ="at+jwt"), key)
    assert verified.claims() == CLAIMS
    assert verified.header == {"alg": key.algorithm, "typ": "at+jwt", "kid": key.kid}
    assert json.loads(verified.payload) == CLAIMS


def test_bytes_are_signed_as_they_are():
    verified = verify(sign_jws(b"\x00\xff", key=ES256, typ="x"), typ="x")
    assert verified.payload == b"\x00\xff"
    with pytest.raises(MalformedError):
        verified.claims()


def test_the_signature_of_the_standard_verifies():
    # RFC 7515 appendix A.3.
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    text = (
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
        "fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    verified = verify_jws(text, key=load_public_jwk(jwk, use="sig"), typ=None)
    assert verified.claims() == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_the_ed25519_signature_of_the_standard_verifies_under_its_older_name():
    # RFC 8037 appendix A.4.
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    text = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki"
        "4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    assert verify_jws(text, key=load_public_jwk(jwk, use="sig"), typ=None).payload == b"Example of Ed25519 signing"


def test_ps256_is_verified():
    key = load_public_jwk(rsa_jwk(RSA_KEY), use="sig")
    assert verify_jws(token({"alg": "PS256"}, CLAIMS, ps256(RSA_KEY)), key=key, typ=None).claims() == CLAIMS
    for text in (
        token({"alg": "RS256"}, CLAIMS, rs256(RSA_KEY)),
        token({"alg": "PS256"}, CLAIMS, rs256(RSA_KEY)),
        token({"alg": "PS384"}, CLAIMS, ps256(RSA_KEY)),
    ):
        with pytest.raises(CryptoError):
            verify_jws(text, key=key, typ=None)


@pytest.mark.parametrize(
    "alg", ["none", "None", "NONE", "", "HS256", "RS256", "ES384", "ES256K", "ECDH-ES", "es256", "ES256 "]
)
def test_an_algorithm_outside_the_list_is_refused(alg):
    with pytest.raises(MalformedError):
        verify(token({"alg": alg, "typ": "at+jwt"}, CLAIMS, ES256.sign))
    with pytest.raises(MalformedError):
        verify(token({"alg": alg, "typ": "at+jwt"}, CLAIMS, lambda _: b""))


@pytest.mark.parametrize("alg", ["PS256", "Ed25519", "EdDSA"])
def test_an_algorithm_of_another_key_is_refused(alg):
    with pytest.raises(VerificationError):
        verify(token({"alg": alg, "typ": "at+jwt"}, CLAIMS, ES256.sign))


def test_a_public_key_is_no_shared_secret():
    # The classic confusion: HMAC keyed with the public key's own bytes.
    secret = json.dumps(ES256.public_jwk()).encode()
    with pytest.raises(MalformedError):
        verify(token({"alg": "HS256", "typ": "at+jwt"}, CLAIMS, lambda message: hmac.digest(secret, message, "sha256")))


@KEYS
def test_an_encryption_key_verifies_nothing(key):
    public = EncryptionPrivateKey.generate("e").public_key()
    with pytest.raises(VerificationError):
        verify_jws(sign_jws(CLAIMS, key=key, typ="x"), key=public, typ="x")


GOOD = {"alg": "ES256", "typ": "at+jwt"}


@pytest.mark.parametrize(
    "header",
    [
        {**GOOD, "crit": ["exp"], "exp": 1},
        {**GOOD, "crit": []},
        {**GOOD, "crit": None},
        {**GOOD, "b64": False, "crit": ["b64"]},
        {**GOOD, "b64": False},
        {**GOOD, "b64": True},
        {**GOOD, "kid": 1},
        {**GOOD, "kid": ["es"]},
        {**GOOD, "kid": None},
        {**GOOD, "typ": 1},
        {**GOOD, "typ": None},
        {**GOOD, "alg": None},
        {**GOOD, "alg": ["ES256"]},
        {"typ": "at+jwt"},
        {},
        [],
        "x",
        "null",
        '{"alg":"ES256","typ":"at+jwt","alg":"ES256"}',
        '{"alg":"none","typ":"at+jwt","\\u0061lg":"ES256"}',
        '{"alg":"ES256","typ":"at+jwt","x":{"a":1,"a":2}}',
        '{"alg":"ES256","typ":"at+jwt","x":1.5}',
        '{"alg":"ES256","typ":"at+jwt","x":NaN}',
        '{"alg":"ES256","typ":"at+jwt"',
        '{"alg":"ES256","typ":"at+jwt"} x',
        b'{"alg":"ES256","typ":"at+jwt","x":"\xff"}',
        '{"alg":"ES256","typ":"at+jwt","x":' + "[" * 3000,
        '{"alg":"ES256","typ":"at+jwt","x":"' + "a" * 9000 + '"}',
    ],
    ids=lambda header: str(header)[:60],
)
def test_a_faulty_header_is_refused_even_with_a_good_signature(header):
    with pytest.raises(MalformedError):
        verify(token(header, CLAIMS, ES256.sign))


def change(text, position, value):
    parts = text.split(".")
    parts[position] = value(parts[position])
    return ".".join(parts)


@pytest.mark.parametrize(
    "forge",
    [
        lambda text: "",
        lambda text: ".",
        lambda text: "..",
        lambda text: "...",
        lambda text: text[: text.rindex(".")],
        lambda text: text + ".",
        lambda text: "." + text,
        lambda text: text + "." + text,
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text + "=",
        lambda text: text + "é",
        lambda text: text.replace(".", "..", 1),
        lambda text: change(text, 0, lambda value: value + "="),
        lambda text: change(text, 2, lambda value: value + "=="),
        lambda text: change(text, 2, lambda value: value[:-1] + chr(ord(value[-1]) + 1)),
        lambda text: text + "A" * 20_000,
        lambda text: json.dumps({"payload": text.split(".")[1], "signatures": [{}]}),
        lambda text: text.encode(),
        lambda text: None,
        lambda text: 5,
        lambda text: [text],
    ],
)
def test_anything_but_the_compact_form_is_malformed(forge):
    with pytest.raises(MalformedError):
        verify(forge(sign_jws(CLAIMS, key=ES256, typ="at+jwt")))


def test_a_payload_that_is_not_canonical_base64_is_refused_though_it_is_signed():
    for payload in ("e30=", "e31", "e3 0", "e30\n"):
        signed = f"{part(GOOD)}.{payload}"
        with pytest.raises(MalformedError):
            verify(f"{signed}.{b64u(ES256.sign(signed.encode()))}")


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_changed_part_is_noticed(position):
    first = sign_jws(CLAIMS, key=ES256, typ="at+jwt")
    second = sign_jws({**CLAIMS, "sub": "y"}, key=SigningKey.generate("other"), typ="at+jwt")
    other = second.split(".")[position]
    with pytest.raises(VerificationError):
        verify(change(first, position, lambda _: other))


def test_der_signatures_are_refused():
    # RFC 7518 §3.4: r and s side by side, nothing else.
    def der(message):
        raw = ES256.sign(message)
        return encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))

    with pytest.raises(VerificationError):
        verify(token(GOOD, CLAIMS, der))


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_a_typ_is_compared_without_case_and_prefix(typ):
    text = token({**GOOD, "typ": typ}, CLAIMS, ES256.sign)
    assert verify(text, typ="at+jwt").claims() == CLAIMS
    assert verify(text, typ="application/AT+jwt").claims() == CLAIMS


@pytest.mark.parametrize(
    "header",
    [{"typ": "jwt"}, {"typ": ""}, {"typ": "at+jwt "}, {"typ": "text/at+jwt"}, {"typ": "application/x/at+jwt"}, {}],
)
def test_a_token_of_another_typ_is_refused(header):
    text = token({"alg": "ES256", **header}, CLAIMS, ES256.sign)
    with pytest.raises(VerificationError):
        verify(text)
    assert verify(text, typ=None).claims() == CLAIMS


def test_no_typ_is_not_an_empty_typ():
    with pytest.raises(VerificationError):
        verify(token({"alg": "ES256"}, CLAIMS, ES256.sign), typ="")


def test_a_key_can_be_found_from_the_header():
    keys = {key.kid: key.public_key() for key in (ES256, ED25519)}

    def find(header):
        try:
            return keys[header.get("kid")]
        except KeyError:
            raise UnknownKeyError("no such client key") from None

    for key in (ES256, ED25519):
        assert verify_jws(sign_jws(CLAIMS, key=key, typ="x"), key=find, typ="x").claims() == CLAIMS
    with pytest.raises(UnknownKeyError):
        verify_jws(sign_jws(CLAIMS, key=SigningKey.generate("who"), typ="x"), key=find, typ="x")
    with pytest.raises(VerificationError):
        verify_jws(sign_jws(CLAIMS, key=SigningKey.generate("es"), typ="x"), key=find, typ="x")


def test_no_key_is_looked_for_when_the_header_is_already_wrong():
    def find(header):
        raise AssertionError("asked for a key")

    for header in ({**GOOD, "alg": "none"}, {**GOOD, "crit": ["x"]}, {**GOOD, "typ": "other"}):
        with pytest.raises(CryptoError):
            verify_jws(token(header, CLAIMS, ES256.sign), key=find, typ="at+jwt")


def test_a_key_in_the_header_counts_only_when_the_caller_takes_it():
    attacker = SigningKey.generate("es")
    text = sign_jws(CLAIMS, key=attacker, typ="at+jwt", headers={"jwk": attacker.public_jwk()})
    with pytest.raises(VerificationError):
        verify(text)
    taken = verify_jws(text, key=lambda header: load_public_jwk(header["jwk"], use="sig"), typ="at+jwt")
    assert taken.header["jwk"] == attacker.public_jwk()


def test_the_longest_token_can_be_chosen():
    text = sign_jws({"a": "x" * 20_000}, key=ES256, typ="x")
    with pytest.raises(MalformedError):
        verify(text, typ="x")
    assert verify_jws(text, key=ES256.public_key(), typ="x", max_bytes=30_000)


@pytest.mark.parametrize("name", ["alg", "typ", "kid", "crit", "b64", "zip"])
def test_a_caller_cannot_set_what_the_signer_sets(name):
    with pytest.raises(MalformedError):
        sign_jws(CLAIMS, key=ES256, typ="x", headers={name: "x"})


@pytest.mark.parametrize(
    "payload", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}, {"a": {1, 2}}, "text", None, [1], 5]
)
def test_what_json_cannot_hold_is_not_signed(payload):
    with pytest.raises(MalformedError):
        sign_jws(payload, key=ES256, typ="x")


def test_a_token_needs_a_typ():
    with pytest.raises(MalformedError):
        sign_jws(CLAIMS, key=ES256, typ="")


def test_encoded_headers_are_remembered_within_bounds():
    key = SigningKey.generate("k")
    for number in range(40):
        text = sign_jws(CLAIMS, key=key, typ=f"type-{number}")
        assert verify(text, key, typ=f"type-{number}")
    assert len(key.header_starts) == 16


@pytest.mark.parametrize(
    "payload", ["[]", "1", "null", '{"a":1,"a":2}', '{"exp":1e400}', '{"exp":NaN}', "", "{", '{"a":1.5}']
)
def test_claims_are_one_unambiguous_object(payload):
    verified = verify(token(GOOD, payload, ES256.sign))
    with pytest.raises(MalformedError):
        verified.claims()


def test_claims_may_have_floats_when_the_caller_says_so():
    assert verify(token(GOOD, '{"a":1.5,"b":null}', ES256.sign)).claims(allow_float=True) == {"a": 1.5, "b": None}


def test_a_header_can_be_read_before_any_check():
    assert unverified_header(token({"alg": "none", "kid": "k"}, CLAIMS, lambda _: b""))["kid"] == "k"
    assert unverified_header(f"{part({'alg': 'ECDH-ES'})}....")["alg"] == "ECDH-ES"
    for text in ("", "a.b", "a.b.c", "a.b.c.d", "....", None, b"a.b.c", "e30.e30.", "e30." * 5):
        with pytest.raises(MalformedError):
            unverified_header(text)
