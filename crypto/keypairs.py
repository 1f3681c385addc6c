"""Our own key pairs for JOSE: signing (ES256, Ed25519) and decryption (P-256), with their JWK forms.

Services take them from a keyset; clients and providers keep them as private JWKs in files of their own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.encoding import b64u_encode
from crypto.errors import MalformedError
from crypto.ids import random_bytes
from crypto.jwk import (
    COORDINATE_BYTES,
    ECDSA_SHA256,
    P256,
    PublicKey,
    coordinate,
    jwk_thumbprint,
    load_public_jwk,
    require_kid,
    require_object,
)
from crypto.kdf import KEY_BYTES, require_key
from crypto.keyset import Key

SigningAlgorithm = Literal["ES256", "Ed25519"]


def point_members(key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The members kty, crv, x and y of a P-256 public key."""
    point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {"kty": "EC", "crv": "P-256", "x": b64u_encode(point[1:33]), "y": b64u_encode(point[33:])}


def scalar_key(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 private key with this scalar (32 bytes, big-endian).

    Raises:
        MalformedError: another length, zero, or not below the order of the curve.
    """
    try:
        return ec.derive_private_key(int.from_bytes(require_key(scalar, "a P-256 scalar"), "big"), P256)
    except ValueError:
        raise MalformedError("not a scalar of P-256") from None


def scalar_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The scalar of a P-256 private key, 32 bytes, big-endian."""
    return key.private_numbers().private_value.to_bytes(COORDINATE_BYTES, "big")


def _public_half(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """A private JWK without what only the private half has; its key_ops name what the private half does."""
    require_object(jwk)
    return {name: value for name, value in jwk.items() if name not in ("d", "key_ops")}


class SigningKey:
    """One of our own private signing keys: ES256 or Ed25519."""

    __slots__ = ("_jwk", "_private", "_sign", "algorithm", "header_starts", "kid")

    kid: str
    algorithm: SigningAlgorithm
    header_starts: dict[str, str]
    """Encoded JWS headers by typ; kept and bounded by the JWS code."""

    def __init__(
        self, *, kid: str, algorithm: SigningAlgorithm, private: ec.EllipticCurvePrivateKey | Ed25519PrivateKey
    ) -> None:
        """Take a private key of the library.

        Raises:
            MalformedError: an unusable kid, or a key that is not of the algorithm.
        """
        self.kid = require_kid(kid)
        self.algorithm = algorithm
        self.header_starts = {}
        if algorithm == "ES256" and isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == P256.name:
            members = point_members(private.public_key())
            self._private = scalar_of(private)

            def sign_es256(message: bytes) -> bytes:
                r, s = decode_dss_signature(private.sign(message, ECDSA_SHA256))
                return r.to_bytes(COORDINATE_BYTES, "big") + s.to_bytes(COORDINATE_BYTES, "big")

            self._sign: Callable[[bytes], bytes] = sign_es256
        elif algorithm == "Ed25519" and isinstance(private, Ed25519PrivateKey):
            members = {"kty": "OKP", "crv": "Ed25519", "x": b64u_encode(private.public_key().public_bytes_raw())}
            self._private = private.private_bytes_raw()
            self._sign = private.sign
        else:
            raise MalformedError("a signing key is ES256 over P-256, or Ed25519")
        self._jwk: dict[str, Any] = {**members, "kid": kid, "use": "sig", "alg": algorithm}

    @classmethod
    def from_key(cls, key: Key) -> "SigningKey":
        """Take a key of a keyset.

        Raises:
            MalformedError: the key is symmetric, or its material is not one of its algorithm.
        """
        return cls._from_scalar(key.kid, key.algorithm, key.material)

    @classmethod
    def generate(cls, kid: str, algorithm: SigningAlgorithm = "ES256") -> "SigningKey":
        """Make a new key pair.

        Raises:
            MalformedError: an unusable kid or algorithm.
        """
        if algorithm == "ES256":
            return cls(kid=kid, algorithm=algorithm, private=ec.generate_private_key(P256))
        return cls._from_scalar(kid, algorithm, random_bytes(KEY_BYTES))

    @classmethod
    def from_private_jwk(cls, jwk: Mapping[str, Any]) -> "SigningKey":
        """Load a private key from a client's key file.

        Raises:
            MalformedError: not a private EC or OKP key for signing with a kid, or halves that do not belong together.
        """
        loaded = load_public_jwk(_public_half(jwk), use="sig")
        key = cls._from_scalar(require_kid(loaded.kid), loaded.algorithm, coordinate(jwk, "d"))
        if jwk_thumbprint(key.public_jwk()) != loaded.thumbprint:
            raise MalformedError("a private key that does not belong to its public key")
        return key

    @classmethod
    def _from_scalar(cls, kid: str, algorithm: str, scalar: bytes) -> "SigningKey":
        if algorithm == "ES256":
            return cls(kid=kid, algorithm="ES256", private=scalar_key(scalar))
        if algorithm == "Ed25519":
            seed = require_key(scalar, "an Ed25519 seed")
            return cls(kid=kid, algorithm="Ed25519", private=Ed25519PrivateKey.from_private_bytes(seed))
        raise MalformedError("a signing key is ES256 over P-256, or Ed25519")

    def sign(self, message: bytes) -> bytes:
        """Sign; the result has the form that JWS uses (64 bytes)."""
        return self._sign(message)

    def public_jwk(self) -> dict[str, Any]:
        """The public key with kid, use and alg, to publish."""
        return dict(self._jwk)

    def public_key(self) -> PublicKey:
        """The public key, ready to verify."""
        return load_public_jwk(self._jwk, use="sig")

    def to_private_jwk(self) -> dict[str, Any]:
        """The private key, for a key file that only its owner reads."""
        return {**self._jwk, "d": b64u_encode(self._private)}

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, algorithm={self.algorithm!r}, <redacted>)"


class EncryptionPrivateKey:
    """A P-256 key that others encrypt to (ECDH-ES)."""

    __slots__ = ("_jwk", "_private", "kid")

    kid: str

    def __init__(self, *, kid: str, private: ec.EllipticCurvePrivateKey) -> None:
        """Take a private key of the library.

        Raises:
            MalformedError: an unusable kid, or another curve.
        """
        if private.curve.name != P256.name:
            raise MalformedError("an encryption key is one of P-256")
        self.kid = require_kid(kid)
        self._private = private
        self._jwk = {**point_members(private.public_key()), "kid": kid, "use": "enc", "alg": "ECDH-ES"}

    @classmethod
    def generate(cls, kid: str) -> "EncryptionPrivateKey":
        """Make a new key pair."""
        return cls(kid=kid, private=ec.generate_private_key(P256))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "EncryptionPrivateKey":
        """Load a private key from a key file.

        Raises:
            MalformedError: not a private P-256 key for encryption with a kid, or halves that do not belong together.
        """
        loaded = load_public_jwk(_public_half(jwk), use="enc")
        key = cls(kid=require_kid(loaded.kid), private=scalar_key(coordinate(jwk, "d")))
        if jwk_thumbprint(key.public_jwk()) != loaded.thumbprint:
            raise MalformedError("a private key that does not belong to its public key")
        return key

    def exchange(self, point: ec.EllipticCurvePublicKey) -> bytes:
        """The shared secret with a point, 32 bytes; never use it without a key derivation."""
        return self._private.exchange(ec.ECDH(), point)

    def public_jwk(self) -> dict[str, Any]:
        """The public key with kid, use and alg, to publish."""
        return dict(self._jwk)

    def public_key(self) -> PublicKey:
        """The public key, ready to encrypt to."""
        return load_public_jwk(self._jwk, use="enc")

    def to_private_jwk(self) -> dict[str, Any]:
        """The private key, for a key file that only its owner reads."""
        return {**self._jwk, "d": b64u_encode(scalar_of(self._private))}

    def __repr__(self) -> str:
        return f"EncryptionPrivateKey(kid={self.kid!r}, <redacted>)"
