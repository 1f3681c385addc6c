"""Below HTTP, on both databases: the consent is the grant, and a code has one effect."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from consent.tables import consent, consent_event
from exchange import agencies, agreements, consents, erasure, request_states, requests
from exchange.authorization import pushing
from exchange.authorization.redeeming import Granted, NotGranted
from exchange.errors import AccessRefusedError, UnknownRequestError
from exchange.model import Caller, Status, SubjectName
from exchange.outcomes import Answered, Refused
from exchange.policy import DenyReason
from exchange.tables import access_token, authorization_request, refresh_token
from tests.house import ANNA, BEN, HOUSING
from tests.integration.authorization import flow
from tests.integration.authorization.flow import CODE_FLOW, HOUSING_PERMISSION, asked, granted, pushed, redeemed, rows

SERVED = ("full_name", "household_size")
NOBODY = SubjectName(scheme="national-id", id="VAL-999999-9")


def events_of(house, consent_id):
    statement = select(consent_event.c.type).where(consent_event.c.consent_id == consent_id)
    return [row.type for row in rows(house, statement.order_by(consent_event.c.seq))]


def test_the_permission_is_a_consent_of_the_ledger_and_its_token_uses_it(house, client):
    result = granted(house, client)
    assert events_of(house, result.consent_id) == ["REQUESTED", "GIVEN"]
    [row] = rows(house, select(consent).where(consent.c.id == result.consent_id))
    assert (row.status, row.subject_ref) == ("GIVEN", house.people[ANNA])
    answered = flow.ask_with(house, client, result, asked(*SERVED))
    assert isinstance(answered, Answered)
    claims = house.open_answer(client, answered)
    assert claims["sub"] == result.pseudonym
    assert [one["name"] for one in claims["attributes"]] == list(SERVED)


def test_what_the_person_left_out_is_neither_in_the_grant_nor_given(house, client):
    code = flow.allowed(house, client, pushed(house, client), leave_out=("other_benefits",)).code
    result = redeemed(house, client, code)
    assert "other_benefits" not in {line.name for line in result.permission.lines}
    refused = flow.ask_with(house, client, result, asked("other_benefits"))
    assert isinstance(refused, Refused)


def test_nothing_is_written_about_a_person_who_closes_the_page(house, client):
    request_id = pushed(house, client)
    flow.session(house)
    assert pushing.find_begun(house.exchange, request_id, house.clock()) is not None
    assert rows(house, select(consent)) == []


@pytest.mark.requirement("AZ-09")
def test_a_code_is_good_once_and_a_second_use_ends_what_came_of_the_first(house, client):
    code = flow.allowed(house, client, pushed(house, client)).code
    first = redeemed(house, client, code)
    assert isinstance(first, Granted)
    assert redeemed(house, client, code) == NotGranted(reason="reused")
    with pytest.raises(AccessRefusedError):
        flow.ask_with(house, client, first, asked(*SERVED))
    assert flow.refreshed(house, client, first.refresh_token) == NotGranted(reason="unknown")
    # The permission itself is the person's: it stands.
    [row] = rows(house, select(consent.c.status).where(consent.c.id == first.consent_id))
    assert row.status == "GIVEN"


@pytest.mark.invariant(9)
def test_of_many_replays_of_one_code_at_once_one_gets_a_token(house, client):
    code = flow.allowed(house, client, pushed(house, client)).code
    record = flow.record_of(house, client)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: redeemed(house, client, code), range(16)))
    assert record.id == client.id
    assert sum(isinstance(one, Granted) for one in results) == 1
    assert {one.reason for one in results if isinstance(one, NotGranted)} == {"reused"}
    assert rows(house, select(func.count()).select_from(refresh_token))[0][0] == 1


@pytest.mark.requirement("AS-11")
def test_a_code_lives_for_a_minute(house, client):
    code = flow.allowed(house, client, pushed(house, client)).code
    house.clock.move(seconds=60)
    assert redeemed(house, client, code) == NotGranted(reason="expired")
    code = flow.allowed(house, client, pushed(house, client)).code
    house.clock.move(seconds=59)
    assert isinstance(redeemed(house, client, code), Granted)


def test_what_does_not_fit_a_code_is_refused_and_the_code_stays_good(house, client):
    other = house.add_client(HOUSING, **CODE_FLOW)
    jkt = client.dpop.public_key().thumbprint
    code = flow.allowed(house, client, pushed(house, client, jkt=jkt)).code
    assert redeemed(house, other, code) == NotGranted(reason="another_client")
    assert redeemed(house, client, code, verifier="w" * 43) == NotGranted(reason="code_verifier")
    assert redeemed(house, client, code, verifier=flow.CHALLENGE) == NotGranted(reason="code_verifier")
    assert redeemed(house, client, code, redirect_uri="https://agency.example/back") == NotGranted(
        reason="redirect_uri"
    )
    assert redeemed(house, client, code, redirect_uri=None) == NotGranted(reason="redirect_uri")
    assert redeemed(house, client, code, jkt="j" * 43) == NotGranted(reason="key")
    assert redeemed(house, client, "c" * 43) == NotGranted(reason="unknown")
    assert isinstance(redeemed(house, client, code), Granted)


def test_another_client_cannot_end_tokens_with_a_used_code(house, client):
    other = house.add_client(HOUSING, **CODE_FLOW)
    code = flow.allowed(house, client, pushed(house, client)).code
    result = redeemed(house, client, code)
    assert redeemed(house, other, code) == NotGranted(reason="another_client")
    assert isinstance(flow.ask_with(house, client, result, asked(*SERVED)), Answered)


def withdraw(house, client, consent_id):
    consents.withdraw(house.exchange, house.citizen(ANNA), consent_id, house.clock())


def pause(house, client, consent_id):
    consents.pause(house.exchange, house.citizen(ANNA), consent_id, house.clock())


def supersede(house, client, consent_id):
    granted(house, client)


def erase(house, client, consent_id):
    erasure.erase(house.exchange, house.people[ANNA], house.clock())


def end_agreement(house, client, consent_id):
    agreements.end(house.exchange, "housing-benefit", by="officer-a", now=house.clock())


def suspend_client(house, client, consent_id):
    agencies.set_client_status(house.exchange, client.id, Status.SUSPENDED, house.clock())


def suspend_agency(house, client, consent_id):
    agencies.set_agency_status(house.exchange, HOUSING, Status.SUSPENDED, house.clock())


ENDS = [withdraw, pause, supersede, erase, end_agreement]


@pytest.mark.invariant(13)
@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_the_permission_ends_its_tokens_at_once(house, client, end):
    result = granted(house, client)
    assert isinstance(flow.ask_with(house, client, result, asked(*SERVED)), Answered)
    end(house, client, result.consent_id)
    with pytest.raises(AccessRefusedError):
        flow.ask_with(house, client, result, asked(*SERVED))
    assert flow.refreshed(house, client, result.refresh_token) == NotGranted(reason="not_in_force")


@pytest.mark.invariant(13)
@pytest.mark.parametrize("end", ENDS)
def test_a_permission_that_ended_before_its_code_was_redeemed_gives_nothing(house, client, end):
    request_id = pushed(house, client)
    code = flow.allowed(house, client, request_id).code
    [row] = rows(house, select(authorization_request.c.consent_id).where(authorization_request.c.id == request_id))
    end(house, client, row.consent_id)
    assert redeemed(house, client, code) == NotGranted(reason="not_in_force")
    assert rows(house, select(access_token).where(access_token.c.consent_id == row.consent_id)) == []


def test_a_pause_that_ends_lets_the_tokens_live_on(house, client):
    result = granted(house, client)
    pause(house, client, result.consent_id)
    consents.resume(house.exchange, house.citizen(ANNA), result.consent_id, house.clock())
    assert isinstance(flow.ask_with(house, client, result, asked(*SERVED)), Answered)
    assert isinstance(flow.refreshed(house, client, result.refresh_token), Granted)


@pytest.mark.parametrize("end", [suspend_client, suspend_agency])
def test_a_suspended_client_cannot_be_decided_for_or_redeem(house, client, end):
    waiting, decided = pushed(house, client), pushed(house, client)
    code = flow.allowed(house, client, decided).code
    record = flow.record_of(house, client)
    end(house, client, None)
    with pytest.raises(UnknownRequestError):
        flow.allowed(house, client, waiting)
    result = flow.redeeming.redeem(
        house.exchange,
        record,  # as it was read before the suspension
        flow.redeeming.Presented(code=code, redirect_uri=flow.REDIRECT_URI, verifier=flow.VERIFIER),
        flow.new_token(house, client),
        uses=[],
        now=house.clock(),
    )
    assert result == NotGranted(reason="not_in_force")


@pytest.mark.requirement("AS-09")
def test_a_refresh_token_stays_and_is_bound_to_client_key_and_permission(house, client):
    result = granted(house, client)
    house.clock.move(minutes=6)
    with pytest.raises(AccessRefusedError):
        flow.ask_with(house, client, result, asked(*SERVED))
    for _ in range(3):
        again = flow.refreshed(house, client, result.refresh_token)
        assert isinstance(again, Granted)
        assert again.refresh_token is None
        assert again.permission == result.permission
        assert isinstance(flow.ask_with(house, client, again, asked(*SERVED)), Answered)
    other = house.add_client(HOUSING, **CODE_FLOW)
    assert flow.refreshed(house, other, result.refresh_token) == NotGranted(reason="unknown")
    assert flow.refreshed(house, client, result.refresh_token, jkt="j" * 43) == NotGranted(reason="key")
    assert flow.refreshed(house, client, "r" * 43) == NotGranted(reason="unknown")


def test_a_token_lives_no_longer_than_its_permission(house, client):
    short = replace(HOUSING_PERMISSION, duration="P1D")
    result = granted(house, client, short)
    house.clock.move(days=1, seconds=-30)
    again = flow.refreshed(house, client, result.refresh_token)
    [row] = rows(house, select(consent.c.valid_until).where(consent.c.id == result.consent_id))
    assert again.token.expires_at <= row.valid_until
    house.clock.move(seconds=30)
    assert flow.refreshed(house, client, result.refresh_token) == NotGranted(reason="unknown")


# A token of one permission, and everything else


def test_such_a_token_serves_its_own_agreement_and_person_only(house, client):
    other = house.add_client("city-parking-office", **CODE_FLOW)
    result = granted(house, client)
    house.consented(client, BEN)
    by_name = flow.ask_with(house, client, result, asked(*SERVED, subject=BEN))
    assert (by_name.reason, type(by_name)) == (DenyReason.CONSENT_NOT_IN_FORCE, Refused)
    unknown = flow.ask_with(house, client, result, asked(*SERVED, subject=NOBODY))
    assert isinstance(unknown, Refused)
    elsewhere = flow.ask_with(house, client, result, asked(*SERVED, agreement="housing-benefit-disability"))
    assert elsewhere.reason in (DenyReason.OUTSIDE_GRANT, DenyReason.AGREEMENT_NOT_YOURS)
    with pytest.raises(AccessRefusedError):
        flow.ask_with(house, other, result, asked(*SERVED))


def test_an_own_token_stands_for_nobody(house, client):
    """Without a permission behind the token there is nobody to ask about: it looks like somebody unknown."""
    outcome = requests.submit(
        house.exchange,
        house.caller(client),
        asked(*SERVED),
        idempotency_key="some-key-1",
        body_digest=b"b" * 32,
        now=house.clock(),
    )
    assert not isinstance(outcome, Answered)


def test_such_a_token_sees_the_requests_under_its_permission_only(house, client):
    waiting = house.ask(client, BEN)
    result = granted(house, client)
    answered = flow.ask_with(house, client, result, asked(*SERVED))

    def ours() -> Caller:
        return flow.caller(house, client, result.token)

    state = request_states.state_of(house.exchange, ours(), answered.request_id, house.clock())
    assert state.state == "released"
    assert isinstance(requests.collect(house.exchange, ours(), answered.request_id, house.clock()), Answered)
    for step in (request_states.state_of, request_states.cancel, request_states.acknowledge, requests.collect):
        with pytest.raises(UnknownRequestError):
            step(house.exchange, ours(), waiting.request_id, house.clock())
    # And nothing happened to the other one.
    assert request_states.state_of(house.exchange, house.caller(client), waiting.request_id, house.clock()).state == (
        "waiting"
    )
