"""Tiles of the tree and bundles of entries as C2SP tlog-tiles lays them out. Pure: bytes and names, no storage.

A tile holds up to 256 consecutive hashes of one tile level; level 0 has leaf hashes, and each hash of level l+1 is the
root of a full tile of level l. A full tile never changes; a partial one is a prefix of what it will become.

    tile/<level>/<n>[.p/<width>]        hashes, 32 bytes each
    tile/entries/<n>[.p/<width>]        entries of tile n of level 0, each after its length (uint16, big-endian)

``n`` is written in groups of three digits, all but the last marked with x: 1234067 is ``x001/x234/067``.
"""

import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from threading import Lock
from typing import Final

from crypto.errors import MalformedError
from crypto.merkle import HASH_BYTES

TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
MAX_LEVEL: Final = 63

_index_path = re.compile(r"((?:x[0-9]{3}/)*)([0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII).fullmatch


def index_path(n: int, width: int = TILE_WIDTH) -> str:
    """The part of a path that names a tile of a level."""
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.append(f"x{n % 1000:03d}")
    path = "/".join(reversed(groups))
    return path if width == TILE_WIDTH else f"{path}.p/{width}"


def parse_index_path(path: str) -> tuple[int, int]:
    """Read what :func:`index_path` writes: the number of the tile, and its width.

    Raises:
        MalformedError: any other spelling.
    """
    match = _index_path(path)
    if match is None or len(path) > 64:
        raise MalformedError("not the path of a tile")
    n = int((match[1] + match[2]).replace("x", "").replace("/", ""))
    width = int(match[3]) if match[3] else TILE_WIDTH
    if index_path(n, width) != path or width > TILE_WIDTH:
        raise MalformedError("not the path of a tile")
    return n, width


def tile_path(level: int, n: int, width: int) -> str:
    """Where a tile stands under the log's address or directory."""
    return f"tile/{level}/{index_path(n, width)}"


def entries_path(n: int, width: int) -> str:
    """Where a bundle of entries stands."""
    return f"tile/entries/{index_path(n, width)}"


def width_at(level: int, n: int, size: int) -> int:
    """How many hashes tile ``n`` of a level has in a tree of ``size`` leaves: 0 to 256."""
    return min(max((size >> (TILE_HEIGHT * level)) - n * TILE_WIDTH, 0), TILE_WIDTH)


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """All tiles of a tree as (level, n, width), lowest level first."""
    level = 0
    while count := size >> (TILE_HEIGHT * level):
        for n in range(-(-count // TILE_WIDTH)):
            yield level, n, width_at(level, n, size)
        level += 1


def encode_bundle(bodies: Sequence[bytes]) -> bytes:
    """Entries as a bundle."""
    parts = []
    for body in bodies:
        parts.append(len(body).to_bytes(2, "big"))
        parts.append(body)
    return b"".join(parts)


def decode_bundle(data: bytes, count: int) -> list[bytes]:
    """The ``count`` entries of a bundle.

    Raises:
        MalformedError: another number of them, or bytes left over.
    """
    bodies = []
    position, end = 0, len(data)
    for _ in range(count):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        bodies.append(data[start:position])
    if position != end:
        raise MalformedError(f"the bundle does not hold exactly {count} entries")
    return bodies


def complete_root(hashes: bytes) -> bytes:
    """The root over a power of two of concatenated hashes: of a full tile, or of a complete subtree in one."""
    while len(hashes) > HASH_BYTES:
        hashes = _parents(hashes)
    return hashes


def _parents(hashes: bytes) -> bytes:
    # RFC 6962 §2.1. An odd one at the end has no sibling yet and is left out.
    pairs = len(hashes) // (2 * HASH_BYTES)
    return b"".join([sha256(b"\x01" + pair).digest() for pair in struct.unpack_from("64s" * pairs, hashes)])


ReadTile = Callable[[int, int, int], bytes]
"""``read_tile(level, n, width)``: at least the first ``width`` hashes of a tile."""


class TileCache:
    """Tiles with the hashes between their levels worked out: 511 hashes, 16 KiB, for a full one. Safe between threads.

    A tile of a given width never changes within a log, so nothing here ever goes stale. One cache per log.
    """

    def __init__(self, tiles: int = 1024) -> None:
        self._tiles = tiles
        self._cache: OrderedDict[tuple[int, int, int], list[bytes]] = OrderedDict()
        self._lock = Lock()

    def expanded(self, level: int, n: int, width: int, read: ReadTile) -> list[bytes]:
        """The hashes of a tile by height within it: [leaves of the tile, their parents, …].

        Raises:
            MalformedError: ``read`` gave fewer hashes.
        """
        slot = (level, n, width)
        with self._lock:
            known = self._cache.get(slot)
            if known is not None:
                self._cache.move_to_end(slot)
                return known
        data = read(level, n, width)[: width * HASH_BYTES]
        if len(data) != width * HASH_BYTES:
            raise MalformedError(f"tile {level}/{n} has not {width} hashes")
        rows = [data]
        while len(rows[-1]) > HASH_BYTES:
            rows.append(_parents(rows[-1]))
        with self._lock:
            self._cache[slot] = rows
            if len(self._cache) > self._tiles:
                self._cache.popitem(last=False)
        return rows


class TileHashes:
    """``get_hash`` of ``crypto.merkle`` over the tiles of a tree of ``size`` leaves."""

    def __init__(self, size: int, read: ReadTile, cache: TileCache | None = None) -> None:
        self._size = size
        self._read = read
        self._cache = cache or TileCache()

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree over leaves index * 2**level up to (index + 1) * 2**level."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        n, position = divmod(index, TILE_WIDTH >> height)
        width = width_at(tile_level, n, self._size)
        rows = self._cache.expanded(tile_level, n, width, self._read)
        start = position * HASH_BYTES
        return rows[height][start : start + HASH_BYTES]
