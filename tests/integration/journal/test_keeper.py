"""What must not come back is journaled with its change, and moved to files by the worker."""

import logging
import shutil
from pathlib import Path

import pytest

from api import log_keys, wiring
from api.keyfiles import key_files, read_keyset
from crypto.ids import new_id
from exchange import agencies, agreements, consents, erasure, subjects
from exchange.audit import journal, journal_files, journal_store, log
from exchange.audit.journal import MAX_RECORDS
from exchange.audit.journal_files import JournalWriter, read_journal
from exchange.audit.journal_keeper import JournalKeeper
from exchange.errors import DatabaseError
from exchange.events import Event, EventType
from exchange.model import Status, SubjectStatus
from tests.house import ANNA, BEN, HOUSING, build


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "elsewhere"
    path.mkdir()
    return path


@pytest.fixture
def house(tmp_path, database_url):
    made = build(tmp_path, database_url)
    made.integrate()
    yield made
    made.close()


def verifiers(house, *, of_journal=True):
    keys = read_keyset(key_files(house.services.config, "log"))
    return wiring.verifiers(log_keys.publics(keys), house.exchange.installation.origin, of_journal=of_journal)


def keeper(house, folder):
    name = journal.key_name(house.exchange.installation.origin)
    keys = read_keyset(key_files(house.services.config, "log"))
    writer = JournalWriter(
        folder,
        origin=house.exchange.installation.origin,
        signers=log_keys.signers(keys, name),
        verifiers=verifiers(house),
    )
    checkpoints = verifiers(house, of_journal=False)
    return JournalKeeper(house.exchange.database, writer, verifiers=checkpoints, clock=house.clock)


def rows(house):
    with house.exchange.database.read() as connection:
        return journal_store.oldest_rows(connection, MAX_RECORDS)


def read(house, folder):
    return read_journal(folder, verifiers(house))


def kinds(found):
    return [record.kind.value for record in found.records()]


def test_what_must_not_come_back_is_kept_and_nothing_of_a_value(house, folder):
    client = house.add_client(HOUSING)
    given = house.consented(client)
    consents.withdraw(house.exchange, house.citizen(ANNA), given.consent_id, house.clock())
    subjects.set_status(house.exchange, house.people[BEN], SubjectStatus.PROTECTED, house.clock())
    erasure.erase(house.exchange, house.people[BEN], house.clock())
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    agencies.set_agency_status(house.exchange, HOUSING, Status.SUSPENDED, house.clock())
    agreements.end(house.exchange, "resident-parking", by="officer-a", now=house.clock())
    house.integrate()
    assert len(rows(house)) == 6
    assert keeper(house, folder).keep()
    assert rows(house) == []
    found = read(house, folder)
    assert found.faults == []
    assert sorted(kinds(found)) == sorted(
        [
            "consent.withdrawn",
            "subject.status_changed",
            "subject.erased",
            "client.status_changed",
            "agency.status_changed",
            "agreement.ended",
        ]
    )
    text = b"".join(path.read_bytes() for path in folder.iterdir())
    for secret in (b"VAL-1000", b"Example", b"officer-a", b"1984"):
        assert secret not in text
    with house.exchange.database.read() as connection:
        newest = log.latest_checkpoint(connection)
    assert (folder / "checkpoint").read_text() == newest.note


def test_a_change_that_is_rolled_back_is_not_in_the_journal(house):
    client = house.add_client(HOUSING)
    detail = {"client": client.id, "agency": HOUSING, "status": "SUSPENDED"}
    with house.exchange.unit_of_work(house.clock()) as uow:
        uow.record(Event(type=EventType.CLIENT_STATUS_CHANGED, org=HOUSING, detail=detail))
    assert rows(house) == []


def test_a_second_worker_waits_and_then_goes_on(house, folder):
    client = house.add_client(HOUSING)
    first, second = keeper(house, folder), keeper(house, folder)
    assert first.keep()
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    assert not second.keep()
    assert first.keep()
    first._writer.release()
    agencies.set_client_status(house.exchange, client.id, Status.ACTIVE, house.clock())
    assert second.keep()
    second._writer.release()
    found = read(house, folder)
    assert (found.faults, found.number) == ([], 2)


@pytest.mark.parametrize("when", ["before the rows are deleted", "while a batch is written"])
def test_a_crash_doubles_lines_at_most(house, folder, monkeypatch, when):
    client = house.add_client(HOUSING)
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    broken = keeper(house, folder)
    with monkeypatch.context() as patch:
        if when == "before the rows are deleted":

            def refuse(*_given):
                raise DatabaseError("gone")

            patch.setattr(journal_store, "delete_rows", refuse)
        else:

            def write_half(path, data):
                path.write_bytes(data[: len(data) // 2])
                raise OSError(28, "No space left on device", str(path))

            patch.setattr(journal_files, "append_file", write_half)
        assert not broken.keep()
    assert len(rows(house)) == 1
    assert keeper(house, folder).keep()
    assert rows(house) == []
    found = read(house, folder)
    assert found.faults == []
    assert set(kinds(found)) == {"client.status_changed"}
    if when == "while a batch is written":
        assert any("not written whole" in remark for remark in found.remarks)


def test_a_folder_that_is_not_there_is_told_once_and_never_made(house, folder, caplog):
    caplog.set_level(logging.INFO, logger="exchange")
    folder.rmdir()
    client = house.add_client(HOUSING)
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    made = keeper(house, folder)
    for _ in range(3):
        assert not made.keep()
    assert not folder.exists()
    folder.mkdir()
    assert made.keep()
    told = [record.getMessage() for record in caplog.records if "journal" in record.getMessage()]
    assert len(told) == 2
    assert "cannot be written" in told[0]
    assert "written again" in told[1]


@pytest.mark.parametrize(
    "body",
    [b"x", b"a\ncdx/journal/v1\nb", b"\xff", b"\x01", b"{}", b'{"at":1,"entry":"x","kind":"subject.erased"}'],
)
def test_a_row_that_the_exchange_did_not_write_is_never_signed_and_stops_nothing(house, folder, body):
    """The web's role may insert here: an intruder too."""
    client = house.add_client(HOUSING)
    with house.exchange.database.write() as connection:
        journal_store.insert_rows(connection, [(new_id(house.clock()), house.clock(), body)])
        connection.commit()
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    assert keeper(house, folder).keep()
    records = list(read(house, folder).records())
    assert [record.kind for record in records] == [EventType.CLIENT_STATUS_CHANGED]
    assert [row_body for _, _, row_body in rows(house)] == [body]


def test_a_line_of_another_kind_than_its_entry_is_never_signed(house, folder):
    client = house.add_client(HOUSING)
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    ((row_id, at, body),) = rows(house)
    forged = body.replace(b"client.status_changed", b"agency.status_changed")
    with house.exchange.database.write() as connection:
        journal_store.delete_rows(connection, [row_id])
        journal_store.insert_rows(connection, [(row_id, at, forged)])
        connection.commit()
    assert keeper(house, folder).keep()
    assert list(read(house, folder).records()) == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # a file that is put in another's place
def test_what_is_kept_of_the_log_is_never_moved_back(house, folder, tmp_path):
    """An older copy of the database took its place while the worker ran."""
    made = keeper(house, folder)
    path = house.exchange.database.engine.url.database
    house.exchange.database.dispose()
    erasure.empty_write_ahead_log(house.exchange.database)
    house.exchange.database.dispose()
    shutil.copyfile(path, tmp_path / "older.db")
    house.add_client(HOUSING)
    house.integrate()
    assert made.keep()
    kept = (folder / "checkpoint").read_text()
    house.exchange.database.dispose()
    shutil.copyfile(tmp_path / "older.db", path)
    for name in ("-wal", "-shm"):
        Path(path + name).unlink(missing_ok=True)
    assert not made.keep()
    assert not keeper(house, folder).keep()
    assert (folder / "checkpoint").read_text() == kept
