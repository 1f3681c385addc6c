"""One entry about several: each has openings of their own, and the log can be checked whoever of them is erased."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import delete, func, insert, select, update

from exchange import access, erasure, staff, subjects
from exchange.audit.entry import decode_entry
from exchange.audit.tables import audit_leaf, audit_opening, audit_subject_entry
from exchange.errors import AuditError, SubjectErasedError, UnknownSubjectError
from exchange.events import Concerned, Event, EventType
from exchange.model import HeldValue, SubjectName, SubjectStatus
from exchange.outcomes import Waiting
from exchange.records import InvalidRecordError
from exchange.staff import InvalidStaffError
from exchange.subjects import SubjectRecord
from exchange.tables import subject, subject_identifier
from tests.house import ANNA, BEN, HOUSING, House
from tests.integration.openings.parts import (
    OPERATOR,
    about,
    change,
    disclosed,
    entries,
    lines,
    opens,
    own_facts,
    owners,
    shown,
    verified,
)


def an_officer(house: House, staff_id: str = "clerk-9"):
    """A member of staff of the housing office, who acts for the first time."""
    with house.exchange.unit_of_work(house.clock()) as uow:
        ref = staff.find_or_create(uow, house.exchange, HOUSING, staff_id)
        uow.commit()
    return ref


def test_each_of_two_people_opens_their_own_facts_and_no_other(house: House):
    entry_id = about(house, ANNA, BEN)
    anna, ben = house.people[ANNA], house.people[BEN]
    assert owners(house, entry_id) == {anna, ben}
    assert lines(house, entry_id) == {anna: None, ben: None}
    assert shown(opens(house, entry_id)) == [
        ("person", "opened", own_facts(ANNA)),
        ("person", "opened", own_facts(BEN)),
    ]
    assert verified(house).faults == []


@pytest.mark.invariant(11)
@pytest.mark.parametrize("order", [(ANNA, BEN), (BEN, ANNA)], ids=["Anna first", "Ben first"])
def test_one_of_two_is_erased_then_the_other(house: House, order):
    entry_id = about(house, ANNA, BEN)
    first, second = order
    house.integrate()
    done = erasure.erase(house.exchange, house.people[first], house.clock())
    assert done.rows["audit_opening"] > 0
    assert owners(house, entry_id) == {house.people[second]}
    assert lines(house, entry_id) == {house.people[second]: None}
    assert shown(opens(house, entry_id)) == [(None, "erased", {}), ("person", "opened", own_facts(second))]
    house.integrate()
    assert verified(house).faults == []
    erasure.erase(house.exchange, house.people[second], house.clock())
    assert owners(house, entry_id) == set()
    assert shown(opens(house, entry_id)) == [(None, "erased", {}), (None, "erased", {})]
    house.integrate()
    assert verified(house).faults == []


def test_an_entry_says_in_public_how_many_sealings_it_has_and_nothing_of_whose(house: House):
    entry_id = about(house, ANNA, BEN, staff=(an_officer(house),))
    alone = about(house, ANNA)
    house.integrate()
    with house.exchange.database.read() as connection:
        bodies = dict(connection.execute(select(audit_leaf.c.id, audit_leaf.c.body)).all())
    assert decode_entry(bodies[entry_id]).detail == {"sealings": "3"}
    assert decode_entry(bodies[entry_id]).sealings == 3
    assert decode_entry(bodies[alone]).detail == {}
    assert decode_entry(bodies[alone]).sealings == 1
    assert len(decode_entry(bodies[entry_id]).commitments) == 8
    for ref in house.people.values():
        assert str(ref).encode() not in bodies[entry_id]


@pytest.mark.parametrize("whose", [ANNA, BEN], ids=["Anna's", "Ben's"])
@pytest.mark.parametrize("erased", [False, True], ids=["nobody erased", "the other erased"])
def test_an_opening_taken_away_unlawfully_is_found(house: House, whose, erased):
    entry_id = about(house, ANNA, BEN)
    if erased:
        erasure.erase(house.exchange, house.people[BEN if whose is ANNA else ANNA], house.clock())
    house.integrate()
    assert verified(house).faults == []
    table = audit_opening
    change(house, table.delete().where(table.c.entry_id == entry_id, table.c.subject_ref == house.people[whose]))
    assert any("missing" in fault or "history lines" in fault for fault in verified(house).faults)


def test_an_opening_under_an_erased_persons_key_does_not_stand_in_for_a_stolen_one(house: House):
    kept, shared = about(house, BEN), about(house, ANNA, BEN)
    with house.exchange.database.read() as connection:
        ct = (
            connection.execute(select(audit_opening.c.ct).where(audit_opening.c.subject_ref == house.people[ANNA]))
            .scalars()
            .first()
        )
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    house.integrate()
    assert verified(house).faults == []
    # As many rows as before: one of Ben's is gone, and one that nobody can read has come.
    change(house, audit_opening.delete().where(audit_opening.c.entry_id == kept))
    change(house, audit_subject_entry.delete().where(audit_subject_entry.c.entry_id == kept))
    row = {"entry_id": shared, "subject_ref": house.people[ANNA], "ct": ct}
    change(house, audit_opening.insert().values(**row))
    assert any("erased owner" in fault for fault in verified(house).faults)


def test_exchanged_openings_of_two_people_are_found(house: House):
    entry_id = about(house, ANNA, BEN)
    table = audit_opening
    with house.exchange.database.read() as connection:
        cts = dict(
            connection.execute(select(table.c.subject_ref, table.c.ct).where(table.c.entry_id == entry_id)).all()
        )
    anna, ben = house.people[ANNA], house.people[BEN]
    for ref, ct in ((anna, cts[ben]), (ben, cts[anna])):
        change(house, table.update().where(table.c.entry_id == entry_id, table.c.subject_ref == ref).values(ct=ct))
    house.integrate()
    assert len([fault for fault in verified(house).faults if str(entry_id) in fault]) == 2
    # And an officer sees that, and no fact of anybody.
    assert shown(opens(house, entry_id)) == [(None, "damaged", {}), (None, "damaged", {})]
    assert lines(house, entries(house, "audit.opened")[-1].id).keys() == {anna, ben}


def test_an_event_names_an_owner_once_and_not_too_many(house: House):
    anna = house.people[ANNA]
    for also in (
        (Concerned(owner_ref=anna),),
        (Concerned(owner_ref=house.people[BEN]), Concerned(owner_ref=house.people[BEN])),
        tuple(Concerned(owner_ref=house.exchange.installation.operator_ref) for _ in range(16)),
        (Concerned(owner_ref=house.people[BEN], has_history=False, visible_from=house.clock()),),
    ):
        with house.exchange.unit_of_work(house.clock()) as uow, pytest.raises(AuditError):
            uow.record(Event(type=EventType.HISTORY_READ, org="subject", subject_ref=anna, also=also))


# Staff


def test_staff_has_a_key_of_its_own_and_no_history(house: House):
    ref = an_officer(house)
    assert an_officer(house) == ref
    assert an_officer(house, "CLERK-9") != ref  # another id to its organisation
    entry_id = about(house, ANNA, staff=(ref,))
    assert owners(house, entry_id) == {house.people[ANNA], ref}
    assert lines(house, entry_id) == {house.people[ANNA]: None}
    assert len(entries(house, "staff.created")) == 2
    house.integrate()
    assert verified(house).faults == []
    erasure.erase(house.exchange, ref, house.clock())
    assert shown(opens(house, entry_id)) == [(None, "erased", {}), ("person", "opened", own_facts(ANNA))]
    house.integrate()
    assert verified(house).faults == []
    assert an_officer(house) not in (None, ref)  # somebody new


def test_officers_who_act_for_the_first_time_at_once_are_one(house: House):
    with ThreadPoolExecutor(4) as pool:
        refs = set(pool.map(lambda _: an_officer(house), range(8)))
    assert len(refs) == 1
    with house.exchange.database.read() as connection:
        status = SubjectStatus.STAFF.value
        count = select(func.count()).select_from(subject).where(subject.c.status == status)
        assert connection.execute(count).scalar_one() == 1
        assert (
            connection.execute(
                select(func.count()).select_from(subject_identifier).where(subject_identifier.c.subject_ref.in_(refs))
            ).scalar_one()
            == 1
        )
    assert len(entries(house, "staff.created")) == 1


@pytest.mark.invariant(6)
def test_to_everything_about_people_staff_is_nobody(house: House, client):
    ref = an_officer(house)
    name = SubjectName(scheme=staff.SCHEME, id=f"{HOUSING}/clerk-9")
    # Nobody outside can spell the scheme; and if somebody could:
    waiting = house.ask(client, name)
    assert isinstance(waiting, Waiting)
    with house.exchange.database.read() as connection:
        line = audit_subject_entry.c
        assert connection.execute(select(line.entry_id).where(line.subject_ref == ref)).first() is None
    value = HeldValue(name="full_name", provider="population-register", state="present", value="X")
    with pytest.raises(InvalidRecordError):
        subjects.write_values(
            house.exchange, "population-register", [SubjectRecord(subject=name, values=(value,))], house.clock()
        )
    with pytest.raises(UnknownSubjectError):
        subjects.set_status(house.exchange, ref, SubjectStatus.ACTIVE, house.clock())
    house.people[name] = ref
    with pytest.raises(access.AccessRefusedError):
        access.admit_citizen(house.exchange, house.citizen(name), house.clock())


@pytest.mark.parametrize("staff_id", ["", " ", "a\nb", "x" * 257, "\ud800", "a\x00"])
def test_a_staff_id_is_one_printable_line(house: House, staff_id):
    with house.exchange.unit_of_work(house.clock()) as uow, pytest.raises(InvalidStaffError):
        staff.find_or_create(uow, house.exchange, HOUSING, staff_id)
    assert entries(house, "staff.created") == []


def test_a_replay_found_after_the_erasure_leaves_nothing_of_the_person(house: House):
    """The use case that records it holds nobody by itself."""
    citizen = house.citizen(ANNA)
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    access.record_replayed_proof(house.exchange, citizen, org="subject", now=house.clock())
    assert lines(house, entries(house, "access.replayed")[-1].id) == {}
    house.integrate()
    assert verified(house).faults == []


@pytest.mark.parametrize("way", ["planted", "put under another name"])
def test_no_erasure_pays_for_an_opening_that_somebody_removes(house: House, way):
    """Rows that are not true openings of the person count for nothing when the person is erased."""
    entry_id = disclosed(house, house.add_client(HOUSING))
    trace = opens(house, entry_id).recorded_as[0]
    house.integrate()
    assert verified(house).faults == []
    anna, ben = house.people[ANNA], house.people[BEN]
    if way == "planted":
        change(house, insert(audit_opening).values(entry_id=entry_id, subject_ref=ben, ct=b"junk"))
    else:
        its = (audit_opening.c.entry_id == trace) & (audit_opening.c.subject_ref == anna)
        change(house, update(audit_opening).where(its).values(subject_ref=ben))
    erasure.erase(house.exchange, ben, house.clock())
    if way == "planted":
        its = (audit_opening.c.entry_id == trace) & (audit_opening.c.subject_ref == anna)
        change(house, delete(audit_opening).where(its))
    change(house, delete(audit_subject_entry).where(audit_subject_entry.c.entry_id == trace))
    assert any("openings" in fault or "opening" in fault for fault in verified(house).faults)


def test_an_erased_member_of_staff_is_erased_once(house: House):
    ref = an_officer(house)
    erasure.erase(house.exchange, ref, house.clock())
    with pytest.raises(SubjectErasedError):
        erasure.erase(house.exchange, ref, house.clock())


def test_an_entry_about_nobody_is_the_operators(house: House):
    entry_id = about(house)
    assert owners(house, entry_id) == {house.exchange.installation.operator_ref}
    assert shown(opens(house, entry_id, OPERATOR)) == [("operator", "opened", own_facts(None))]
    opened = entries(house, "audit.opened")[-1]
    assert opened.detail == {"entry": str(entry_id), "sealings": "2"}
    assert lines(house, opened.id) == {}
