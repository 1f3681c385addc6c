"""Rebuild the right edge of the log from what is stored, and compare it with everything that was said about it.

Runs when a sequencer starts, whenever another one has moved the head, and when the log was idle for long: the same code
each time. Any difference is an InconsistentLogError: nothing is signed on top of a doubt. Reads about 256 entries and
one or two tiles per level, however large the log is; the whole of it is checked by ``exchange.audit.verify_db``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from crypto.checkpoint import NoteVerifier, open_note, parse_checkpoint
from crypto.errors import CryptoError, MalformedError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, hash_leaf
from exchange.audit import store
from exchange.audit.edge import RightEdge, partial_levels, unpack_state
from exchange.audit.rows import CheckpointRow, HeadRow
from exchange.audit.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, complete_root
from exchange.errors import InconsistentLogError


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """The log as it stands: what a round begins with."""

    head: HeadRow
    edge: RightEdge
    checkpoints: int


def load_state(connection: Connection, head: HeadRow, verifiers: Sequence[NoteVerifier]) -> LogState:
    """Rebuild and compare.

    Raises:
        InconsistentLogError: head, frontier, tiles, newest entries and newest checkpoint do not agree.
    """
    try:
        checkpoints, frontier = unpack_state(head.state)
        partial = [_partial_tile(connection, level, head.size) for level in range(partial_levels(head.size))]
        edge = RightEdge(frontier, partial)
    except MalformedError as exc:
        raise InconsistentLogError(f"the stored edge of the log contradicts itself: {exc}") from exc
    if edge.size != head.size or frontier.root() != head.root:
        raise InconsistentLogError("the frontier does not lead to the root of the head")
    _compare_full_tiles(connection, head.size, partial)
    _compare_newest_entries(connection, head.size)
    _compare_checkpoint(head, store.latest_checkpoint(connection), verifiers)
    return LogState(head=head, edge=edge, checkpoints=checkpoints)


def check_note(checkpoint: CheckpointRow, origin: str, verifiers: Sequence[NoteVerifier]) -> bytes:
    """Check the signature and the form of a stored checkpoint; returns its root.

    Raises:
        InconsistentLogError: it is not one of this log, or not of the size under which it is stored.
    """
    try:
        text, _ = open_note(checkpoint.note, verifiers)
        parsed = parse_checkpoint(text)
    except CryptoError as exc:
        raise InconsistentLogError(f"the checkpoint of size {checkpoint.size} does not verify: {exc}") from exc
    if parsed.origin != origin or parsed.size != checkpoint.size:
        raise InconsistentLogError(f"the checkpoint of size {checkpoint.size} is of another log or size")
    return parsed.root


def _partial_tile(connection: Connection, level: int, size: int) -> bytes:
    count = size >> (TILE_HEIGHT * level)
    n, width = divmod(count, TILE_WIDTH)
    tile = store.read_tile(connection, level, n)
    if width == 0:
        if tile is not None:
            raise InconsistentLogError(f"tile {level}/{n} lies beyond the end of the log")
        return b""
    if tile is None or tile.width != width:
        raise InconsistentLogError(f"tile {level}/{n} must have {width} hashes")
    return tile.data


def _compare_full_tiles(connection: Connection, size: int, partial: Sequence[bytes]) -> None:
    """Hash the newest full tile of each level and compare it with the hash that the level above keeps of it."""
    for level in range(len(partial)):
        count = size >> (TILE_HEIGHT * (level + 1))
        if count == 0:
            break
        tile = store.read_tile(connection, level, count - 1)
        above = store.read_tile(connection, level + 1, (count - 1) // TILE_WIDTH)
        position = (count - 1) % TILE_WIDTH * HASH_BYTES
        kept = b"" if above is None else above.data[position : position + HASH_BYTES]
        if tile is None or len(tile.data) != TILE_BYTES or complete_root(tile.data) != kept:
            raise InconsistentLogError(f"tile {level}/{count - 1} does not lead to the hash above it")


def _compare_newest_entries(connection: Connection, size: int) -> None:
    if store.last_position(connection) != (size - 1 if size else None):
        raise InconsistentLogError(f"the newest entry does not stand at the end of {size} entries")
    if not size:
        return
    n = (size - 1) // TILE_WIDTH
    tile = store.read_tile(connection, 0, n)
    bodies = store.bodies(connection, n * TILE_WIDTH, size)
    if tile is None or tile.data != b"".join(hash_leaf(body) for body in bodies):
        raise InconsistentLogError(f"the entries of tile 0/{n} are not the ones that were hashed")


def _compare_checkpoint(head: HeadRow, checkpoint: CheckpointRow | None, verifiers: Sequence[NoteVerifier]) -> None:
    if head.size == 0:
        if checkpoint is not None or head.root != EMPTY_ROOT:
            raise InconsistentLogError("an empty log has a checkpoint, or a root that is not the empty one")
        return
    # Head and checkpoint are committed together: one without the other means that something else wrote here.
    if checkpoint is None or checkpoint.size != head.size:
        raise InconsistentLogError(f"the newest checkpoint is not of the head's size {head.size}")
    if check_note(checkpoint, head.origin, verifiers) != head.root:
        raise InconsistentLogError("the newest checkpoint has another root than the head")
