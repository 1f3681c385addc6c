"""B5, B6, B10: a large log, appended by the sequencer, proved entry by entry, exported and verified whole."""

import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from pymerkle import SqliteTree

from api import schema
from crypto.checkpoint import NoteSigner
from crypto.ids import new_id
from exchange.audit import log, outbox, proofs, store
from exchange.audit.edge import RightEdge, empty_edge, pack_state
from exchange.audit.entry import PreparedEntry, prepare, to_millis
from exchange.audit.export import export_log
from exchange.audit.rows import HeadRow, TileRow
from exchange.audit.sequencer import ENTRIES_PER_ROUND, Sequencer
from exchange.audit.sources import DirectorySource
from exchange.audit.tables import audit_leaf
from exchange.audit.tiles import TileCache
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.audit.verify_db import verify_database
from exchange.database import Database
from exchange.events import Event, EventType, Outcome

CHUNK: Final = 50 * ENTRIES_PER_ROUND
PYMERKLE_SIZE: Final = 100_000
_ORIGIN: Final = "bench.example/audit"
_SIGNER: Final = NoteSigner(_ORIGIN, bytes(range(32)))
_OPERATOR: Final = UUID("0195587a-0000-7000-8000-00000000000f")
_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PLAIN: Final = "bench_plain"

Advance = Callable[[int], None]


@dataclass(kw_only=True)
class Appended:
    """How a log was filled: entries per second of each chunk."""

    entries: int
    outbox: list[float] = field(default_factory=list)
    sequencer: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Proved:
    """Microseconds for an inclusion proof; ``cold`` with nothing in memory but what the database keeps there."""

    size: int
    cold: float
    warm: float


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Entries per second, over a whole exported log; ``database``: `verify-db` without keys."""

    entries: int
    one_core: float
    all_cores: float
    database: float
    hashing: float
    """Bare SHA-256 of the same leaves in Python."""


@dataclass(kw_only=True)
class Figures:
    """Everything of this page."""

    entries: int
    appended: dict[str, Appended] = field(default_factory=dict)
    proved: dict[str, list[Proved]] = field(default_factory=dict)
    pymerkle_cold: float = 0.0
    verified: dict[str, Verified] = field(default_factory=dict)


def measure(*, entries: int, largest: int, proofs_of: int, folder: Path, postgres: str, advance: Advance) -> Figures:
    """Fill a log on each database, prove and verify.

    Args:
        entries: how many; one hundredth of them is the small log that proofs are compared with.
        largest: size of a log of tiles only, for proofs.
        proofs_of: proofs per figure.
        folder: for SQLite files and exports.
        postgres: address of an empty database.
        advance: called with the number of entries done, ``work`` in all.
    """
    figures = Figures(entries=entries)
    for name, url in (("SQLite", f"sqlite:///{folder / 'log.db'}"), ("PostgreSQL", postgres)):
        schema.upgrade(url)
        database = Database(url)
        try:
            figures.proved[name] = []
            log_of = _Filling(database, Appended(entries=entries))
            for until in (entries // 100, entries):
                log_of.fill(until, advance)
                figures.proved[name].append(_prove(database, until, proofs_of))
            figures.appended[name] = log_of.done
            figures.verified[name] = _verify(database, entries, folder / name, advance)
        finally:
            database.dispose()
    big = Database(f"sqlite:///{folder / 'tiles.db'}")
    try:
        _tiles_only(big, largest, advance)
        figures.proved["SQLite"].append(_prove(big, largest, proofs_of))
    finally:
        big.dispose()
    figures.pymerkle_cold = _pymerkle(folder / "pymerkle.db", min(PYMERKLE_SIZE, entries))
    return figures


def work(entries: int, largest: int) -> int:
    """The sum of what ``advance`` will be told."""
    return 4 * entries + largest


class _Filling:
    def __init__(self, database: Database, done: Appended) -> None:
        self._database = database
        self.done = done
        self._size = 0
        self._now = _BEGAN
        self._sequencer = Sequencer(database, [_SIGNER], origin=_ORIGIN, clock=lambda: self._now)
        with database.write() as connection:
            log.create(connection, origin=_ORIGIN, now=self._now)
            columns = ", ".join(
                f"{column.name} {column.type.compile(dialect=connection.dialect)}" for column in audit_leaf.columns
            )
            connection.exec_driver_sql(f"CREATE TABLE {_PLAIN} ({columns}, PRIMARY KEY (seq), UNIQUE (id))")
            connection.exec_driver_sql(f"CREATE INDEX {_PLAIN}_at ON {_PLAIN} (at)")
            connection.commit()

    def fill(self, until: int, advance: Advance) -> None:
        """Go on until the log has so many entries."""
        while self._size < until:
            count = min(CHUNK, until - self._size)
            batch = self._entries(count)
            # In turn, so that neither always comes second.
            for step in (self._append, self._plain) if self._size // CHUNK % 2 else (self._plain, self._append):
                step(batch)
            self._size += count
            advance(count)

    def _entries(self, count: int) -> list[PreparedEntry]:
        made = []
        for _ in range(count):
            self._now += timedelta(milliseconds=1)
            event = Event(
                type=EventType.ATTRIBUTE_DISCLOSED,
                org="housing-benefit-office",
                outcome=Outcome.PERMIT,
                purpose="housing_benefit",
                request=new_id(self._now),
                facts={"officer": "officer-17", "role": "case worker"},
            )
            made.append(prepare(event, entry_id=new_id(self._now), now=self._now, operator_ref=_OPERATOR))
        return made

    def _append(self, batch: Sequence[PreparedEntry]) -> None:
        began = time.perf_counter()
        for start in range(0, len(batch), ENTRIES_PER_ROUND):
            with self._database.write() as connection:
                outbox.append(connection, batch[start : start + ENTRIES_PER_ROUND], [])
                connection.commit()
        waiting = time.perf_counter()
        while self._sequencer.run_round():
            pass
        finished = time.perf_counter()
        self.done.outbox.append(len(batch) / (waiting - began))
        self.done.sequencer.append(len(batch) / (finished - waiting))

    def _plain(self, batch: Sequence[PreparedEntry]) -> None:
        rows = [
            (self._size + number, one.id, one.body, one.type, one.org, to_millis(one.accepted_at))
            for number, one in enumerate(batch)
        ]
        insert = _copy if self._database.engine.dialect.name == "postgresql" else _many
        began = time.perf_counter()
        for start in range(0, len(rows), ENTRIES_PER_ROUND):
            with self._database.write() as connection:
                insert(connection, rows[start : start + ENTRIES_PER_ROUND])
                connection.commit()
        self.done.plain.append(len(rows) / (time.perf_counter() - began))


def _many(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    connection.exec_driver_sql(
        f"INSERT INTO {_PLAIN} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608  # a name of this file
        [(seq, entry_id.hex, *others) for seq, entry_id, *others in rows],
    )


def _copy(connection: sa.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {_PLAIN} FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "uuid", "bytea", "varchar", "varchar", "int8"])
        for row in rows:
            copy.write_row(row)


def _prove(database: Database, size: int, count: int) -> Proved:
    picked = random.Random(size).choices(range(size), k=count)
    shared = TileCache(4096)
    figures = {}
    with database.read() as connection:
        for name in ("cold", "filling", "warm"):
            taken = []
            for index in picked:
                cache = TileCache() if name == "cold" else shared
                began = time.perf_counter()
                proofs.inclusion_proof(connection, index, size, cache=cache)
                taken.append(time.perf_counter() - began)
            figures[name] = median(taken) * 1e6
    return Proved(size=size, cold=figures["cold"], warm=figures["warm"])


def _tiles_only(database: Database, size: int, advance: Advance) -> None:
    """The tree of so many leaf hashes, without the entries: what proofs are made of."""
    schema.upgrade(database.engine.url.render_as_string(hide_password=False))
    edge: RightEdge = empty_edge()
    step = 256 * 256
    while edge.size < size:
        count = min(step, size - edge.size)
        writes = edge.extend([sha256(number.to_bytes(8)).digest() for number in range(edge.size, edge.size + count)])
        with database.write() as connection:
            for write in writes:
                tile = TileRow(level=write.level, n=write.n, width=write.width, data=write.data)
                if write.old_width:
                    assert store.widen_tile(connection, tile, old_width=write.old_width)
                else:
                    store.insert_tiles(connection, [tile])
            connection.commit()
        advance(count)
    head = HeadRow(
        origin=_ORIGIN,
        size=size,
        root=edge.frontier.root(),
        state=pack_state(0, edge.frontier),
        updated_at=_BEGAN,
    )
    with database.write() as connection:
        store.create_head(connection, head)
        connection.commit()


def _pymerkle(path: Path, size: int) -> float:
    with SqliteTree(str(path)) as tree:
        tree.append_entries([number.to_bytes(8) * 32 for number in range(size)])
    taken = []
    for index in random.Random(size).choices(range(1, size + 1), k=5):
        with SqliteTree(str(path)) as tree:
            began = time.perf_counter()
            tree.prove_inclusion(index, size)
            taken.append(time.perf_counter() - began)
    return median(taken) * 1e6


def _verify(database: Database, entries: int, folder: Path, advance: Advance) -> Verified:
    with database.read() as connection:
        export_log(connection, folder)
        bodies = store.bodies(connection, 0, min(entries, CHUNK))
    rates = {}
    for name, workers in (("one", 1), ("all", None)):
        began = time.perf_counter()
        report = verify_log(DirectorySource(folder), Trust.of(_SIGNER.vkey), workers=workers)
        rates[name] = entries / (time.perf_counter() - began)
        assert report.ok, report.faults
    advance(entries // 2)
    began = time.perf_counter()
    for body in bodies:
        sha256(b"\x00" + body).digest()
    hashing = len(bodies) / (time.perf_counter() - began)
    with database.read() as connection:
        began = time.perf_counter()
        report = verify_database(connection, [_SIGNER.vkey])
        in_database = entries / (time.perf_counter() - began)
    assert report.ok, report.faults
    advance(entries - entries // 2)
    shutil.rmtree(folder)
    return Verified(
        entries=entries, one_core=rates["one"], all_cores=rates["all"], database=in_database, hashing=hashing
    )
