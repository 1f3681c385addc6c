"""Deciding upon pushed requests, and pushing them, below HTTP and on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from consent.tables import consent
from exchange.access import SESSION, SingleUse, purge
from exchange.authorization import deciding, pushing
from exchange.authorization.model import NotAdmitted, Permission, PushedRequest
from exchange.errors import AccessRefusedError, NoticeError, UnknownRequestError
from exchange.tables import authorization_request, refresh_token
from tests.house import ANNA, BEN
from tests.integration.authorization import flow
from tests.integration.authorization.flow import HOUSING_PERMISSION, granted, pushed, rows

# Deciding


def test_of_two_tabs_one_decides(house, client):
    request_id = pushed(house, client)
    flow.refused(house, request_id)
    with pytest.raises(UnknownRequestError):
        flow.allowed(house, client, request_id)
    assert [row.status for row in rows(house, select(consent.c.status))] == ["REFUSED"]


def test_many_decisions_at_once_leave_one(house, client):
    request_id = pushed(house, client)
    sessions = [flow.session(house) for _ in range(8)]

    def decide(number):
        try:
            if number % 2:
                return flow.allowed(house, client, request_id, citizen=sessions[number]).code
            flow.refused(house, request_id)
        except UnknownRequestError:
            return None
        return "refused"

    with ThreadPoolExecutor(8) as pool:
        results = [one for one in pool.map(decide, range(8)) if one is not None]
    assert len(results) == 1
    assert len(rows(house, select(consent))) == 1


def test_a_refusal_gives_no_code(house, client):
    request_id = pushed(house, client)
    assert flow.refused(house, request_id).code is None
    [row] = rows(house, select(authorization_request))
    assert (row.code_hash, row.decided_at) == (None, house.clock())


def test_whoever_does_not_sign_in_ends_the_request_and_nobody_was_asked(house, client):
    request_id = pushed(house, client)
    assert deciding.leave(house.exchange, request_id, house.clock()).code is None
    with pytest.raises(UnknownRequestError):
        flow.allowed(house, client, request_id)
    assert rows(house, select(consent)) == []


def test_a_request_is_begun_with_in_time_by_its_own_client_and_decided_in_time(house, client):
    outcome = flow.push(house, client)

    def find(client_id=client.id):
        return pushing.find_pushed(house.exchange, outcome.secret, client_id=client_id, now=house.clock())

    assert find("somebody-else") is None
    request_id = find().id
    assert find().id == request_id  # a page may be loaded again
    house.clock.move(seconds=300)
    assert find() is None
    assert pushing.find_begun(house.exchange, request_id, house.clock()) is not None
    house.clock.move(minutes=35)
    with pytest.raises(UnknownRequestError):
        flow.allowed(house, client, request_id)


def test_words_that_were_not_offered_are_refused_and_the_question_stays_open(house, client):
    request_id = pushed(house, client)
    for shown in (
        deciding.Shown(language="xx", notice_version="2026-1"),
        deciding.Shown(language="en", notice_version="1"),
    ):
        with pytest.raises(NoticeError):
            deciding.refuse(house.exchange, flow.session(house), request_id, shown=shown, now=house.clock())
    assert flow.allowed(house, client, request_id).code


def test_a_session_needs_no_proof_and_an_own_token_does(house, client):
    request_id = pushed(house, client)
    own = house.citizen(ANNA)
    thief = replace(own, proof_digest=None, proof_expires_at=None)
    with pytest.raises(AccessRefusedError):
        flow.allowed(house, client, request_id, citizen=thief)
    with pytest.raises(AccessRefusedError):
        flow.allowed(house, client, request_id, citizen=replace(thief, jkt=SESSION))
    stolen = replace(flow.session(house), subject_ref=house.people[BEN])
    with pytest.raises(AccessRefusedError):
        flow.allowed(house, client, request_id, citizen=stolen)


# Pushing


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"agreement": "no-such"}, "unknown_agreement"),
        ({"agreement": "resident-parking", "purpose": "resident_parking"}, "unknown_agreement"),
        ({"purpose": "no_such"}, "unknown_purpose"),
        ({"purpose": "resident_parking"}, "purpose_outside_agreement"),
        ({"lines": ()}, "empty_request"),
        ({"lines": HOUSING_PERMISSION.lines[:1] * 2}, "duplicate_line"),
        ({"lines": (replace(HOUSING_PERMISSION.lines[0], name="no_such"),)}, "unknown_attribute"),
        ({"lines": (replace(HOUSING_PERMISSION.lines[1], form="value"),)}, "outside_agreement"),
        ({"duration": "P13M"}, "longer"),
        ({"duration": "six months"}, "duration"),
        ({"duration": "P9999M"}, "duration"),
    ],
    ids=str,
)
def test_what_the_agreement_does_not_admit_is_not_pushed(house, client, changes, text):
    outcome = flow.push(house, client, replace(HOUSING_PERMISSION, **changes))
    assert isinstance(outcome, NotAdmitted)
    assert text in outcome.text
    assert rows(house, select(authorization_request)) == []


def test_uses_beyond_the_agreement_are_not_pushed(house, client):
    health = Permission(
        agreement="housing-benefit-disability",
        purpose="housing_benefit",
        lines=(replace(HOUSING_PERMISSION.lines[0], name="disability_status", form="exists"),),
    )
    assert isinstance(flow.push(house, client, replace(health, uses=3)), NotAdmitted)
    assert not isinstance(flow.push(house, client, replace(health, uses=2)), NotAdmitted)


def test_an_assertion_pushes_once(house, client):
    use = flow.use(house)
    assert not isinstance(flow.push(house, client, uses=[use]), SingleUse)
    assert flow.push(house, client, uses=[use]) == use
    assert len(rows(house, select(authorization_request))) == 1


@pytest.mark.invariant(8)
def test_what_was_pushed_is_sealed_and_goes_after_a_while(house, client):
    flow.push(house, client, replace(HOUSING_PERMISSION, message="for Anna Example"), state="anna's state")
    [row] = rows(house, select(authorization_request))
    assert b"Anna" not in row.ct
    assert b"agency.example" not in row.ct
    granted(house, client)
    with house.exchange.database.write() as connection:
        purge(connection, house.clock() + timedelta(hours=2))
        connection.commit()
    assert rows(house, select(authorization_request)) == []
    assert len(rows(house, select(refresh_token))) == 1


def test_a_pushed_request_is_read_as_it_was_written():
    request = PushedRequest(
        permission=replace(HOUSING_PERMISSION, uses=2, message="Grüße <b>"),
        redirect_uri=flow.REDIRECT_URI,
        code_challenge=flow.CHALLENGE,
        state="s" * 1500,
        acr_values=("high", "substantial"),
        max_age=0,
    )
    assert PushedRequest.from_bytes(request.to_bytes()) == request
