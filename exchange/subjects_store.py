"""Statements about people: identifiers, states, keys, sealed values. Only the use cases about people call them.

Every statement works on many people at once: an import of a whole registry runs through the same lines as one write.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, LargeBinary, String, Uuid, bindparam, delete, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError

from consent.columns import Instant
from exchange.keyring import KeyRow
from exchange.prepared import Prepared
from exchange.tables import (
    access_token,
    agency,
    attribute_request,
    attribute_value,
    form_use,
    import_progress,
    pseudonym,
    subject,
    subject_identifier,
    subject_key,
)

_FIND = select(subject_identifier.c.bidx, subject_identifier.c.subject_ref).where(
    subject_identifier.c.index_version == bindparam("index_version"),
    subject_identifier.c.bidx.in_(bindparam("bidxs", expanding=True, type_=LargeBinary)),
)
_FIND_BY_PSEUDONYM = select(pseudonym.c.value, pseudonym.c.subject_ref).where(
    pseudonym.c.agency == bindparam("agency"), pseudonym.c.value.in_(bindparam("pseudonyms", expanding=True))
)
_LOCK = (
    select(subject.c.ref, subject.c.status)
    .where(subject.c.ref.in_(bindparam("refs", expanding=True, type_=Uuid)))
    .order_by(subject.c.ref)  # two that write the same people wait for each other, and never in a circle
    .with_for_update(key_share=True)
)
_HOLD = (
    select(subject.c.ref, subject.c.status)
    .where(subject.c.ref.in_(bindparam("refs", expanding=True, type_=Uuid)))
    .order_by(subject.c.ref)
    .with_for_update(read=True)
)
_KEYS = (
    select(
        subject_key.c.subject_ref,
        subject_key.c.kid,
        subject_key.c.commitment,
        subject_key.c.epoch,
        subject_key.c.wrapped,
    )
    .where(subject_key.c.subject_ref.in_(bindparam("refs", expanding=True, type_=Uuid)))
    .order_by(subject_key.c.created_at)
)
_HELD = select(
    attribute_value.c.subject_ref, attribute_value.c.attribute, attribute_value.c.id, attribute_value.c.version
).where(
    attribute_value.c.subject_ref.in_(bindparam("refs", expanding=True, type_=Uuid)),
    attribute_value.c.attribute.in_(bindparam("attributes", expanding=True)),
)
_PROVIDER_IN_FORCE = (
    select(agency.c.code)
    .where(agency.c.code == bindparam("code"), agency.c.status == "ACTIVE")
    .with_for_update(read=True)
)
_INSERT_SUBJECT = Prepared(insert(subject), columns=("ref", "status", "version", "created_at"))
_INSERT_IDENTIFIER = insert(subject_identifier)
_INSERT_VALUE = Prepared(
    insert(attribute_value),
    columns=("subject_ref", "attribute", "id", "provider", "version", "ct", "written_at"),
)
_UPDATE_VALUE = Prepared(
    update(attribute_value)
    .where(attribute_value.c.subject_ref == bindparam("of", type_=Uuid))
    .where(attribute_value.c.attribute == bindparam("named", type_=String))
    .values(
        provider=bindparam("provider", type_=String),
        version=bindparam("version", type_=Integer),
        ct=bindparam("ct", type_=LargeBinary),
        written_at=bindparam("written_at", type_=Instant),
    )
)


def find_by_index(connection: Connection, *, index_version: int, bidxs: Sequence[bytes]) -> dict[bytes, UUID]:
    """Blind index value → person, for those that are there."""
    rows = connection.execute(_FIND, {"index_version": index_version, "bidxs": bidxs})
    return {row.bidx: row.subject_ref for row in rows}


def find_by_pseudonym(connection: Connection, *, agency: str, pseudonyms: Sequence[str]) -> dict[str, UUID]:
    """Pairwise pseudonym of this agency → person, for those that are there."""
    rows = connection.execute(_FIND_BY_PSEUDONYM, {"agency": agency, "pseudonyms": pseudonyms})
    return {row.value: row.subject_ref for row in rows}


def lock(connection: Connection, refs: Sequence[UUID]) -> dict[UUID, str]:
    """Lock people until commit: whoever erases them, or releases their values, waits. The status of each."""
    return {row.ref: row.status for row in connection.execute(_LOCK, {"refs": refs})} if refs else {}


def hold(connection: Connection, refs: Sequence[UUID]) -> dict[UUID, str]:
    """Share-lock people and staff until commit: whoever erases them waits. The status of each."""
    return {row.ref: row.status for row in connection.execute(_HOLD, {"refs": refs})} if refs else {}


def newest_keys(connection: Connection, refs: Sequence[UUID]) -> dict[UUID, KeyRow]:
    """The newest key row of each person."""
    # In the order of making, so that the newest is the one that stays.
    return {
        row.subject_ref: KeyRow(
            subject_ref=row.subject_ref, kid=row.kid, commitment=row.commitment, epoch=row.epoch, wrapped=row.wrapped
        )
        for row in connection.execute(_KEYS, {"refs": refs})
    }


def held_rows(
    connection: Connection, refs: Sequence[UUID], attributes: Sequence[str]
) -> dict[tuple[UUID, str], tuple[UUID, int]]:
    """(person, attribute) → (record id, version) of the rows that are there."""
    rows = connection.execute(_HELD, {"refs": refs, "attributes": attributes})
    return {(row.subject_ref, row.attribute): (row.id, row.version) for row in rows}


def provider_is_in_force(connection: Connection, code: str) -> bool:
    """Whether the agency is registered and not suspended; it stays so until commit."""
    return connection.execute(_PROVIDER_IN_FORCE, {"code": code}).first() is not None


def insert_subjects(connection: Connection, refs: Iterable[UUID], *, status: str, now: datetime) -> None:
    """Store new people."""
    rows = [{"ref": ref, "status": status, "version": 1, "created_at": now} for ref in refs]
    _INSERT_SUBJECT.execute_many(connection, rows)


def insert_identifiers(connection: Connection, rows: Sequence[dict[str, Any]]) -> bool:
    """File identifiers under their blind index; False when one is taken: the transaction must then be rolled back."""
    try:
        connection.execute(_INSERT_IDENTIFIER, rows)
    except IntegrityError:
        return False
    return True


def insert_values(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store sealed values of which there was no row."""
    if rows:
        _INSERT_VALUE.execute_many(connection, rows)


def update_values(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Replace sealed values; a row is named by ``of`` and ``named``."""
    if rows:
        _UPDATE_VALUE.execute_many(connection, rows)


def set_status(connection: Connection, ref: UUID, status: str) -> None:
    """Change a person's status. The new version ends every release that was decided before."""
    connection.execute(update(subject).where(subject.c.ref == ref).values(status=status, version=subject.c.version + 1))


def lock_for_erasure(connection: Connection, ref: UUID) -> str | None:
    """Lock a person against everything until commit; the status, or None when there is no such person."""
    return connection.execute(
        select(subject.c.status).where(subject.c.ref == ref).with_for_update()
    ).scalar_one_or_none()


def erase_rows(connection: Connection, ref: UUID) -> dict[str, int]:
    """Delete or empty all that is held of a person outside the log and the ledger; the number of rows by table."""
    counts = {
        table.name: connection.execute(delete(table).where(table.c.subject_ref == ref)).rowcount
        for table in (attribute_value, subject_key, subject_identifier, pseudonym, form_use, access_token)
    }
    # The request stays as evidence that it came; what was sealed in it goes, and nobody can hand it over any more.
    counts[attribute_request.name] = connection.execute(
        update(attribute_request).where(attribute_request.c.subject_ref == ref).values(details=b"", reference_hash=None)
    ).rowcount
    return counts


def import_place(connection: Connection, file_digest: str) -> tuple[int, int]:
    """Where an import of this file goes on (from 1), and how many people it has written."""
    row = connection.execute(
        select(import_progress.c.next_line, import_progress.c.imported).where(
            import_progress.c.file_digest == file_digest
        )
    ).one_or_none()
    return (1, 0) if row is None else (row.next_line, row.imported)


def keep_import_place(
    connection: Connection,
    file_digest: str,
    *,
    expected: int,
    next_line: int,
    imported: int,
    rejected: int,
    now: datetime,
) -> bool:
    """Note how far an import is and what it added; False when it is not where it was expected to be."""
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(import_progress).values(
        file_digest=file_digest, next_line=next_line, imported=imported, rejected=rejected, updated_at=now
    )
    statement = statement.on_conflict_do_update(
        index_elements=["file_digest"],
        set_={
            "next_line": next_line,
            "imported": import_progress.c.imported + imported,
            "rejected": import_progress.c.rejected + rejected,
            "updated_at": now,
        },
        where=import_progress.c.next_line == expected,
    )
    return connection.execute(statement.returning(import_progress.c.next_line)).first() is not None


def forget_import(connection: Connection, file_digest: str) -> None:
    """Let a file be imported again from its beginning."""
    connection.execute(delete(import_progress).where(import_progress.c.file_digest == file_digest))
