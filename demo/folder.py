"""The folder of the demonstration: fresh each time, and of one run at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.story import WrongError

VARIABLE = "CDX_DEMO_DIR"
_LOCK = "lock"


def place() -> Path:
    """``.demo`` in the checkout, or what the variable CDX_DEMO_DIR names."""
    named = os.environ.get(VARIABLE)
    return Path(named).resolve() if named else Path(__file__).resolve().parent.parent / ".demo"


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Empty the folder, and keep other runs out. What was killed half-way is cleaned up by the next run.

    Raises:
        WrongError: another run is using it, or it holds something that is not ours.
    """
    if path.exists() and any(path.iterdir()) and not (path / _LOCK).exists():
        raise WrongError(f"{path} holds files that are not from a demonstration; it is left alone")
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (path / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go when we end, in whatever way
        except BlockingIOError:
            raise WrongError(f"another demonstration is running in {path}; end it, or set {VARIABLE}") from None
        for entry in path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        yield path
