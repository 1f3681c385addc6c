"""Recompute a log's tree from its entries, tile by tile, and compare every stored hash. No database; for ``verify``.

Tiles are independent of each other, so that several processes can share the work; only the joining of their roots is in
order.
"""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import repeat
from typing import Final

from crypto.errors import MalformedError
from crypto.merkle import HASH_BYTES, Frontier
from exchange.audit.entry_batch import read_entries
from exchange.audit.sources import Source
from exchange.audit.tiles import (
    TILE_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    TileHashes,
    complete_root,
    decode_bundle,
    encode_bundle,
    entries_path,
    tile_path,
    width_at,
)

_TILES_PER_TASK: Final = 16


class WithheldError(Exception):
    """The source shows the tree, but not the entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTile:
    """A tile of level 0 as computed from its entries."""

    n: int
    hashes: bytes = field(repr=False)
    faults: tuple[str, ...] = ()


def read_tile(source: Source, level: int, n: int, width: int) -> bytes:
    """A tile as the source has it; of a partial tile that is gone, the part of the full one.

    Raises:
        MalformedError: missing or too short.
    """
    data = source.read(tile_path(level, n, width))
    if data is None and width < TILE_WIDTH:
        data = (source.read(tile_path(level, n, TILE_WIDTH)) or b"")[: width * HASH_BYTES]
    if data is None or len(data) != width * HASH_BYTES:
        raise MalformedError(f"{tile_path(level, n, width)} is missing or has not {width} hashes")
    return data


def check_tile(source: Source, n: int, width: int) -> CheckedTile:
    """Read a bundle of entries, check the form of each, hash them, and compare with the stored tile."""
    path = entries_path(n, width)
    try:
        bodies, malformed = read_entries(_bundle(source, n, width), width)
    except MalformedError as exc:
        return CheckedTile(n=n, hashes=b"", faults=(f"{path}: {exc}",))
    faults = [f"entry {n * TILE_WIDTH + position} ({path}): {fault}" for position, fault in malformed]
    hashes = b"".join([sha256(b"\x00" + body).digest() for body in bodies])
    faults.extend(_compare(source, 0, n, hashes))
    return CheckedTile(n=n, hashes=hashes, faults=tuple(faults))


def read_bundle(source: Source, n: int, width: int) -> list[bytes]:
    """The entries of tile ``n`` as the source has them.

    Raises:
        WithheldError: they are not shown to us.
        MalformedError: missing, or not a bundle of so many entries.
    """
    return decode_bundle(_bundle(source, n, width), width)


def _bundle(source: Source, n: int, width: int) -> bytes:
    """A bundle as the source has it; of a partial one that is gone, the part of the full one."""
    try:
        data = source.read(entries_path(n, width))
        if data is not None or width == TILE_WIDTH:
            return _present(data)
        full = _present(source.read(entries_path(n, TILE_WIDTH)))
    except PermissionError as exc:
        raise WithheldError(str(exc)) from exc
    return encode_bundle(decode_bundle(full, TILE_WIDTH)[:width])


def _present(data: bytes | None) -> bytes:
    if data is None:
        raise MalformedError("the entries are missing")
    return data


def _compare(source: Source, level: int, n: int, hashes: bytes) -> Iterator[str]:
    """Compare computed hashes with the stored tile; each hash that differs is named."""
    width = len(hashes) // HASH_BYTES
    path = tile_path(level, n, width)
    try:
        stored = read_tile(source, level, n, width)
    except MalformedError as exc:
        yield str(exc)
        return
    if stored != hashes:
        for position in range(width):
            place = slice(position * HASH_BYTES, (position + 1) * HASH_BYTES)
            if stored[place] != hashes[place]:
                yield f"{path}: hash {position} is not the one of what lies below it"


def check_tiles(source: Source, first: int, size: int, *, workers: int) -> Iterator[CheckedTile]:
    """:func:`check_tile` for all tiles from number ``first`` on, in order, with that many processes."""
    numbers = range(first, -(-size // TILE_WIDTH))
    widths = [width_at(0, n, size) for n in numbers]
    if workers < 2:
        yield from map(check_tile, repeat(source), numbers, widths)
        return
    # Spawned, not forked: the caller may have threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=workers, mp_context=context) as pool:
        yield from pool.map(check_tile, repeat(source), numbers, widths, chunksize=_TILES_PER_TASK)


def stored_tiles(source: Source, first: int, size: int) -> Iterator[CheckedTile]:
    """The tiles of level 0 as stored, for when the entries are withheld."""
    for n in range(first, -(-size // TILE_WIDTH)):
        yield CheckedTile(n=n, hashes=read_tile(source, 0, n, width_at(0, n, size)))


class Tree:
    """Joins tiles of level 0 into the tree, comparing the stored tiles of the levels above on the way.

    Args:
        source: for the stored tiles.
        first: number of the first tile that will be added; what lies before it is taken from stored tiles, which the
            checkpoint's root then either confirms or not.
        size: of the whole tree.
    """

    def __init__(self, source: Source, first: int, size: int) -> None:
        self._source = source
        self._compare_levels = first == 0
        self._levels: list[list[bytes]] = []
        self._tail = b""
        hashes = TileHashes(size, lambda level, n, width: read_tile(source, level, n, width))
        known, position = [], 0
        for height in range(first.bit_length() - 1, -1, -1):
            if first >> height & 1:
                known.append(hashes(TILE_HEIGHT + height, position >> height))
                position += 1 << height
        # A frontier whose leaves are the roots of full tiles of level 0.
        self._tiles = Frontier.from_bytes(first.to_bytes(8, "big") + b"".join(known))

    def add(self, hashes: bytes) -> Iterable[str]:
        """Add the next tile; returns what is wrong with the stored tiles above that it completes."""
        if len(hashes) != TILE_BYTES:
            self._tail = hashes
            return ()
        root = complete_root(hashes)
        self._tiles.append(root)
        return self._raise(root, 1) if self._compare_levels else ()

    def finish(self) -> Iterable[str]:
        """After the last tile: what is wrong with the partial tiles above."""
        faults: list[str] = []
        for level, (count, pending) in enumerate(self._pending(), start=1):
            if pending:
                faults.extend(_compare(self._source, level, count // TILE_WIDTH, b"".join(pending)))
        return faults

    def root(self, leaves: bytes | None = None) -> bytes:
        """The root over the full tiles added so far and some leaf hashes after them (default: the partial tile)."""
        data = self._tail if leaves is None else leaves
        tiles, tail = self._tiles, Frontier()
        if len(data) == TILE_BYTES:
            tiles = tiles.copy()
            tiles.append(complete_root(data))
            data = b""
        for start in range(0, len(data), HASH_BYTES):
            tail.append(data[start : start + HASH_BYTES])
        size = tiles.size * TILE_WIDTH + tail.size
        return Frontier.from_bytes(size.to_bytes(8, "big") + b"".join((*tiles.hashes, *tail.hashes))).root()

    def _raise(self, root: bytes, level: int) -> list[str]:
        faults: list[str] = []
        while True:
            if level > len(self._levels):
                self._levels.append([])
            pending = self._levels[level - 1]
            pending.append(root)
            if len(pending) < TILE_WIDTH:
                return faults
            full = b"".join(pending)
            pending.clear()
            count = self._tiles.size >> (TILE_HEIGHT * (level - 1))
            faults.extend(_compare(self._source, level, count // TILE_WIDTH - 1, full))
            root, level = complete_root(full), level + 1

    def _pending(self) -> Iterator[tuple[int, list[bytes]]]:
        for level, pending in enumerate(self._levels, start=1):
            yield self._tiles.size >> (TILE_HEIGHT * (level - 1)), pending
