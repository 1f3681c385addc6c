"""The right edge of the growing tree: all that is needed to append. Pure.

It is kept twice, in ways that check each other: as the frontier (one hash per one-bit of the size) and as the partial
tile of each level. The stored state of the head row is ``u64be(number of checkpoints published) || frontier``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto.errors import MalformedError
from crypto.merkle import HASH_BYTES, Frontier
from exchange.audit.tiles import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, complete_root

_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TileWrite:
    """A tile that a round changes; ``old_width`` 0 means that it is new."""

    level: int
    n: int
    old_width: int
    data: bytes = field(repr=False)

    @property
    def width(self) -> int:
        """How many hashes it has now."""
        return len(self.data) // HASH_BYTES


class RightEdge:
    """Not thread-safe; work on a :meth:`copy` until the round is committed."""

    __slots__ = ("frontier", "partial")

    def __init__(self, frontier: Frontier, partial: list[bytes]) -> None:
        """Take a frontier and the partial tile of each level (empty bytes where the last tile is full).

        Raises:
            MalformedError: they are of different sizes, or differ.
        """
        widths = [(frontier.size >> (TILE_HEIGHT * level)) % TILE_WIDTH for level in range(len(partial))]
        if [len(tile) for tile in partial] != [width * HASH_BYTES for width in widths]:
            raise MalformedError(f"the partial tiles do not belong to a tree of {frontier.size} leaves")
        hashes = []
        for tile, width in zip(reversed(partial), reversed(widths), strict=True):
            position = 0
            # The bits of the width, highest first, are the complete subtrees of this tile from the left.
            for height in range(TILE_HEIGHT - 1, -1, -1):
                if width >> height & 1:
                    length = HASH_BYTES << height
                    hashes.append(complete_root(tile[position : position + length]))
                    position += length
        if tuple(hashes) != frontier.hashes:
            raise MalformedError("the partial tiles and the frontier lead to different roots")
        self.frontier = frontier
        self.partial = partial

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self.frontier.size

    def copy(self) -> "RightEdge":
        """An independent copy, to try a round on."""
        other = object.__new__(RightEdge)
        other.frontier = self.frontier.copy()
        other.partial = self.partial.copy()
        return other

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[TileWrite]:
        """Append leaves; returns the tiles that change, lowest level first."""
        writes = []
        level, added, count = 0, list(leaf_hashes), self.frontier.size
        while added:
            if level == len(self.partial):
                self.partial.append(b"")
            data = self.partial[level] + b"".join(added)
            n, old_width = divmod(count, TILE_WIDTH)
            added = []
            for start in range(0, len(data), TILE_BYTES):
                tile = data[start : start + TILE_BYTES]
                writes.append(TileWrite(level=level, n=n, old_width=old_width, data=tile))
                n, old_width = n + 1, 0
                if len(tile) == TILE_BYTES:
                    added.append(complete_root(tile))
            self.partial[level] = data[len(added) * TILE_BYTES :]
            count >>= TILE_HEIGHT
            level += 1
        self.frontier.extend(leaf_hashes)
        return writes


def empty_edge() -> RightEdge:
    """The edge of an empty tree."""
    return RightEdge(Frontier(), [])


def partial_levels(size: int) -> int:
    """How many tile levels a tree has."""
    return -(-size.bit_length() // TILE_HEIGHT)


def pack_state(checkpoints: int, frontier: Frontier) -> bytes:
    """The stored state of the head row."""
    return checkpoints.to_bytes(_COUNT_BYTES, "big") + frontier.to_bytes()


def unpack_state(state: bytes) -> tuple[int, Frontier]:
    """Read :func:`pack_state`.

    Raises:
        MalformedError: not such a state.
    """
    return int.from_bytes(state[:_COUNT_BYTES], "big"), Frontier.from_bytes(state[_COUNT_BYTES:])
