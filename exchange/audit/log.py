"""The log's read side, and its creation. Answers come from what the sequencer committed; nothing is signed here."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from crypto.merkle import EMPTY_ROOT, HASH_BYTES, Frontier
from exchange.audit import cosigned_store, store
from exchange.audit.cosigning import read_cosigned
from exchange.audit.edge import pack_state
from exchange.audit.policy_file import Policy
from exchange.audit.rows import HeadRow, LeafRow, OriginRow
from exchange.audit.tiles import TILE_WIDTH, encode_bundle
from exchange.errors import InconsistentLogError, UnknownEntryError


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCheckpoint:
    """The newest checkpoint, and when the sequencer last compared the log with it."""

    size: int
    note: str = field(repr=False)
    signed_at: datetime
    fresh_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CosignedCheckpoint:
    """The newest checkpoint that meets a policy, by whose witnesses, and when we last had it from them."""

    size: int
    note: str = field(repr=False)
    cosigners: frozenset[str]
    cosigned_at: datetime


def create(connection: Connection, *, origin: str, now: datetime) -> None:
    """Begin an empty log. Once per installation, by hand: a sequencer never creates what it does not find.

    Raises:
        InconsistentLogError: there is one already.
    """
    if store.read_head(connection) is not None:
        raise InconsistentLogError("there is a log here already")
    state = pack_state(0, Frontier())
    store.create_head(connection, HeadRow(origin=origin, size=0, root=EMPTY_ROOT, state=state, updated_at=now))
    store.insert_origin(connection, OriginRow(generation=1, origin=origin, first_size=0, opened_at=now))


def size(connection: Connection) -> int:
    """How many entries are in the log (those in the outbox are not, yet)."""
    return store.read_size(connection) or 0


def first_name(connection: Connection) -> str:
    """The name under which the log began; restores have continued it under names made of this one.

    Raises:
        InconsistentLogError: there is no log.
    """
    names = store.origins(connection)
    if not names:
        raise InconsistentLogError("there is no log here; create it once, by hand, with the installation")
    return names[0].origin


def latest_checkpoint(connection: Connection) -> PublishedCheckpoint:
    """The newest checkpoint, as the sequencer signed it.

    Raises:
        UnknownEntryError: the log is empty.
    """
    head, checkpoint = store.read_head(connection), store.latest_checkpoint(connection)
    if head is None or checkpoint is None:
        raise UnknownEntryError("the log has no entry yet, so it has no checkpoint")
    return PublishedCheckpoint(
        size=checkpoint.size, note=checkpoint.note, signed_at=checkpoint.signed_at, fresh_at=head.updated_at
    )


def cosigned_checkpoint(connection: Connection, policy: Policy | None) -> CosignedCheckpoint:
    """The newest checkpoint, if it meets the policy.

    Args:
        connection: any transaction.
        policy: of today; what was stored under another one counts by this one.

    Raises:
        UnknownEntryError: there is no policy, or no such checkpoint yet.
    """
    if policy is None:
        raise UnknownEntryError("no witnesses are asked here: the log has no cosigned checkpoints")
    head, row = store.read_head(connection), cosigned_store.newest(connection)
    found = None if head is None or row is None else read_cosigned(row.note, policy, origin=head.origin, size=row.size)
    if row is None or found is None or not found.is_complete:
        raise UnknownEntryError("enough witnesses have not cosigned a checkpoint yet: ask again later")
    return CosignedCheckpoint(size=row.size, note=row.note, cosigners=found.cosigners, cosigned_at=row.cosigned_at)


def checkpoint_note(connection: Connection, tree_size: int | None = None) -> str:
    """A checkpoint as it is given out: with its cosignatures where it has some.

    Args:
        connection: any transaction.
        tree_size: of exactly that size; None: the newest.

    Raises:
        UnknownEntryError: none was published.
    """
    row = store.latest_checkpoint(connection) if tree_size is None else store.checkpoint_of_size(connection, tree_size)
    if row is None:
        what = "the log has no entry yet, so it has no checkpoint"
        raise UnknownEntryError(what if tree_size is None else f"no checkpoint of size {tree_size} was published")
    cosigned = cosigned_store.of_size(connection, row.size)
    return row.note if cosigned is None else cosigned.note


def tile(connection: Connection, level: int, n: int, width: int) -> bytes:
    """The first ``width`` hashes of a tile: a partial tile is served from the wider one that it became.

    Raises:
        UnknownEntryError: the tree does not reach that far.
    """
    row = store.read_tile(connection, level, n) if 0 < width <= TILE_WIDTH else None
    if row is None or row.width < width:
        raise UnknownEntryError(f"tile {level}/{n} has not {width} hashes")
    return row.data[: width * HASH_BYTES]


def entries(connection: Connection, n: int, width: int) -> bytes:
    """The bundle of the first ``width`` entries of tile ``n``.

    Raises:
        UnknownEntryError: the log does not reach that far.
    """
    start = n * TILE_WIDTH
    bodies = store.bodies(connection, start, start + width) if 0 < width <= TILE_WIDTH else []
    if not bodies or len(bodies) != width:
        raise UnknownEntryError(f"bundle {n} has not {width} entries")
    return encode_bundle(bodies)


def leaf(connection: Connection, entry_id: UUID) -> LeafRow:
    """An entry and its place.

    Raises:
        UnknownEntryError: not in the log (yet).
    """
    found = store.leaf_by_id(connection, entry_id)
    if found is None:
        raise UnknownEntryError(f"entry {entry_id} is not in the log")
    return found


def is_integrated(connection: Connection, entry_id: UUID) -> bool:
    """Whether an entry is in the log, and so under a checkpoint."""
    return store.leaf_by_id(connection, entry_id) is not None
