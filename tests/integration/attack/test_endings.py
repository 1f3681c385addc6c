"""Whatever ends a permission, ends it at once: between reading and writing, during a provider's call, in a crowd."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from exchange import agencies, agreements, consents, erasure, release, requests, subjects
from exchange.model import AttributeRequest, RequestedAttribute, Status, SubjectName, SubjectStatus
from tests.house import ANNA, HOUSING, House
from tests.integration.attack.parts import (
    LIVE_AGREEMENT,
    LIVE_ASKED,
    kind_of,
    live_consent,
    put_in_force,
    with_live_provider,
)
from tests.integration.main_job.rows import counts, difference, disclosures, types

ADDRESS = (RequestedAttribute(name="home_address"),)
NAME = (RequestedAttribute(name="full_name"),)
ADULT = (RequestedAttribute(name="birth_date", form="at_least:18"),)


def _endings(house: House, client, consent_id, agreement: str):
    exchange, now = house.exchange, house.clock()
    citizen, ref = house.citizen(ANNA), house.people[ANNA]
    return {
        "withdrawn": lambda: consents.withdraw(exchange, citizen, consent_id, now),
        "paused": lambda: consents.pause(exchange, citizen, consent_id, now),
        "died": lambda: subjects.set_status(exchange, ref, SubjectStatus.DECEASED, now),
        "erased": lambda: erasure.erase(exchange, ref, now),
        "agreement ended": lambda: agreements.end(exchange, agreement, by="a", now=now),
        "client suspended": lambda: agencies.set_client_status(exchange, client.id, Status.SUSPENDED, now),
        "agency suspended": lambda: agencies.set_agency_status(exchange, client.agency, Status.SUSPENDED, now),
        "protected": lambda: subjects.set_status(exchange, ref, SubjectStatus.PROTECTED, now),
        "superseded by less": lambda: _renewed_under_less(house, citizen, consent_id, agreement),
    }


def _renewed_under_less(house: House, citizen, consent_id, agreement: str) -> None:
    put_in_force(house, agreement, (("full_name", "value"),))
    consents.renew(house.exchange, citizen, consent_id, language="en", notice_version="2026-1", now=house.clock())


@pytest.mark.invariant(2)
@pytest.mark.parametrize(
    "ending",
    ["erased", "agreement ended", "client suspended", "agency suspended", "protected", "superseded by less"],
)
def test_an_ending_between_reading_and_writing_wins(house: House, client, monkeypatch, ending):
    both = (("full_name", "value"), ("home_address", "value"))
    put_in_force(house, "two-facts", both)
    waiting = house.ask(client, lines=(*NAME, *ADDRESS), agreement="two-facts")
    decided = consents.allow(
        house.exchange,
        house.citizen(ANNA),
        waiting.request_id,
        selection=both,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    end = _endings(house, client, decided.consent_id, "two-facts")[ending]
    prepare, done = requests.prepare_release, []

    def prepare_then_end(*args, **kwargs):
        prepared = prepare(*args, **kwargs)
        if not done:
            done.append(end())
        return prepared

    monkeypatch.setattr(requests, "prepare_release", prepare_then_end)
    caller = house.caller(client)
    outcome = kind_of(lambda: house.ask(client, lines=ADDRESS, agreement="two-facts", caller=caller))
    assert done
    assert outcome in {"Refused", "Waiting", "AccessRefusedError"}
    assert disclosures(house) == []


@pytest.mark.invariant(2)
@pytest.mark.parametrize(
    "ending", ["withdrawn", "paused", "died", "erased", "agreement ended", "client suspended", "agency suspended"]
)
def test_an_ending_while_a_provider_is_asked_wins(house: House, client, ending):
    live, provider = with_live_provider(house)
    request_id, decided = live_consent(live, client)
    provider.during = _endings(live, client, decided.consent_id, "plate-check")[ending]
    outcome = kind_of(lambda: live.collect(client, request_id))
    assert provider.calls == 1
    assert outcome in {"Refused", "Waiting", "AccessRefusedError"}
    assert disclosures(house) == []
    assert types(house).count("request.received") == 1


@pytest.mark.invariant(2)
def test_a_crowd_takes_no_more_uses_than_were_given(house: House, client):
    house.consented(client, uses=5)
    token = house.caller(client)
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(
            pool.map(lambda _: kind_of(lambda: house.ask(client, lines=NAME, caller=house.again(token))), range(24))
        )
    assert outcomes.count("Answered") == 5 == len(disclosures(house))
    assert set(outcomes) == {"Answered", "Waiting"}
    assert types(house).count("consent.used_up") == 1


@pytest.mark.invariant(6)
def test_the_limit_of_a_form_holds_for_all_clients_and_names_at_once(house: House, client):
    house.consented(client)
    name = house.open_answer(client, house.ask(client, lines=NAME))["sub"]
    callers = [client, house.add_client(HOUSING)]
    tokens = [house.caller(one) for one in callers]

    def ask(number: int) -> str:
        who = ANNA if number % 3 else SubjectName(scheme="sub", id=name)
        place = number % 2
        return kind_of(lambda: house.ask(callers[place], who, lines=ADULT, caller=house.again(tokens[place])))

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(18)))
    assert outcomes.count("Answered") == 4
    assert set(outcomes) == {"Answered", "Refused"}


@pytest.mark.invariant(1)
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_statement_that_fails_amid_a_pipeline_leaves_nothing_and_no_broken_connection(
    house: House, client, monkeypatch
):
    house.consented(client, uses=20)
    token = house.caller(client)
    before = counts(house)
    row = release._disclosure_row  # one value of it will not fit its column
    with monkeypatch.context() as patched:
        patched.setattr(release, "_disclosure_row", lambda *args: row(*args) | {"kid": "k" * 500})
        for _ in range(7):  # more than the pool keeps open
            assert kind_of(lambda: house.ask(client, lines=NAME, caller=house.again(token))) != "Answered"
    assert difference(before, counts(house)) == {}
    for _ in range(7):
        assert kind_of(lambda: house.ask(client, lines=NAME, caller=house.again(token))) == "Answered"


@pytest.mark.invariant(7)
def test_a_fact_that_no_entry_can_hold_stops_a_request_before_a_provider_is_asked(house: House, client):
    live, provider = with_live_provider(house)
    request_id, _ = live_consent(live, client)
    assert kind_of(lambda: live.collect(client, request_id)) == "Answered"
    asked, before = provider.calls, counts(house)
    token = live.caller(client)
    request = AttributeRequest(
        subject=ANNA,
        agreement=LIVE_AGREEMENT,
        purpose="housing_benefit",
        attributes=LIVE_ASKED,
        acting_officer="o" * 65_536,
        officer_role="role",
        case_reference="case",
    )
    for long in (request, replace(request, acting_officer="o", case_reference="c" * 65_536)):
        outcome = kind_of(
            lambda long=long: requests.submit(
                live.exchange,
                live.again(token),
                long,
                idempotency_key="long-facts",
                body_digest=b"d" * 32,
                now=live.clock(),
            )
        )
        assert outcome == "AuditError"
    assert provider.calls == asked
    assert difference(before, counts(house)) == {"access_token": 1}
