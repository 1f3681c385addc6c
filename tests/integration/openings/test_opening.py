"""An officer who opens: on record before anything is shown, seen by the person, and never more than is theirs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import select

from crypto.errors import MalformedError
from exchange import consents, erasure
from exchange.audit.tables import audit_leaf, audit_opening, audit_outbox
from exchange.errors import DatabaseError, UnknownEntryError
from exchange.events import Event, EventType
from exchange.model import SubjectName
from exchange.openings import OpeningError, open_entry
from exchange.outcomes import Waiting
from exchange.own_log import own_log
from exchange.staff import InvalidStaffError
from tests.house import ANNA, BEN, HOUSING, PARKING, House, new_request_id
from tests.integration.openings.parts import (
    DPO,
    NAME,
    OPERATOR,
    REASON,
    about,
    change,
    disclosed,
    entries,
    lines,
    opens,
    owners,
    shown,
    verified,
)


def told(entry_id, officer=DPO, reason=REASON):
    return {
        "officer": officer.id,
        "role": officer.role,
        "reason": reason,
        "entry": str(entry_id),
        "client": officer.via,
    }


@pytest.mark.invariant(7)
def test_an_opening_shows_the_facts_and_is_an_entry_in_the_persons_history(house: House, client):
    entry_id = disclosed(house, client)
    house.integrate()
    opened = opens(house, entry_id)
    [(role, state, facts)] = shown(opened)
    assert (role, state) == ("person", "opened")
    assert (facts["officer"], facts["role"], facts["case"]) == ("officer-17", "case worker", "HB-2026-0042")
    assert opened.entry.type == "attribute.disclosed"
    assert opened.proof is not None
    record = entries(house, "audit.opened")[-1]
    assert opened.recorded_as == (record.id,)
    assert (record.org, record.detail) == (HOUSING, {"entry": str(entry_id), "sealings": "2"})
    assert lines(house, record.id) == {house.people[ANNA]: None}
    # The reason stands nowhere in clear.
    with house.exchange.database.read() as connection:
        for table in (audit_outbox, audit_leaf):
            assert not [body for body in connection.scalars(select(table.c.body)) if REASON.encode() in body]
    # An opening can be opened, and is again on record.
    again = opens(house, record.id, reason="who looked at this, and why")
    assert shown(again) == [("person", "opened", told(entry_id)), ("staff", "opened", told(entry_id))]
    assert entries(house, "audit.opened")[-1].detail["entry"] == str(record.id)
    house.integrate()
    assert verified(house).faults == []


def test_an_entry_that_waits_is_opened_and_has_no_proof_yet(house: House, client):
    opened = opens(house, disclosed(house, client))
    assert opened.proof is None
    assert shown(opened)[0][1] == "opened"


@pytest.mark.invariant(7)
@pytest.mark.invariant(6)
def test_an_entry_of_others_is_as_unknown_as_none_and_both_attempts_are_on_record(house: House, client):
    entry_id = disclosed(house, client)
    none = new_request_id(house)
    parking = replace(DPO, org=PARKING)
    said = []
    for wanted in (entry_id, none):
        with pytest.raises(UnknownEntryError) as error:
            opens(house, wanted, parking)
        said.append(str(error.value).replace(str(wanted), "ID"))
        refused = entries(house, "audit.refused")[-1]
        assert (refused.org, refused.outcome, refused.detail) == (PARKING, "deny", {"sealings": "2"})
        assert lines(house, refused.id) == {}
        assert shown(opens(house, refused.id, OPERATOR))[-1] == ("staff", "opened", told(wanted, parking))
    assert said[0] == said[1]
    assert opens(house, entry_id, OPERATOR).owners
    house.integrate()
    assert verified(house).faults == []


@pytest.mark.invariant(6)
def test_why_a_person_was_refused_is_kept_from_the_organisation_that_asked(house: House, client):
    decided = house.consented(client)
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    house.ask(client, lines=NAME)
    denied = entries(house, "request.denied")[-1]
    withdrawn = entries(house, "consent.withdrawn")[-1]
    assert shown(opens(house, denied.id))[0][2]["reason"] is None
    assert shown(opens(house, denied.id, OPERATOR))[0][2]["reason"] == "cooling_off"
    assert shown(opens(house, withdrawn.id))[0][2]["actor"] is None
    assert str(house.people[ANNA]) in shown(opens(house, withdrawn.id, OPERATOR))[0][2]["actor"]


@pytest.mark.invariant(6)
def test_somebody_unknown_looks_like_somebody_who_does_not_answer(house: House, client):
    known, unknown = [], []
    for who, found in ((ANNA, known), (SubjectName(scheme="national-id", id="VAL-999999-9"), unknown)):
        waiting = house.ask(client, who)
        assert isinstance(waiting, Waiting)
        for kind in ("request.waiting", "consent.requested"):
            opened = opens(house, entries(house, kind)[-1].id)
            record = entries(house, "audit.opened")[-1]
            rows = [(role, state, sorted(facts)) for role, state, facts in shown(opened)]
            found.append((rows, record.detail["sealings"], len(lines(house, record.id)), len(owners(house, record.id))))
    assert known == unknown
    house.integrate()
    assert verified(house).faults == []


@pytest.mark.invariant(11)
def test_of_an_erased_person_nothing_is_shown_and_the_opening_says_so(house: House, client):
    entry_id = disclosed(house, client)
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    assert shown(opens(house, entry_id)) == [(None, "erased", {})]
    assert lines(house, entries(house, "audit.opened")[-1].id) == {}


@pytest.mark.invariant(11)
def test_nothing_is_opened_after_the_commit_of_an_erasure(house: House, client):
    """Whatever the order: an opening that came first stands in no history now, one that came later showed nothing."""
    ids = [disclosed(house, client)] + [about(house, ANNA, BEN) for _ in range(2)]
    started = threading.Barrier(4)
    gone = threading.Event()

    def look(entry_id):
        started.wait()
        states = []
        for _ in range(4):
            after = gone.is_set()
            states += [(after, role, state) for role, state, _ in shown(opens(house, entry_id))]
        return states

    with ThreadPoolExecutor(3) as pool:
        looking = [pool.submit(look, entry_id) for entry_id in ids]
        started.wait()
        erasure.erase(house.exchange, house.people[ANNA], house.clock())
        gone.set()
        seen = [one for future in looking for one in future.result()]
    assert not [one for one in seen[:4] if one[0] and one[2] == "opened"]
    assert {state for _, _, state in seen} <= {"opened", "erased"}
    for record in entries(house, "audit.opened"):
        assert house.people[ANNA] not in owners(house, record.id) | lines(house, record.id).keys()
    house.integrate()
    assert verified(house).faults == []


@pytest.mark.invariant(1)
def test_nothing_is_shown_when_the_opening_cannot_be_recorded(house: House, client):
    entry_id = disclosed(house, client)
    before = len(entries(house))

    def full(*_of):
        raise DatabaseError("the database refused (OperationalError); nothing was committed")

    with pytest.raises(DatabaseError):
        open_entry(replace(house.exchange, append=full), DPO, entry_id, REASON, house.clock())
    assert len(entries(house)) == before
    with house.exchange.database.read() as connection:
        assert connection.scalars(select(audit_opening.c.entry_id)).all()
    # The key that was made for the officer went with the rest.
    assert entries(house, "staff.created") == []


@pytest.mark.parametrize(
    "reason", ["", "too short", " " * 20, "x" * 501, "x" * 10_001, "two lines\nof a reason", "a reason\x00 with NUL"]
)
def test_an_opening_without_a_reason_is_none(house: House, client, reason):
    entry_id = disclosed(house, client)
    with pytest.raises(OpeningError) as error:
        opens(house, entry_id, reason=reason)
    assert not reason.strip() or reason.strip() not in str(error.value)
    for officer in (replace(DPO, id=""), replace(DPO, role="\n")):
        with pytest.raises(InvalidStaffError):
            opens(house, entry_id, officer)
    assert entries(house, "audit.opened") == entries(house, "audit.refused") == []


def test_an_entry_altered_in_the_database_shows_no_fact(house: House, client):
    """Also when it was altered so that it seems to be another organisation's."""
    entry_id = disclosed(house, client)
    with house.exchange.database.read() as connection:
        body = connection.execute(select(audit_outbox.c.body).where(audit_outbox.c.id == entry_id)).scalar_one()
    altered = body.replace(HOUSING.encode(), PARKING.encode())
    change(house, audit_outbox.update().where(audit_outbox.c.id == entry_id).values(body=altered))
    assert shown(opens(house, entry_id, replace(DPO, org=PARKING))) == [(None, "damaged", {})]
    # The person hears of it all the same.
    assert lines(house, entries(house, "audit.opened")[-1].id) == {house.people[ANNA]: None}
    change(house, audit_outbox.update().where(audit_outbox.c.id == entry_id).values(body=b"{}"))
    with pytest.raises(MalformedError):
        opens(house, entry_id)


def test_very_many_concerned_are_told_in_several_entries(house: House):
    from exchange import staff
    from exchange.events import Concerned

    with house.exchange.unit_of_work(house.clock()) as uow:
        refs = [staff.find_or_create(uow, house.exchange, HOUSING, f"clerk-{n}") for n in range(13)]
        refs.append(staff.find_or_create(uow, house.exchange, HOUSING, DPO.id))
        also = (
            Concerned(owner_ref=house.people[BEN], facts={"case": "b"}),
            *(Concerned(owner_ref=ref, facts={"case": "c"}, has_history=False) for ref in refs),
        )
        entry = uow.record(
            Event(
                type=EventType.HISTORY_READ,
                org=HOUSING,
                subject_ref=house.people[ANNA],
                facts={"case": "a"},
                also=also,
            )
        )
        uow.commit()
    opened = opens(house, entry.id)
    assert len(opened.owners) == 16
    assert len(opened.recorded_as) == 2
    every = set().union(*(owners(house, one) for one in opened.recorded_as))
    assert every - {house.exchange.installation.operator_ref} == {*house.people.values(), *refs}
    assert set().union(*(lines(house, one) for one in opened.recorded_as)) == set(house.people.values())
    house.integrate()
    assert verified(house).faults == []


@pytest.mark.invariant(7)
def test_what_the_person_sees_of_an_opening(house: House, client):
    entry_id = disclosed(house, client)
    house.clock.move(seconds=1)
    opened = opens(house, entry_id)
    house.integrate()
    page = own_log(house.exchange, house.citizen(ANNA), cursor=None, limit=100, now=house.clock())
    by_id = {one.entry.id: one for one in page.entries}
    [seen] = by_id[entry_id].seen_by
    assert (seen.entry_id, seen.org, seen.role, seen.reason) == (opened.recorded_as[0], HOUSING, DPO.role, REASON)
    line = by_id[seen.entry_id]
    assert {fact.name: fact.value for fact in line.facts} == {
        name: value for name, value in told(entry_id).items() if name != "officer"
    }
    bens = own_log(house.exchange, house.citizen(BEN), cursor=None, limit=100, now=house.clock())
    assert not by_id.keys() & {one.entry.id for one in bens.entries}
