"""Import of a provider's file into the vault: streamed, resumable, and never half.

A chunk of lines is one unit of work: values, keys, audit entries and the place in the file commit together. Whatever
stops an import, the next run of the same file by the same provider goes on behind the last chunk that was committed.
Lines that cannot be taken are reported by number and reason, never by content. Formats: ``exchange.providers.files``.

Memory stays flat: the people that a file has named already are remembered in a temporary file, not in memory.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from sqlalchemy import Connection

from crypto.encoding import lp16_text
from exchange import subjects
from exchange import subjects_store as store
from exchange.catalogue_model import Catalogue
from exchange.errors import ContentionError, UnknownAgencyError
from exchange.providers.files import (
    CSVReader,
    ImportFileError,
    JSONLinesReader,
    Line,
    LineError,
    LineReader,
    is_csv,
    lines_of,
)
from exchange.records import PSEUDONYM_SCHEME, SubjectRecord, faults_in
from exchange.subjects import SubjectMovedError

if TYPE_CHECKING:
    from exchange.context import Exchange

CHUNK_LINES: Final = 200
MAX_REPORTED: Final = 1000
"""How many rejected lines a report lists; the callback hears of all."""
_ATTEMPTS: Final = 5
_BLOCK: Final = 2**20
_TWICE: Final = "the person stands in an earlier line of the file"


@dataclass(frozen=True, slots=True, order=True)
class Rejected:
    """A line that was not taken, and why."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far it is; bytes for the bar, since nobody has counted the lines."""

    bytes_done: int
    bytes_total: int
    line: int
    imported: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of a file.

    Attributes:
        imported: people written, those of earlier runs of this file included.
        rejected_count: lines that were not taken.
        rejected: the first of them.
        resumed_at: the line where this run went on; None: it began at the beginning.
    """

    imported: int
    rejected_count: int
    rejected: tuple[Rejected, ...] = field(repr=False)
    resumed_at: int | None


def import_file(
    exchange: "Exchange",
    path: Path,
    provider: str,
    *,
    now: datetime,
    on_progress: Callable[[Progress], None] | None = None,
    on_rejected: Callable[[Rejected], None] | None = None,
    chunk_lines: int = CHUNK_LINES,
    from_start: bool = False,
) -> ImportReport:
    """Import a file of subjects.

    Args:
        exchange: the parts.
        path: a ``.csv``, ``.jsonl`` or ``.ndjson`` file.
        provider: agency whose values these are.
        now: when it begins; what passes meanwhile is added, so that entries bear their own times.
        on_progress: called after each chunk.
        on_rejected: called for each line that is not taken, also for those of earlier runs.
        chunk_lines: lines in one unit of work.
        from_start: import the file again though it was imported before, wholly or in part.

    Raises:
        ImportFileError: the file cannot be read, or cannot be imported at all; nothing was written.
        UnknownAgencyError: the provider is not registered, or suspended.
        ContentionError: the same people are written by others all the time, or the same file by another import.
    """
    try:
        with path.open("rb") as file, closing(_Seen()) as seen:
            run = _Run(exchange, provider, file, csv=is_csv(path), seen=seen, now=now, from_start=from_start)
            resumed_at = run.next_line if run.next_line > 1 else None
            shown: list[Rejected] = []
            count = 0
            for chunk in _chunks(run.lines, chunk_lines, run.next_line):
                rejected = run.pass_over(chunk) if chunk[-1].number < run.next_line else run.write(chunk)
                count += len(rejected)
                shown += rejected[: MAX_REPORTED - len(shown)]
                if on_rejected is not None:
                    for one in rejected:
                        on_rejected(one)
                if on_progress is not None:
                    on_progress(
                        Progress(
                            bytes_done=chunk[-1].end,
                            bytes_total=run.size,
                            line=chunk[-1].number,
                            imported=run.imported,
                            rejected=count,
                        )
                    )
            return ImportReport(
                imported=run.imported, rejected_count=count, rejected=tuple(shown), resumed_at=resumed_at
            )
    except OSError as exc:
        raise ImportFileError(f"the file cannot be read ({type(exc).__name__})") from exc


class _Run:
    """One run over one file: where it stands, and what it has seen."""

    def __init__(
        self,
        exchange: "Exchange",
        provider: str,
        file: IO[bytes],
        *,
        csv: bool,
        seen: "_Seen",
        now: datetime,
        from_start: bool,
    ) -> None:
        self._exchange = exchange
        self._provider = provider
        self._seen = seen
        self._now = now
        self._started = time.monotonic()
        self._digest, self.size = _digest(file, provider)
        if from_start:
            with exchange.database.write() as connection:
                store.forget_import(connection, self._digest)
                connection.commit()
        with exchange.database.read() as connection:
            if not store.provider_is_in_force(connection, provider):
                raise UnknownAgencyError("the provider is not registered, or suspended")
            self._catalogue: Catalogue = exchange.catalogue(connection)
            self.next_line, self.imported = store.import_place(connection, self._digest)
        self.lines = lines_of(file)
        self._reader: LineReader = self._csv_reader() if csv else JSONLinesReader(provider)

    def pass_over(self, chunk: Sequence[Line]) -> list[Rejected]:
        """Lines that an earlier run has committed: only find out again whom they named, and which it did not take."""
        records, rejected = self._read(chunk)
        with self._exchange.database.read() as connection:
            people, twice = self._whom(connection, records)
        self._seen.add(*people)
        return sorted([*rejected, *twice])

    def write(self, chunk: Sequence[Line]) -> list[Rejected]:
        """Lines that are new: one unit of work."""
        records, rejected = self._read(chunk)
        for _ in range(_ATTEMPTS):
            try:
                people, taken, left = self._commit(chunk, records, len(rejected))
            except SubjectMovedError:
                continue
            # Only now: what did not commit was not seen.
            self._seen.add(*people)
            self.next_line = chunk[-1].number + 1
            self.imported += taken
            return sorted([*rejected, *left])
        raise ContentionError("the same people are written by others all the time; run the import again")

    def _commit(
        self, chunk: Sequence[Line], records: Mapping[int, SubjectRecord], rejected: int
    ) -> tuple[set[bytes], int, list[Rejected]]:
        now = self._now + timedelta(seconds=time.monotonic() - self._started)
        with self._exchange.unit_of_work(now) as uow:
            people, left = self._whom(uow.connection, records)
            skipped = {one.line for one in left}
            taken = [record for line, record in records.items() if line not in skipped]
            if taken:
                subjects.write_records(uow, self._exchange, self._catalogue, self._provider, taken)
            kept = store.keep_import_place(
                uow.connection,
                self._digest,
                expected=self.next_line,
                next_line=chunk[-1].number + 1,
                imported=len(taken),
                rejected=rejected + len(left),
                now=now,
            )
            if not kept:
                raise ContentionError("another import of the same file is under way")
            # A crash before this line leaves the whole chunk to the next run; after it, none of it.
            uow.commit()
        return people, len(taken), left

    def _read(self, chunk: Sequence[Line]) -> tuple[dict[int, SubjectRecord], list[Rejected]]:
        """Read and check lines by themselves: (line → record, lines that cannot be taken)."""
        records: dict[int, SubjectRecord] = {}
        rejected: list[Rejected] = []
        for line in chunk:
            try:
                records[line.number] = self._record(line)
            except LineError as exc:
                rejected.append(Rejected(line.number, str(exc)))
        return records, rejected

    def _record(self, line: Line) -> SubjectRecord:
        if line.data is None:
            raise LineError("the line is too long")
        record = self._reader.read(line.data)
        faults = faults_in(record, self._catalogue, self._provider)
        if faults:
            raise LineError("; ".join(faults))
        if not self._seen.add(self._name(record)):
            raise LineError(_TWICE)
        return record

    def _whom(self, connection: Connection, records: Mapping[int, SubjectRecord]) -> tuple[set[bytes], list[Rejected]]:
        """The people that lines are about, where we know them; and lines about nobody, or about somebody once more."""
        lines = list(records)
        found = subjects.look_up(connection, self._exchange, self._provider, list(records.values()))
        rejected = [
            Rejected(lines[place], "a pseudonym that was never given to this provider") for place in found.unknown
        ]
        people: set[bytes] = set()
        for place, ref in sorted(found.known.items()):
            if ref.bytes in people or ref.bytes in self._seen:
                rejected.append(Rejected(lines[place], _TWICE))
            people.add(ref.bytes)
        return people, rejected

    def _name(self, record: SubjectRecord) -> bytes:
        if record.subject.scheme == PSEUDONYM_SCHEME:
            return sha256(record.subject.id.encode()).digest()
        return subjects.index_of(self._exchange, record.subject)

    def _csv_reader(self) -> CSVReader:
        header = next(self.lines, None)
        if header is None or header.data is None:
            raise ImportFileError("the file has no header")
        return CSVReader(header.data, self._catalogue, self._provider)


class _Seen:
    """Whom the file has named so far, in a temporary file that nobody else sees and that vanishes with us."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        for statement in (
            "PRAGMA journal_mode=OFF",
            "PRAGMA synchronous=OFF",
            "PRAGMA cache_size=-16384",
            "CREATE TABLE seen (name BLOB PRIMARY KEY) WITHOUT ROWID",
        ):
            self._connection.execute(statement).close()

    def add(self, *names: bytes) -> bool:
        """Remember; whether all of them were new."""
        rows = [(name,) for name in names]
        return self._connection.executemany("INSERT OR IGNORE INTO seen VALUES (?)", rows).rowcount == len(rows)

    def __contains__(self, name: bytes) -> bool:
        return self._connection.execute("SELECT 1 FROM seen WHERE name = ?", (name,)).fetchone() is not None

    def close(self) -> None:
        self._connection.close()


def _chunks(lines: Iterator[Line], size: int, next_line: int) -> Iterator[list[Line]]:
    """Lines by ``size``; none holds both lines of an earlier run and new ones."""
    chunk: list[Line] = []
    for line in lines:
        if chunk and (len(chunk) == size or chunk[-1].number < next_line <= line.number):
            yield chunk
            chunk = []
        chunk.append(line)
    if chunk:
        yield chunk


def _digest(file: IO[bytes], provider: str) -> tuple[str, int]:
    """What tells this file of this provider from any other, and its size; the file stands at its beginning again."""
    digest, size = sha256(lp16_text(provider)), 0
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    file.seek(0)
    return digest.hexdigest(), size
