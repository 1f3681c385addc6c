"""The two tables as Python values: a projection row, an event, and which columns hold what."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row

from consent.errors import InconsistentConsentError
from consent.events import ConsentEvent
from consent.lifecycle import status_at
from consent.model import ConsentRecord, ConsentStatus
from consent.scope import AttributeScope, ScopedAttribute
from consent.tables import consent, consent_event
from crypto import canonical
from crypto.errors import MalformedError

C: Final = consent.c
COLUMNS: Final = (
    C.id,
    C.subject_ref,
    C.agreement_id,
    C.agreement_revision,
    C.consumer,
    C.purpose,
    C.scope,
    C.status,
    C.version,
    C.uses_left,
    C.valid_from,
    C.valid_until,
    C.requested_at,
    C.decided_at,
    C.ended_at,
    C.replaced_by,
)
EVENT_COLUMNS: Final = (
    consent_event.c.consent_id,
    consent_event.c.seq,
    consent_event.c.type,
    consent_event.c.at,
    consent_event.c.body,
    consent_event.c.entry_id,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRow:
    """The projection of one consent, as stored: the clock is not in ``status``, ask ``status_at``."""

    id: UUID
    subject_ref: UUID
    agreement_id: UUID
    agreement_revision: int
    consumer: str
    purpose: str
    scope: AttributeScope  # which attributes in which forms; what was required stands in the events
    status: ConsentStatus
    version: int
    uses_left: int | None
    valid_from: datetime
    valid_until: datetime
    requested_at: datetime
    decided_at: datetime | None
    ended_at: datetime | None
    replaced_by: UUID | None

    def status_at(self, now: datetime) -> ConsentStatus:
        """The status at ``now``, clock included."""
        return status_at(self.status, self.valid_until, now)

    def may_process(self, now: datetime) -> bool:
        """Whether data may flow at ``now``. For deciding early; ``take_use`` asks again, in one statement."""
        in_window = self.valid_from <= now < self.valid_until
        return self.status.may_process and in_window and self.uses_left != 0


def record_to_columns(record: ConsentRecord) -> dict[str, Any]:
    """The columns of the row that stands for a replayed record (without the clock)."""
    return {
        "id": record.id,
        "subject_ref": record.terms.subject_ref,
        "agreement_id": record.terms.agreement_id,
        "agreement_revision": record.terms.agreement_revision,
        "consumer": record.terms.consumer,
        "purpose": record.terms.purpose,
        "scope": canonical.encode([{"form": one.form, "name": one.name} for one in record.scope]).decode(),
        "status": record.status,
        "version": record.version,
        "uses_left": record.uses_left,
        "valid_from": record.valid_from,
        "valid_until": record.valid_until,
        "requested_at": record.requested_at,
        "decided_at": record.decided_at,
        "ended_at": record.ended_at,
        "replaced_by": record.replaced_by,
    }


def event_to_columns(event: ConsentEvent) -> dict[str, Any]:
    """The columns of an event."""
    return {
        "consent_id": event.consent_id,
        "seq": event.seq,
        "type": event.type,
        "at": event.at,
        "body": event.body,
        "entry_id": event.entry_id,
    }


def read_row(row: Row[*tuple[Any, ...]]) -> ConsentRow:
    """A projection row, selected by ``COLUMNS``."""
    values = row._asdict()
    return ConsentRow(**{**values, "scope": _scope(row.scope), "status": ConsentStatus(row.status)})


@lru_cache(maxsize=1024)
def _scope(column: str) -> AttributeScope:
    # Most rows of an agreement hold the same few texts, and a scope is immutable.
    try:
        return AttributeScope.of(ScopedAttribute(**one) for one in canonical.decode(column.encode()))
    except (MalformedError, TypeError, ValueError) as exc:
        raise InconsistentConsentError("a stored scope cannot be read") from exc


def read_event(row: Row[*tuple[Any, ...]]) -> ConsentEvent:
    """An event, selected by ``EVENT_COLUMNS``.

    Raises:
        InconsistentConsentError: the body cannot be read, or is not what its row says.
    """
    try:
        event = ConsentEvent.read(row.body, entry_id=row.entry_id)
    except MalformedError as exc:
        raise InconsistentConsentError(f"event {row.seq} of {row.consent_id} cannot be read") from exc
    if (event.consent_id, event.seq, event.type, event.at) != (row.consent_id, row.seq, row.type, row.at):
        raise InconsistentConsentError(f"event {row.seq} of {row.consent_id} is not what its row says")
    return event
