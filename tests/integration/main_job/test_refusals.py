"""Attempts that are refused at the door are entries: once per kind, caller and hour, and telling nobody anything."""

import threading
from datetime import timedelta

import pytest

from exchange import access, agencies, erasure, refusals, request_states, requests
from exchange.access import NewToken
from exchange.errors import (
    AccessRefusedError,
    IdempotencyConflictError,
    RequestNotReadyError,
    UnknownRequestError,
)
from exchange.model import RequestedAttribute, Status, SubjectStatus
from exchange.outcomes import Answered
from exchange.subjects import set_status
from tests.house import ANNA, BEN, HOUSING, new_request_id
from tests.integration.main_job.rows import counts, difference, entries, facts

NAME = (RequestedAttribute(name="full_name", form="value"),)
ONE_ENTRY = {"audit_outbox": 1, "audit_opening": 1, "single_use": 1}


def refused(house, what):
    return [one for one in entries(house) if one.type == "access.refused" and one.detail["what"] == what]


USES = {
    "state": request_states.state_of,
    "cancel": request_states.cancel,
    "acknowledge": request_states.acknowledge,
    "collect": requests.collect,
}


@pytest.mark.invariant(7)
@pytest.mark.parametrize("use", USES)
def test_who_asks_for_another_clients_request_is_on_record_once_an_hour(house, client, use):
    house.consented(client)
    theirs = house.ask(client, lines=NAME).request_id
    stranger = house.add_client(HOUSING)

    def knock(request_id):
        with pytest.raises(UnknownRequestError):
            USES[use](house.exchange, house.caller(stranger), request_id, house.clock())

    knock(theirs)
    [entry] = refused(house, "unknown-request")
    assert (entry.org, entry.outcome, entry.detail["client"]) == (HOUSING, "deny", stranger.id)
    assert entry.request is None  # in public not even which one
    assert facts(house, entry.id) == {"asked": str(theirs)}
    for _ in range(3):
        knock(theirs)
        knock(new_request_id(house))
    assert len(refused(house, "unknown-request")) == 1
    house.clock.move(hours=1)
    knock(theirs)
    assert len(refused(house, "unknown-request")) == 2


@pytest.mark.invariant(6)
@pytest.mark.parametrize("use", USES)
def test_anothers_request_and_none_at_all_leave_the_same_rows(house, client, use):
    house.consented(client)
    theirs = house.ask(client, lines=NAME).request_id
    grown = []
    for request_id in (theirs, new_request_id(house)):
        stranger = house.add_client(HOUSING)
        callers = [house.caller(stranger) for _ in range(2)]
        for caller in callers:
            before = counts(house)
            with pytest.raises(UnknownRequestError):
                USES[use](house.exchange, caller, request_id, house.clock())
            grown.append(difference(before, counts(house)))
    first, second = grown[:2], grown[2:]
    assert first == second
    assert first == [ONE_ENTRY | {"single_use": 2}, {"single_use": 1}]  # the proof, and the mark of the hour


@pytest.mark.invariant(7)
def test_a_key_with_another_body_is_on_record(house, client):
    house.consented(client)
    kept = house.ask(client, lines=NAME, key="the-same-key")
    for _ in range(2):
        with pytest.raises(IdempotencyConflictError):
            house.ask(client, key="the-same-key")
    [entry] = refused(house, "key-conflict")
    assert (entry.request, entry.org, entry.detail["client"]) == (kept.request_id, HOUSING, client.id)


@pytest.mark.invariant(7)
def test_an_answer_that_is_not_sent_again_is_in_the_persons_history(house, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    assert isinstance(answered, Answered)
    house.clock.move(minutes=10)
    for _ in range(2):
        with pytest.raises(RequestNotReadyError):
            house.collect(client, answered.request_id)
    [entry] = refused(house, "redelivery")
    assert (entry.request, entry.purpose) == (answered.request_id, "housing_benefit")
    assert house.people[ANNA] in history(house)[entry.id]
    # Another request is another matter, in the same hour too.
    other = house.ask(client, lines=NAME)
    request_states.acknowledge(house.exchange, house.caller(client), other.request_id, house.clock())
    with pytest.raises(RequestNotReadyError):
        house.collect(client, other.request_id)
    assert [one.request for one in refused(house, "redelivery")] == [answered.request_id, other.request_id]


def test_of_an_erased_person_it_is_on_record_and_nobodys(house, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    with pytest.raises(RequestNotReadyError):
        house.collect(client, answered.request_id)
    [entry] = refused(house, "redelivery")
    assert history(house).get(entry.id) is None


def history(house):
    from sqlalchemy import select

    from exchange.audit.tables import audit_subject_entry

    with house.exchange.database.read() as connection:
        rows = connection.execute(select(audit_subject_entry.c.entry_id, audit_subject_entry.c.subject_ref))
        found = {}
        for row in rows:
            found.setdefault(row.entry_id, set()).add(row.subject_ref)
        return found


@pytest.mark.invariant(7)
@pytest.mark.parametrize("who", ["client", "agency"])
def test_a_suspended_party_that_goes_on_with_its_token_is_on_record(house, client, who):
    _, request_id = house.consented(client), house.ask(client, lines=NAME).request_id
    asking, collecting = house.caller(client), house.caller(client)
    if who == "client":
        agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    else:
        agencies.set_agency_status(house.exchange, HOUSING, Status.SUSPENDED, house.clock())
    with pytest.raises(AccessRefusedError):
        house.ask(client, lines=NAME, caller=asking)
    [entry] = refused(house, "suspended")
    assert (entry.org, entry.detail["client"]) == (HOUSING, client.id)
    with pytest.raises(AccessRefusedError):
        requests.collect(house.exchange, collecting, request_id, house.clock())
    assert len(refused(house, "suspended")) == 1
    house.clock.move(hours=1)
    with pytest.raises(AccessRefusedError):
        requests.collect(house.exchange, house.again(collecting), request_id, house.clock())
    assert len(refused(house, "suspended")) == 2


def test_a_token_that_has_only_ended_leaves_no_entry(house, client):
    caller = house.caller(client)
    house.clock.move(minutes=6)
    before = counts(house)
    with pytest.raises(AccessRefusedError):
        house.ask(client, lines=NAME, caller=caller)
    assert difference(before, counts(house)) == {}


@pytest.mark.invariant(7)
def test_a_person_who_may_no_longer_sign_in_is_on_record(house):
    set_status(house.exchange, house.people[BEN], SubjectStatus.DECEASED, house.clock())
    now = house.clock()
    for number in range(2):
        token = NewToken(
            jti=f"jti-{number}",
            jkt="jkt",
            scopes=("me",),
            issued_at=now,
            expires_at=now + timedelta(minutes=5),
            subject_ref=house.people[BEN],
        )
        with pytest.raises(AccessRefusedError):
            access.issue(house.exchange, token, uses=[], org="subject", now=now)
    [entry] = refused(house, "sign-in")
    assert (entry.org, entry.outcome) == ("subject", "deny")
    assert facts(house, entry.id) == {"reason": "not-in-force"}
    assert entry.id not in history(house)


def test_of_many_attempts_at_once_one_is_recorded(house, client):
    start = threading.Barrier(8)

    def knock():
        start.wait()
        refusals.record_key_conflict(house.exchange, house.caller(client), HOUSING, request_id, house.clock())

    request_id = new_request_id(house)
    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused(house, "key-conflict")) == 1


@pytest.mark.invariant(7)
def test_what_cannot_be_recorded_is_not_refused_in_silence(house, client, monkeypatch):
    from exchange import uow
    from exchange.errors import DatabaseError

    def full(*_args):
        raise DatabaseError("full")

    monkeypatch.setattr(uow.UnitOfWork, "_append_entries", full)
    caller = house.caller(client)
    before = counts(house)
    with pytest.raises(DatabaseError):
        request_states.state_of(house.exchange, caller, new_request_id(house), house.clock())
    # Only the proof was taken: the next attempt is recorded.
    assert difference(before, counts(house)) == {"single_use": 1}
