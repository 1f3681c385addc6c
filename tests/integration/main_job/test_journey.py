"""The main job in process: ask, decide, collect, again, withdraw, refused; and every other way a request can go."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.errors import ScopeError, UnknownConsentError
from exchange import (
    agencies,
    agreements,
    citizen_views,
    consent_receipts,
    consents,
    disclosures,
    request_states,
    requests,
)
from exchange.audit.receipts import verify_receipt
from exchange.errors import (
    AccessRefusedError,
    AgreementNotInForceError,
    IdempotencyConflictError,
    NoticeError,
    RequestNotReadyError,
    UnknownRequestError,
)
from exchange.model import RequestedAttribute, Status, SubjectName
from exchange.outcomes import Answered, Refused, Repeated, Waiting
from exchange.policy import DenyReason
from tests.house import ANNA, BEN, HOUSING_LINES, PARKING, House
from tests.integration.main_job.rows import disclosures as all_disclosures
from tests.integration.main_job.rows import facts, only, types

NAME = (RequestedAttribute(name="full_name", form="value"),)


def test_the_main_job_from_first_request_to_refusal(house: House, client):
    waiting = house.ask(client)
    assert isinstance(waiting, Waiting)
    assert (
        request_states.state_of(house.exchange, house.caller(client), waiting.request_id, house.clock()).state
        == "waiting"
    )
    asked = citizen_views.waiting(house.exchange, house.citizen(ANNA), house.clock())
    assert [one.id for one in asked] == [waiting.request_id]
    assert asked[0].case_reference == "HB-2026-0042"
    assert asked[0].officer_role == "case worker"
    decided = house.allow(ANNA, waiting.request_id, leave_out=("other_benefits",))
    assert decided.status == "GIVEN"
    assert (
        request_states.state_of(house.exchange, house.caller(client), waiting.request_id, house.clock()).state
        == "ready"
    )
    answered = house.collect(client, waiting.request_id)
    assert isinstance(answered, Answered)
    claims = house.open_answer(client, answered)
    by_name = {one["name"]: one for one in claims["attributes"]}
    assert by_name["full_name"]["value"] == "Anna Example"
    assert by_name["birth_date"]["value"] is True
    assert by_name["annual_income"]["value"] is True
    assert by_name["other_benefits"] == {"name": "other_benefits", "form": "exists", "unavailable": "not_permitted"}
    receipt = verify_receipt(claims["receipt"], key=house.exchange.receipt_signer.public_key())
    assert receipt.id == answered.entry_id
    again = house.ask(client)
    assert isinstance(again, Answered)
    assert house.open_answer(client, again)["sub"] == claims["sub"]
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    refused = house.ask(client)
    assert isinstance(refused, Refused)
    assert refused.reason is DenyReason.COOLING_OFF
    house.integrate()
    own = disclosures.history(house.exchange, house.citizen(ANNA), cursor=None, limit=10, now=house.clock())
    assert len(own.disclosures) == 2
    assert all(one.proof is not None for one in own.disclosures)
    assert {"consent.requested", "request.waiting", "consent.given", "attribute.disclosed", "consent.withdrawn"} <= set(
        types(house)
    )


def test_the_pseudonym_of_an_answer_names_the_person_from_then_on_to_that_agency_only(house: House, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    sub = SubjectName(scheme="sub", id=house.open_answer(client, answered)["sub"])
    assert isinstance(house.ask(client, sub, lines=NAME), Answered)
    parking = house.add_client(PARKING)
    outcome = house.ask(parking, sub, lines=NAME, agreement="resident-parking", purpose="resident_parking")
    assert isinstance(outcome, Waiting)  # nobody of that name is known to it


def test_an_attribute_outside_the_consent_is_refused_with_its_exact_reason_sealed(house: House, client):
    waiting = house.ask(client)
    house.allow(ANNA, waiting.request_id, leave_out=("other_benefits",))
    refused = house.ask(client, lines=(RequestedAttribute(name="other_benefits", form="exists"),))
    assert refused.reason is DenyReason.OUTSIDE_CONSENT
    entry = only(house, "request.denied")
    assert entry.outcome == "deny"
    assert entry.detail == {}
    assert facts(house, entry.id)["reason"] == "outside_consent"


def test_a_value_is_not_given_under_a_consent_to_a_weaker_form(house: House, client):
    house.consented(client)
    refused = house.ask(client, lines=(RequestedAttribute(name="birth_date", form="value"),))
    assert refused.reason is DenyReason.OUTSIDE_AGREEMENT


def test_leaving_out_a_required_attribute_is_no_decision(house: House, client):
    waiting = house.ask(client)
    with pytest.raises(ScopeError):
        house.allow(ANNA, waiting.request_id, leave_out=("full_name",))
    assert isinstance(house.collect(client, waiting.request_id), Waiting)


def test_a_refusal_of_the_citizen_denies_the_request_and_cools_off(house: House, client):
    waiting = house.ask(client)
    consents.refuse(
        house.exchange,
        house.citizen(ANNA),
        waiting.request_id,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    state = request_states.state_of(house.exchange, house.caller(client), waiting.request_id, house.clock())
    assert state.state == "denied"
    assert isinstance(house.collect(client, waiting.request_id), Refused)
    assert house.ask(client).reason is DenyReason.COOLING_OFF
    house.clock.move(days=31)
    assert isinstance(house.ask(client), Waiting)


def test_a_notice_that_was_not_offered_is_no_decision(house: House, client):
    waiting = house.ask(client)
    with pytest.raises(NoticeError):
        consents.refuse(
            house.exchange,
            house.citizen(ANNA),
            waiting.request_id,
            language="xx",
            notice_version="2026-1",
            now=house.clock(),
        )
    with pytest.raises(NoticeError):
        consents.refuse(
            house.exchange,
            house.citizen(ANNA),
            waiting.request_id,
            language="en",
            notice_version="1999",
            now=house.clock(),
        )


def test_somebody_elses_request_cannot_be_decided(house: House, client):
    waiting = house.ask(client, ANNA)
    with pytest.raises(UnknownRequestError):
        house.allow(BEN, waiting.request_id)


def test_somebody_elses_consent_is_as_unknown_as_none(house: House, client):
    decided = house.consented(client, ANNA)
    for step in (consents.withdraw, consents.pause, consents.resume):
        with pytest.raises(UnknownConsentError):
            step(house.exchange, house.citizen(BEN), decided.consent_id, house.clock())
    with pytest.raises(UnknownConsentError):
        consent_receipts.receipt(house.exchange, house.citizen(BEN), decided.consent_id, house.clock())


def test_a_pause_stops_and_a_resumption_lets_flow(house: House, client):
    decided = house.consented(client)
    consents.pause(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    assert house.ask(client, lines=NAME).reason is DenyReason.CONSENT_PAUSED
    assert consents.resume(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock()).status == "GIVEN"
    assert isinstance(house.ask(client, lines=NAME), Answered)


def test_a_consent_for_one_use_is_used_up_by_it(house: House, client):
    decided = house.consented(client, uses=1)
    assert isinstance(house.ask(client, lines=NAME), Answered)
    own = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert [(one.record.id, one.status, one.uses) for one in own] == [(decided.consent_id, "USED_UP", 1)]
    assert isinstance(house.ask(client, lines=NAME), Waiting)
    assert types(house).count("consent.used_up") == 1


def test_an_expired_consent_needs_no_job_to_stop(house: House, client):
    house.consented(client, valid_until=house.clock() + timedelta(hours=1))
    assert isinstance(house.ask(client, lines=NAME), Answered)
    house.clock.move(hours=1)
    assert isinstance(house.ask(client, lines=NAME), Waiting)


def test_an_undecided_request_lapses(house: House, client):
    waiting = house.ask(client)
    house.clock.move(days=15)
    state = request_states.state_of(house.exchange, house.caller(client), waiting.request_id, house.clock())
    assert state.state == "lapsed"
    with pytest.raises(RequestNotReadyError):
        house.collect(client, waiting.request_id)
    assert citizen_views.waiting(house.exchange, house.citizen(ANNA), house.clock()) == []


def test_a_cancelled_request_takes_its_question_back(house: House, client):
    waiting = house.ask(client)
    assert (
        request_states.cancel(house.exchange, house.caller(client), waiting.request_id, house.clock()).state
        == "cancelled"
    )
    assert citizen_views.waiting(house.exchange, house.citizen(ANNA), house.clock()) == []
    with pytest.raises(RequestNotReadyError):
        house.collect(client, waiting.request_id)
    with pytest.raises(RequestNotReadyError):
        request_states.cancel(house.exchange, house.caller(client), waiting.request_id, house.clock())


def test_arrival_is_confirmed_once(house: House, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    state = request_states.acknowledge(house.exchange, house.caller(client), answered.request_id, house.clock())
    assert state.acknowledged_at == house.clock()
    request_states.acknowledge(house.exchange, house.caller(client), answered.request_id, house.clock())
    assert types(house).count("disclosure.acknowledged") == 1


def test_the_same_key_with_another_body_is_refused(house: House, client):
    house.consented(client)
    assert isinstance(house.ask(client, lines=NAME, key="key-one-two"), Answered)
    with pytest.raises(IdempotencyConflictError):
        house.ask(client, key="key-one-two")
    assert isinstance(house.ask(client, lines=NAME, key="key-one-two"), Repeated)
    assert len(all_disclosures(house)) == 1


def test_ending_an_agreement_ends_its_consents(house: House, client):
    house.consented(client)
    waiting = house.ask(client, BEN)
    agreements.end(house.exchange, "housing-benefit", by="officer-a", now=house.clock())
    assert house.ask(client, lines=NAME).reason is DenyReason.AGREEMENT_NOT_IN_FORCE
    own = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert [one.status for one in own] == ["TERMINATED"]
    with pytest.raises(AgreementNotInForceError):
        house.allow(BEN, waiting.request_id)


def test_a_suspended_client_or_agency_gets_nothing(house: House, client):
    house.consented(client)
    caller = house.caller(client)
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())
    with pytest.raises(AccessRefusedError):
        house.ask(client, lines=NAME, caller=caller)
    agencies.set_client_status(house.exchange, client.id, Status.ACTIVE, house.clock())
    assert isinstance(house.ask(client, lines=NAME, caller=house.again(caller)), Answered)
    agencies.set_agency_status(house.exchange, client.agency, Status.SUSPENDED, house.clock())
    with pytest.raises(AccessRefusedError):
        house.ask(client, lines=NAME, caller=house.again(caller))


def test_a_weaker_form_is_answered_so_often_and_no_more(house: House, client):
    house.consented(client)
    adult = (RequestedAttribute(name="birth_date", form="at_least:18"),)
    answers = [house.ask(client, lines=adult) for _ in range(6)]
    assert [isinstance(one, Answered) for one in answers] == [True] * 4 + [False] * 2
    assert answers[-1].reason is DenyReason.FORM_LIMIT
    assert isinstance(house.ask(client, lines=NAME), Answered)  # the value it may have, as before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"agreement": "no-such-agreement"}, DenyReason.UNKNOWN_AGREEMENT),
        ({"agreement": "resident-parking"}, DenyReason.UNKNOWN_AGREEMENT),
        ({"purpose": "no_such_purpose"}, DenyReason.UNKNOWN_PURPOSE),
        ({"purpose": "resident_parking"}, DenyReason.PURPOSE_OUTSIDE_AGREEMENT),
        ({"lines": (RequestedAttribute(name="shoe_size"),)}, DenyReason.UNKNOWN_ATTRIBUTE),
        ({"lines": (RequestedAttribute(name="full_name", form="at_least:3"),)}, DenyReason.UNKNOWN_FORM),
        ({"lines": NAME + NAME}, DenyReason.DUPLICATE_LINE),
        ({"lines": (RequestedAttribute(name="annual_income"),)}, DenyReason.OUTSIDE_AGREEMENT),
    ],
)
def test_the_callers_own_faults_are_named_and_on_record(house: House, client, change, reason):
    refused = house.ask(client, **change)
    assert refused.reason is reason
    entry = only(house, "request.denied")
    assert entry.detail == {"reason": reason.value}
    assert refused.request_id is None


def test_the_receipt_of_a_consent_tells_its_story(house: House, client):
    decided = house.consented(client)
    receipt = consent_receipts.receipt(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock()).receipt
    record = receipt["record"][0]
    assert record["status"] == "GIVEN"
    assert str(house.people[ANNA]) not in str(receipt)


def test_lines_of_the_house_are_all_in_the_agreement(house: House):
    with house.exchange.database.read() as connection:
        agreement = agreements.find_agreement(connection, "housing-benefit")
    assert {(line.name, line.form) for line in HOUSING_LINES} <= agreement.keys


def test_a_token_of_another_client_does_not_open_the_request(house: House, client):
    waiting = house.ask(client)
    other = house.add_client(PARKING)
    with pytest.raises(UnknownRequestError):
        requests.collect(house.exchange, house.caller(other), waiting.request_id, house.clock())
    stolen = replace(house.caller(other), client_id=client.id)
    with pytest.raises(AccessRefusedError):
        requests.collect(house.exchange, stolen, waiting.request_id, house.clock())


BY_LAW = {"agreement": "benefit-review", "purpose": "benefit_review"}
INCOME = (RequestedAttribute(name="annual_income", form="at_least:30001"),)


def test_by_law_nobody_is_asked_and_it_stands_in_the_history(house: House, client):
    answered = house.ask(client, lines=INCOME, **BY_LAW)
    assert isinstance(answered, Answered)
    assert facts(house, answered.entry_id)["permission"] == "law"
    (row,) = all_disclosures(house)
    assert (row.consent_id, row.consent_version) == (None, None)
    house.integrate()
    own = disclosures.history(house.exchange, house.citizen(ANNA), cursor=None, limit=10, now=house.clock())
    assert [one.consent_id for one in own.disclosures] == [None]


def test_by_law_a_person_who_cannot_be_served_gets_the_coarse_refusal(house: House, client):
    nobody = SubjectName(scheme="national-id", id="VAL-999999-9")
    refused = house.ask(client, nobody, lines=INCOME, **BY_LAW)
    assert isinstance(refused, Refused)
    assert not refused.reason.is_callers_fault
    assert refused.request_id is not None


def test_a_weaker_form_tells_nothing_about_the_dates_of_the_value(house: House, client):
    house.consented(client)
    lines = (RequestedAttribute(name="full_name"), RequestedAttribute(name="birth_date", form="at_least:18"))
    name, adult = house.open_answer(client, house.ask(client, lines=lines))["attributes"]
    assert name["last_updated"] == "2026-01-15"
    assert "last_updated" not in adult


def test_a_question_that_was_refused_is_not_answered_under_another_permission(house: House, client):
    refused, allowed = house.ask(client), house.ask(client)
    house.allow(ANNA, allowed.request_id)
    consents.refuse(
        house.exchange,
        house.citizen(ANNA),
        refused.request_id,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    assert isinstance(house.collect(client, refused.request_id), Refused)
    assert isinstance(house.collect(client, allowed.request_id), Answered)
