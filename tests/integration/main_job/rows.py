"""Looking at tables from outside, as an inspector would."""

from typing import Any

from sqlalchemy import func, select

from consent import tables as consent_tables
from crypto.fields import open_field
from exchange import tables
from exchange.audit import tables as audit_tables
from exchange.audit.commitments import parse_openings
from exchange.audit.entry import decode_entry
from tests.house import House

METADATA = (consent_tables.metadata, tables.metadata, audit_tables.metadata)


def counts(house: House) -> dict[str, int]:
    """How many rows each table has."""
    with house.exchange.database.read() as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for metadata in METADATA
            for table in metadata.sorted_tables
        }


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Which tables grew, and by how much."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def entries(house: House) -> list[Any]:
    """All entries, accepted or integrated, oldest first."""
    with house.exchange.database.read() as connection:
        leaves = connection.execute(select(audit_tables.audit_leaf.c.body).order_by(audit_tables.audit_leaf.c.seq))
        bodies = [row.body for row in leaves]
        waiting = connection.execute(select(audit_tables.audit_outbox.c.body).order_by(audit_tables.audit_outbox.c.id))
        bodies += [row.body for row in waiting]
    return [decode_entry(body) for body in bodies]


def types(house: House) -> list[str]:
    """Types of all entries."""
    return [entry.type for entry in entries(house)]


def only(house: House, kind: str) -> Any:
    """The one entry of a type."""
    (entry,) = [entry for entry in entries(house) if entry.type == kind]
    return entry


def facts(house: House, entry_id: Any) -> dict[str, str]:
    """The opened facts of an entry."""
    with house.exchange.database.read() as connection:
        opening = audit_tables.audit_opening
        row = connection.execute(
            select(opening.c.subject_ref, opening.c.ct).where(opening.c.entry_id == entry_id)
        ).one()
        key = house.exchange.keyring.load(connection, row.subject_ref)
    address = house.exchange.keyring.address(
        "audit_opening", "ct", subject_ref=row.subject_ref, record_id=entry_id, version=1
    )
    opened = parse_openings(open_field(key, row.ct, address=address))
    return {one.name: one.value for one in opened.facts}


def disclosures(house: House) -> list[Any]:
    """All disclosures."""
    with house.exchange.database.read() as connection:
        return list(connection.execute(select(*tables.disclosure.c).order_by(tables.disclosure.c.id)))
