"""Sealed fields: one personal value, encrypted under one person's data key and bound to its place.

Wire format (format 1, suite 1; never reuse a number):

    offset  length
    0       1       0xC1, the format
    1       1       0x01, the suite: AES-256-GCM with a 12-byte nonce
    2       16      kid: the first 16 bytes of the key's commitment
    18      12      nonce, random
    30      n       ciphertext
    30+n    16      tag

    plaintext  = 0x01 || value || 0x80 || 0x00 … up to a multiple of 16 (or of what the caller asks for)
    AAD        = "cdx/field/v1" || bytes 0..17 || installation(16) || lp16(table) || lp16(column)
                 || subject_ref(16) || record_id(16) || u32be(version)
    commitment = HKDF-Expand(DEK, "cdx/field/v1 commit", 32)
    AES key    = HKDF-Expand(DEK, "cdx/field/v1 enc", 32)

AES-GCM alone does not commit to its key; the kid does: opening under another key would need a collision of HKDF. A data
key serves one person, so random 96-bit nonces are safe far beyond what one person's record ever needs.

This is a hot path. What can be known before a value arrives is computed before: the header per key, the middle of the
AAD per column, its end per row.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NewType
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crypto.encoding import lp16_text
from crypto.errors import DecryptionError, MalformedError, UnknownKeyError
from crypto.ids import random_bytes
from crypto.kdf import KEY_BYTES, expand, require_key

RowBinding = NewType("RowBinding", bytes)
"""The end of the AAD, shared by all fields of one row; made by :func:`row_binding`."""

KID_BYTES = 16
OVERHEAD_BYTES = 46
MAX_VALUE_BYTES = 2**24
"""The longest value that a field takes: 16 MiB, a scanned document."""

_LABEL = b"cdx/field/v1"
_PREFIX = b"\xc1\x01"
_HEADER_BYTES = 2 + KID_BYTES
_MIN_BYTES = OVERHEAD_BYTES + 16
_VALUE_TYPE = 0x01
# Made once: building them takes a sixth of the time that opening may cost beside the decryption.
_HEADER = slice(0, _HEADER_BYTES)
_NONCE = slice(_HEADER_BYTES, _HEADER_BYTES + 12)
_REST = slice(_HEADER_BYTES + 12, None)
_VALUE = slice(1, -1)


def _padding(multiple: int) -> tuple[bytes, ...]:
    """ISO/IEC 7816-4 padding by the length of the value modulo ``multiple``; the type byte counts as one."""
    return tuple(b"\x80" + bytes(-(length + 2) % multiple) for length in range(multiple))


_PADDINGS: Final = {multiple: _padding(multiple) for multiple in (16, 32, 64, 128, 256)}
_PADDING_16 = _PADDINGS[16]


class DataKey:
    """A person's data-encryption key (DEK), with everything that sealing needs ready. Safe to share between threads."""

    __slots__ = ("_aad_start", "_decrypt", "_encrypt", "_header", "_material", "commitment", "kid")

    commitment: bytes
    """32 bytes that only this key yields; stored beside the wrapped key."""
    kid: bytes
    """The first 16 bytes of the commitment: the key's name in every sealed field."""

    def __init__(self, material: bytes) -> None:
        """Prepare a key of 32 random bytes.

        Raises:
            MalformedError: another length.
        """
        self._material = require_key(material, "a data key")
        self.commitment = expand(material, b"cdx/field/v1 commit")
        self.kid = self.commitment[:KID_BYTES]
        aead = AESGCM(expand(material, b"cdx/field/v1 enc"))
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt
        self._header = _PREFIX + self.kid
        self._aad_start = _LABEL + self._header

    @classmethod
    def generate(cls) -> "DataKey":
        """Make a new random key."""
        return cls(random_bytes(KEY_BYTES))

    @classmethod
    def from_bytes(cls, material: bytes) -> "DataKey":
        """Take a key that was unwrapped.

        Raises:
            MalformedError: not 32 bytes.
        """
        return cls(material)

    def seal(self, plaintext: bytes, binding: bytes, pad_to: int = 16) -> bytes:
        """Seal a value bound to the bytes of an address; callers use :class:`FieldContext` or :func:`seal_field`."""
        length = len(plaintext)
        if length > MAX_VALUE_BYTES:
            raise MalformedError(f"a value of more than {MAX_VALUE_BYTES} bytes")
        padding = _PADDING_16[length & 15] if pad_to == 16 else _pad(length, pad_to)
        nonce = random_bytes(12)
        return self._header + nonce + self._encrypt(nonce, b"\x01" + plaintext + padding, self._aad_start + binding)

    def open(self, sealed: bytes, binding: bytes) -> bytes:
        """Open a value bound to the bytes of an address; callers use :class:`FieldContext` or :func:`open_field`."""
        if sealed[_HEADER] != self._header:
            sealed_kid(sealed)
            raise UnknownKeyError("the field was sealed under another key")
        try:
            padded = self._decrypt(sealed[_NONCE], sealed[_REST], self._aad_start + binding)
        except (InvalidTag, ValueError):
            # No wrong length opens, so it is told apart only here, where nothing is hot.
            sealed_kid(sealed)
            raise DecryptionError from None
        unpadded = padded.rstrip(b"\x00")
        # Only a holder of the key can come this far, so what differs here is a fault of ours, not an oracle.
        if not unpadded or unpadded[0] != _VALUE_TYPE or unpadded[-1] != 0x80:
            raise DecryptionError
        return unpadded[_VALUE]

    def material(self) -> bytes:
        """The raw key, for wrapping only."""
        return self._material

    def __repr__(self) -> str:
        return f"DataKey(kid={self.kid.hex()}, <redacted>)"


@lru_cache(maxsize=256)
def _column_bytes(table: str, column: str) -> bytes:
    return lp16_text(table) + lp16_text(column)


def row_binding(*, subject_ref: UUID, record_id: UUID, version: int) -> RowBinding:
    """Bind to one version of one row about one person; compute it once for all fields of the row.

    Raises:
        MalformedError: the version is not an integer of 32 bits.
    """
    if type(version) is not int or not 0 <= version <= 0xFFFFFFFF:
        raise MalformedError("the version of a record must be an integer of 32 bits")
    # One number instead of three texts: half the time.
    return RowBinding((subject_ref.int << 160 | record_id.int << 32 | version).to_bytes(36, "big"))


class FieldContext:
    """One column of one table of one installation: the fast form for stores, prepared once.

    ``seal`` and ``open`` do what :func:`seal_field` and :func:`open_field` do. In a loop over many fields,
    ``key.open(sealed, context.binding + row)`` saves a call.
    """

    __slots__ = ("binding", "column", "table")

    binding: bytes
    """The middle of the AAD."""

    def __init__(self, *, installation: UUID, table: str, column: str) -> None:
        """Prepare the column.

        Raises:
            MalformedError: a name that does not fit its length prefix.
        """
        self.table = table
        self.column = column
        self.binding = installation.bytes + _column_bytes(table, column)

    def seal(self, key: DataKey, plaintext: bytes, row: RowBinding, *, pad_to: int = 16) -> bytes:
        """Seal a value; see :func:`seal_field`."""
        return key.seal(plaintext, self.binding + row, pad_to)

    def open(self, key: DataKey, sealed: bytes, row: RowBinding) -> bytes:
        """Open a value; see :func:`open_field`."""
        return key.open(sealed, self.binding + row)

    def __repr__(self) -> str:
        return f"FieldContext(table={self.table!r}, column={self.column!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldAddress:
    """Where a value lives. A sealed field opens nowhere else: not in another row, column, table or installation."""

    installation: UUID
    table: str
    column: str
    subject_ref: UUID
    record_id: UUID
    version: int
    _binding: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        row = row_binding(subject_ref=self.subject_ref, record_id=self.record_id, version=self.version)
        binding = self.installation.bytes + _column_bytes(self.table, self.column) + row
        object.__setattr__(self, "_binding", binding)

    def binding(self) -> bytes:
        """The AAD after the header."""
        return self._binding


def seal_field(key: DataKey, plaintext: bytes, *, address: FieldAddress, pad_to: int = 16) -> bytes:
    """Encrypt one value for one place.

    Args:
        key: the person's current data key.
        plaintext: the value; its length is hidden up to ``pad_to`` bytes.
        address: where the result will be stored.
        pad_to: 16, 32, 64, 128 or 256; 32 suits names and addresses.

    Raises:
        MalformedError: a value over 16 MiB, or another ``pad_to``.
    """
    return key.seal(plaintext, address.binding(), pad_to)


def open_field(key: DataKey, sealed: bytes, *, address: FieldAddress) -> bytes:
    """Decrypt one value that was sealed for this place.

    Raises:
        MalformedError: not a sealed field of a known format.
        UnknownKeyError: sealed under another key.
        DecryptionError: altered, or sealed for another place.
    """
    return key.open(sealed, address.binding())


def sealed_kid(sealed: bytes) -> bytes:
    """The kid in a sealed field. Look keys up by (subject, kid), never by kid alone.

    Raises:
        MalformedError: not a sealed field of a known format.
    """
    if sealed[:2] != _PREFIX or len(sealed) < _MIN_BYTES or len(sealed) & 15 != OVERHEAD_BYTES & 15:
        raise MalformedError("not a sealed field of a known format")
    return sealed[2:_HEADER_BYTES]


def _pad(length: int, pad_to: int) -> bytes:
    try:
        return _PADDINGS[pad_to][length % pad_to]
    except (KeyError, TypeError):
        raise MalformedError(f"pad_to must be one of {sorted(_PADDINGS)}") from None
