"""Write the log into a directory as a plain C2SP tlog-tiles tree, which any tool for such logs can read.

The checkpoint is written last, so that what lies there is a whole log at any time, only perhaps not the newest. A
second export into the same directory adds what is new.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from crypto.checkpoint import parse_checkpoint, split_note
from exchange.audit import log
from exchange.audit.files import write_whole
from exchange.audit.policy_file import Policy
from exchange.audit.report import Progress, no_progress
from exchange.audit.tiles import TILE_WIDTH, entries_path, tile_path, tiles_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What was written."""

    size: int
    files: int
    note: str

    def explain(self) -> list[str]:
        """The result as lines of text."""
        return [
            f"exported {self.size} entries; {self.files} files were written",
            "the checkpoint was not checked: run the verification on the directory",
        ]


def export_log(
    connection: Connection, directory: Path, *, cosigned: Policy | None = None, progress: Progress = no_progress
) -> Export:
    """Export the log as it is at its newest checkpoint.

    Args:
        connection: a read transaction.
        directory: made if need be.
        cosigned: as it is at the newest checkpoint that meets this policy, which may be an older one.
        progress: called with the number of files looked at and their total.

    Raises:
        UnknownEntryError: the log is empty or not cosigned yet, or a tile or an entry of it is missing.
        OSError: the directory cannot be written.
    """
    note = log.checkpoint_note(connection) if cosigned is None else log.cosigned_checkpoint(connection, cosigned).note
    size = parse_checkpoint(split_note(note)[0]).size
    tiles = list(tiles_of(size))
    files = 0
    for done, (level, n, width) in enumerate(tiles, start=1):
        path = directory / tile_path(level, n, width)
        if not _is_written(path, width):
            write_whole(path, log.tile(connection, level, n, width))
            files += 1
        if level == 0:
            path = directory / entries_path(n, width)
            if not _is_written(path, width):
                write_whole(path, log.entries(connection, n, width))
                files += 1
        progress(done, len(tiles))
    # A crash before this line leaves the old checkpoint with more tiles than it needs: still a whole, older log.
    write_whole(directory / "checkpoint", note.encode())
    return Export(size=size, files=files + 1, note=note)


def _is_written(path: Path, width: int) -> bool:
    # Full tiles never change. A partial one is written anew: it is small, and an interrupted export is not worth a
    # doubt.
    return width == TILE_WIDTH and path.exists()
