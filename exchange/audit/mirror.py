"""Copy a log from one tile tree into another, verifying as it goes. No database.

Nothing is written before it is shown to belong to the checkpoint: from the root down, the partial tiles lead to the
signed root, each full tile to its hash in the tile above, each entry to its hash in the lowest tile. The checkpoint is
written last, so that a whole log lies there at any time, only perhaps not the newest.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from crypto.checkpoint import Checkpoint
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, hash_leaf
from exchange.audit.files import write_whole
from exchange.audit.growth import compare
from exchange.audit.replay import WithheldError, read_bundle, read_tile
from exchange.audit.report import Finding, Progress, Report, no_progress
from exchange.audit.sources import Source
from exchange.audit.state_file import fork_name, format_fork
from exchange.audit.tiles import (
    TILE_WIDTH,
    TileHashes,
    complete_root,
    decode_bundle,
    encode_bundle,
    entries_path,
    tile_path,
    tiles_of,
)
from exchange.audit.trust import Trust
from exchange.audit.verify import open_state, read_checkpoint, shrunk

_CHECKPOINT: Final = "checkpoint"


def mirror_log(source: Source, trust: Trust, directory: Path, *, progress: Progress = no_progress) -> Report:
    """Copy a log as it is at its newest checkpoint. Interrupted, it goes on where it stopped.

    Args:
        source: where its files are.
        trust: the log's verifier keys, and the witnesses that must have cosigned, from somebody you trust.
        directory: made if need be. What lies there already is verified too, and replaced where it is wrong.
        progress: called with the number of tiles that are done and their total.

    Raises:
        MalformedError: what lies in the directory is not this log.
        OSError: the source cannot be read, or the directory cannot be written.
    """
    report = Report(subject=f"log {trust.names}")
    seen = read_checkpoint(source, trust, report)
    if seen is None:
        return report
    kept = _kept(directory)
    saved = None if kept is None else open_state(kept, trust)
    if saved is not None and saved.size > seen.checkpoint.size:
        report.fault(shrunk(saved, seen.checkpoint), Finding.SHRUNK)
        return report
    copy = _Copy(source, directory, seen.checkpoint.size, progress)
    try:
        fork = compare(copy.read, saved, seen.checkpoint)
        if fork is not None and kept is not None:
            evidence = format_fork(kept, seen.note, fork)
            name = _CHECKPOINT + fork_name(evidence)
            write_whole(directory / name, evidence.encode())
            report.fault(f"FORK: the log does not begin with the one that lies here; both are in {name}", Finding.FORK)
            return report
        copy.run(seen.checkpoint)
    except CryptoError as exc:
        report.fault(str(exc))
        report.not_checked.append(f"the rest: the copy stopped there, after {copy.written} files")
        return report
    write_whole(directory / _CHECKPOINT, seen.note.encode())
    report.checked.append(f"every tile of {seen.checkpoint.size} entries leads to that checkpoint")
    if copy.withheld:
        report.not_checked.append("the entries: the source shows them to auditors only, so the copy has hashes alone")
    else:
        report.checked.append("every entry has its hash there")
        report.not_checked.append("what the entries say, and their form: verify the copy")
    report.checked.append(f"{copy.written} files were written, all others were here")
    report.state = seen.note
    return report


def _kept(directory: Path) -> str | None:
    try:
        return (directory / _CHECKPOINT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise MalformedError(f"{directory / _CHECKPOINT} is no checkpoint") from None


class _Copy:
    """One run of copying; counts the files that were written, and says whether the entries were withheld."""

    def __init__(self, source: Source, directory: Path, size: int, progress: Progress) -> None:
        self._source = source
        self._directory = directory
        self._size = size
        self._progress = progress
        self.written = 0
        self.withheld = False

    def read(self, level: int, n: int, width: int) -> bytes:
        return read_tile(self._source, level, n, width)

    def run(self, checkpoint: Checkpoint) -> None:
        """Copy all tiles and bundles.

        Raises:
            MalformedError: something is missing at the source.
            VerificationError: something there does not belong to the checkpoint.
        """
        edge = self._edge(checkpoint)
        tiles = list(tiles_of(self._size))
        above = here = b""  # all hashes of the level above, and those of this level so far
        last = tiles[-1][0] if tiles else 0
        for done, (level, n, width) in enumerate(sorted(tiles, key=lambda tile: (-tile[0], tile[1])), start=1):
            if level != last:
                above, here, last = here, b"", level
            if width == TILE_WIDTH:
                data = self._full_tile(level, n, above[n * HASH_BYTES : (n + 1) * HASH_BYTES])
            else:
                data = self._partial_tile(level, n, edge[level])
            if level == 0:
                self._entries(n, width, data)
            else:
                here += data
            self._progress(done, len(tiles))

    def _edge(self, checkpoint: Checkpoint) -> dict[int, bytes]:
        """The partial tiles by level: together they are the root, so that one comparison vouches for all of them."""
        edge = {level: self.read(level, n, width) for level, n, width in tiles_of(self._size) if width < TILE_WIDTH}
        hashes = TileHashes(self._size, lambda level, _n, _width: edge[level])
        subtrees, position = [], 0
        for height in range(self._size.bit_length() - 1, -1, -1):
            if self._size >> height & 1:
                subtrees.append(hashes(height, position >> height))
                position += 1 << height
        root = Frontier.from_bytes(self._size.to_bytes(8, "big") + b"".join(subtrees)).root()
        if root != (checkpoint.root if self._size else EMPTY_ROOT):
            raise VerificationError("the partial tiles do not lead to the root that the checkpoint states")
        return edge

    def _full_tile(self, level: int, n: int, expected: bytes) -> bytes:
        path = tile_path(level, n, TILE_WIDTH)
        return self._obtain(
            path,
            lambda data: len(data) == TILE_WIDTH * HASH_BYTES and complete_root(data) == expected,
            lambda: self.read(level, n, TILE_WIDTH),
        )

    def _partial_tile(self, level: int, n: int, expected: bytes) -> bytes:
        path = tile_path(level, n, len(expected) // HASH_BYTES)
        return self._obtain(path, lambda data: data == expected, lambda: expected)

    def _entries(self, n: int, width: int, hashes: bytes) -> None:
        if self.withheld:
            return

        def fits(data: bytes) -> bool:
            try:
                bodies = decode_bundle(data, width)
            except MalformedError:
                return False
            return b"".join([hash_leaf(body) for body in bodies]) == hashes

        try:
            self._obtain(entries_path(n, width), fits, lambda: encode_bundle(read_bundle(self._source, n, width)))
        except WithheldError:
            self.withheld = True

    def _obtain(self, path: str, fits: Callable[[bytes], bool], fetch: Callable[[], bytes]) -> bytes:
        """What lies here, if it is right; else what the source has, if that is."""
        try:
            data = (self._directory / path).read_bytes()
            if fits(data):
                return data
        except FileNotFoundError:
            pass
        data = fetch()
        if not fits(data):
            raise VerificationError(f"{path} is not what the checkpoint leads to")
        write_whole(self._directory / path, data)
        self.written += 1
        return data
