"""Pairwise pseudonyms: every agency knows a person under another name, and cannot tell that two names are one person.

The format:

    pseudonym = base64url(HMAC-SHA-256(K[version], "cdx/pseudonym/v1" || lp16(agency) || subject_ref(16)))
"""

from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from crypto.encoding import b64u_encode, lp16_text
from crypto.errors import MalformedError
from crypto.kdf import require_key


class PseudonymKey:
    """The key of one version. Safe to share between threads."""

    __slots__ = ("_keyed", "version")

    def __init__(self, *, key: bytes, version: int) -> None:
        """Take a key of 32 bytes.

        Raises:
            MalformedError: another length.
        """
        self.version = version
        self._keyed = HMAC(require_key(key, "a pseudonym key"), SHA256())
        self._keyed.update(b"cdx/pseudonym/v1")

    def derive(self, *, agency: str, subject_ref: UUID) -> str:
        """The name (43 characters) under which ``agency`` knows the person.

        Raises:
            MalformedError: no agency is named, or its name is too long.
        """
        if not agency:
            raise MalformedError("a pseudonym needs an agency")
        mac = self._keyed.copy()
        mac.update(lp16_text(agency) + subject_ref.bytes)
        return b64u_encode(mac.finalize())

    def __repr__(self) -> str:
        return f"PseudonymKey(version={self.version}, <redacted>)"
