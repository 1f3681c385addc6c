"""Writing down what the clock has decided. Nothing waits for it: an expired permission is none from its last second on.

Run now and then (``cdx housekeeping``), it appends EXPIRED and LAPSED to consents that nobody has touched since, so
that the citizen's history tells their end, and settles the requests that asked for them.
"""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import select

from consent import store as consent_store
from consent.events import EventType as LedgerEvent
from consent.ledger import ConsentLedger
from crypto.ids import new_id
from exchange import store
from exchange.consent_entries import record_consent_events
from exchange.events import Event, EventType, Outcome
from exchange.model import RequestStatus
from exchange.tables import attribute_request

if TYPE_CHECKING:
    from exchange.context import Exchange

_BATCH = 100


def settle_due(exchange: "Exchange", now: datetime, *, limit: int = _BATCH) -> int:
    """Append the end to at most ``limit`` consents whose time has run out; how many there were.

    One unit of work each: a crash between two leaves the rest for the next run.
    """
    with exchange.database.read() as connection:
        due = consent_store.list_due(connection, now, limit=limit)
    for consent_id in due:
        _settle(exchange, consent_id, now)
    return len(due)


def _settle(exchange: "Exchange", consent_id: UUID, now: datetime) -> None:
    with exchange.unit_of_work(now) as uow:
        connection = uow.connection
        row = consent_store.find(connection, consent_id)
        request = connection.execute(
            select(attribute_request.c.id, attribute_request.c.sealed_by)
            .where(attribute_request.c.consent_id == consent_id)
            .order_by(attribute_request.c.created_at)
            .limit(1)
        ).one_or_none()
        assert row is not None  # it was listed, and no consent is ever deleted
        events = ConsentLedger(connection, now=now, new_entry_id=lambda: new_id(now)).settle(consent_id)
        sealed_by = request.sealed_by if request is not None else None
        if not store.subject_has_key(connection, sealed_by or row.subject_ref):
            sealed_by = exchange.installation.operator_ref
        record_consent_events(
            uow,
            events,
            subject_ref=row.subject_ref,
            org=row.consumer,
            purpose=row.purpose,
            request_id=None if request is None else request.id,
            sealed_by=sealed_by,
        )
        lapsed = any(event.type is LedgerEvent.LAPSED for event in events)
        if (
            lapsed
            and request is not None
            and store.settle_request(
                connection,
                request.id,
                status=RequestStatus.LAPSED,
                expected=[RequestStatus.WAITING],
                values={"settled_at": now},
            )
        ):
            uow.record(
                Event(
                    type=EventType.REQUEST_LAPSED,
                    org=row.consumer,
                    outcome=Outcome.FAIL,
                    purpose=row.purpose,
                    request=request.id,
                    subject_ref=row.subject_ref,
                ),
                sealed_by=sealed_by,
            )
        uow.commit()
