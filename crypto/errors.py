"""Errors of the crypto package.

Everything that crypto raises on purpose derives from :class:`CryptoError`, so that a caller can fail closed with one
``except``. Messages name what was expected, never a value: they may reach a log.
"""

from typing import ClassVar


class CryptoError(Exception):
    """Root of all errors of this package."""

    code: ClassVar[str] = "crypto-error"


class MalformedError(CryptoError):
    """The bytes, text or argument given do not have the required form; nothing about a key was tried."""

    code: ClassVar[str] = "malformed"


class DecryptionError(CryptoError):
    """A sealed value did not open. Deliberately says nothing more: the cause would be an oracle."""

    code: ClassVar[str] = "decryption-failed"

    def __init__(self) -> None:
        super().__init__("the sealed value does not open")


class UnknownKeyError(CryptoError):
    """The key that is named (or the primary key that is needed) is not there. Operators must act on this one."""

    code: ClassVar[str] = "unknown-key"


class VerificationError(CryptoError):
    """A well-formed signature or proof does not hold."""

    code: ClassVar[str] = "verification-failed"
