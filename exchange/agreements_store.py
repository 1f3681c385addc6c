"""Statements about agreements and their revisions. No rule stands here; ``exchange.agreements`` decides."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from exchange.agreement_model import Agreement
from exchange.tables import agency, agreement, agreement_revision

_ROW: Final[Select[Any]] = select(
    agreement.c.id,
    agreement.c.code,
    agreement.c.consumer,
    agreement.c.purpose,
    agreement.c.status,
    agreement.c.revision,
    agreement.c.version,
    agreement.c.body,
    agreement.c.digest,
)
_REVISION: Final[Select[Any]] = select(
    agreement_revision.c.revision,
    agreement_revision.c.body,
    agreement_revision.c.digest,
    agreement_revision.c.proposed_by,
    agreement_revision.c.proposed_at,
    agreement_revision.c.approved_by,
    agreement_revision.c.approved_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One wording of an agreement, and who proposed and approved it."""

    revision: int
    body: bytes
    digest: str
    proposed_by: str
    proposed_at: datetime
    approved_by: str | None
    approved_at: datetime | None


def find(connection: Connection, code: str) -> Row[Any] | None:
    """The agreement's row, without a lock."""
    return connection.execute(_ROW.where(agreement.c.code == code)).one_or_none()


def lock(connection: Connection, code: str) -> Row[Any] | None:
    """The agreement's row, locked until the transaction ends: a release that holds it FOR SHARE is waited for."""
    return connection.execute(_ROW.where(agreement.c.code == code).with_for_update()).one_or_none()


def list_rows(connection: Connection, *, consumer: str | None, after: str | None, limit: int) -> list[Row[Any]]:
    """Rows in the order of their codes; ``after``: the last code already seen."""
    statement = _ROW.order_by(agreement.c.code).limit(limit)
    if consumer is not None:
        statement = statement.where(agreement.c.consumer == consumer)
    if after is not None:
        statement = statement.where(agreement.c.code > after)
    return list(connection.execute(statement))


def revisions(connection: Connection, agreement_id: UUID) -> tuple[Revision, ...]:
    """All revisions, oldest first."""
    of_agreement = agreement_revision.c.agreement_id == agreement_id
    rows = connection.execute(_REVISION.where(of_agreement).order_by(agreement_revision.c.revision))
    return tuple(Revision(**row._mapping) for row in rows)  # noqa: SLF001  # the documented way to a row's names


def revision(connection: Connection, agreement_id: UUID, number: int) -> Revision | None:
    """One revision."""
    row = connection.execute(
        _REVISION.where(agreement_revision.c.agreement_id == agreement_id, agreement_revision.c.revision == number)
    ).one_or_none()
    return None if row is None else Revision(**row._mapping)  # noqa: SLF001  # the documented way to a row's names


def newest_revision(connection: Connection, agreement_id: UUID) -> int:
    """The number of the newest revision, approved or not; 0: there is none."""
    of_agreement = agreement_revision.c.agreement_id == agreement_id
    return int(connection.execute(select(func.max(agreement_revision.c.revision)).where(of_agreement)).scalar() or 0)


def agency_exists(connection: Connection, code: str) -> bool:
    """Whether such an agency is registered."""
    return connection.execute(select(agency.c.code).where(agency.c.code == code)).one_or_none() is not None


def insert_agreement(connection: Connection, value: Agreement, body: bytes) -> None:
    """A new agreement with its first wording."""
    connection.execute(insert(agreement).values(id=value.id, code=value.code, ended_at=None, **_content(value, body)))


def update_agreement(connection: Connection, value: Agreement, body: bytes) -> None:
    """What the agreement says and permits from now on."""
    connection.execute(update(agreement).where(agreement.c.id == value.id).values(**_content(value, body)))


def insert_revision(connection: Connection, value: Agreement, body: bytes, *, proposed_by: str, now: datetime) -> None:
    """A proposed wording."""
    connection.execute(
        insert(agreement_revision).values(
            agreement_id=value.id,
            revision=value.revision,
            body=body,
            digest=value.digest,
            proposed_by=proposed_by,
            proposed_at=now,
        )
    )


def mark_approved(connection: Connection, agreement_id: UUID, number: int, *, by: str, now: datetime) -> None:
    """Note who approved a wording."""
    connection.execute(
        update(agreement_revision)
        .where(agreement_revision.c.agreement_id == agreement_id, agreement_revision.c.revision == number)
        .values(approved_by=by, approved_at=now)
    )


def mark_ended(connection: Connection, agreement_id: UUID, *, version: int, now: datetime) -> None:
    """Nothing is disclosed under it from now on."""
    connection.execute(
        update(agreement).where(agreement.c.id == agreement_id).values(status="ENDED", version=version, ended_at=now)
    )


def _content(value: Agreement, body: bytes) -> dict[str, Any]:
    return {
        "consumer": value.consumer,
        "purpose": value.purpose,
        "status": value.status,
        "revision": value.revision,
        "version": value.version,
        "body": body,
        "digest": value.digest,
        "valid_from": value.valid_from,
        "valid_until": value.valid_until,
    }
