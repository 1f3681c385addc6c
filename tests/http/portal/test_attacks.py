"""The decision page and the ways to it, attacked: other browsers, other people, other sites, hostile texts."""

from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import update

from exchange.tables import subject
from tests.house import ANNA, BEN
from tests.http.oauth.clients import changed
from tests.http.portal.desk import PUBLIC, REDIRECT_URI, answered, decisions

# The way in


@pytest.mark.requirement("AZ-03")
@pytest.mark.parametrize(
    "changes",
    [
        {"state": "evil"},
        {"redirect_uri": "https://evil.example/"},
        {"scope": "attributes:request"},
        {"response_type": "code"},
        {"request": "e30.e30."},
        {"code_challenge": "c" * 43},
        {"request_uri": None},
        {"client_id": None},
        {"request_uri": "https://evil.example/request"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:"},
        {"request_uri": "urn:ietf:params:oauth:request_uri:" + "x" * 43},
        {"client_id": "somebody-else"},
    ],
    ids=str,
)
def test_nothing_but_client_and_address_comes_by_the_browser(desk, changes):
    from urllib.parse import urlencode

    query = changed({"client_id": desk.pages.client_id, "request_uri": desk.pages.pushed()}, changes)
    answer = desk.person().get("/oauth/authorize?" + urlencode(query))
    assert answer.status_code == 400
    assert "Location" not in answer.headers  # AS-07: nobody is sent anywhere on a stranger's word
    assert "evil" not in answer.text


def test_a_parameter_that_comes_twice_is_refused(desk):
    uri = desk.pages.pushed()
    query = f"client_id={desk.pages.client_id}&request_uri={uri}&request_uri={uri}"
    assert desk.person().get("/oauth/authorize?" + query).status_code == 400


@pytest.mark.requirement("AZ-N1")
def test_an_address_may_be_opened_again_until_it_is_decided(desk):
    uri, person = desk.pages.pushed(), desk.person()
    first = person.begin(uri)
    assert person.begin(uri) == first
    assert answered(person.decide(first))["code"]
    assert person.open(uri).status_code == 400
    assert desk.person(BEN).open(uri).status_code == 400


def test_an_address_of_another_client_is_unknown(desk):
    other = desk.agency()
    assert desk.person().open(desk.pages.pushed(), client_id=other.client_id).status_code == 400


def test_an_address_runs_out_and_so_does_the_time_to_decide(desk):
    uri = desk.pages.pushed()
    person = desk.person()
    path = person.begin(uri)
    desk.clock.move(seconds=301)
    assert desk.person().open(uri).status_code == 400
    assert person.get(path).status_code == 200
    form = person.form(path)
    desk.clock.move(minutes=40)
    assert person.send(path, form | {"decision": "allow"}).status_code in (401, 409)
    assert decisions(desk) == []


# Signing in


def test_what_goes_to_the_provider_gives_nothing_away(desk):
    location = desk.person().open(desk.pages.pushed()).headers["Location"]
    asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
    assert asked["redirect_uri"] == PUBLIC + "/oauth/authorize/callback"
    assert asked["scope"] == "openid"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    assert desk.pages.client_id not in location
    assert "housing" not in location


def test_an_answer_in_another_browser_is_refused(desk):
    """Login CSRF: an attacker's sign-in is finished in the victim's browser."""
    attacker, victim = desk.person(BEN), desk.person(ANNA)
    back = desk.provider.sign_in(attacker.open(desk.pages.pushed()).headers["Location"], national_id=BEN.id)
    assert victim.come_back(back).status_code == 400
    assert desk.provider.signed_in == 0  # the code was not even redeemed


def test_a_state_that_only_begins_alike_is_another(desk):
    person = desk.person()
    back = desk.provider.sign_in(person.open(desk.pages.pushed()).headers["Location"], national_id=ANNA.id)
    end = "A" if back["state"][-1] != "A" else "E"
    for state in (back["state"][:-1] + end, back["state"][:20], "", "ä"):
        assert person.come_back(back | {"state": state}).status_code == 400
    assert desk.provider.signed_in == 0
    assert person.come_back(back).status_code == 303


def test_a_code_injected_into_another_sign_in_is_refused(desk):
    attacker, victim = desk.person(BEN), desk.person(ANNA)
    stolen = desk.provider.sign_in(victim.open(desk.pages.pushed()).headers["Location"], national_id=ANNA.id)
    own = desk.provider.sign_in(attacker.open(desk.pages.pushed()).headers["Location"], national_id=BEN.id)
    assert attacker.come_back(own | {"code": stolen["code"]}).status_code in (400, 503)
    assert not any("session" in name for name in names_of(attacker))


def names_of(person):
    return [cookie.key for cookie in person.browser._cookies.values()]


@pytest.mark.parametrize("iss", [None, "https://evil.example", ""])
def test_an_answer_of_another_provider_is_refused(desk, iss):
    person = desk.person()
    back = desk.provider.sign_in(person.open(desk.pages.pushed()).headers["Location"], national_id=ANNA.id)
    assert person.come_back(changed(back, {"iss": iss})).status_code == 400
    assert desk.provider.signed_in == 0


@pytest.mark.parametrize(
    "claims",
    [{"nonce": "other"}, {"nonce": None}, {"aud": "other"}, {"iss": "https://evil.example"}, {"iat": 0}],
    ids=str,
)
def test_an_id_token_that_does_not_hold_signs_nobody_in(desk, claims):
    person = desk.person()
    answer = person.sign_in(person.open(desk.pages.pushed()), **claims)
    assert answer.status_code == 400
    assert not any("session" in name for name in names_of(person))


def test_an_answer_comes_back_once(desk):
    person = desk.person()
    back = desk.provider.sign_in(person.open(desk.pages.pushed()).headers["Location"], national_id=ANNA.id)
    assert person.come_back(back).status_code == 303
    assert person.come_back(back).status_code == 400


def test_somebody_unknown_dead_or_erased_gets_one_page_and_the_way_back(desk):
    texts = set()
    for status in (None, "DECEASED", "ERASED"):
        if status is not None:
            with desk.exchange.database.write() as connection:
                ref = desk.house.people[BEN]
                connection.execute(update(subject).where(subject.c.ref == ref).values(status=status))
                connection.commit()
        who = "VAL-999999-9" if status is None else BEN
        person = desk.person(who)
        answer = person.sign_in(person.open(desk.pages.pushed()))
        assert answer.status_code == 403
        assert "error=access_denied" in answer.text
        texts.add(answer.text)
    assert len(texts) == 1
    assert "VAL-" not in texts.pop()
    assert decisions(desk) == []


def test_whoever_does_not_sign_in_goes_back_with_a_refusal(desk):
    person = desk.person()
    back = desk.provider.sign_in(person.open(desk.pages.pushed()).headers["Location"])
    answer = person.come_back({"error": "access_denied", "state": back["state"], "iss": back["iss"]})
    assert answered(answer) == {"page": "1", "error": "access_denied", "state": "of the agency", "iss": PUBLIC}


def test_a_provider_that_is_down_loses_nothing(desk):
    uri, person = desk.pages.pushed(), desk.person()
    desk.provider.status = 500
    assert person.open(uri).status_code == 503
    desk.provider.status = 200
    desk.clock.move(seconds=31)
    assert person.allow(uri)["code"]


# Step-up


def test_how_and_when_somebody_signed_in_is_asked_for_and_checked(desk):
    now = int(desk.clock().timestamp())
    good = {"acr": "high", "auth_time": now - 100}
    location = desk.person().open(desk.pages.pushed(acr_values="high higher", max_age="120")).headers["Location"]
    asked = parse_qs(urlsplit(location).query)
    assert (asked["acr_values"], asked["max_age"]) == (["high higher"], ["120"])
    for claims in ({"acr": "low"}, {"acr": None}, {"auth_time": now - 200}, {"auth_time": None}):
        person = desk.person()
        answer = person.sign_in(
            person.open(desk.pages.pushed(acr_values="high higher", max_age="120")), **good | claims
        )
        assert answered(answer)["error"] == "unmet_authentication_requirements", claims
    assert desk.person().begin(desk.pages.pushed(acr_values="high higher", max_age="120"), **good)


# The token endpoint


def test_what_does_not_fit_the_code_is_refused(desk):
    pages, other = desk.pages, desk.agency()
    code = desk.person().allow(pages.pushed())["code"]
    for answer in (
        pages.redeem(code, code_verifier=None),
        pages.redeem(code, code_verifier="w" * 50),
        pages.redeem(code, code_verifier="v" * 42),
        pages.redeem(code, redirect_uri=None),
        pages.redeem(code, redirect_uri="https://evil.example/"),
        pages.redeem(code[:-1]),
        other.redeem(code),
    ):
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant"), answer.text
    wide = pages.redeem(code, authorization_details='[{"type":"citizen_attributes"}]')
    assert wide.json["error"] == "invalid_authorization_details"
    assert pages.redeem(code, scope="attributes:request audit:read").json["error"] == "invalid_scope"
    assert pages.redeem(code, resource="https://other.example").json["error"] == "invalid_target"
    assert pages.redeem(None).json["error"] == "invalid_request"
    assert pages.redeem(code).status_code == 200
    assert pages.redeem(code).json["error"] == "invalid_grant"


@pytest.mark.requirement("DP-17")
def test_without_a_proof_or_a_client_there_is_no_token(desk):
    pages = desk.pages
    code = desk.person().allow(pages.pushed())["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": "v" * 50}
    answer = pages.http.post("/oauth/token", data=form)
    assert answer.json["error"] == "invalid_request"
    proof = {"DPoP": pages.proof("POST", pages.token_url)}
    assert pages.http.post("/oauth/token", data=form, headers=proof).json["error"] == "invalid_client"
    assert pages.redeem(code).status_code == 200
