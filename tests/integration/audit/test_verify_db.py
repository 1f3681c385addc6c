from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, ForeignKeyConstraint, Table, select, text

from consent.tables import consent_event
from crypto.checkpoint import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, sign_note
from crypto.ids import new_id
from exchange.audit import store
from exchange.audit.restart import load_state
from exchange.audit.tables import (
    audit_checkpoint,
    audit_head,
    audit_leaf,
    audit_opening,
    audit_outbox,
    audit_subject_entry,
    audit_tile,
)
from exchange.audit.verify_db import SEALED_TABLES, verify_database
from exchange.database import Database
from exchange.errors import InconsistentLogError
from exchange.tables import attribute_value
from tests.integration.audit.small_log import ORIGIN, SIGNER, SmallLog
from tests.unit.audit.samples import an_event

TABLES = [audit_leaf, audit_tile, audit_checkpoint, audit_head, audit_opening, audit_subject_entry, audit_outbox]
COMPARED = [*TABLES, consent_event, attribute_value]
WITHOUT_HEAD = [table for table in COMPARED if table is not audit_head]


@pytest.fixture(scope="module")
def full_log(lasting_database: Database) -> SmallLog:
    """Two rounds over a tile's end, consents, values written twice, an erased person, and entries that wait."""
    log = SmallLog(lasting_database).create()
    people = [new_id(log.now) for _ in range(3)]
    for person in people:
        log.write_value(person, "income", 1, b"first")
        log.give_consent(person)
    log.append(*(an_event(subject_ref=people[number % 3]) for number in range(120)))
    log.round()
    log.write_value(people[0], "income", 2, b"second")
    log.append(*(an_event(subject_ref=people[number % 3]) for number in range(140)), an_event(subject_ref=None))
    log.erase(people[2])
    log.round()
    log.append(*(an_event(subject_ref=people[number % 2]) for number in range(3)))
    log.give_consent(people[1])
    log.write_value(new_id(log.now), "income", 1, b"third")
    assert log.verify_database().faults == []
    return log


@contextmanager
def tampered(log: SmallLog, change: Callable[[Connection], None]) -> Iterator[Connection]:
    """A change behind the log's back, by somebody who owns the database: no trigger and no foreign key hinders.

    Nothing is committed, so that the next test finds the log whole.
    """
    with log.database.engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        if log.database.is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF")
        transaction = connection.begin()
        if log.database.is_sqlite:
            for name in connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
                connection.execute(text(f'DROP TRIGGER "{name}"'))
        else:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        change(connection)
        try:
            yield connection
        finally:
            transaction.rollback()
            if log.database.is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON")


def tamper(log: SmallLog, change: Callable[[Connection], None]) -> list[str]:
    """Change something; returns the faults that are found."""
    with tampered(log, change) as connection:
        return log.verify_on(connection).faults


def rows_of(connection: Connection, table: Table) -> list[dict[str, Any]]:
    keys = list(table.primary_key.columns)
    return [dict(row) for row in connection.execute(select(*table.columns).order_by(*keys)).mappings()]


def same_row(table: Table, row: dict[str, Any]) -> list[Any]:
    return [column == row[column.name] for column in table.primary_key.columns]


@dataclass(frozen=True)
class ByteChange:
    """One byte (or the like) of one column, in the first, a middle or the last row."""

    table: Table
    column: str
    where: float

    def __str__(self) -> str:
        return f"{self.table.name}.{self.column}@{self.where}"

    def __call__(self, connection: Connection) -> None:
        rows = rows_of(connection, self.table)
        row = rows[int(self.where * (len(rows) - 1))]
        changed = {self.column: flip(row[self.column])}
        connection.execute(self.table.update().where(*same_row(self.table, row)).values(changed))


def flip(value: Any) -> Any:
    match value:
        case bytes():
            middle = len(value) // 2
            return value[:middle] + bytes([value[middle] ^ 1]) + value[middle + 1 :]
        case str():
            return value[:-2] + chr(ord(value[-2]) ^ 1) + value[-1]
        case datetime():
            return value + timedelta(milliseconds=1)
        case None:
            return datetime(2030, 1, 1, tzinfo=UTC)
        case UUID():
            return UUID(int=value.int ^ 1)
        case _:
            return value ^ (1 << 20)


# Not bound to anything: who wrote a value and when (its entry tells), and the exact time of a checkpoint (its order
# is).
UNBOUND = {("attribute_value", "provider"), ("attribute_value", "written_at"), ("attribute_value", "id")}
UNBOUND |= {("audit_checkpoint", "signed_at"), ("audit_head", "updated_at"), ("audit_head", "id")}


def byte_changes() -> Iterator[ByteChange]:
    for table in COMPARED:
        for column in table.columns:
            if (table.name, column.name) not in UNBOUND:
                for where in (0.0, 0.5, 1.0):
                    yield ByteChange(table, column.name, where)


@pytest.mark.parametrize("change", list(byte_changes()), ids=str)
def test_one_changed_byte_is_found(full_log, change):
    faults = tamper(full_log, change)
    assert faults, f"{change} was not found"


@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("table", WITHOUT_HEAD, ids=lambda table: table.name)
def test_a_deleted_row_is_found(full_log, table, where):
    def delete(connection: Connection) -> None:
        rows = rows_of(connection, table)
        connection.execute(table.delete().where(*same_row(table, rows[int(where * (len(rows) - 1))])))

    assert tamper(full_log, delete), f"a row deleted from {table.name} was not found"


@pytest.mark.parametrize("table", WITHOUT_HEAD, ids=lambda table: table.name)
def test_an_inserted_row_is_found(full_log, table):
    def insert(connection: Connection) -> None:
        row = rows_of(connection, table)[-1]
        for column in table.primary_key.columns:
            row[column.name] = row[column.name] + 1 if isinstance(row[column.name], int) else fresh(row[column.name])
        for name in ("id", "entry_id"):
            if name in row:
                row[name] = new_id(full_log.now)
        connection.execute(table.insert().values(**row))

    def fresh(value: Any) -> Any:
        return new_id(full_log.now) if not isinstance(value, str) else value + "x"

    assert tamper(full_log, insert), f"a row inserted into {table.name} was not found"


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (audit_leaf, ["body", "type", "org", "at"]),
        (audit_leaf, ["id"]),
        (audit_tile, ["data"]),
        (audit_opening, ["ct"]),
        (audit_subject_entry, ["at"]),
        (audit_outbox, ["body"]),
        (audit_outbox, ["body", "accepted_at"]),
        (audit_checkpoint, ["note"]),
        (consent_event, ["body"]),
        (consent_event, ["body", "at"]),
        (attribute_value, ["ct"]),
        (attribute_value, ["ct", "version"]),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else "+".join(value),
)
def test_exchanged_rows_are_found(full_log, table, columns):
    def exchange(connection: Connection) -> None:
        rows = rows_of(connection, table)
        first = rows[0]
        second = next(row for row in rows[1:] if any(row[name] != first[name] for name in columns))
        if columns == ["id"]:  # unique: by way of a third
            connection.execute(table.update().where(*same_row(table, first)).values(id=new_id(full_log.now)))
        for target, source in ((second, first), (first, second)):
            values = {name: source[name] for name in columns}
            connection.execute(table.update().where(*same_row(table, target)).values(**values))

    assert tamper(full_log, exchange), f"exchanged rows of {table.name} were not found"


def test_a_whole_log_is_sound_and_the_report_says_what_was_not_checked(full_log):
    seen = []
    report = full_log.verify_database(progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert seen[-1] == (report.size, report.size)
    lines = report.explain()
    assert lines[0] == "database: verified"
    assert any("erased" in line for line in lines if line.startswith("not checked"))


def test_without_keys_the_report_says_so(full_log):
    report = full_log.verify_database(with_keys=False)
    assert report.ok
    assert any("no keys were given" in line for line in report.not_checked)


def test_faults_of_sealed_columns_are_part_of_the_report(full_log):
    asked = []

    def check_sealed(table: str) -> Iterator[str]:
        asked.append(table)
        if table == "attribute_value":
            # Row by row, as it must be with many: PostgreSQL allows that in a transaction only.
            found = connection.execute(select(attribute_value.c.version).execution_options(yield_per=1)).first()
            assert found is not None
            yield "row 5 does not open"

    with full_log.database.read() as connection:
        report = verify_database(connection, [SIGNER.vkey], check_sealed=check_sealed)
    assert asked == list(SEALED_TABLES)
    assert report.faults == ["attribute_value: row 5 does not open"]


def test_an_entry_altered_before_it_was_sequenced_is_found_by_its_opening(small_log):
    # Given somebody who changes the agency of an entry that waits, in a way that makes a valid entry
    entry = small_log.append_many(1)[0]
    with small_log.database.write() as connection:
        body = entry.body.replace(b'"org":"tax"', b'"org":"tux"')
        connection.execute(audit_outbox.update().values(body=body))
        connection.commit()
    # When the sequencer, which has no personal keys, signs it
    assert small_log.round() == 1
    # Then the opening still names the bytes that were accepted
    assert any("other bytes" in fault for fault in small_log.verify_database().faults)


def test_a_checkpoint_forged_by_another_key_is_found(full_log):
    def forge(connection: Connection) -> None:
        stranger = NoteSigner(ORIGIN, bytes(32))
        note = sign_note(format_checkpoint(Checkpoint(origin=ORIGIN, size=100, root=bytes(32))), [stranger])
        connection.execute(audit_checkpoint.insert().values(size=100, note=note, signed_at=full_log.now))

    assert any("size 100" in fault for fault in tamper(full_log, forge))


def test_a_forged_checkpoint_by_our_own_key_is_found(full_log):
    def forge(connection: Connection) -> None:
        note = sign_note(format_checkpoint(Checkpoint(origin=ORIGIN, size=100, root=bytes(32))), [SIGNER])
        connection.execute(audit_checkpoint.insert().values(size=100, note=note, signed_at=full_log.now))

    assert any("another root" in fault for fault in tamper(full_log, forge))


def test_a_checkpoint_signed_out_of_order_is_found(full_log):
    def move(connection: Connection) -> None:
        rows = rows_of(connection, audit_checkpoint)
        values = {"signed_at": full_log.tick(days=1)}
        connection.execute(audit_checkpoint.update().where(*same_row(audit_checkpoint, rows[0])).values(**values))

    assert any("before the one before it" in fault for fault in tamper(full_log, move))


def test_the_end_of_the_log_cut_off_consistently_is_found_by_its_head(full_log):
    def cut(connection: Connection) -> None:
        newest = rows_of(connection, audit_checkpoint)[-1]["size"]
        connection.execute(audit_leaf.delete().where(audit_leaf.c.seq >= newest - 10))

    assert tamper(full_log, cut)


DOUBTS = [ByteChange(audit_head, column, 0.0) for column in ("size", "root", "frontier")]
DOUBTS += [
    ByteChange(audit_tile, "data", 0.5),
    ByteChange(audit_leaf, "body", 1.0),
    ByteChange(audit_checkpoint, "note", 1.0),
]


@pytest.mark.invariant(12)
@pytest.mark.parametrize("change", DOUBTS, ids=str)
def test_a_sequencer_does_not_go_on_from_an_edge_that_was_changed(full_log, change):
    with tampered(full_log, change) as connection:
        head = store.read_head(connection)
        assert head is not None
        with pytest.raises(InconsistentLogError):
            load_state(connection, head, [NoteVerifier.parse(SIGNER.vkey)])


def test_tables_of_the_log_refer_to_nothing():
    """Tampering above needs no foreign key switched off."""
    for table in TABLES:
        assert not [rule for rule in table.constraints if isinstance(rule, ForeignKeyConstraint)]
