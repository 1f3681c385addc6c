"""What the log tells of the public keys that verify it and its receipts: added, and later retired.

A key that signed something is never forgotten: receipts and old checkpoints name it, and its entry says what it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection

from exchange.audit import log
from exchange.audit.check_store import public_members
from exchange.events import Event, EventType

if TYPE_CHECKING:
    from exchange.uow import UnitOfWork

_OWN: Final = "cdx"
_TYPES: Final = (EventType.VERIFIER_KEY_ADDED, EventType.VERIFIER_KEY_RETIRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key as the log tells of it.

    Attributes:
        use: what it verifies: ``log`` or ``receipt``.
        key: a verifier key (C2SP signed-note) of the log; of receipts the raw public key as base64url.
        kid: under which name receipts point to it; None: it names itself.
    """

    use: str
    key: str
    kid: str | None = None

    def detail(self) -> dict[str, str]:
        """Public members of its entries."""
        return {"use": self.use, "key": self.key} | ({} if self.kid is None else {"kid": self.kid})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the log says of its keys, by (use, key); entries that still wait included."""

    added: frozenset[tuple[str, str]]
    retired: frozenset[tuple[str, str]]

    def knows(self, key: VerifierKey) -> bool:
        """Whether the log tells of it."""
        return (key.use, key.key) in self.added

    def has_retired(self, key: VerifierKey) -> bool:
        """Whether the log tells of its end."""
        return (key.use, key.key) in self.retired


def told(connection: Connection) -> Told:
    """Read it from the entries."""
    by_type: dict[str, set[tuple[str, str]]] = {kind.value: set() for kind in _TYPES}
    for entry in public_members(connection, list(by_type)):
        by_type[entry.type].add((entry.detail.get("use", ""), entry.detail.get("key", "")))
    added, retired = (frozenset(by_type[kind.value]) for kind in _TYPES)
    return Told(added=added, retired=retired)


def is_integrated(connection: Connection, key: VerifierKey) -> bool:
    """Whether the entry that tells of it is covered by a checkpoint, and no longer waits."""
    entries = public_members(connection, [EventType.VERIFIER_KEY_ADDED.value])
    named = [entry.id for entry in entries if (entry.detail.get("use"), entry.detail.get("key")) == (key.use, key.key)]
    return any(log.is_integrated(connection, entry_id) for entry_id in named)


def record_added(uow: "UnitOfWork", keys: Iterable[VerifierKey]) -> None:
    """Record that these keys verify from now on; the caller commits."""
    for key in keys:
        uow.record(Event(type=EventType.VERIFIER_KEY_ADDED, org=_OWN, detail=key.detail()))


def record_retired(uow: "UnitOfWork", keys: Iterable[VerifierKey]) -> None:
    """Record that these keys sign no more; the caller commits."""
    for key in keys:
        uow.record(Event(type=EventType.VERIFIER_KEY_RETIRED, org=_OWN, detail=key.detail()))
