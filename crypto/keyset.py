r"""Keysets: all secret keys of one process, by purpose, with exactly one primary key per purpose.

An absent purpose, a disabled and a destroyed key all look the same: :class:`UnknownKeyError`, which means "deny".

File format, version 1:

    "cdx/keyset/v1\n" || XAES-256-GCM(root key, nonce(24), AAD = the same 14 bytes) over canonical JSON
    {"keys": [{"algorithm", "created_at" (seconds), "is_primary", "kid", "material" (base64url), "purpose", "status"}],
     "v": 1}
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, TypeGuard, get_args

from cryptography.hazmat.primitives.asymmetric import ec

from crypto import canonical
from crypto.encoding import b64u_decode, b64u_encode
from crypto.errors import MalformedError, UnknownKeyError
from crypto.ids import random_bytes
from crypto.kdf import KEY_BYTES, require_key
from crypto.xaes import XAES256GCM

KeyAlgorithm = Literal["A256", "Ed25519", "ES256"]

_MAGIC = b"cdx/keyset/v1\n"
_MAX_FILE_BYTES = 2**20
_MAX_KID = 64


class KeyPurpose(StrEnum):
    """What a key is for; a key serves one purpose only."""

    KEK_WRAP = "kek-wrap"
    BLIND_INDEX = "blind-index"
    PSEUDONYM = "pseudonym"
    TOKEN_SIGNING = "token-signing"  # noqa: S105 - the name of a purpose
    ANSWER_SIGNING = "answer-signing"
    PROVIDER_SIGNING = "provider-signing"
    RECEIPT_SIGNING = "receipt-signing"
    LOG_SIGNING = "log-signing"
    WITNESS_SIGNING = "witness-signing"


class KeyStatus(StrEnum):
    """ENABLED keys work; DISABLED ones can come back; of DESTROYED ones only the name is left."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DESTROYED = "destroyed"


ALGORITHM_OF: Final[dict[KeyPurpose, KeyAlgorithm]] = {
    KeyPurpose.KEK_WRAP: "A256",
    KeyPurpose.BLIND_INDEX: "A256",
    KeyPurpose.PSEUDONYM: "A256",
    KeyPurpose.TOKEN_SIGNING: "ES256",
    KeyPurpose.ANSWER_SIGNING: "ES256",
    KeyPurpose.PROVIDER_SIGNING: "ES256",
    KeyPurpose.RECEIPT_SIGNING: "Ed25519",
    KeyPurpose.LOG_SIGNING: "Ed25519",
    KeyPurpose.WITNESS_SIGNING: "Ed25519",
}
"""The algorithm that a new key of each purpose gets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One secret key. ``material`` has 32 bytes: a symmetric key, an Ed25519 seed or a P-256 scalar, big-endian."""

    kid: str
    purpose: KeyPurpose
    algorithm: KeyAlgorithm
    status: KeyStatus
    is_primary: bool
    material: bytes = field(repr=False)
    created_at: datetime

    def __post_init__(self) -> None:
        if not self.kid or len(self.kid) > _MAX_KID or not self.kid.isascii() or not self.kid.isprintable():
            raise MalformedError("a kid is 1 to 64 printable ASCII characters")
        if self.algorithm not in get_args(KeyAlgorithm):
            raise MalformedError("an unknown key algorithm")
        if self.status is KeyStatus.DESTROYED:
            if self.material:
                raise MalformedError("a destroyed key has no material")
        else:
            require_key(self.material, "key material")
        if self.is_primary and self.status is not KeyStatus.ENABLED:
            raise MalformedError("a primary key is enabled")
        if self.created_at.tzinfo is None:
            raise MalformedError("a time needs its time zone")

    @property
    def version(self) -> int:
        """The number in the kid of a symmetric key (``v1``, ``v2`` …), stored beside what the key made.

        Raises:
            MalformedError: a key whose kid is not of this form.
        """
        number = self.kid[1:]
        if self.kid[0] != "v" or not number.isdigit() or str(int(number)) != number:
            raise MalformedError("this key has no version number")
        return int(number)


def _by_purpose_and_kid(keys: Iterable[Key]) -> dict[tuple[KeyPurpose, str], Key]:
    index: dict[tuple[KeyPurpose, str], Key] = {}
    primaries: set[KeyPurpose] = set()
    for key in keys:
        if (key.purpose, key.kid) in index:
            raise MalformedError("two keys of one purpose with the same kid")
        if key.is_primary and key.purpose in primaries:
            raise MalformedError("two primary keys of one purpose")
        index[key.purpose, key.kid] = key
        if key.is_primary:
            primaries.add(key.purpose)
    return index


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyset:
    """An immutable set of keys; every change makes a new one."""

    keys: tuple[Key, ...] = ()
    _index: dict[tuple[KeyPurpose, str], Key] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", _by_purpose_and_kid(self.keys))

    def primary(self, purpose: KeyPurpose) -> Key:
        """The key that makes new things.

        Raises:
            UnknownKeyError: the purpose has no primary key.
        """
        for key in self.keys:
            if key.is_primary and key.purpose is purpose:
                return key
        raise UnknownKeyError(f"no primary key for {purpose}")

    def get(self, purpose: KeyPurpose, kid: str) -> Key:
        """The enabled key with this name.

        Raises:
            UnknownKeyError: there is none, or it is disabled or destroyed.
        """
        key = self._index.get((purpose, kid))
        if key is None or key.status is not KeyStatus.ENABLED:
            raise UnknownKeyError(f"no enabled key of that name for {purpose}")
        return key

    def all(self, purpose: KeyPurpose) -> tuple[Key, ...]:
        """All enabled keys of a purpose, the primary first; empty means deny."""
        enabled = [key for key in self.keys if key.purpose is purpose and key.status is KeyStatus.ENABLED]
        return tuple(sorted(enabled, key=lambda key: not key.is_primary))

    def with_key(self, key: Key) -> "Keyset":
        """Add a key, or replace the one with its purpose and kid; a primary key takes the place of the former."""
        others = [
            replace(other, is_primary=False) if key.is_primary and other.purpose is key.purpose else other
            for other in self.keys
            if (other.purpose, other.kid) != (key.purpose, key.kid)
        ]
        return Keyset(keys=(*others, key))

    def with_status(self, purpose: KeyPurpose, kid: str, status: KeyStatus) -> "Keyset":
        """Enable, disable or destroy a key. One that is no longer enabled stops being primary; destroying is final.

        Raises:
            UnknownKeyError: no such key, or it is destroyed.
        """
        key = self._index.get((purpose, kid))
        if key is None or key.status is KeyStatus.DESTROYED:
            raise UnknownKeyError(f"no key of that name left for {purpose}")
        changed = replace(
            key,
            status=status,
            is_primary=key.is_primary and status is KeyStatus.ENABLED,
            material=b"" if status is KeyStatus.DESTROYED else key.material,
        )
        return Keyset(keys=tuple(changed if other is key else other for other in self.keys))

    def rotate(self, purpose: KeyPurpose, now: datetime) -> "Keyset":
        """Add a new primary key; the former keeps working for what it made."""
        return self.add(purpose, now).promote(purpose)

    def add(self, purpose: KeyPurpose, now: datetime) -> "Keyset":
        """Add a new key that is not primary yet: first others must learn of it, then :meth:`promote`."""
        numbers = [key.version for key in self.keys if key.purpose is purpose and key.algorithm == "A256"]
        return self.with_key(_generate_key(purpose, now=now, number=max(numbers, default=0) + 1))

    def waiting(self, purpose: KeyPurpose) -> Key | None:
        """The enabled key that was added after the primary one and is to take its place; None: no such key."""
        newest = [key for key in self.keys if key.purpose is purpose][-1:]
        return next((key for key in newest if key.status is KeyStatus.ENABLED and not key.is_primary), None)

    def promote(self, purpose: KeyPurpose) -> "Keyset":
        """Make the waiting key the primary one.

        Raises:
            UnknownKeyError: none waits.
        """
        key = self.waiting(purpose)
        if key is None:
            raise UnknownKeyError(f"no new key waits for {purpose}")
        return self.with_key(replace(key, is_primary=True))


def generate_keyset(purposes: Iterable[KeyPurpose], *, now: datetime) -> Keyset:
    """Make a keyset with a new primary key for each of ``purposes``."""
    keyset = Keyset()
    for purpose in purposes:
        keyset = keyset.rotate(purpose, now)
    return keyset


def seal_keyset(keyset: Keyset, *, root_key: bytes) -> bytes:
    """Encrypt a keyset for a file.

    Raises:
        MalformedError: a root key that has not 32 bytes.
    """
    document = {"v": 1, "keys": [_to_json(key) for key in keyset.keys]}
    return _MAGIC + XAES256GCM(root_key).seal(canonical.encode(document), aad=_MAGIC)


def open_keyset(sealed: bytes, *, root_key: bytes) -> Keyset:
    """Decrypt a keyset.

    Raises:
        MalformedError: not a keyset of a known format, or a root key that has not 32 bytes.
        DecryptionError: another root key, or altered bytes.
    """
    if not sealed.startswith(_MAGIC) or len(sealed) > _MAX_FILE_BYTES:
        raise MalformedError("not a keyset of a known format")
    return _from_document(XAES256GCM(root_key).open(sealed[len(_MAGIC) :], aad=_MAGIC))


def _generate_key(purpose: KeyPurpose, *, now: datetime, number: int) -> Key:
    algorithm = ALGORITHM_OF[purpose]
    material = random_bytes(KEY_BYTES)
    if algorithm == "ES256":
        # Not every 32 bytes are a scalar of the curve, so the library draws it.
        scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
        material = scalar.to_bytes(KEY_BYTES, "big")
    return Key(
        # Symmetric keys are numbered, since a column stores the number. A signing key's name travels to others: it must
        # not come twice, not even when an older keyset is restored and rotated again.
        kid=f"v{number}" if algorithm == "A256" else random_bytes(8).hex(),
        purpose=purpose,
        algorithm=algorithm,
        status=KeyStatus.ENABLED,
        is_primary=False,
        material=material,
        created_at=now.replace(microsecond=0),
    )


def _to_json(key: Key) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "purpose": key.purpose.value,
        "algorithm": key.algorithm,
        "status": key.status.value,
        "is_primary": key.is_primary,
        "material": b64u_encode(key.material),
        "created_at": int(key.created_at.timestamp()),
    }


_MEMBERS = frozenset({"kid", "purpose", "algorithm", "status", "is_primary", "material", "created_at"})


def _is_key_document(value: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(value, dict)
        and value.keys() == _MEMBERS
        and type(value["is_primary"]) is bool
        and type(value["created_at"]) is int
        and all(isinstance(value[name], str) for name in _MEMBERS - {"is_primary", "created_at"})
    )


def _from_document(data: bytes) -> Keyset:
    document = canonical.decode(data, max_bytes=_MAX_FILE_BYTES)
    if not isinstance(document, dict) or document.keys() != {"v", "keys"}:
        raise MalformedError("not a keyset of version 1")
    # True equals 1 in Python, but it is another document.
    if type(document["v"]) is not int or document["v"] != 1 or not isinstance(document["keys"], list):
        raise MalformedError("not a keyset of version 1")
    return Keyset(keys=tuple(_from_json(value) for value in document["keys"]))


def _from_json(value: Any) -> Key:
    if not _is_key_document(value):
        raise MalformedError("a key of a keyset with missing or foreign members")
    try:
        return Key(
            kid=value["kid"],
            purpose=KeyPurpose(value["purpose"]),
            algorithm=value["algorithm"],
            status=KeyStatus(value["status"]),
            is_primary=value["is_primary"],
            material=b64u_decode(value["material"]),
            created_at=datetime.fromtimestamp(value["created_at"], UTC),
        )
    except (ValueError, OverflowError, OSError):
        raise MalformedError("a key of a keyset with an unknown purpose, status or time") from None
