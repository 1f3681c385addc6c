"""Erasing a person: nothing of theirs opens or lies in the file afterwards, and the log verifies (invariant 11)."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from consent.tables import consent, consent_event
from crypto.ids import new_id
from exchange import erasure, subjects, tables
from exchange.audit import tables as audit_tables
from exchange.errors import SubjectErasedError, UnknownSubjectError
from exchange.model import HeldValue, RequestedAttribute, SubjectName
from exchange.outcomes import Answered, Waiting
from exchange.subjects import SubjectRecord
from tests.house import ANNA, BEN, HOUSING, House
from tests.integration.subjects.inspect import METADATA, assert_log_is_sound, entries, facts, held, sealed_bytes

NAME = (RequestedAttribute(name="full_name", form="value"),)
STAY = {"subject", "consent", "attribute_request", "disclosure"}  # a reference that leads to nobody


def database_files(house: House) -> bytes:
    path = Path(house.exchange.database.engine.url.database)
    return b"".join(one.read_bytes() for one in sorted(path.parent.glob(path.name + "*")) if one.is_file())


@pytest.fixture
def lived_in(house: House, client):
    """Anna has a consent in force, a disclosure, an open question, a pseudonym and a token; so has Ben."""
    for who in (ANNA, BEN):
        house.consented(client, who)
        assert isinstance(house.ask(client, who, lines=NAME), Answered)
        parking = house.add_client("city-parking-office")
        asked = house.ask(parking, who, NAME, agreement="resident-parking", purpose="resident_parking")
        assert isinstance(asked, Waiting)
        house.citizen(who)
    return house


@pytest.mark.invariant(11)
def test_nothing_of_an_erased_person_is_left_in_any_table(lived_in: House):
    house = lived_in
    ref = house.people[ANNA]
    before = sealed_bytes(house.exchange, ref)
    assert len(before) > 40
    done = erasure.erase(house.exchange, ref, house.clock())
    assert done.file_is_clean
    assert done.consents_ended == 2
    assert all(done.rows[name] for name in done.rows if name != "form_use")
    with house.exchange.database.read() as connection:
        for metadata in METADATA:
            for table in metadata.sorted_tables:
                for column in {"subject_ref", "ref"} & set(table.c.keys()):
                    count = connection.execute(
                        select(func.count()).select_from(table).where(table.c[column] == ref)
                    ).scalar_one()
                    assert (count > 0) == (table.name in STAY), table.name
        assert {
            row.details
            for row in connection.execute(
                select(tables.attribute_request.c.details).where(tables.attribute_request.c.subject_ref == ref)
            )
        } == {b""}
        status = connection.execute(select(tables.subject.c.status).where(tables.subject.c.ref == ref)).scalar_one()
        assert status == "ERASED"
        assert subjects.find(connection, house.exchange, ANNA, HOUSING) is None
        with pytest.raises(SubjectErasedError):
            house.exchange.keyring.load(connection, ref)
    assert sealed_bytes(house.exchange, ref) == []
    # Nobody else has lost anything.
    assert held(house.exchange, house.people[BEN])["full_name"].value == "Ben Example"


@pytest.mark.invariant(11)
def test_no_ciphertext_key_or_value_is_left_in_the_files_of_sqlite(lived_in: House):
    house = lived_in
    if not house.exchange.database.is_sqlite:
        return  # dead rows of PostgreSQL go with its VACUUM; nothing of them opens, which the test above shows
    ref = house.people[ANNA]
    for turn in range(5):  # earlier versions, too
        value = HeldValue(name="household_size", provider="population-register", state="present", value=turn)
        before = sealed_bytes(house.exchange, ref)
        subjects.write_values(
            house.exchange, "population-register", [SubjectRecord(subject=ANNA, values=(value,))], house.clock()
        )
        for one in before:
            assert one in database_files(house)
    before = sealed_bytes(house.exchange, ref)
    others = sealed_bytes(house.exchange, house.people[BEN])
    erasure.erase(house.exchange, ref, house.clock())
    files = database_files(house)
    assert [one.hex() for one in before if one in files] == []
    assert [one.hex() for one in others if one not in files] == []
    assert not any(text in files for text in (b"Anna", b"Harbour", b"100001"))
    assert Path(house.exchange.database.engine.url.database + "-wal").stat().st_size == 0


@pytest.mark.invariant(11)
def test_many_people_written_again_and_again_leave_nothing_behind_either(house: House):
    """Pages split, merge and are rebuilt: copies in their gaps would outlive the rows."""
    if not house.exchange.database.is_sqlite:
        return
    names = [SubjectName(scheme="national-id", id=f"VAL-30{n:04d}-0") for n in range(150)]
    for turn in range(3):
        for start in range(0, len(names), 50):
            records = [
                SubjectRecord(
                    subject=who,
                    values=(
                        HeldValue(
                            name="full_name",
                            provider="population-register",
                            state="present",
                            value="Many Words " * (1 + (n * 7 + turn) % 40),
                        ),
                    ),
                )
                for n, who in enumerate(names[start : start + 50])
            ]
            subjects.write_values(house.exchange, "population-register", records, house.clock())
    with house.exchange.database.read() as connection:
        refs = [subjects.find(connection, house.exchange, who, HOUSING) for who in names]
    before = {ref: sealed_bytes(house.exchange, ref) for ref in refs}
    for ref in refs[::2]:
        erasure.erase(house.exchange, ref, house.clock())
    files = database_files(house)
    left = [one.hex() for ref in refs[::2] for one in before[ref] if one in files]
    assert left == []
    assert all(one in files for ref in refs[1::2] for one in before[ref])


@pytest.mark.invariant(11)
def test_the_log_still_verifies_and_names_nobody(lived_in: House):
    house = lived_in
    ref = house.people[ANNA]
    assert_log_is_sound(house)
    openings = audit_tables.audit_opening
    with house.exchange.database.read() as connection:
        count = connection.execute(
            select(func.count()).select_from(openings).where(openings.c.subject_ref == ref)
        ).scalar_one()
    done = erasure.erase(house.exchange, ref, house.clock())
    assert_log_is_sound(house)
    entry = next(one for one in entries(house) if one.id == done.entry_id)
    assert (entry.type, entry.org, entry.detail) == ("subject.erased", "cdx", {})
    assert facts(house.exchange, entry.id) == {"openings": str(count), "subject": str(ref)}


@pytest.mark.invariant(11)
def test_permissions_and_open_questions_end_and_their_end_can_be_checked(lived_in: House, client):
    house = lived_in
    ref = house.people[ANNA]
    erasure.erase(house.exchange, ref, house.clock())
    with house.exchange.database.read() as connection:
        rows = connection.execute(
            select(consent.c.id, consent.c.status, consent.c.version).where(consent.c.subject_ref == ref)
        ).all()
        assert {row.status for row in rows} == {"TERMINATED"}
        for row in rows:
            last = connection.execute(
                select(consent_event.c.entry_id, consent_event.c.body)
                .where(consent_event.c.consent_id == row.id)
                .order_by(consent_event.c.seq.desc())
                .limit(1)
            ).one()
            said = facts(house.exchange, last.entry_id)
            assert said["consent_event"] == sha256(last.body).hexdigest()
    assert isinstance(house.ask(client, ANNA, lines=NAME), Waiting)  # as of somebody who does not answer


def test_erasing_twice_or_nobody_is_refused(house: House):
    ref = house.people[ANNA]
    erasure.erase(house.exchange, ref, house.clock())
    with pytest.raises(SubjectErasedError):
        erasure.erase(house.exchange, ref, house.clock())
    for nobody in (uuid4(), new_id(house.clock()), house.exchange.installation.operator_ref):
        with pytest.raises(UnknownSubjectError):
            erasure.erase(house.exchange, nobody, house.clock())


def test_a_provider_may_write_about_the_person_anew_under_another_reference(house: House):
    ref = house.people[ANNA]
    erasure.erase(house.exchange, ref, house.clock())
    value = HeldValue(name="full_name", provider="population-register", state="present", value="Anna Again")
    subjects.write_values(
        house.exchange, "population-register", [SubjectRecord(subject=ANNA, values=(value,))], house.clock()
    )
    with house.exchange.database.read() as connection:
        again = subjects.find(connection, house.exchange, ANNA, HOUSING)
    assert again not in (None, ref)


@pytest.mark.invariant(11)
def test_a_release_racing_an_erasure_loses(house: House, client):
    """Whatever the order: no disclosure is later than the erasure, and none opens anything after it."""
    ref = house.people[ANNA]
    house.consented(client)
    started = threading.Barrier(5)

    def ask() -> list[object]:
        callers = [house.caller(client) for _ in range(6)]
        started.wait()
        return [house.ask(client, lines=NAME, caller=caller) for caller in callers]

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        started.wait()
        erasure.erase(house.exchange, ref, house.clock())
        answered = [one for future in asking for one in future.result()]
    with house.exchange.database.read() as connection:
        used = connection.execute(
            select(tables.disclosure.c.subject_version).where(tables.disclosure.c.subject_ref == ref)
        ).scalars()
        version = connection.execute(select(tables.subject.c.version).where(tables.subject.c.ref == ref)).scalar_one()
        assert all(one < version for one in used)
    assert all(isinstance(one, Answered | Waiting) for one in answered)
    assert isinstance(house.ask(client, lines=NAME), Waiting)
    assert sealed_bytes(house.exchange, ref) == []
    assert_log_is_sound(house)


@pytest.mark.invariant(11)
def test_a_write_racing_an_erasure_leaves_nothing_of_the_erased_reference(house: House):
    ref = house.people[ANNA]
    started = threading.Barrier(4)

    def write(turn: int) -> None:
        value = HeldValue(name="household_size", provider="population-register", state="present", value=turn)
        record = SubjectRecord(subject=ANNA, values=(value,))
        started.wait()
        for _ in range(4):
            with suppress(SubjectErasedError):
                subjects.write_values(house.exchange, "population-register", [record], house.clock())

    with ThreadPoolExecutor(3) as pool:
        writing = [pool.submit(write, turn) for turn in range(3)]
        started.wait()
        erasure.erase(house.exchange, ref, house.clock())
        for future in writing:
            future.result()
    assert sealed_bytes(house.exchange, ref) == []
    assert_log_is_sound(house)
