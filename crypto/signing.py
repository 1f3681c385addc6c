"""Ed25519 signatures (RFC 8032) over plain bytes; signed notes and receipts are built on them."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crypto.errors import MalformedError, VerificationError
from crypto.kdf import require_key

PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64

_P = 2**255 - 19
# y-coordinate of a point of order 8; with 0, 1 and -1 these are all points of small order.
_Y8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER_Y = frozenset({0, 1, _P - 1, _Y8, _P - _Y8})


class Ed25519Signer:
    """A private signing key."""

    __slots__ = ("_key", "public_bytes")

    public_bytes: bytes
    """The public key, 32 bytes."""

    def __init__(self, seed: bytes) -> None:
        """Take a seed of 32 bytes.

        Raises:
            MalformedError: another length.
        """
        self._key = Ed25519PrivateKey.from_private_bytes(require_key(seed, "an Ed25519 seed"))
        self.public_bytes = self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Sign; the signature has 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"Ed25519Signer(public={self.public_bytes.hex()}, <redacted>)"


def load_ed25519_public(public: bytes) -> Ed25519PublicKey:
    """Load a public key.

    Points of small order and non-canonical encodings are refused: under such a "key" signatures can be made by anyone,
    or one signature fits many messages.

    Raises:
        MalformedError: not 32 bytes, not canonical, or of small order.
    """
    require_key(public, "an Ed25519 public key")
    y = int.from_bytes(public, "little") & (2**255 - 1)
    if y >= _P or y in _SMALL_ORDER_Y:
        raise MalformedError("an Ed25519 public key that binds nobody")
    try:
        return Ed25519PublicKey.from_public_bytes(public)
    except ValueError:  # pragma: no cover - OpenSSL decodes the point only when it verifies
        raise MalformedError("not an Ed25519 public key") from None


def verify_ed25519(public: bytes, signature: bytes, message: bytes) -> None:
    """Check a signature.

    Raises:
        MalformedError: the public key is none.
        VerificationError: the signature does not hold.
    """
    key = load_ed25519_public(public)
    try:
        key.verify(signature, message)
    except InvalidSignature:
        raise VerificationError("the Ed25519 signature does not hold") from None
