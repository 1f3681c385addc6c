"""The chain of keys above a field: root → key-encryption key (KEK) per epoch → data key (DEK) per person.

Wire formats (all XAES-256-GCM, nonce(24) || ciphertext || tag):

    wrapped DEK   AAD = "cdx/dek/v1" || subject_ref(16) || commitment(32) || u32be(epoch)
    wrapped KEK   context = "cdx/kek/v1" || u32be(epoch), under whatever the KeyWrapper uses

Destroying all wrapped DEKs of a person erases what they sealed; destroying an epoch's KEK erases the copies in backups.
"""

import hmac
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from crypto.encoding import u32
from crypto.errors import DecryptionError
from crypto.fields import DataKey
from crypto.ids import random_bytes
from crypto.kdf import KEY_BYTES, require_key
from crypto.xaes import OVERHEAD_BYTES, XAES256GCM

WRAPPED_DATA_KEY_BYTES = KEY_BYTES + OVERHEAD_BYTES


class KeyWrapper(Protocol):
    """Whatever holds the root key: a local key, a key management service, a hardware module."""

    def wrap(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt key material, bound to ``context``."""
        ...

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt key material; raises DecryptionError when the key, the bytes or the context differ."""
        ...


class LocalKeyWrapper:
    """A :class:`KeyWrapper` over a root key in this process."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        """Take a root key of 32 bytes.

        Raises:
            MalformedError: another length.
        """
        self._aead = XAES256GCM(require_key(key, "a root key"))

    def wrap(self, plaintext: bytes, *, context: bytes) -> bytes:
        """Encrypt key material, bound to ``context``."""
        return self._aead.seal(plaintext, aad=context)

    def unwrap(self, wrapped: bytes, *, context: bytes) -> bytes:
        """Decrypt key material.

        Raises:
            DecryptionError: the key, the bytes or the context differ.
        """
        return self._aead.open(wrapped, aad=context)

    def __repr__(self) -> str:
        return "LocalKeyWrapper(<redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEncryptionKey:
    """The key of one epoch, which wraps the data keys of all people. Unwrapped once per process."""

    epoch: int
    material: bytes = field(repr=False)
    _aead: XAES256GCM = field(init=False, repr=False, compare=False)
    _epoch_bytes: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_epoch_bytes", u32(self.epoch, "an epoch"))
        object.__setattr__(self, "_aead", XAES256GCM(require_key(self.material, "a key-encryption key")))

    def _aad(self, subject_ref: UUID, commitment: bytes) -> bytes:
        return b"cdx/dek/v1" + subject_ref.bytes + commitment + self._epoch_bytes

    def wrap_data_key(self, key: DataKey, *, subject_ref: UUID) -> bytes:
        """Encrypt a person's data key, bound to the person, the key's commitment and this epoch (72 bytes)."""
        return self._aead.seal(key.material(), aad=self._aad(subject_ref, key.commitment))

    def unwrap_data_key(self, wrapped: bytes, *, subject_ref: UUID, commitment: bytes) -> DataKey:
        """Decrypt a person's data key.

        Raises:
            DecryptionError: another person, commitment, epoch or KEK, or altered bytes.
        """
        if len(wrapped) != WRAPPED_DATA_KEY_BYTES:
            raise DecryptionError
        key = DataKey(self._aead.open(wrapped, aad=self._aad(subject_ref, commitment)))
        # AES-GCM does not commit to its key, so what came out is held against the full commitment once more.
        if not hmac.compare_digest(key.commitment, commitment):
            raise DecryptionError
        return key


def generate_kek(epoch: int) -> KeyEncryptionKey:
    """Make a new random KEK for an epoch.

    Raises:
        MalformedError: the epoch is not an integer of 32 bits.
    """
    return KeyEncryptionKey(epoch=epoch, material=random_bytes(KEY_BYTES))


def wrap_kek(wrapper: KeyWrapper, kek: KeyEncryptionKey) -> bytes:
    """Encrypt a KEK under the root, bound to its epoch."""
    return wrapper.wrap(kek.material, context=_kek_context(kek.epoch))


def unwrap_kek(wrapper: KeyWrapper, wrapped: bytes, epoch: int) -> KeyEncryptionKey:
    """Decrypt the KEK of an epoch.

    Raises:
        DecryptionError: another root or epoch, or altered bytes.
        MalformedError: the epoch is not an integer of 32 bits, or the root gave something that is no key.
    """
    return KeyEncryptionKey(epoch=epoch, material=wrapper.unwrap(wrapped, context=_kek_context(epoch)))


def _kek_context(epoch: int) -> bytes:
    return b"cdx/kek/v1" + u32(epoch, "an epoch")
