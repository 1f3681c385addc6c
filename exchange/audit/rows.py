"""Rows of the audit tables as the store gives them out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRow:
    """An accepted entry that waits."""

    id: UUID
    body: bytes = field(repr=False)
    accepted_at: datetime


class WaitingEntry(NamedTuple):
    """An entry that a round takes. As the driver gives it: a round of a thousand has no time for objects of our own."""

    id: Any
    """UUID, or its 32 hexadecimal digits on SQLite."""
    body: bytes
    accepted_at: int
    """Milliseconds since 1970."""


class NewLeaf(NamedTuple):
    """A leaf that a round writes: the columns of ``audit_leaf``, as the driver takes them."""

    seq: int
    id: Any
    body: bytes
    type: str
    org: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRow:
    """A sequenced entry; ``type``, ``org`` and ``at`` repeat members of the body."""

    seq: int
    id: UUID
    body: bytes = field(repr=False)
    type: str
    org: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TileRow:
    """Up to 256 hashes of one level of the tree."""

    level: int
    n: int
    width: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRow:
    """The state of the log; ``state`` is :func:`exchange.audit.edge.pack_state`."""

    origin: str
    size: int
    root: bytes
    state: bytes = field(repr=False)
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRow:
    """A signed checkpoint as it was published."""

    size: int
    note: str = field(repr=False)
    signed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedRow:
    """A checkpoint that a quorum has cosigned, and when the witnesses last did, by our clock."""

    size: int
    note: str = field(repr=False)
    cosigned_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureRow:
    """What releases wait for, in one look: the outbox, and the newest checkpoint that witnesses vouch for.

    ``opened_at`` is when the log began under its present name; None: there is no log.
    """

    waiting: int
    oldest_at: datetime | None
    origin: str | None
    opened_at: datetime | None
    cosigned: CosignedRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginRow:
    """A name that the log has had: checkpoints of more than ``first_size`` entries bear it, up to the next one."""

    generation: int
    origin: str
    first_size: int
    opened_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEntry:
    """An entry; ``seq`` is None while it waits in the outbox."""

    seq: int | None
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """A line of a person's history; ``seq`` is None while the entry waits, ``opening`` when it has none (any more)."""

    entry_id: UUID
    at: datetime
    seq: int | None
    body: bytes = field(repr=False)
    opening: bytes | None = field(repr=False)
