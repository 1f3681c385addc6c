"""From ledger events to audit entries: one entry for each, with the event's digest as a fact, in the same commit."""

from collections.abc import Iterable
from typing import TYPE_CHECKING
from uuid import UUID

from consent.events import ConsentEvent
from consent.events import EventType as LedgerEvent
from exchange.events import Event, EventType

if TYPE_CHECKING:
    from exchange.uow import UnitOfWork

AUDITED_AS = {
    LedgerEvent.REQUESTED: EventType.CONSENT_REQUESTED,
    LedgerEvent.GIVEN: EventType.CONSENT_GIVEN,
    LedgerEvent.REFUSED: EventType.CONSENT_REFUSED,
    LedgerEvent.WITHDRAWN: EventType.CONSENT_WITHDRAWN,
    LedgerEvent.PAUSED: EventType.CONSENT_PAUSED,
    LedgerEvent.RESUMED: EventType.CONSENT_RESUMED,
    LedgerEvent.EXPIRED: EventType.CONSENT_EXPIRED,
    LedgerEvent.LAPSED: EventType.CONSENT_LAPSED,
    LedgerEvent.CANCELLED: EventType.CONSENT_CANCELLED,
    LedgerEvent.USED_UP: EventType.CONSENT_USED_UP,
    LedgerEvent.TERMINATED: EventType.CONSENT_TERMINATED,
    LedgerEvent.INVALIDATED: EventType.CONSENT_INVALIDATED,
    LedgerEvent.SUPERSEDED: EventType.CONSENT_SUPERSEDED,
}


def record_consent_events(
    uow: "UnitOfWork",
    events: Iterable[ConsentEvent],
    *,
    subject_ref: UUID,
    org: str,
    purpose: str,
    request_id: UUID | None = None,
    sealed_by: UUID | None = None,
) -> None:
    """Record ledger events.

    Args:
        uow: the unit of work that appended them.
        events: as the ledger returned them.
        subject_ref: the person.
        org: the asking agency.
        purpose: purpose code.
        request_id: the request at hand, if there is one.
        sealed_by: whose key seals the facts, when the person has none (nobody is known under that name).
    """
    for event in events:
        uow.record(
            Event(
                type=AUDITED_AS[event.type],
                org=org,
                purpose=purpose,
                request=request_id,
                subject_ref=subject_ref,
                facts={
                    "consent": str(event.consent_id),
                    "consent_event": event.digest,
                    "actor": f"{event.actor.kind}:{event.actor.ref}",
                },
                id=event.entry_id,
            ),
            sealed_by=sealed_by,
        )
