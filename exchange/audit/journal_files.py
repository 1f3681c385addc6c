"""The journal's files, in a folder on another site: batches are appended, the newest checkpoint lies beside them.

    journal-<number of its first batch, 12 digits>    batches one after the other; a new file each day, and each 8 MiB
    end                                               which batch is the last one
    checkpoint                                        the newest checkpoint of the log, as published

One process writes: whoever holds the lock on ``.lock``. Files are only ever added to. Whatever cannot be read at the
end of a file was being written when its writer died: the next writer begins a new file (with ``.2`` … at the end of its
name, if the name is taken), whose first batch shows that none is missing.
"""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from crypto.checkpoint import NoteSigner, NoteVerifier, open_note, sign_note
from crypto.errors import CryptoError, MalformedError
from exchange.audit.journal import (
    NOTHING_BEFORE,
    Batch,
    Record,
    digest,
    format_batch,
    format_end,
    origin_in,
    parse_batch,
    parse_end,
    split_notes,
)
from exchange.durable import append_file, replace_file
from exchange.errors import JournalError

CHECKPOINT: Final = "checkpoint"
MAX_FILE_BYTES: Final = 2**23
_END: Final = "end"
_LOCK: Final = ".lock"
_is_batch_file = re.compile(r"journal-[0-9]{12}(?:\.[2-9])?", re.ASCII).fullmatch

Verifiers = Callable[[str], Sequence[NoteVerifier]]
"""The keys that may have signed the journal of a log of that name; none: not a name of this log."""


@dataclass(slots=True, kw_only=True)
class Journal:
    """What a folder holds.

    Attributes:
        batches: those that bear a good signature, in order.
        faults: what is missing, foreign or out of order, each with its place.
        remarks: what is worth knowing and no fault.
    """

    batches: list[Batch] = field(default_factory=list, repr=False)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    last: bytes = NOTHING_BEFORE

    @property
    def number(self) -> int:
        """Of the last batch; 0: none."""
        return self.batches[-1].number if self.batches else 0

    def refuse_faults(self) -> None:
        """Raise JournalError with every fault, if there is one."""
        if self.faults:
            raise JournalError("\n".join(self.faults))

    def records(self) -> Iterator[Record]:
        """All lines, in order.

        Raises:
            JournalError: one that this version does not know.
        """
        for batch in self.batches:
            try:
                yield from batch.records()
            except MalformedError as exc:
                raise JournalError(f"batch {batch.number} of the journal: {exc}") from exc


def read_journal(folder: Path, verifiers: Verifiers, *, newest_only: bool = False) -> Journal:
    """Read and check a journal.

    Args:
        folder: where it is.
        verifiers: by the name of the log.
        newest_only: the last file that holds a batch, which is enough to go on writing.

    Raises:
        JournalError: the folder cannot be read.
    """
    journal = Journal()
    try:
        paths = sorted(path for path in folder.iterdir() if _is_batch_file(path.name))
        contents = [(path.name, path.read_bytes()) for path in paths] if not newest_only else _newest(paths, verifiers)
        end = folder / _END
        end_note = end.read_text(encoding="utf-8") if end.exists() else None
    except (OSError, UnicodeDecodeError) as exc:
        raise JournalError(f"the journal in {folder} cannot be read: {type(exc).__name__}") from exc
    for name, data in contents:
        _read_file(journal, name, data, verifiers)
    _check_end(journal, end_note, verifiers)
    return journal


def read_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written there, unchecked; None: none was.

    Raises:
        JournalError: the folder is missing, or cannot be read.
    """
    try:
        if not folder.is_dir():
            raise JournalError(f"the journal's folder {folder} is missing")
        return (folder / CHECKPOINT).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise JournalError(f"{folder / CHECKPOINT} cannot be read: {type(exc).__name__}") from exc


class JournalWriter:
    """Adds to a journal; at most one at a time does.

    Args:
        folder: exists already: a folder that is not mounted must not be made anew on this machine.
        origin: of the log as it is named now.
        signers: the log's keys, under the name of its journal.
        verifiers: to find where the journal ends.
    """

    def __init__(self, folder: Path, *, origin: str, signers: Sequence[NoteSigner], verifiers: Verifiers) -> None:
        self._folder = folder
        self._origin = origin
        self._signers = tuple(signers)
        self._verifiers = verifiers
        self._lock: int | None = None
        self._number = 0
        self._last = NOTHING_BEFORE
        self._file: Path | None = None
        self._day = ""

    def claim(self) -> bool:
        """Become the one that writes, and find the end; False: another process does.

        Raises:
            JournalError: what is there does not verify.
            OSError: the folder cannot be used.
        """
        if self._lock is not None:
            return True
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            journal = read_journal(self._folder, self._verifiers, newest_only=True)
            journal.refuse_faults()
        except BlockingIOError:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._number, self._last, self._file = journal.number, journal.last, None
        self._lock = descriptor
        return True

    def append(self, lines: Sequence[bytes], at: datetime) -> None:
        """Add a batch: durable, with its name in the folder, when this returns.

        Raises:
            OSError: it cannot be written. Release and claim again: nobody knows how much of it is there.
        """
        number = self._number + 1
        text = format_batch(Batch(number=number, origin=self._origin, previous=self._last, at=at, lines=tuple(lines)))
        note = sign_note(text, self._signers)
        # A crash in this line leaves a part of the note, which its reader passes over; the rows are still there.
        append_file(self._file_for(number, at), note.encode())
        self._number, self._last = number, digest(note)
        # A crash before this line leaves an end that is behind the batches; the next batch moves it.
        end = sign_note(format_end(number, self._origin, self._last), self._signers)
        replace_file(self._folder / _END, end.encode())

    def kept(self) -> str | None:
        """The checkpoint that was written last, by whatever process; None: none was.

        Raises:
            JournalError: it cannot be read.
        """
        return read_checkpoint(self._folder)

    def write_checkpoint(self, note: str) -> None:
        """Replace the newest checkpoint.

        Raises:
            OSError: it cannot be written.
        """
        replace_file(self._folder / CHECKPOINT, note.encode())

    def release(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _file_for(self, number: int, at: datetime) -> Path:
        day, name = at.date().isoformat(), f"journal-{number:012d}"
        if self._file is None or day != self._day or self._file.stat().st_size > MAX_FILE_BYTES:
            names = [name, *(f"{name}.{turn}" for turn in range(2, 10))]
            self._file = next((path for path in map(self._folder.joinpath, names) if not path.exists()), None)
            self._day = day
        if self._file is None:
            raise FileExistsError(errno.EEXIST, "too many unfinished files of one batch", str(self._folder / name))
        return self._file


def _newest(paths: Sequence[Path], verifiers: Verifiers) -> list[tuple[str, bytes]]:
    for path in reversed(paths):
        alone = Journal()
        data = path.read_bytes()
        _read_file(alone, path.name, data, verifiers)
        if alone.batches:
            return [(path.name, data)]
    return []


def _read_file(journal: Journal, name: str, data: bytes, verifiers: Verifiers) -> None:
    # Bytes that are no text cannot be part of a note that was written whole.
    notes, rest = split_notes(data.decode("utf-8", errors="replace"))
    unfinished = bool(rest)
    for position, note in enumerate(notes, start=1):
        place = f"{name}, note {position}"
        try:
            batch = _open(note, verifiers)
        except CryptoError as exc:
            # At the end of a file its writer may have died. If it was more than that, the chain or the end shows it.
            if position == len(notes):
                unfinished = True
            else:
                journal.faults.append(f"{place}: not a batch of this log's journal: {exc}")
            continue
        if not journal.batches:
            if batch.number != 1:
                journal.remarks.append(
                    f"the journal begins with batch {batch.number}, of {batch.at:%Y-%m-%d %H:%M} UTC"
                )
            elif batch.previous != NOTHING_BEFORE:
                journal.faults.append(f"{place}: the first batch follows another one")
        elif (batch.number, batch.previous) != (journal.number + 1, journal.last):
            journal.faults.append(f"{place}: batch {batch.number} does not follow batch {journal.number}")
        journal.batches.append(batch)
        journal.last = digest(note)
    if unfinished:
        journal.remarks.append(f"{name}: what stands at its end was not written whole, and is left out")


def _open(note: str, verifiers: Verifiers) -> Batch:
    known = verifiers(origin_in(note))
    if not known:
        raise MalformedError("it is of another log")
    return parse_batch(open_note(note, known)[0])


def _check_end(journal: Journal, note: str | None, verifiers: Verifiers) -> None:
    if note is None:
        if journal.batches:
            journal.remarks.append("whether the journal is whole is not known: nothing says where it ends")
        return
    try:
        known = verifiers(origin_in(note))
        if not known:
            raise MalformedError("it is of another log")
        number, last = parse_end(open_note(note, known)[0])
    except CryptoError as exc:
        journal.faults.append(f"{_END}: not the end of this log's journal: {exc}")
        return
    if number > journal.number:
        journal.faults.append(f"{_END}: the journal went on to batch {number}, and stops at {journal.number}")
    elif number == journal.number and last != journal.last:
        journal.faults.append(f"{_END}: batch {number} is not the one that was written")
