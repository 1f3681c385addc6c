"""The code flow over HTTP, from the push to an answer."""

from uuid import UUID

import jwt
import pytest

from exchange import consents
from tests.house import ANNA, BEN
from tests.http.portal.desk import DETAILS, PUBLIC, answered, asked, some_key


def ask(pages, token, body=None):
    return pages.post("/v1/attribute-requests", body or asked(), token=token, key=some_key())


@pytest.mark.requirement("AZ-02")
def test_from_the_push_to_the_answer(desk):
    pages, person = desk.pages, desk.person()
    back = person.allow(pages.pushed())
    assert back.keys() == {"page", "code", "state", "iss"}
    assert (back["state"], back["iss"]) == ("of the agency", PUBLIC)
    answer = pages.redeem(back["code"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("DPoP", 300, "attributes:request")
    [details] = body["authorization_details"]
    assert details["type"] == "citizen_attributes"
    assert {line["name"] for line in details["attributes"]} == {"full_name", "birth_date"}
    claims = jwt.decode(body["access_token"], options={"verify_signature": False})
    assert claims["client_id"] == pages.client_id
    assert claims["sub"] not in (pages.client_id, ANNA.id)
    assert claims["authorization_details"][0]["consent"] == details["consent"]
    released = ask(pages, body["access_token"])
    assert released.status_code == 200, released.text
    opened = pages.open(released.json["response"])
    assert opened["sub"] == claims["sub"]
    assert opened["attributes"][0]["value"] == "Anna Example"


def test_what_the_person_ticks_is_allowed_too(desk):
    back = desk.person().allow(desk.pages.pushed(), facts=["other_benefits exists"])
    [details] = desk.pages.redeem(back["code"]).json["authorization_details"]
    assert "other_benefits" in {line["name"] for line in details["attributes"]}


def test_what_was_not_asked_for_cannot_be_ticked(desk):
    person = desk.person()
    path = person.begin(desk.pages.pushed())
    for fact in ("annual_income in_range:0-30000", "full_name exists", "", "x y z"):
        assert person.decide(path, facts=[fact]).status_code == 400
    assert answered(person.decide(path))["code"]


@pytest.mark.requirement("AZ-07")
def test_a_refusal_goes_back_with_state_and_issuer(desk):
    back = desk.person().allow(desk.pages.pushed(), decision="refuse")
    assert back == {"page": "1", "error": "access_denied", "state": "of the agency", "iss": PUBLIC}


def test_a_withdrawal_ends_the_token_at_once(desk):
    pages = desk.pages
    body = pages.redeem(desk.person().allow(pages.pushed())["code"]).json
    assert ask(pages, body["access_token"]).status_code == 200
    consent = UUID(body["authorization_details"][0]["consent"])
    consents.withdraw(desk.exchange, desk.house.citizen(ANNA), consent, desk.clock())
    refused = ask(pages, body["access_token"])
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    again = pages.refresh(body["refresh_token"])
    assert (again.status_code, again.json["error"]) == (400, "invalid_grant")


@pytest.mark.requirement("AS-09")
def test_refreshing_gives_another_token_and_no_other_refresh_token(desk):
    pages = desk.pages
    first = pages.redeem(desk.person().allow(pages.pushed())["code"]).json
    desk.clock.move(minutes=6)
    assert ask(pages, first["access_token"]).status_code == 401
    again = pages.refresh(first["refresh_token"])
    assert again.status_code == 200, again.text
    assert "refresh_token" not in again.json
    assert ask(pages, again.json["access_token"]).status_code == 200


def test_the_person_is_named_by_the_token_or_in_the_body_and_never_by_both(desk):
    pages = desk.pages
    token = pages.redeem(desk.person().allow(pages.pushed())["code"]).json["access_token"]
    for who in (ANNA, BEN):
        named = ask(pages, token, asked(subject={"scheme": "national-id", "id": who.id}))
        assert (named.status_code, named.json["errors"][0]["pointer"]) == (422, "/subject")
    own = ask(pages, pages.fetch())
    assert (own.status_code, own.json["errors"][0]["pointer"]) == (422, "/subject")


def test_such_a_token_is_for_its_agreement_only(desk):
    pages = desk.pages
    token = pages.redeem(desk.person().allow(pages.pushed())["code"]).json["access_token"]
    other = ask(
        pages,
        token,
        asked(agreement="housing-benefit-disability", attributes=[{"name": "disability_status", "form": "exists"}]),
    )
    assert (other.status_code, other.json["type"]) == (403, "urn:cdx:problem:outside-grant")
    assert pages.get("/v1/catalogue/purposes", token=token).status_code == 403


@pytest.mark.requirement("AS-01")
def test_the_metadata_names_what_is_there(desk):
    told = desk.api.test_client().get("/.well-known/oauth-authorization-server").json
    assert told["authorization_endpoint"] == PUBLIC + "/oauth/authorize"
    assert told["pushed_authorization_request_endpoint"] == PUBLIC + "/oauth/par"
    assert told["require_pushed_authorization_requests"] is True
    assert told["response_types_supported"] == ["code"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert told["authorization_details_types_supported"] == [DETAILS["type"]]
    assert {"authorization_code", "refresh_token", "client_credentials"} <= set(told["grant_types_supported"])
