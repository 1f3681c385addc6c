"""Invariant 9: an answer that got lost is sent again, for a while, to the same client, while the permission stands."""

import pytest
from sqlalchemy import select

from consent import tables as consent_tables
from exchange import consents, request_states, subjects
from exchange.errors import RequestNotReadyError
from exchange.model import RequestedAttribute, SubjectStatus
from exchange.outcomes import Answered
from exchange.tables import attribute_request, disclosure
from tests.house import ANNA, House
from tests.integration.main_job.rows import types

NAME = (RequestedAttribute(name="full_name"),)


@pytest.mark.invariant(9)
def test_an_answer_is_sent_again_for_ten_minutes_and_takes_no_use(house: House, client):
    house.consented(client, uses=3)
    first = house.ask(client, lines=NAME)
    second = house.collect(client, first.request_id)
    assert isinstance(second, Answered)
    assert second.disclosure_id == first.disclosure_id
    assert second.jwe != first.jwe
    assert house.open_answer(client, second)["attributes"] == house.open_answer(client, first)["attributes"]
    assert types(house).count("attribute.redelivered") == 1
    with house.exchange.database.read() as connection:
        assert connection.execute(select(consent_tables.consent.c.uses_left)).scalar_one() == 2
    house.clock.move(minutes=10)
    with pytest.raises(RequestNotReadyError):
        house.collect(client, first.request_id)


@pytest.mark.invariant(9)
def test_an_answer_is_not_sent_again_after_its_arrival_was_confirmed(house: House, client):
    house.consented(client)
    first = house.ask(client, lines=NAME)
    request_states.acknowledge(house.exchange, house.caller(client), first.request_id, house.clock())
    with pytest.raises(RequestNotReadyError):
        house.collect(client, first.request_id)


@pytest.mark.invariant(9)
def test_an_answer_is_not_sent_again_after_a_withdrawal(house: House, client):
    decided = house.consented(client)
    first = house.ask(client, lines=NAME)
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    with pytest.raises(RequestNotReadyError):
        house.collect(client, first.request_id)


@pytest.mark.invariant(9)
def test_only_the_request_that_used_a_consent_up_gets_its_answer_again(house: House, client):
    house.consented(client, uses=2)
    earlier = house.ask(client, lines=NAME)
    house.clock.move(seconds=1)
    last = house.ask(client, lines=NAME)
    assert isinstance(house.collect(client, last.request_id), Answered)
    with pytest.raises(RequestNotReadyError):
        house.collect(client, earlier.request_id)


@pytest.mark.invariant(9)
def test_no_answer_is_stored(house: House, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    ciphertext = answered.jwe.split(".")[3]
    with house.exchange.database.read() as connection:
        rows = connection.execute(select(*attribute_request.c)).all()
        rows += connection.execute(select(*disclosure.c)).all()
    assert ciphertext[:40] not in repr(rows)


@pytest.mark.invariant(9)
@pytest.mark.parametrize("status", [SubjectStatus.PROTECTED, SubjectStatus.DECEASED])
def test_an_answer_is_not_sent_again_about_somebody_whose_status_changed(house: House, client, status):
    house.consented(client)
    first = house.ask(client)
    subjects.set_status(house.exchange, house.people[ANNA], status, house.clock())
    with pytest.raises(RequestNotReadyError):
        house.collect(client, first.request_id)
