"""Files that survive a loss of power: what is written is on the disk, name included, before a function returns."""

import os
from pathlib import Path


def replace_file(path: Path, data: bytes) -> None:
    """Put a new content in the place of a file's old one, at once.

    A crash leaves the old content or the new one, and perhaps a file that begins with a dot, which nobody reads.

    Raises:
        OSError: the folder cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    sync_folder(path.parent)


def append_file(path: Path, data: bytes) -> None:
    """Add to the end of a file, which is made if need be. A crash may leave a part of ``data``.

    Raises:
        OSError: the folder cannot be written.
    """
    is_new = not path.exists()
    with path.open("ab") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
