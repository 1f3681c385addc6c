"""Looking at people from outside, as an inspector with all keys would."""

import json
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import LargeBinary, select

from consent import tables as consent_tables
from crypto.checkpoint import parse_checkpoint
from crypto.fields import open_field
from crypto.merkle import hash_leaf, root_from_leaves
from exchange import tables
from exchange.audit import log
from exchange.audit import tables as audit_tables
from exchange.audit.commitments import parse_openings
from exchange.audit.entry import decode_entry
from exchange.context import Exchange
from exchange.model import HeldValue
from exchange.providers.vault import open_values
from tests.house import House

METADATA = (consent_tables.metadata, tables.metadata, audit_tables.metadata)


class _Row:
    def __init__(self, row: Any) -> None:
        self.attribute, self.provider, self.record_id, self.version, self.ct = row


def held(exchange: Exchange, ref: UUID) -> dict[str, HeldValue]:
    """All values of a person, opened."""
    value = tables.attribute_value
    with exchange.database.read() as connection:
        rows = connection.execute(
            select(value.c.attribute, value.c.provider, value.c.id, value.c.version, value.c.ct).where(
                value.c.subject_ref == ref
            )
        ).all()
        key = exchange.keyring.load(connection, ref)
    return open_values(exchange.keyring, ref, [_Row(row) for row in rows], {key.kid: key})


def versions(exchange: Exchange, ref: UUID) -> dict[str, int]:
    """The version of each row of values."""
    value = tables.attribute_value
    with exchange.database.read() as connection:
        rows = connection.execute(select(value.c.attribute, value.c.version).where(value.c.subject_ref == ref))
        return {row.attribute: row.version for row in rows}


def sealed_bytes(exchange: Exchange, ref: UUID) -> list[bytes]:
    """Every ciphertext, wrapped key and index value of a person, wherever it stands."""
    found: list[bytes] = []
    with exchange.database.read() as connection:
        for metadata in METADATA:
            for table in metadata.sorted_tables:
                blobs = [column for column in table.c if isinstance(column.type, LargeBinary)]
                if "subject_ref" in table.c and blobs and table.name not in ("consent_event", "access_token"):
                    for row in connection.execute(select(*blobs).where(table.c.subject_ref == ref)):
                        found += [bytes(cell) for cell in row if cell]
    return found


def entries(house: House) -> list[Any]:
    """All entries, accepted or integrated."""
    with house.exchange.database.read() as connection:
        leaf, outbox = audit_tables.audit_leaf, audit_tables.audit_outbox
        bodies = [row.body for row in connection.execute(select(leaf.c.body).order_by(leaf.c.seq))]
        bodies += [row.body for row in connection.execute(select(outbox.c.body).order_by(outbox.c.id))]
    return [decode_entry(body) for body in bodies]


def facts(exchange: Exchange, entry_id: UUID) -> dict[str, str]:
    """The opened facts of an entry."""
    opening = audit_tables.audit_opening
    with exchange.database.read() as connection:
        row = connection.execute(
            select(opening.c.subject_ref, opening.c.ct).where(opening.c.entry_id == entry_id)
        ).one()
        key = exchange.keyring.load(connection, row.subject_ref)
    address = exchange.keyring.address(
        "audit_opening", "ct", subject_ref=row.subject_ref, record_id=entry_id, version=1
    )
    opened = parse_openings(open_field(key, row.ct, address=address))
    return {one.name: one.value for one in opened.facts}


def assert_log_is_sound(house: House) -> None:
    """Everything that waits is integrated, and the newest checkpoint is the root over all entries."""
    house.integrate()
    leaf = audit_tables.audit_leaf
    with house.exchange.database.read() as connection:
        bodies = [row.body for row in connection.execute(select(leaf.c.body).order_by(leaf.c.seq))]
        note = log.latest_checkpoint(connection).note
    checkpoint = parse_checkpoint(note.partition("\n\n")[0] + "\n")
    assert checkpoint.size == len(bodies)
    assert checkpoint.root == root_from_leaves(map(hash_leaf, bodies))


def assert_values_match_the_log(house: House, ref: UUID) -> None:
    """The fact "values" with the highest version of each attribute is the digest of the row that is there."""
    exchange = house.exchange
    history = audit_tables.audit_subject_entry
    with exchange.database.read() as connection:
        own = {
            row.entry_id for row in connection.execute(select(history.c.entry_id).where(history.c.subject_ref == ref))
        }
    said: dict[str, str] = {}
    for entry in entries(house):
        if entry.id in own and entry.type == "subject.written":
            for name, digest in json.loads(facts(exchange, entry.id)["values"]).items():
                said[name] = max(said.get(name, "0:"), digest, key=lambda one: int(one.partition(":")[0]))
    value = tables.attribute_value
    with exchange.database.read() as connection:
        rows = connection.execute(
            select(value.c.attribute, value.c.version, value.c.ct).where(value.c.subject_ref == ref)
        )
        stored = {row.attribute: f"{row.version}:{sha256(row.ct).hexdigest()}" for row in rows}
    assert said == stored
