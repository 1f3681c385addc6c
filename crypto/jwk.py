"""JSON Web Keys (RFC 7517, 7518 §6, 8037): loading public keys that others send, strictly.

One key has one algorithm: P-256 signs ES256 or agrees ECDH-ES, RSA verifies PS256, Ed25519 signs EdDSA. A token cannot
choose another (RFC 8725 §3.1). RSA is for verifying only: agencies may bring such keys, this service makes none.
"""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from crypto.encoding import b64u_decode, b64u_encode
from crypto.errors import MalformedError, VerificationError
from crypto.signing import load_ed25519_public

KeyUse = Literal["sig", "enc"]

P256: Final = ec.SECP256R1()
COORDINATE_BYTES = 32
MAX_KID = 256
ECDSA_SHA256: Final = ec.ECDSA(hashes.SHA256())
# RFC 7518 §3.5: the salt is as long as the hash, and MGF1 uses the same hash.
_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
_SHA256: Final = hashes.SHA256()
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# In the order of RFC 7638 §3.3: sorted by name.
_THUMBPRINT_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_RSA_BITS = range(2048, 8193)
_RSA_EXPONENTS = range(65537, 2**32)
# Names that a JWK or a header may use for the algorithm of a key (RFC 9864 renames EdDSA for each curve).
ALGORITHM_NAMES: Final[dict[str, str]] = {"ES256": "ES256", "PS256": "PS256", "Ed25519": "Ed25519", "EdDSA": "Ed25519"}

Verify = Callable[[bytes, bytes], None]


class PublicKey:
    """A public key that passed all checks, with its verification ready. Made by :func:`load_public_jwk`."""

    __slots__ = ("_point", "_verify", "algorithm", "kid", "thumbprint")

    kid: str | None
    algorithm: str
    """ES256, PS256 or Ed25519 for signatures, ECDH-ES for encryption."""
    thumbprint: str
    """RFC 7638, SHA-256, base64url: the key's name in ``cnf.jkt``."""

    def __init__(
        self,
        *,
        kid: str | None,
        algorithm: str,
        thumbprint: str,
        verify: Verify | None = None,
        point: ec.EllipticCurvePublicKey | None = None,
    ) -> None:
        """Used by this module; a key from outside comes through :func:`load_public_jwk`."""
        self.kid = kid
        self.algorithm = algorithm
        self.thumbprint = thumbprint
        self._verify = verify
        self._point = point

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature in the form that JWS uses.

        Raises:
            VerificationError: it does not hold, or the key is not one for signatures.
        """
        if self._verify is None:
            raise VerificationError("an encryption key verifies no signature")
        try:
            self._verify(signature, message)
        except InvalidSignature:
            raise VerificationError("the signature does not hold") from None

    def agreement_point(self) -> ec.EllipticCurvePublicKey:
        """The curve point to agree a key with.

        Raises:
            MalformedError: the key is not one for encryption.
        """
        if self._point is None:
            raise MalformedError("a signature key encrypts nothing")
        return self._point

    def __repr__(self) -> str:
        return f"PublicKey(kid={self.kid!r}, algorithm={self.algorithm!r}, thumbprint={self.thumbprint!r})"


def load_public_jwk(jwk: Mapping[str, Any], *, use: KeyUse) -> PublicKey:
    """Load a public key that someone else sent.

    Args:
        jwk: the parsed JWK. Members that are not about the key itself (x5c, x5u …) are ignored and never followed.
        use: what the key is needed for.

    Raises:
        MalformedError: private or symmetric material, a wrong use, key_ops or alg, an unknown type or curve, a point
            off the curve, an RSA key under 2048 bits, or a member that is not canonical.
    """
    require_object(jwk)
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise MalformedError("a public key with private members")
    kid = _optional_kid(jwk)
    _require_use(jwk, use)
    kty = jwk.get("kty")
    if kty == "EC":
        return _load_ec(jwk, kid, use)
    if kty == "RSA" and use == "sig":
        return _load_rsa(jwk, kid)
    if kty == "OKP" and use == "sig":
        return _load_okp(jwk, kid)
    raise MalformedError("a key type that is not allowed for this use")


def load_jwk_set(jwks: Mapping[str, Any], *, use: KeyUse, max_keys: int = 32) -> tuple[PublicKey, ...]:
    """Load those keys of a JWK set that serve ``use``; others are skipped, as RFC 7517 §5 asks.

    Raises:
        MalformedError: not a JWK set, too many keys, or a key with private members (it must count as leaked).
    """
    require_object(jwks)
    keys = jwks.get("keys")
    if not isinstance(keys, list) or len(keys) > max_keys:
        raise MalformedError(f"a JWK set has a list of at most {max_keys} keys")
    loaded = []
    for jwk in keys:
        if isinstance(jwk, Mapping) and not _PRIVATE_MEMBERS.isdisjoint(jwk):
            raise MalformedError("a JWK set with private members")
        try:
            loaded.append(load_public_jwk(jwk, use=use))
        except MalformedError:
            continue
    return tuple(loaded)


def jwk_thumbprint(jwk: Mapping[str, Any]) -> str:
    """The RFC 7638 thumbprint (SHA-256, base64url) of a public or private JWK.

    Raises:
        MalformedError: a type without a thumbprint here, or a missing member.
    """
    names = _THUMBPRINT_MEMBERS.get(_text(jwk, "kty"))
    if names is None:
        raise MalformedError("a key type without a thumbprint")
    members = {name: _text(jwk, name) for name in names}
    try:
        canonical = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedError("a JWK with a lone surrogate") from None
    return b64u_encode(sha256(canonical).digest())


def _text(jwk: Mapping[str, Any], name: str) -> str:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"the JWK member {name} is not text")
    return value


def require_object(jwk: object) -> None:
    """Raise MalformedError when a JWK or a set of them is no JSON object."""
    if not isinstance(jwk, Mapping):
        raise MalformedError("a JWK is an object")


def _optional_kid(jwk: Mapping[str, Any]) -> str | None:
    if "kid" not in jwk:
        return None
    return require_kid(jwk["kid"])


def require_kid(kid: Any) -> str:
    """Return a usable key name.

    Raises:
        MalformedError: not text, empty, over 256 characters, or with characters that do not print.
    """
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID or not kid.isprintable():
        raise MalformedError(f"a kid is text of 1 to {MAX_KID} printable characters")
    return kid


def _require_use(jwk: Mapping[str, Any], use: KeyUse) -> None:
    if "use" in jwk and jwk["use"] != use:
        raise MalformedError(f"the JWK is not for use {use}")
    if "key_ops" not in jwk:
        return
    operations = jwk["key_ops"]
    if not isinstance(operations, list) or not all(isinstance(operation, str) for operation in operations):
        raise MalformedError("key_ops is a list of texts")
    if len(set(operations)) != len(operations):
        raise MalformedError("key_ops with a duplicate")
    # The list of a public key for ECDH is empty or names the derivation: RFC 7517 §4.3 leaves it open.
    allowed = {"verify"} if use == "sig" else {"deriveKey", "deriveBits"}
    if not set(operations) <= allowed or (use == "sig" and not operations):
        raise MalformedError(f"the key_ops of the JWK do not allow use {use}")


def _require_alg(jwk: Mapping[str, Any], algorithm: str) -> None:
    if "alg" in jwk:
        name = _text(jwk, "alg")
        if ALGORITHM_NAMES.get(name, name) != algorithm:
            raise MalformedError(f"the alg of the JWK is not {algorithm}")


def coordinate(jwk: Mapping[str, Any], name: str) -> bytes:
    """A member of exactly 32 bytes.

    Raises:
        MalformedError: missing, not canonical base64url, or of another length.
    """
    value = b64u_decode(_text(jwk, name))
    if len(value) != COORDINATE_BYTES:
        raise MalformedError(f"the JWK member {name} has not {COORDINATE_BYTES} bytes")
    return value


def load_point(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    """The P-256 point of a JWK or of an ephemeral key.

    Raises:
        MalformedError: another curve, coordinates of another length, or a point that is not on the curve.
    """
    if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise MalformedError("the only elliptic curve allowed here is P-256")
    point = b"\x04" + coordinate(jwk, "x") + coordinate(jwk, "y")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(P256, point)
    except ValueError:
        raise MalformedError("a point that is not on the curve") from None


def _load_ec(jwk: Mapping[str, Any], kid: str | None, use: KeyUse) -> PublicKey:
    point = load_point(jwk)
    thumbprint = jwk_thumbprint(jwk)
    if use == "enc":
        _require_alg(jwk, "ECDH-ES")
        return PublicKey(kid=kid, algorithm="ECDH-ES", thumbprint=thumbprint, point=point)
    _require_alg(jwk, "ES256")

    def verify(signature: bytes, message: bytes) -> None:
        if len(signature) != 2 * COORDINATE_BYTES:
            raise InvalidSignature
        r, s = int.from_bytes(signature[:COORDINATE_BYTES], "big"), int.from_bytes(signature[COORDINATE_BYTES:], "big")
        point.verify(encode_dss_signature(r, s), message, ECDSA_SHA256)

    return PublicKey(kid=kid, algorithm="ES256", thumbprint=thumbprint, verify=verify)


def _unsigned(jwk: Mapping[str, Any], name: str) -> int:
    value = b64u_decode(_text(jwk, name))
    # RFC 7518 §2: the shortest form, so no leading zero byte.
    if not value or value[0] == 0 or len(value) > _RSA_BITS.stop // 8:
        raise MalformedError(f"the JWK member {name} is not a canonical number")
    return int.from_bytes(value, "big")


def _load_rsa(jwk: Mapping[str, Any], kid: str | None) -> PublicKey:
    _require_alg(jwk, "PS256")
    modulus, exponent = _unsigned(jwk, "n"), _unsigned(jwk, "e")
    if modulus.bit_length() not in _RSA_BITS or not modulus & 1:
        raise MalformedError("an RSA key has 2048 to 8192 bits and an odd modulus")
    if exponent not in _RSA_EXPONENTS or not exponent & 1:
        raise MalformedError("an RSA exponent is odd, from 65537 up, and has at most 32 bits")
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:  # pragma: no cover - the checks above leave nothing for the library to refuse
        raise MalformedError("not an RSA key") from None

    def verify(signature: bytes, message: bytes) -> None:
        key.verify(signature, message, _PSS, _SHA256)

    return PublicKey(kid=kid, algorithm="PS256", thumbprint=jwk_thumbprint(jwk), verify=verify)


def _load_okp(jwk: Mapping[str, Any], kid: str | None) -> PublicKey:
    if jwk.get("crv") != "Ed25519":
        raise MalformedError("the only curve allowed for OKP keys is Ed25519")
    _require_alg(jwk, "Ed25519")
    key = load_ed25519_public(b64u_decode(_text(jwk, "x")))
    return PublicKey(kid=kid, algorithm="Ed25519", thumbprint=jwk_thumbprint(jwk), verify=key.verify)
