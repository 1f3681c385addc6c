"""Key derivation: HKDF-Expand with SHA-256 (RFC 5869 §2.3) for keys that are random already.

The step "extract" is left out as §3.3 of the RFC allows: every root key here is 32 bytes from the system's generator.
"""

import hmac

from crypto.errors import MalformedError

KEY_BYTES = 32
"""The length of every symmetric key, seed and scalar of this package, in bytes."""


def expand(key: bytes, info: bytes) -> bytes:
    """Derive 32 bytes for the use that ``info`` names.

    One block of output is a single HMAC over ``info || 0x01``; the one-shot function of the standard library is faster
    than building an HKDF object, and tests hold it against that object.
    """
    return hmac.digest(key, info + b"\x01", "sha256")


def require_key(material: object, what: str) -> bytes:
    """Return ``material`` as bytes when it is a key of 32 bytes.

    Raises:
        MalformedError: another type or length. The message names ``what``, never the material.
    """
    if not isinstance(material, bytes) or len(material) != KEY_BYTES:
        raise MalformedError(f"{what} must be {KEY_BYTES} bytes")
    return material
