"""Locks are taken in one order: subject, consent, request, counters. Two who meet never wait for ever."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from exchange import agreements, erasure, request_states, requests, subjects
from exchange.errors import RequestNotReadyError
from exchange.model import RequestedAttribute, SubjectStatus
from exchange.outcomes import Answered
from exchange.policy import DenyReason
from tests.house import ANNA, BEN, COUNTRY, House

FORMS = (("annual_income", "at_least:30001"), ("home_address", "exists"), ("birth_date", "at_least:18"))


def by_law(house: House, form_limit: int) -> None:
    """A variant of the country's agreement by law, with three weaker forms."""
    text = (
        Path(COUNTRY / "agreements" / "benefit-review.yaml").read_text().replace("code: benefit-review", "code: review")
    )
    lines = "".join(f'  - {{name: {name}, form: "{form}", required: true}}\n' for name, form in FORMS)
    head, _, rest = text.partition("lines:\n")
    text = (
        head
        + "lines:\n"
        + lines
        + rest[rest.index("valid_from:") :].replace("form_limit: 2", f"form_limit: {form_limit}")
    )
    proposed = agreements.propose(house.exchange, text, by="officer-a", now=house.clock())
    agreements.approve(
        house.exchange, "review", revision=proposed.revision, digest=proposed.digest, by="officer-b", now=house.clock()
    )


def test_requests_that_name_the_same_forms_in_any_order_do_not_deadlock(house: House, client):
    by_law(house, form_limit=366)
    token = house.caller(client)
    asked = tuple(RequestedAttribute(name=name, form=form) for name, form in FORMS)
    callers = [house.again(token) for _ in range(48)]

    def ask(number: int) -> object:
        order = asked if number % 2 else asked[::-1]
        return house.ask(client, lines=order, agreement="review", purpose="benefit_review", caller=callers[number])

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(48)))
    assert {type(one) for one in outcomes} == {Answered}


@pytest.mark.invariant(11)
@pytest.mark.parametrize("use", [requests.collect, request_states.cancel])
def test_an_erasure_that_meets_the_agency_is_carried_out(house: House, client, use):
    for _ in range(3):
        waiting = house.ask(client, BEN)
    house.allow(BEN, waiting.request_id)
    caller = house.caller(client)
    with ThreadPoolExecutor(2) as pool:
        erasing = pool.submit(erasure.erase, house.exchange, house.people[BEN], house.clock())
        using = pool.submit(use, house.exchange, caller, waiting.request_id, house.clock())
        assert erasing.result(60).rows
        using.exception(60)  # whichever came first: answered, cancelled, or nobody there
    house.clock.move(days=15)
    with pytest.raises(RequestNotReadyError):
        house.collect(client, waiting.request_id)


@pytest.mark.invariant(6)
def test_an_erased_person_is_refused_like_a_silent_one_when_the_agreement_has_ended(house: House, client):
    waiting = [house.ask(client, who) for who in (ANNA, BEN)]
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    agreements.end(house.exchange, "housing-benefit", by="officer-a", now=house.clock())
    reasons = [house.collect(client, one.request_id).reason for one in waiting]
    assert reasons == [DenyReason.AGREEMENT_NOT_IN_FORCE] * 2


@pytest.mark.invariant(6)
def test_a_protected_person_is_told_apart_neither_by_a_question_nor_by_a_second_delivery(house: House, client):
    subjects.set_status(house.exchange, house.people[BEN], SubjectStatus.PROTECTED, house.clock())
    asked = [house.ask(client, who) for who in (ANNA, BEN)]
    assert type(asked[0]) is type(asked[1])
    name = (RequestedAttribute(name="full_name"),)
    for who, one in zip((ANNA, BEN), asked, strict=True):
        house.allow(who, one.request_id)
        first = house.ask(client, who, lines=name)
        assert isinstance(house.collect(client, first.request_id), Answered)
