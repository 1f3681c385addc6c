"""People and their values: created once, written by whom the catalogue names, sealed, versioned and logged."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from crypto.errors import CryptoError
from exchange import agencies, subjects, tables
from exchange.errors import UnknownAgencyError, UnknownSubjectError
from exchange.model import HeldValue, Status, SubjectName, SubjectStatus
from exchange.subjects import InvalidRecordError, SubjectMovedError, SubjectRecord
from tests.house import ANNA, BEN, HOUSING, House
from tests.integration.subjects.inspect import (
    assert_log_is_sound,
    assert_values_match_the_log,
    entries,
    facts,
    held,
    sealed_bytes,
    versions,
)

REGISTER = "population-register"
CARL = SubjectName(scheme="national-id", id="VAL-100003-3")


def record(who: SubjectName, provider: str = REGISTER, **values: object) -> SubjectRecord:
    return SubjectRecord(
        subject=who,
        values=tuple(HeldValue(name=n, provider=provider, state="present", value=v) for n, v in values.items()),
    )


def find(house: House, who: SubjectName, agency: str = HOUSING):
    with house.exchange.database.read() as connection:
        return subjects.find(connection, house.exchange, who, agency)


def test_a_new_person_is_created_with_key_identifier_and_all_rows_of_the_provider(house: House):
    before = {entry.id for entry in entries(house)}
    written = subjects.write_values(house.exchange, REGISTER, [record(CARL, full_name="Carl Example")], house.clock())
    assert (written.created, written.written) == (1, 1)
    ref = find(house, CARL)
    opened = held(house.exchange, ref)
    with house.exchange.database.read() as connection:
        names = {n for n, one in house.exchange.catalogue(connection).attributes.items() if one.provider == REGISTER}
    assert opened.keys() == names
    assert opened["full_name"].value == "Carl Example"
    assert {one.state for name, one in opened.items() if name != "full_name"} == {"absent"}
    new = [entry for entry in entries(house) if entry.id not in before]
    assert {(entry.type, entry.org) for entry in new} == {("subject.created", REGISTER), ("subject.written", REGISTER)}
    assert_values_match_the_log(house, ref)
    assert_log_is_sound(house)


def test_absence_is_as_long_as_a_value(house: House):
    ref = house.people[ANNA]
    value = tables.attribute_value
    with house.exchange.database.read() as connection:
        lengths = set(connection.execute(select(func.length(value.c.ct)).where(value.c.subject_ref == ref)).scalars())
    assert lengths == {46 + 128}


def test_every_write_bumps_the_version_and_leaves_the_rest_alone(house: House):
    ref = house.people[ANNA]
    before = versions(house.exchange, ref)
    subjects.write_values(house.exchange, REGISTER, [record(ANNA, full_name="Anna Other")], house.clock())
    after = versions(house.exchange, ref)
    assert after == before | {"full_name": before["full_name"] + 1}
    assert held(house.exchange, ref)["full_name"].value == "Anna Other"
    assert held(house.exchange, ref)["birth_date"].value == "1984-02-29"
    assert_values_match_the_log(house, ref)


def test_an_identifier_is_found_however_it_is_spelt_and_only_under_its_scheme(house: House):
    ref = house.people[ANNA]
    assert find(house, SubjectName(scheme="national-id", id=" val 100001\u20137 ")) == ref
    assert find(house, SubjectName(scheme="passport", id=ANNA.id)) is None
    assert find(house, CARL) is None
    assert find(house, SubjectName(scheme="sub", id=ANNA.id)) is None


def test_no_value_and_no_identifier_stands_in_any_table(house: House):
    found = b"".join(sealed_bytes(house.exchange, house.people[ANNA]))
    for text in (b"Anna", b"Harbour", b"100001", b"1984-02-29", b"21500"):
        assert text not in found


def test_a_value_opens_in_no_other_row(house: House):
    anna, ben = house.people[ANNA], house.people[BEN]
    value = tables.attribute_value
    with house.exchange.database.write() as connection:
        rows = {
            (row.subject_ref, row.attribute): row.ct
            for row in connection.execute(select(value.c.subject_ref, value.c.attribute, value.c.ct))
        }
        here = (value.c.subject_ref == anna) & (value.c.attribute == "full_name")
        connection.execute(value.update().where(here).values(ct=rows[anna, "birth_date"]))
        connection.commit()
    with pytest.raises(CryptoError):
        held(house.exchange, anna)
    with house.exchange.database.write() as connection:
        connection.execute(value.update().where(here).values(ct=rows[ben, "full_name"]))
        connection.commit()
    with pytest.raises(CryptoError):
        held(house.exchange, anna)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"annual_income": "1.00"}, "annual_income: only the agency"),
        ({"birth_date": "1984-02-30"}, "birth_date: not a date"),
        ({"household_size": "three"}, "household_size: not an integer"),
        ({"legal_guardian": 1}, "legal_guardian: not true or false"),
        ({"sex": "F"}, "sex: not a code with a label"),
        ({"full_name": ""}, "full_name: not text"),
        ({"Anna Example": "x"}, "not in the catalogue"),
    ],
)
def test_a_bad_value_is_refused_by_attribute_and_fault_and_nothing_is_written(house: House, values, place):
    before = versions(house.exchange, house.people[ANNA])
    rows = [record(ANNA, household_size=5), record(BEN, **values)]
    with pytest.raises(InvalidRecordError) as caught:
        subjects.write_values(house.exchange, REGISTER, rows, house.clock())
    assert place in str(caught.value)
    assert str(caught.value).startswith("record 2: ")
    for value in ("1984-02-30", "three", "Anna Example", "1.00"):
        assert value not in str(caught.value)
    assert versions(house.exchange, house.people[ANNA]) == before


def test_a_live_attribute_is_not_kept(house: House):
    with pytest.raises(InvalidRecordError, match="never kept"):
        subjects.write_values(
            house.exchange, "vehicle-registry", [record(ANNA, "vehicle-registry", vehicle_count=1)], house.clock()
        )


def test_the_same_person_twice_in_one_write_is_refused(house: House):
    for who, other in ((ANNA, ANNA), (CARL, SubjectName(scheme=CARL.scheme, id=CARL.id.lower()))):
        with pytest.raises(InvalidRecordError, match="same person"):
            subjects.write_values(
                house.exchange,
                REGISTER,
                [record(who, household_size=1), record(other, household_size=2)],
                house.clock(),
            )


def test_a_provider_that_is_unknown_or_suspended_writes_nothing(house: House):
    agencies.set_agency_status(house.exchange, REGISTER, Status.SUSPENDED, house.clock())
    with pytest.raises(UnknownAgencyError):
        subjects.write_values(house.exchange, REGISTER, [record(ANNA, household_size=1)], house.clock())


def test_a_pseudonym_names_a_person_for_its_agency_only(house: House):
    ref = house.people[ANNA]
    value = house.exchange.pseudonyms.derive(agency=REGISTER, subject_ref=ref)
    with house.exchange.database.write() as connection:
        connection.execute(tables.pseudonym.insert().values(agency=REGISTER, value=value, subject_ref=ref))
        connection.commit()
    name = SubjectName(scheme="sub", id=value)
    assert find(house, name, REGISTER) == ref
    assert find(house, name, "tax-authority") is None
    subjects.write_values(house.exchange, REGISTER, [record(name, household_size=9)], house.clock())
    assert held(house.exchange, ref)["household_size"].value == 9
    with pytest.raises(UnknownSubjectError):
        subjects.write_values(
            house.exchange, "tax-authority", [record(name, "tax-authority", income_year=2025)], house.clock()
        )


def test_a_person_can_have_several_identifiers_and_none_is_given_twice(house: House):
    passport = SubjectName(scheme="passport", id="X 1234")
    with house.exchange.unit_of_work(house.clock()) as uow:
        ref = subjects.create(uow, house.exchange, [CARL, passport])
        uow.commit()
    assert find(house, CARL) == find(house, passport) == ref
    with pytest.raises(SubjectMovedError), house.exchange.unit_of_work(house.clock()) as uow:
        subjects.create(uow, house.exchange, [passport])
    with pytest.raises(InvalidRecordError), house.exchange.unit_of_work(house.clock()) as uow:
        subjects.create(uow, house.exchange, [])


def test_a_status_is_changed_and_logged_with_its_kind_sealed(house: House):
    ref = house.people[ANNA]
    for _ in range(2):  # the second time it is so already
        subjects.set_status(house.exchange, ref, SubjectStatus.PROTECTED, house.clock())
    (entry,) = [one for one in entries(house) if one.type == "subject.status_changed"]
    assert entry.detail == {}
    assert facts(house.exchange, entry.id) == {"from": "ACTIVE", "to": "PROTECTED"}
    with pytest.raises(ValueError, match="not set this way"):
        subjects.set_status(house.exchange, ref, SubjectStatus.ERASED, house.clock())
    with pytest.raises(UnknownSubjectError):
        subjects.set_status(
            house.exchange, house.exchange.installation.operator_ref, SubjectStatus.DECEASED, house.clock()
        )


def test_many_writes_of_the_same_new_people_make_each_person_once(house: House):
    names = [SubjectName(scheme="national-id", id=f"VAL-2000{n:02d}-0") for n in range(5)]

    def write(turn: int) -> None:
        rows = [record(who, household_size=turn) for who in (names if turn % 2 else reversed(names))]
        subjects.write_values(house.exchange, REGISTER, rows, house.clock())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(20)))
    refs = [find(house, who) for who in names]
    assert len(set(refs)) == 5
    with house.exchange.database.read() as connection:
        people = connection.execute(select(func.count()).select_from(tables.subject)).scalar_one()
    assert people == 1 + 2 + 5
    for ref in refs:
        assert versions(house.exchange, ref)["household_size"] == 20
        assert_values_match_the_log(house, ref)
    assert_log_is_sound(house)
