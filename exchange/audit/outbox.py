"""The outbox: entries wait here, durable with the change they tell of, until the sequencer takes them.

No lock is taken and no position is given out, so that units of work never wait for each other here (decision 1).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from exchange.audit import store
from exchange.audit.entry import PreparedEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How far the sequencer is behind."""

    count: int
    oldest_age_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What :func:`erase` deleted."""

    openings: int
    history_lines: int


def append(
    connection: Connection, entries: Sequence[PreparedEntry], sealed_openings: Sequence[tuple[UUID, UUID, bytes]]
) -> None:
    """Insert entries in the caller's transaction; they are accepted when it commits.

    A crash before that commit leaves nothing, neither entry nor change; after it both are there, and the next round
    finds them.

    Args:
        connection: of the unit of work.
        entries: from :func:`exchange.audit.entry.prepare`, which has checked them.
        sealed_openings: (entry id, owner of the key, sealed openings), one for each sealing of each entry.
    """
    store.insert_entries(connection, entries, sealed_openings)


def backlog(connection: Connection, now: datetime) -> Backlog:
    """Count what waits. Beyond its limits releases wait too: an entry that nobody integrates proves nothing."""
    count, oldest = store.outbox_backlog(connection)
    age = max((now - oldest).total_seconds(), 0.0) if oldest is not None else 0.0
    return Backlog(count=count, oldest_age_seconds=age)


def erase(connection: Connection, subject_ref: UUID) -> Erased:
    """Delete an erased person's openings and history lines; the entries stay, and say nothing about anybody now.

    How many of the openings were true ones is for the caller to count before this (fact ``openings`` of
    ``subject.erased``): ``verify-db`` adds these numbers up and so tells a lawful gap from an opening that somebody
    removed.
    """
    return Erased(
        openings=store.delete_openings(connection, subject_ref),
        history_lines=store.delete_history(connection, subject_ref),
    )
