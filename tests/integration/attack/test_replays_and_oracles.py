"""Keys and proofs used again where they do not belong; and what an agency can learn about who exists."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from exchange import erasure, request_states, requests, subjects
from exchange.errors import ReplayedError
from exchange.model import HeldValue, RequestedAttribute, SubjectName, SubjectStatus
from exchange.outcomes import Waiting
from tests.house import ANNA, BEN, House
from tests.integration.attack.parts import kind_of
from tests.integration.main_job.rows import disclosures, types

NAME = (RequestedAttribute(name="full_name"),)
ADDRESS = (RequestedAttribute(name="home_address"),)
NOBODY = SubjectName(scheme="national-id", id="VAL-999999-9")


@pytest.mark.invariant(9)
def test_one_key_with_two_bodies_at_once_has_one_effect(house: House, client):
    house.consented(client)
    token = house.caller(client)

    def ask(number: int) -> str:
        lines = (NAME, ADDRESS)[number % 2]
        return kind_of(lambda: house.ask(client, lines=lines, key="one-key-two", caller=house.again(token)))

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(ask, range(16)))
    assert outcomes.count("Answered") == 1 == len(disclosures(house))
    assert set(outcomes) == {"Answered", "Repeated", "IdempotencyConflictError"}


@pytest.mark.invariant(9)
def test_the_key_of_another_client_of_the_same_agency_is_another_key(house: House, client):
    house.consented(client)
    other = house.add_client(client.agency)
    assert kind_of(lambda: house.ask(client, lines=NAME, key="same-words")) == "Answered"
    assert kind_of(lambda: house.ask(other, lines=ADDRESS, key="same-words")) == "Answered"


@pytest.mark.invariant(9)
@pytest.mark.parametrize(
    "use", [requests.collect, request_states.state_of, request_states.cancel, request_states.acknowledge]
)
def test_a_proof_that_asked_is_good_for_nothing_else(house: House, client, use):
    house.consented(client)
    caller = house.caller(client)
    answered = house.ask(client, lines=NAME, caller=caller)
    for _ in range(2):
        with pytest.raises(ReplayedError):
            use(house.exchange, caller, answered.request_id, house.clock())
    assert types(house).count("access.replayed") == 1


@pytest.mark.invariant(6)
@pytest.mark.parametrize("fate", ["died", "erased"])
def test_a_request_about_somebody_gone_goes_on_like_one_about_somebody_silent(house: House, client, fate):
    waiting = [house.ask(client, who) for who in (ANNA, BEN, NOBODY)]
    if fate == "died":
        subjects.set_status(house.exchange, house.people[ANNA], SubjectStatus.DECEASED, house.clock())
    else:
        erasure.erase(house.exchange, house.people[ANNA], house.clock())

    def seen(request_id) -> tuple[str, str, str]:
        state = request_states.state_of(house.exchange, house.caller(client), request_id, house.clock())
        collected = kind_of(lambda: house.collect(client, request_id))
        cancelled = request_states.cancel(house.exchange, house.caller(client), request_id, house.clock())
        return state.state, collected, cancelled.state

    assert [seen(one.request_id) for one in waiting] == [("waiting", "Waiting", "cancelled")] * 3


@pytest.mark.invariant(11)
def test_an_identifier_written_again_after_an_erasure_names_somebody_new(house: House, client):
    house.consented(client)
    answered = house.ask(client, lines=NAME)
    sub = SubjectName(scheme="sub", id=house.open_answer(client, answered)["sub"])
    erasure.erase(house.exchange, house.people[ANNA], house.clock())
    held = HeldValue(name="full_name", provider="population-register", state="present", value="Anna Again")
    record = subjects.SubjectRecord(subject=ANNA, values=(held,))
    subjects.write_values(house.exchange, "population-register", [record], house.clock())
    for who in (ANNA, sub):  # the old consent does not hold, and the old pseudonym leads nowhere
        assert isinstance(house.ask(client, who, lines=NAME), Waiting)
    assert kind_of(lambda: house.collect(client, answered.request_id)) == "RequestNotReadyError"
    assert len(disclosures(house)) == 1
