"""The log verifies from its first entry to its last; a copy of the database in which one byte was changed does not.

The changes are made as somebody would who owns the machine: with SQLite itself, after removing every trigger.
"""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx

from demo.installation import Installation, Ran, must_run, run_cdx
from demo.servers import wait_until
from demo.story import Story, require
from demo.transparency import Checkpoint, open_checkpoint, require_cosigned
from demo.witnesses import Witness, their_policy


@dataclass(frozen=True, kw_only=True)
class Change:
    """One byte of one row."""

    what: str
    select: str  # rowid, the id that the verification must name, the bytes to change
    update: str


CHANGES = (
    Change(
        what="an entry of the audit log",
        select="SELECT rowid, id, body FROM audit_leaf WHERE type = 'attribute.disclosed' LIMIT 1",
        update="UPDATE audit_leaf SET body = ? WHERE rowid = ?",
    ),
    Change(
        what="an event of a consent",
        select="SELECT rowid, consent_id, body FROM consent_event WHERE type = 'WITHDRAWN' LIMIT 1",
        update="UPDATE consent_event SET body = ? WHERE rowid = ?",
    ),
    Change(
        what="a sealed value",
        select="SELECT rowid, id, ct FROM attribute_value WHERE attribute = 'annual_income' LIMIT 1",
        update="UPDATE attribute_value SET ct = ? WHERE rowid = ?",
    ),
)


def find_cosignatures(
    installation: Installation, story: Story, seen: Checkpoint, witnesses: Sequence[Witness], vkey: str
) -> None:
    """Others have seen the same log: each of the witnesses has cosigned it, as far as the walk went at least."""

    def cosigned() -> str | None:
        answer = httpx.get(f"{installation.url}/audit/cosigned/checkpoint", trust_env=False, timeout=20)
        return answer.text if answer.is_success and open_checkpoint(answer.text, vkey).size >= seen.size else None

    note = wait_until(cosigned, "the witnesses have cosigned what was shown here") or ""
    for witness in witnesses:
        require_cosigned(note, witness.vkey)
    size = open_checkpoint(note, vkey).size
    story.proved(
        f"{' and '.join(one.organisation for one in witnesses)} have cosigned the log, all {size} entries",
        "two signatures of others, checked here: everybody is shown this one history",
    )


def verify_log(installation: Installation, story: Story, seen: Checkpoint) -> None:
    """Export the log and verify the export, with a policy and nothing else: the log's key, and its witnesses."""
    exported = installation.folder / "exported-log"
    must_run(installation, "log", "export", str(exported), "--cosigned")
    output = must_run(installation, "log", "verify", str(exported), "--policy", str(their_policy(installation)))
    size = int((exported / "checkpoint").read_text(encoding="utf-8").split("\n")[1])
    require("verified" in output and size >= seen.size, f"the log is shorter than the one that was seen: {output}")
    story.proved(
        f"The log verifies from its first entry to its last, all {size}",
        "exported; checked offline, without database, and both witnesses vouch for it",
    )


def find_changes(installation: Installation, story: Story) -> None:
    """Verify a copy of the database, then copies with one byte changed."""
    copies = installation.folder / "copies"
    copies.mkdir()
    untouched = _copy(installation.database, copies / "untouched.db")
    ran = _verify(installation, untouched)
    require(ran.status == 0, f"an untouched copy does not verify: {ran.output}")
    story.proved("A copy of the database verifies, too", "every entry, opening, consent event and sealed value")
    for number, change in enumerate(CHANGES, 1):
        copy = _copy(untouched, copies / f"changed-{number}.db")
        identifier = _change(copy, change)
        ran = _verify(installation, copy)
        told = [line for line in ran.output.splitlines() if line.startswith("wrong:") and identifier in line]
        require(ran.status == 1 and told, f"{change.what} was changed unseen: {ran.output}")
        table = told[0].removeprefix("wrong:").strip().partition(":")[0]
        story.proved(f"One byte changed in {change.what} is found", f"{table} is named, with the row: {identifier}")


def _verify(installation: Installation, database: Path) -> Ran:
    return run_cdx(installation, "log", "verify-db", CDX_DATABASE_URL=f"sqlite:///{database}")


def _copy(source: Path, target: Path) -> Path:
    """A consistent copy of a database that is in use."""
    with closing(sqlite3.connect(source)) as running, closing(sqlite3.connect(target)) as copy:
        running.backup(copy)
    return target


def _change(path: Path, change: Change) -> str:
    """Flip one bit; gives the id of the row."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        rowid, identifier, value = database.execute(change.select).fetchone()
        changed = bytearray(value)
        changed[len(changed) // 2] ^= 1
        database.execute(change.update, (bytes(changed), rowid))
    return str(UUID(hex=identifier))
