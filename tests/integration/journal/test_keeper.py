"""What must not come back is journaled with its change, and moved to files by the worker."""

import logging

import pytest

from api import log_keys, wiring
from api.keyfiles import key_files, read_keyset
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


def verifiers(house):
    keys = read_keyset(key_files(house.services.config, "log"))
    return wiring.verifiers(log_keys.publics(keys), house.exchange.installation.origin, of_journal=True)


def keeper(house, folder):
    name = journal.key_name(house.exchange.installation.origin)
    keys = read_keyset(key_files(house.services.config, "log"))
    writer = JournalWriter(
        folder,
        origin=house.exchange.installation.origin,
        signers=log_keys.signers(keys, name),
        verifiers=verifiers(house),
    )
    return JournalKeeper(house.exchange.database, writer, clock=house.clock)


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
