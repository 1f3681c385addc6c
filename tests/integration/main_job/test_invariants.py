"""Invariants of docs/architecture.md that belong to the main job, each attacked here."""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import pytest
from sqlalchemy import event, select, update

from consent import tables as consent_tables
from exchange import consents, request_states, requests, subjects
from exchange.audit import outbox
from exchange.audit.history_store import history
from exchange.audit.tables import audit_leaf, audit_outbox
from exchange.erasure import erase
from exchange.errors import ReplayedError, RequestNotReadyError, UnauditedChangeError, UnknownRequestError
from exchange.events import Event, EventType
from exchange.model import RequestedAttribute, SubjectName, SubjectStatus
from exchange.outcomes import Answered, Refused, Repeated, Waiting
from exchange.tables import agency, disclosure
from tests.house import ANNA, BEN, PARKING, House, new_request_id
from tests.integration.main_job.rows import counts, difference, disclosures, entries, only
from tests.integration.subjects.inspect import sealed_bytes

NAME = (RequestedAttribute(name="full_name"),)
NOBODY = SubjectName(scheme="national-id", id="VAL-999999-9")


class Broken(Exception):
    """The outbox cannot be written."""


def refuse_to_append(*_args):
    raise Broken


@pytest.mark.invariant(1)
def test_nothing_is_disclosed_when_its_entry_cannot_be_written(house: House, client):
    house.consented(client, uses=2)
    before = counts(house)
    deaf = replace(house, services=replace(house.services, exchange=replace(house.exchange, append=refuse_to_append)))
    with pytest.raises(Broken):
        deaf.ask(client, lines=NAME)
    grown = difference(before, counts(house))
    assert grown == {"access_token": 1}
    with house.exchange.database.read() as connection:
        left = connection.execute(select(consent_tables.consent.c.uses_left)).scalar_one()
    assert left == 2


@pytest.mark.invariant(1)
def test_the_entry_is_durable_with_the_disclosure_and_not_before(house: House, client):
    house.consented(client)
    seen = []

    def look(connection, prepared, openings):
        outbox.append(connection, prepared, openings)
        with house.exchange.database.read() as other:
            waiting = {row.id for row in other.execute(select(audit_outbox.c.id))}
            disclosed = {row.id for row in other.execute(select(disclosure.c.id))}
        seen.append(({entry.id for entry in prepared} & waiting, disclosed))

    watched = replace(house, services=replace(house.services, exchange=replace(house.exchange, append=look)))
    answered = watched.ask(client, lines=NAME)
    assert seen == [(set(), set())]  # another connection saw neither before the commit
    with house.exchange.database.read() as connection:
        row = connection.execute(select(disclosure.c.id, disclosure.c.entry_id)).one()
        entry = connection.execute(select(audit_outbox.c.id).where(audit_outbox.c.id == row.entry_id)).scalar_one()
    assert (row.id, entry) == (answered.disclosure_id, answered.entry_id)


@pytest.mark.invariant(1)
def test_every_disclosure_has_its_entry_in_the_log(house: House, client):
    house.consented(client)
    for _ in range(5):
        house.ask(client, lines=NAME)
    house.integrate()
    with house.exchange.database.read() as connection:
        logged = {row.id for row in connection.execute(select(audit_leaf.c.id))}
    assert len(disclosures(house)) == 5
    assert {row.entry_id for row in disclosures(house)} <= logged


def _waits_then(house: House, client, change) -> object:
    """Let a request read its ground, then commit ``change`` before it can write, by holding the write lock first."""
    read = threading.Event()
    go_on = threading.Event()
    exchange = house.exchange

    class Held(type(exchange.keyring)):
        """A keyring that tells when the ground was read: values are opened right after it."""

        def open(self, connection, row):
            key = exchange.keyring.open(connection, row)
            if not read.is_set():
                read.set()
                assert go_on.wait(30)
            return key

    held = Held.__new__(Held)
    held.__dict__.update(exchange.keyring.__dict__)
    slow = replace(house, services=replace(house.services, exchange=replace(exchange, keyring=held)))
    caller = house.caller(client)
    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(lambda: slow.ask(client, lines=NAME, caller=caller))
        assert read.wait(30)
        change()
        go_on.set()
        return outcome.result(60)


@pytest.mark.invariant(2)
def test_a_withdrawal_between_reading_and_writing_wins(house: House, client):
    decided = house.consented(client)
    outcome = _waits_then(
        house, client, lambda: consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    )
    assert isinstance(outcome, Refused)
    assert disclosures(house) == []


@pytest.mark.invariant(2)
def test_a_pause_between_reading_and_writing_wins(house: House, client):
    decided = house.consented(client)
    outcome = _waits_then(
        house, client, lambda: consents.pause(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    )
    assert isinstance(outcome, Refused)
    assert disclosures(house) == []


@pytest.mark.invariant(2)
def test_a_change_of_the_person_between_reading_and_writing_wins(house: House, client):
    house.consented(client)
    outcome = _waits_then(
        house,
        client,
        lambda: subjects.set_status(house.exchange, house.people[ANNA], SubjectStatus.DECEASED, house.clock()),
    )
    assert isinstance(outcome, Waiting)
    assert disclosures(house) == []


@pytest.mark.invariant(2)
def test_no_disclosure_follows_an_acknowledged_withdrawal_under_load(house: House, client):
    decided = house.consented(client)
    withdrawn = threading.Event()
    started_after = []

    def ask_on() -> list[tuple[bool, object]]:
        outcomes = []
        for _ in range(12):
            late = withdrawn.is_set()
            outcomes.append((late, house.ask(client, lines=NAME)))
        return outcomes

    def withdraw() -> None:
        consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
        withdrawn.set()

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask_on) for _ in range(3)]
        while not any(isinstance(row, object) for row in disclosures(house)):
            pass
        pool.submit(withdraw).result(60)
        started_after = [outcome for future in asking for late, outcome in future.result(60) if late]
    assert not [outcome for outcome in started_after if isinstance(outcome, Answered)]
    with house.exchange.database.read() as connection:
        ended = connection.execute(select(consent_tables.consent.c.version)).scalar_one()
    assert disclosures(house)
    assert all(row.consent_version < ended for row in disclosures(house))


@pytest.mark.invariant(6)
def test_a_non_party_sees_the_same_as_nothing(house: House, client):
    waiting = house.ask(client)
    stranger = house.add_client(PARKING)
    for use in (request_states.state_of, request_states.cancel, request_states.acknowledge, requests.collect):
        errors = []
        for request_id in (waiting.request_id, new_request_id(house)):
            with pytest.raises(UnknownRequestError) as caught:
                use(house.exchange, house.caller(stranger), request_id, house.clock())
            errors.append(str(caught.value).replace(str(request_id), "ID"))
        assert errors[0] == errors[1]


@pytest.mark.invariant(6)
def test_an_unknown_person_looks_like_a_silent_one_in_every_table_and_answer(house: House, client):
    house.ask(client, BEN)  # whatever happens once has happened
    growth, outcomes = [], []
    for who in (ANNA, NOBODY):
        before = counts(house)
        outcomes.append(house.ask(client, who))
        growth.append(difference(before, counts(house)))
    known, unknown = outcomes
    assert growth[0] == growth[1]
    assert type(known) is type(unknown) is Waiting
    assert known.expires_at == unknown.expires_at
    assert len(known.reference) == len(unknown.reference)
    for moved in (0, 15):
        house.clock.move(days=moved)
        states = [
            request_states.state_of(house.exchange, house.caller(client), one.request_id, house.clock())
            for one in outcomes
        ]
        assert states[0].state == states[1].state
        assert replace(states[0], id=states[1].id) == states[1]
    public = [
        {
            (entry.type, entry.outcome, entry.org, entry.purpose, len(entry.commitments))
            for entry in entries(house)
            if entry.request == one.request_id
        }
        for one in outcomes
    ]
    assert public[0] == public[1]
    assert len(public[0]) == 2


@pytest.mark.invariant(6)
@pytest.mark.parametrize("status", [SubjectStatus.DECEASED])
def test_a_person_who_cannot_answer_looks_like_one_who_does_not(house: House, client, status):
    subjects.set_status(house.exchange, house.people[ANNA], status, house.clock())
    assert type(house.ask(client, ANNA)) is Waiting


@pytest.mark.invariant(7)
def test_refused_replayed_and_failed_attempts_are_on_record(house: House, client):
    house.ask(client, agreement="no-such-agreement")
    assert only(house, "request.denied").detail == {"reason": "unknown_agreement"}
    caller = house.caller(client)
    house.ask(client, lines=NAME, caller=caller)
    with pytest.raises(ReplayedError):
        house.ask(client, lines=NAME, caller=caller)
    assert only(house, "access.replayed").detail["client"] == client.id


@pytest.mark.invariant(7)
def test_a_refusal_stands_in_the_persons_own_history(house: House, client):
    decided = house.consented(client)
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    house.ask(client, lines=NAME)
    denied = only(house, "request.denied")
    with house.exchange.database.read() as connection:
        own, others = (
            {row.entry_id for row in history(connection, house.people[who], limit=50, before=None, now=house.clock())}
            for who in (ANNA, BEN)
        )
    assert denied.id in own
    assert denied.id not in others


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_a_proof_one_wins(house: House, client):
    house.consented(client)
    caller = house.caller(client)

    def once(_number: int) -> str:
        try:
            return type(house.ask(client, lines=NAME, caller=caller)).__name__
        except ReplayedError:
            return "replayed"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(once, range(100)))
    assert sorted(set(outcomes)) == ["Answered", "replayed"]
    assert outcomes.count("Answered") == 1
    assert len(disclosures(house)) == 1


@pytest.mark.invariant(9)
def test_an_idempotency_key_has_one_effect_however_often_it_comes(house: House, client):
    house.consented(client)
    token = house.caller(client)
    callers = [house.again(token) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(
            pool.map(lambda caller: house.ask(client, lines=NAME, key="one-key-only", caller=caller), callers)
        )
    answered = [one for one in outcomes if isinstance(one, Answered)]
    assert len(answered) == 1
    assert {one.request_id for one in outcomes if isinstance(one, Repeated)} == {answered[0].request_id}
    assert len(disclosures(house)) == 1


@pytest.mark.invariant(10)
def test_a_change_without_an_entry_is_refused(house: House):
    def rename_in_silence() -> None:
        with house.exchange.unit_of_work(house.clock()) as uow:
            uow.connection.execute(update(agency).values(name="Renamed in silence"))
            uow.commit()

    with pytest.raises(UnauditedChangeError):
        rename_in_silence()
    with house.exchange.database.read() as connection:
        names = {row.name for row in connection.execute(select(agency.c.name))}
    assert "Renamed in silence" not in names


@pytest.mark.invariant(10)
def test_leaving_a_unit_of_work_without_commit_leaves_nothing(house: House):
    before = counts(house)
    with house.exchange.unit_of_work(house.clock()) as uow:
        uow.connection.execute(update(agency).values(name="Renamed and left"))
        uow.record(Event(type=EventType.CATALOGUE_LOADED, org="cdx"))
    assert counts(house) == before


@pytest.mark.invariant(10)
def test_one_answered_request_is_one_commit(house: House, client):
    house.consented(client)
    caller = house.caller(client)
    before = counts(house)
    commits = []
    event.listen(house.exchange.database.engine, "commit", commits.append)
    assert isinstance(house.ask(client, lines=NAME, caller=caller), Answered)
    assert len(commits) == 1
    assert difference(before, counts(house)) == {
        "attribute_request": 1,
        "audit_opening": 1,
        "audit_outbox": 1,
        "audit_subject_entry": 1,
        "disclosure": 1,
        "idempotency": 1,
        "pseudonym": 1,
        "single_use": 1,
    }


@pytest.mark.invariant(6)
def test_a_request_about_an_erased_person_looks_like_one_about_nobody(house: House, client):
    known, unknown = house.ask(client, ANNA), house.ask(client, NOBODY)
    erase(house.exchange, house.people[ANNA], house.clock())
    exchange, now = house.exchange, house.clock
    for days in (0, 15):
        now.move(days=days)
        seen = []
        for one in (known, unknown):
            state = request_states.state_of(exchange, house.caller(client), one.request_id, now())
            try:
                collected = type(house.collect(client, one.request_id)).__name__
            except RequestNotReadyError as error:
                collected = str(error).replace(str(one.request_id), "ID")
            seen.append((replace(state, id=known.request_id), collected))
        assert seen[0] == seen[1]


@pytest.mark.invariant(6)
def test_a_request_about_an_erased_person_can_be_cancelled_like_one_about_nobody(house: House, client):
    requests_ = [house.ask(client, who) for who in (ANNA, NOBODY)]
    erase(house.exchange, house.people[ANNA], house.clock())
    states = [
        request_states.cancel(house.exchange, house.caller(client), one.request_id, house.clock()).state
        for one in requests_
    ]
    assert states == ["cancelled", "cancelled"]


@pytest.mark.invariant(11)
def test_an_erasure_that_meets_a_new_question_leaves_nothing_sealed(house: House, client):
    exchange, ref = house.exchange, house.people[ANNA]
    caller = house.caller(client)
    with ThreadPoolExecutor(1) as pool:
        erasing = []

        class Meeting(type(exchange.keyring)):
            """A keyring at whose first use of the person's key an erasure begins."""

            def load(self, connection, subject_ref, *, kid=None):
                key = exchange.keyring.load(connection, subject_ref, kid=kid)
                if subject_ref == ref and not erasing:
                    erasing.append(pool.submit(erase, exchange, ref, house.clock()))
                    wait(erasing, timeout=1)  # time to do its worst, if nothing holds it
                return key

        meeting = Meeting.__new__(Meeting)
        meeting.__dict__.update(exchange.keyring.__dict__)
        met = replace(house, services=replace(house.services, exchange=replace(exchange, keyring=meeting)))
        assert type(met.ask(client, caller=caller)) is Waiting
        erasing[0].result(60)
    assert sealed_bytes(exchange, ref) == []
