"""A citizen's own history of disclosures, each with the proof that it stands in the log."""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent.columns import from_millis, to_millis
from crypto import canonical
from crypto.errors import MalformedError
from exchange import access, citizen_store, store
from exchange.audit import log, proofs
from exchange.errors import SubjectErasedError, UnknownEntryError
from exchange.events import Event, EventType
from exchange.model import Citizen
from exchange.situations import details_of

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnDisclosure:
    """Who got what, when, why, and under which permission. ``proof`` is None until the entry is integrated."""

    id: UUID
    at: datetime
    agency: str
    agency_name: str
    purpose: str
    attributes: list[dict[str, str]]
    officer_role: str | None
    consent_id: UUID | None
    entry_id: UUID
    acknowledged_at: datetime | None
    proof: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A page of disclosures, newest first. ``next`` leads to the following page; no ``checkpoint``: the log is new."""

    disclosures: list[OwnDisclosure]
    checkpoint: str | None
    next: str | None


def history(exchange: "Exchange", citizen: Citizen, *, cursor: str | None, limit: int, now: datetime) -> History:
    """Disclosures about this person. Looking is on record, in the person's own history.

    Raises:
        MalformedError: the cursor is not one of ours.
    """
    before = None if cursor is None else _read_cursor(cursor)
    access.admit_citizen(exchange, citizen, now)
    with exchange.unit_of_work(now) as uow:
        if not citizen_store.hold_subject(uow.connection, citizen.subject_ref):
            raise SubjectErasedError("the person was erased")
        uow.record(Event(type=EventType.HISTORY_READ, org="subject", subject_ref=citizen.subject_ref))
        uow.commit()
    with exchange.database.read() as connection:
        rows = citizen_store.disclosures_of_subject(connection, citizen.subject_ref, before=before, limit=limit + 1)
        names = {row.code: row.name for row in citizen_store.agencies(connection)}
        note, size = _published(connection)
        own = [_own(exchange, connection, row, names, size) for row in rows[:limit]]
    more = len(rows) > limit
    return History(disclosures=own, checkpoint=note, next=_cursor(rows[limit - 1]) if more else None)


def _published(connection: Connection) -> tuple[str | None, int]:
    """The newest signed checkpoint and its tree size."""
    try:
        checkpoint = log.latest_checkpoint(connection)
    except UnknownEntryError:
        return None, 0
    return checkpoint.note, checkpoint.size


def _own(
    exchange: "Exchange", connection: Connection, row: Row[Any], names: dict[str, str], tree_size: int
) -> OwnDisclosure:
    request = store.find_request(connection, row.request_id)
    role = None if request is None else details_of(exchange, connection, request)["role"]
    try:
        leaf = log.leaf(connection, row.entry_id)
        proof = None
        if leaf.seq < tree_size:
            path = proofs.inclusion_proof(connection, leaf.seq, tree_size)
            proof = {
                "index": leaf.seq,
                "size": tree_size,
                "leaf": leaf.body.decode(),
                "hashes": [b64encode(step).decode() for step in path],  # as /audit/proof/inclusion writes them
            }
    except UnknownEntryError:
        proof = None
    return OwnDisclosure(
        id=row.id,
        at=row.at,
        agency=row.agency,
        agency_name=names.get(row.agency, row.agency),
        purpose=row.purpose,
        attributes=canonical.decode(row.attributes.encode()),
        officer_role=role,
        consent_id=row.consent_id,
        entry_id=row.entry_id,
        acknowledged_at=row.acknowledged_at,
        proof=proof,
    )


def _cursor(row: Row[Any]) -> str:
    return f"{to_millis(row.at)}.{row.id}"


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    at, _, last = text.partition(".")
    try:
        return from_millis(int(at)), UUID(last)
    except (ValueError, OverflowError, OSError) as exc:  # OSError: a year that the platform's clock does not know
        raise MalformedError("the cursor is not one that this list gave out") from exc
