"""Rows that a citizen's own pages are made of; reading, and holding the person."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, case, func, or_, select

from exchange.audit.history_store import is_hidden
from exchange.tables import agency, attribute_request, disclosure, subject


def hold_subject(connection: Connection, subject_ref: UUID) -> bool:
    """Share-lock a person who can still decide until commit: an erasure waits, or has won and this says False."""
    status = connection.execute(
        select(subject.c.status).where(subject.c.ref == subject_ref).with_for_update(read=True)
    ).scalar_one_or_none()
    return status in ("ACTIVE", "PROTECTED")


def waiting_requests(connection: Connection, subject_ref: UUID, limit: int) -> Sequence[Row[Any]]:
    """Requests that wait for this person, newest first."""
    return connection.execute(
        select(*attribute_request.c)
        .where(attribute_request.c.subject_ref == subject_ref)
        .where(attribute_request.c.status == "WAITING")
        .order_by(attribute_request.c.created_at.desc())
        .limit(limit)
    ).all()


def request_of_subject(connection: Connection, request_id: UUID, subject_ref: UUID) -> Row[Any] | None:
    """A request about this person; nothing for anybody else's (invariant 6)."""
    return connection.execute(
        select(*attribute_request.c)
        .where(attribute_request.c.id == request_id)
        .where(attribute_request.c.subject_ref == subject_ref)
    ).one_or_none()


def disclosures_of_subject(
    connection: Connection, subject_ref: UUID, *, before: tuple[Any, UUID] | None, limit: int, now: datetime
) -> Sequence[Row[Any]]:
    """Disclosures about a person, newest first, from after the cursor; without those whose entry is hidden by now."""
    statement = select(*disclosure.c).where(
        disclosure.c.subject_ref == subject_ref,
        ~is_hidden(disclosure.c.subject_ref, disclosure.c.entry_id, now),
    )
    if before is not None:
        at, last = before
        statement = statement.where(or_(disclosure.c.at < at, and_(disclosure.c.at == at, disclosure.c.id < last)))
    return connection.execute(statement.order_by(disclosure.c.at.desc(), disclosure.c.id.desc()).limit(limit)).all()


def agencies(connection: Connection) -> Sequence[Row[Any]]:
    """All agencies."""
    return connection.execute(select(*agency.c).order_by(agency.c.code)).all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Uses:
    """How often a consent was used: what its person may see of it, and what is hidden from them."""

    seen: int = 0
    hidden: int = 0
    last_seen_at: datetime | None = None


def uses_of_consents(connection: Connection, subject_ref: UUID, now: datetime) -> dict[UUID, Uses]:
    """How often, and when last, each consent of a person was used."""
    hidden = is_hidden(disclosure.c.subject_ref, disclosure.c.entry_id, now)
    rows = connection.execute(
        select(
            disclosure.c.consent_id,
            func.count(case((~hidden, 1))).label("seen"),
            func.count(case((hidden, 1))).label("hidden"),
            func.max(case((~hidden, disclosure.c.at))).label("last"),
        )
        .where(disclosure.c.subject_ref == subject_ref)
        .where(disclosure.c.consent_id.is_not(None))
        .group_by(disclosure.c.consent_id)
    )
    return {row.consent_id: Uses(seen=row.seen, hidden=row.hidden, last_seen_at=row.last) for row in rows}
