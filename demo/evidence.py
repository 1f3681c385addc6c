"""The log is verified from its first entry to its last, and a copy of the database in which one byte was changed is not.

The changes are made as somebody would who owns the machine: with SQLite itself, after removing every trigger.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from demo.installation import Installation, must_run, run_cdx
from demo.story import Story, require
from demo.transparency import Checkpoint


@dataclass(frozen=True, kw_only=True)
class Change:
    """One byte of one row. ``found_as``: what the verification must name."""

    what: str
    table: str
    column: str
    where: str
    found_as: str


CHANGES = (
    Change(
        what="an entry of the audit log",
        table="audit_leaf",
        column="body",
        where="type = 'attribute.disclosed'",
        found_as="audit_leaf",
    ),
    Change(
        what="an event of a consent",
        table="consent_event",
        column="body",
        where="type = 'WITHDRAWN'",
        found_as="consent_event",
    ),
    Change(
        what="a sealed value",
        table="attribute_value",
        column="ct",
        where="attribute = 'annual_income'",
        found_as="attribute_value",
    ),
)


def verify_log(installation: Installation, story: Story, seen: Checkpoint) -> None:
    """Export the log and verify the export, with the public key and nothing else."""
    exported = installation.folder / "exported-log"
    must_run(installation, "log", "export", str(exported))
    vkey = installation.folder / "keys" / "log.vkey"
    output = must_run(installation, "log", "verify", str(exported), "--vkey", str(vkey))
    size = int((exported / "checkpoint").read_text(encoding="utf-8").split("\n")[1])
    require("verified" in output and size >= seen.size, f"the log is shorter than the one that was seen: {output}")
    story.proved(
        f"The log verifies from its first entry to its last, all {size}", "exported; checked offline, without database"
    )


def find_changes(installation: Installation, story: Story) -> None:
    """Verify a copy of the database, then copies with one byte changed."""
    copies = installation.folder / "copies"
    copies.mkdir()
    untouched = _copy(installation.database, copies / "untouched.db")
    ran = _verify(installation, untouched)
    require(ran.status == 0, f"an untouched copy does not verify: {ran.output}")
    story.proved("A copy of the database verifies", "every entry, opening, consent event and sealed value")
    for change in CHANGES:
        copy = _copy(untouched, copies / f"{change.table}.db")
        _change(copy, change)
        ran = _verify(installation, copy)
        require(ran.status == 1 and change.found_as in ran.output, f"{change.what} was changed unseen: {ran.output}")
        told = next(line for line in ran.output.splitlines() if change.found_as in line)
        story.proved(f"One byte changed in {change.what} is found", told.partition(":")[2].strip() or told)


def _verify(installation: Installation, database: Path):  # noqa: ANN202
    return run_cdx(installation, "log", "verify", "--database", CDX_DATABASE_URL=f"sqlite:///{database}")


def _copy(source: Path, target: Path) -> Path:
    """A consistent copy of a database that is in use."""
    with closing(sqlite3.connect(source)) as running, closing(sqlite3.connect(target)) as copy:
        running.backup(copy)
    return target


def _change(path: Path, change: Change) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        found = f"FROM {change.table} WHERE {change.where} LIMIT 1"
        rowid, value = database.execute(f"SELECT rowid, {change.column} {found}").fetchone()
        changed = bytearray(value)
        changed[len(changed) // 2] ^= 1
        database.execute(f"UPDATE {change.table} SET {change.column} = ? WHERE rowid = ?", (bytes(changed), rowid))
