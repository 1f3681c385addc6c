"""JWS (RFC 7515) and JWE (RFC 7516), compact form only, lean: one base64 pass, one JSON pass, then the library.

Allowed: PS256, ES256 and Ed25519 (also under its older name EdDSA) for signatures; ECDH-ES over P-256 with A256GCM for
encryption. Nothing else can be switched on. The algorithm comes from the key; what the header says must agree with it
(RFC 8725 §3.1). ``crit``, ``b64`` and ``zip`` are refused, and no header member ever makes this module fetch or load a
key.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.canonical import load_json
from crypto.encoding import b64u_decode, b64u_encode, utf8
from crypto.errors import DecryptionError, MalformedError, VerificationError
from crypto.ids import random_bytes
from crypto.jwk import ALGORITHM_NAMES, P256, PublicKey, jwk_thumbprint, load_jwk_set, load_point, load_public_jwk
from crypto.keypairs import EncryptionPrivateKey, SigningAlgorithm, SigningKey

__all__ = [
    "EncryptionPrivateKey",
    "PublicKey",
    "SigningAlgorithm",
    "SigningKey",
    "VerifiedJWS",
    "decrypt_jwe",
    "encrypt_jwe",
    "jwk_thumbprint",
    "load_jwk_set",
    "load_public_jwk",
    "sign_jws",
    "unverified_header",
    "verify_jws",
]

MAX_JWS_BYTES = 16_384
MAX_JWE_BYTES = 2**20
MAX_HEADER_BYTES = 8_192
_CACHED_TYPES = 16

KeyResolver = Callable[[Mapping[str, Any]], PublicKey]
"""Finds the key for an unverified header; raises UnknownKeyError when there is none."""

_encode_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_RESERVED: Final = frozenset({"alg", "typ", "kid", "crit", "b64", "zip"})
# RFC 7518 §4.6.2: the suffix of the derivation, for A256GCM used directly: 256 bits of key.
_ALGORITHM_ID: Final = b"\x00\x00\x00\x07A256GCM"
_KEY_BITS: Final = b"\x00\x00\x01\x00"
_NO_PARTY: Final = bytes(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedJWS:
    """A token whose signature holds."""

    header: dict[str, Any]
    payload: bytes

    def claims(self, *, allow_float: bool = False) -> dict[str, Any]:
        """The payload as a JSON object.

        Raises:
            MalformedError: it is none, or has duplicate members, or floats that were not allowed.
        """
        claims = load_json(self.payload, max_bytes=len(self.payload), allow_float=allow_float)
        if not isinstance(claims, dict):
            raise MalformedError("the payload is not a JSON object")
        return claims


def sign_jws(
    payload: Mapping[str, Any] | bytes, *, key: SigningKey, typ: str, headers: Mapping[str, Any] | None = None
) -> str:
    """Sign a payload.

    Args:
        payload: claims, written as JSON in the order given; or bytes.
        key: also gives alg and kid.
        typ: the type of token (RFC 8725 §3.11), without "application/".
        headers: further protected members, such as ``jwk`` of a DPoP proof.

    Raises:
        MalformedError: a payload that JSON cannot hold, or a header that only this function may set.
    """
    if headers is None:
        start = key.header_starts.get(typ)
        if start is None:
            start = _jws_start(key, typ, {})
            if len(key.header_starts) < _CACHED_TYPES:
                key.header_starts[typ] = start
    else:
        start = _jws_start(key, typ, headers)
    data = payload if isinstance(payload, bytes) else _json_bytes(payload)
    signed = start + b64u_encode(data)
    return f"{signed}.{b64u_encode(key.sign(signed.encode('ascii')))}"


def _jws_start(key: SigningKey, typ: str, headers: Mapping[str, Any]) -> str:
    if not _RESERVED.isdisjoint(headers):
        raise MalformedError("a header that only the signer may set")
    if not typ:
        raise MalformedError("a token needs a typ")
    header = {"alg": key.algorithm, "typ": typ, "kid": key.kid, **headers}
    return b64u_encode(_json_bytes(header)) + "."


def _json_bytes(members: Mapping[str, Any]) -> bytes:
    try:
        return utf8(_encode_json(dict(members)))
    except (TypeError, ValueError, RecursionError):
        raise MalformedError("a value that JSON cannot hold") from None


def verify_jws(
    token: str, *, key: PublicKey | KeyResolver, typ: str | None, max_bytes: int = MAX_JWS_BYTES
) -> VerifiedJWS:
    """Check a token's signature and type. Times, issuer and audience are the caller's to check.

    Args:
        token: the compact form.
        key: the key, or a function that finds it from the header, which nobody has verified at that time.
        typ: the required type, compared without case and "application/"; None leaves it to the caller.
        max_bytes: the longest token that is looked at.

    Raises:
        MalformedError: not a token of the allowed kind.
        VerificationError: the signature does not hold, or the algorithm or type is another one.
        UnknownKeyError: from the function that finds the key.
    """
    encoded_header, encoded_payload, encoded_signature = _split(token, (3,), max_bytes)
    header = _load_header(encoded_header)
    algorithm = ALGORITHM_NAMES.get(header["alg"])
    if algorithm is None:
        raise MalformedError("an alg that is not allowed")
    if "b64" in header:
        raise MalformedError("a header with b64")
    if typ is not None and _media_type(header.get("typ")) != _media_type(typ):
        raise VerificationError("a token of another typ")
    public = key if isinstance(key, PublicKey) else key(header)
    if algorithm != public.algorithm:
        raise VerificationError("the alg is not the one of the key")
    signed = token[: len(encoded_header) + 1 + len(encoded_payload)].encode("ascii")
    public.verify(b64u_decode(encoded_signature), signed)
    return VerifiedJWS(header=header, payload=b64u_decode(encoded_payload))


def unverified_header(token: str, *, max_bytes: int = MAX_JWE_BYTES) -> dict[str, Any]:
    """The header of a JWS or JWE before any check of it: to find a key, never to decide anything.

    Raises:
        MalformedError: not the compact form of either.
    """
    return _load_header(_split(token, (3, 5), max_bytes)[0])


def _split(token: object, counts: tuple[int, ...], max_bytes: int) -> list[str]:
    if not isinstance(token, str) or len(token) > max_bytes or not token.isascii():
        raise MalformedError(f"a token is ASCII text of at most {max_bytes} bytes")
    parts = token.split(".", 5)
    if len(parts) not in counts:
        raise MalformedError("a token of this kind has another number of parts")
    return parts


def _load_header(encoded: str) -> dict[str, Any]:
    header = load_json(b64u_decode(encoded), max_bytes=MAX_HEADER_BYTES)
    if not isinstance(header, dict) or not isinstance(header.get("alg"), str):
        raise MalformedError("a header is a JSON object with an alg")
    if "crit" in header:
        raise MalformedError("a header with crit")
    # A resolver looks keys up by kid: it may rely on text.
    if any(name in header and not isinstance(header[name], str) for name in ("kid", "typ")):
        raise MalformedError("a header whose kid or typ is not text")
    return header


def _media_type(typ: str | None) -> str | None:
    """RFC 7515 §4.1.9: the prefix may be left out where no other slash follows."""
    if typ is None:
        return None
    name = typ.lower()
    bare = name.removeprefix("application/")
    return name if "/" in bare else bare


def encrypt_jwe(plaintext: bytes, *, key: PublicKey, cty: str = "JWT") -> str:
    """Encrypt for the holder of a key, with an ephemeral key of its own each time. The length is not hidden.

    Raises:
        MalformedError: the key is not one for encryption.
    """
    recipient = key.agreement_point()
    ephemeral = ec.generate_private_key(P256)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    kid = "" if key.kid is None else f'"kid":{_encode_json(key.kid)},'
    header = (
        f'{{"alg":"ECDH-ES","enc":"A256GCM",{kid}"cty":{_encode_json(cty)},"epk":{{"kty":"EC","crv":"P-256",'
        f'"x":"{b64u_encode(point[1:33])}","y":"{b64u_encode(point[33:])}"}}}}'
    )
    encoded_header = b64u_encode(utf8(header))
    nonce = random_bytes(12)
    content_key = _concat_kdf(ephemeral.exchange(ec.ECDH(), recipient), _NO_PARTY, _NO_PARTY)
    sealed = AESGCM(content_key).encrypt(nonce, plaintext, encoded_header.encode("ascii"))
    return f"{encoded_header}..{b64u_encode(nonce)}.{b64u_encode(sealed[:-16])}.{b64u_encode(sealed[-16:])}"


def decrypt_jwe(token: str, *, key: EncryptionPrivateKey, max_bytes: int = MAX_JWE_BYTES) -> bytes:
    """Decrypt what was encrypted to a key.

    Raises:
        MalformedError: not a token of the allowed kind, or an ephemeral key that is not on the curve.
        DecryptionError: encrypted to another key, or altered.
    """
    encoded_header, wrapped_key, encoded_nonce, encoded_text, encoded_tag = _split(token, (5,), max_bytes)
    header = _load_header(encoded_header)
    if header["alg"] != "ECDH-ES" or header.get("enc") != "A256GCM":
        raise MalformedError("an alg or enc that is not allowed")
    if "zip" in header:
        raise MalformedError("a header with zip")
    if wrapped_key:
        raise MalformedError("ECDH-ES used directly has no wrapped key")
    ephemeral = header.get("epk")
    if not isinstance(ephemeral, dict) or "d" in ephemeral:
        raise MalformedError("a header without a public epk")
    nonce, tag = b64u_decode(encoded_nonce), b64u_decode(encoded_tag)
    if len(nonce) != 12 or len(tag) != 16:
        raise MalformedError("a nonce has 12 bytes and a tag 16")
    sealed = b64u_decode(encoded_text) + tag
    shared = key.exchange(load_point(ephemeral))
    content_key = _concat_kdf(shared, _party(header, "apu"), _party(header, "apv"))
    try:
        return AESGCM(content_key).decrypt(nonce, sealed, encoded_header.encode("ascii"))
    except InvalidTag:
        raise DecryptionError from None


def _party(header: Mapping[str, Any], name: str) -> bytes:
    if name not in header:
        return _NO_PARTY
    value = header[name]
    if not isinstance(value, str):
        raise MalformedError(f"the header member {name} is not text")
    data = b64u_decode(value)
    return len(data).to_bytes(4, "big") + data


def _concat_kdf(shared: bytes, party_u: bytes, party_v: bytes) -> bytes:
    """NIST SP 800-56A §5.8.1 with SHA-256 (RFC 7518 §4.6.2); 256 bits are one round."""
    return sha256(b"\x00\x00\x00\x01" + shared + _ALGORITHM_ID + party_u + party_v + _KEY_BITS).digest()
