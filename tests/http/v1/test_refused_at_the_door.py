"""Refusals of the token endpoint that are entries: a suspended client with its own key, a sign-in of nobody."""

import pytest

from exchange import agencies
from exchange.model import Status
from tests.http.v1.site import ANNA, HOUSING, NOBODY
from tests.integration.main_job.rows import entries, facts


def refused(site, what):
    return [one for one in entries(site.house) if one.type == "access.refused" and one.detail["what"] == what]


@pytest.mark.invariant(7)
@pytest.mark.parametrize("who", ["client", "agency"])
def test_a_suspended_client_that_asks_for_a_token_is_on_record_once_an_hour(site, agency, who):
    if who == "client":
        agencies.set_client_status(site.exchange, agency.client_id, Status.SUSPENDED, site.clock())
    else:
        agencies.set_agency_status(site.exchange, HOUSING, Status.SUSPENDED, site.clock())
    answers = [token_request(site, agency) for _ in range(2)]
    [entry] = refused(site, "suspended")
    assert (entry.org, entry.detail["client"]) == (HOUSING, agency.client_id)
    site.clock.move(hours=1)
    answers.append(token_request(site, agency))
    assert len(refused(site, "suspended")) == 2
    # What it is told is what somebody is told whom nobody knows.
    stranger = site.agency()
    stranger.client_id = agency.client_id
    unknown = site.agency()
    unknown.client_id = "nobody-is-called-that"
    answers += [token_request(site, one) for one in (stranger, unknown)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(400, answers[0].text)}
    assert len(refused(site, "suspended")) == 2  # whoever has not its key is not it


def token_request(site, agency):
    """As the agency's software asks, whatever comes of it."""
    return super(type(agency), agency).ask(site.http(), scope="attributes:request")


@pytest.mark.invariant(7)
def test_a_sign_in_of_nobody_is_on_record_once_per_person_and_hour(site):
    def sign_in(identifier):
        person = site.citizen(identifier)
        with pytest.raises(AssertionError, match="invalid_grant"):
            person.fetch()

    for _ in range(2):
        sign_in(NOBODY)
    [entry] = refused(site, "sign-in")
    assert (entry.org, entry.detail) == ("subject", {"what": "sign-in"})
    assert facts(site.house, entry.id) == {"reason": "no-match"}
    sign_in("VAL-999998-1")
    sign_in(" ")
    assert len(refused(site, "sign-in")) == 3
    assert site.citizen(ANNA).fetch()
    assert len(refused(site, "sign-in")) == 3
