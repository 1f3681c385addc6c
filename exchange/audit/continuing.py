"""Continuing the log of a restored database: the same tree, under the next name (docs/adr/0020).

The first entry under the new name, ``log.continued``, commits to the last known checkpoint of the old one. So every old
entry stays provable in the new log, whoever holds a checkpoint of the restored part sees that it is a part of the new
log, and whoever holds a later one holds the proof of what was lost.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from crypto.checkpoint import Checkpoint
from crypto.encoding import b64_encode
from crypto.errors import MalformedError
from exchange.audit import store
from exchange.audit.age import holds
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.generations import generation_of, name_of
from exchange.audit.journal_files import Verifiers
from exchange.audit.restart import load_state
from exchange.audit.rows import OriginRow
from exchange.errors import InconsistentLogError, RestoreError
from exchange.events import Event, EventType


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """How the log goes on.

    Attributes:
        generation, origin: the next name.
        former: the name of the restored log.
        known: the last known checkpoint of the old log, verified; under ``former`` or a later name.
        size: of the restored tree.
        restored_at: the time of its newest change.
        is_older: whether the database lacks something that ``known`` stands for.
    """

    generation: int
    origin: str
    former: str
    known: Checkpoint
    size: int
    restored_at: datetime
    is_older: bool

    def detail(self) -> dict[str, str]:
        """Public members of the entry."""
        return {
            "generation": str(self.generation),
            "origin": self.origin,
            "former": self.known.origin,
            "known_size": str(self.known.size),
            "known_root": b64_encode(self.known.root),
            "size": str(self.size),
        }

    def event(self) -> Event:
        """The first entry under the new name."""
        return Event(type=EventType.LOG_CONTINUED, org="cdx", detail=self.detail())


def plan(connection: Connection, known: Checkpoint, verifiers: Verifiers) -> Continuation:
    """Work out how the log in the database goes on, after checking that it is sound as far as a sequencer checks.

    Args:
        connection: any transaction.
        known: the last known checkpoint, verified.
        verifiers: of checkpoints, by name.

    Raises:
        RestoreError: it was continued from exactly this checkpoint already.
        InconsistentLogError: the stored log contradicts itself.
    """
    head, names = store.read_head(connection), store.origins(connection)
    if head is None or not names:
        raise InconsistentLogError("there is no log here; create it once, by hand, with the installation")
    load_state(connection, head, verifiers(head.origin))
    first = names[0].origin
    generation = max(names[-1].generation, generation_of(known.origin, first) or 0) + 1
    continuation = Continuation(
        generation=generation,
        origin=name_of(first, generation),
        former=head.origin,
        known=known,
        size=head.size,
        restored_at=head.updated_at,
        is_older=not (known.origin in {row.origin for row in names} and holds(connection, head, known)),
    )
    if len(names) > 1:
        said = _continued(connection, names[-1])
        if said is not None and (said.get("known_size"), said.get("known_root")) == (
            str(known.size),
            b64_encode(known.root),
        ):
            raise RestoreError(f"the log was continued from this checkpoint already, as {head.origin}: nothing to do")
    return continuation


def append_name(connection: Connection, continuation: Continuation, now: datetime) -> None:
    """Note the name; in the transaction that writes its first entry and moves the head."""
    row = OriginRow(
        generation=continuation.generation, origin=continuation.origin, first_size=continuation.size, opened_at=now
    )
    store.insert_origin(connection, row)


def fault_of_name(row: OriginRow, entry: Entry | None) -> str | None:
    """What is wrong with a stored name, given the entry at its ``first_size``; None: nothing."""
    if entry is None or entry.type != EventType.LOG_CONTINUED:
        return f"audit_origin: no entry tells that the log went on as {row.origin}"
    said = (entry.detail.get("generation"), entry.detail.get("origin"), entry.detail.get("size"), entry.at)
    if said != (str(row.generation), row.origin, str(row.first_size), row.opened_at):
        return f"audit_origin: {row.origin} is not as its entry tells"
    return None


def _continued(connection: Connection, row: OriginRow) -> dict[str, str] | None:
    leaf = store.leaf_at(connection, row.first_size)
    try:
        return None if leaf is None else dict(decode_entry(leaf.body).detail)
    except MalformedError as exc:
        raise InconsistentLogError(f"the entry {row.first_size} is not readable: {exc}") from exc
