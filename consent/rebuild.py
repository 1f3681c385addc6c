"""Compare the projection with the fold of the events, or repair it (decision 14).

The events are the truth and are never touched. Whatever cannot be folded is reported and left alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select, update

from consent.errors import InconsistentConsentError
from consent.lifecycle import replay
from consent.model import ConsentRecord, ConsentStatus
from consent.rows import COLUMNS, record_to_columns
from consent.store import events_of_each
from consent.tables import consent

BATCH = 500

UsesTaken = Callable[[Sequence[UUID]], Mapping[UUID, int]]
"""How many disclosures each of some consents has been used for; an id that is missing stands for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where a projection row departs from its events. ``column`` None: the events themselves do not fold."""

    consent_id: UUID
    column: str | None
    stored: Any
    expected: Any


def rebuild(connection: Connection, *, uses_taken: UsesTaken | None = None, repair: bool = False) -> list[Difference]:
    """All differences; with ``repair`` the rows are brought in line with their events.

    Args:
        uses_taken: counts disclosures, from which ``uses_left`` follows together with the events. Without it,
            ``uses_left`` is only checked to lie between 0 and what was given, and never repaired.
        repair: write. The transaction must hold off other writers (a command of the operator).
    """
    differences: list[Difference] = []
    wrong: dict[UUID, dict[str, Any]] = {}
    for rows in _batches(connection):
        ids = [row["id"] for row in rows]
        taken = None if uses_taken is None else uses_taken(ids)
        for row, record in zip(rows, _records(connection, ids), strict=True):
            if record is None:
                differences.append(Difference(consent_id=row["id"], column=None, stored=None, expected=None))
                continue
            expected = record_to_columns(record)
            expected["uses_left"] = _uses_left(record, row["uses_left"], taken)
            columns = {name: value for name, value in expected.items() if row[name] != value}
            differences += [
                Difference(consent_id=record.id, column=name, stored=row[name], expected=value)
                for name, value in columns.items()
            ]
            if columns:
                wrong[record.id] = columns
    if repair:
        _repair(connection, wrong)
    return differences


def _uses_left(record: ConsentRecord, stored: int | None, taken: Mapping[UUID, int] | None) -> int | None:
    if record.uses_left is None or record.status is ConsentStatus.USED_UP:
        return record.uses_left
    if taken is not None:
        return max(0, record.uses_left - taken.get(record.id, 0))
    return stored if stored is not None and 0 <= stored <= record.uses_left else record.uses_left


def _repair(connection: Connection, wrong: Mapping[UUID, Mapping[str, Any]]) -> None:
    # What is leaving force goes first: at no moment may two rows of one person and agreement be in force.
    in_force = (ConsentStatus.GIVEN, ConsentStatus.PAUSED)
    for consent_id, columns in sorted(wrong.items(), key=lambda item: item[1].get("status") in in_force):
        connection.execute(update(consent).where(consent.c.id == consent_id).values(**columns))


def _batches(connection: Connection) -> Iterator[list[Mapping[str, Any]]]:
    statement = select(*COLUMNS).order_by(consent.c.id).limit(BATCH)
    rows = list(connection.execute(statement).mappings())
    while rows:
        yield [dict(row) for row in rows]
        rows = list(connection.execute(statement.where(consent.c.id > rows[-1]["id"])).mappings())


def _records(connection: Connection, ids: Sequence[UUID]) -> Iterator[ConsentRecord | None]:
    try:
        found = events_of_each(connection, ids)
    except InconsistentConsentError:
        # One unreadable event must not hide the others of its batch.
        for consent_id in ids:
            yield _replayed(connection, consent_id)
        return
    for consent_id in ids:
        try:
            yield replay(found[consent_id])
        except InconsistentConsentError:
            yield None


def _replayed(connection: Connection, consent_id: UUID) -> ConsentRecord | None:
    try:
        return replay(events_of_each(connection, [consent_id])[consent_id])
    except InconsistentConsentError:
        return None
