"""POST /oauth/par: what may be pushed, by whom, and what is refused with the standard's own codes."""

import json

import pytest
from sqlalchemy import select

from exchange.tables import authorization_request
from tests.http.oauth.clients import Device
from tests.http.portal.desk import DETAILS, PUBLIC, REDIRECT_URI, open_desk

PAR = PUBLIC + "/oauth/par"


def refused(answer, code, status=400):
    assert (answer.status_code, answer.json["error"]) == (status, code), answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json.get("error_description", "")


def rows(desk):
    with desk.exchange.database.read() as connection:
        return connection.execute(select(authorization_request)).all()


@pytest.mark.requirement("AZ-12")
def test_a_pushed_request_has_an_address_for_less_than_ten_minutes(desk):
    answer = desk.pages.push()
    assert answer.status_code == 201
    assert answer.json["expires_in"] == 300
    prefix, _, secret = answer.json["request_uri"].rpartition(":")
    assert prefix == "urn:ietf:params:oauth:request_uri"
    assert len(secret) == 43
    assert answer.headers["Cache-Control"] == "no-store"
    [row] = rows(desk)
    assert secret.encode() not in row.uri_hash


@pytest.mark.requirement("AZ-04")
@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": None},
        {"client_assertion": None, "client_assertion_type": None},
        {"client_assertion_type": "x"},
        {"client_id": "somebody-else"},
        {"client_secret": "x"},
    ],
    ids=str,
)
def test_only_an_authenticated_client_pushes(desk, changes):
    answer = desk.pages.push(**changes)
    assert answer.status_code in (400, 401)
    assert answer.json["error"] in ("invalid_client", "invalid_request")
    assert rows(desk) == []


@pytest.mark.requirement("AS-08")
@pytest.mark.parametrize(
    "aud", [PAR, PUBLIC + "/oauth/token", [PUBLIC], [PUBLIC, PAR], "https://other.example"], ids=str
)
def test_the_assertion_is_for_the_issuer_and_nobody_else(desk, aud):
    refused(desk.pages.push(assertion=desk.pages.assertion(aud=aud)), "invalid_client")


def test_an_assertion_is_good_once_at_whichever_endpoint(desk):
    pages = desk.pages
    assertion = pages.assertion()
    assert pages.push(assertion=assertion).status_code == 201
    refused(pages.push(assertion=assertion), "invalid_client")
    refused(pages.ask_token(assertion=assertion), "invalid_client")
    assert len(rows(desk)) == 1


PKCE = [
    {"code_challenge": None},
    {"code_challenge_method": None},
    {"code_challenge_method": "plain"},
    {"code_challenge_method": "s256"},
    {"code_challenge": "short"},
    {"code_challenge": "c" * 44},
    {"code_challenge": "c" * 42 + "="},
]


@pytest.mark.requirement("AZ-05")
@pytest.mark.parametrize("changes", PKCE, ids=str)
def test_pkce_is_required_and_is_s256(desk, changes):
    refused(desk.pages.push(**changes), "invalid_request")


@pytest.mark.requirement("AZ-06")
@pytest.mark.parametrize(
    "uri",
    [
        None,
        "https://agency.example/back",
        "https://agency.example/back?page=1&x=2",
        "https://agency.example/back?page=1#x",
        "https://agency.example/Back?page=1",
        "https://AGENCY.example/back?page=1",
        "https://agency.example:443/back?page=1",
        "https://agency.example/x/../back?page=1",
        "https://agency.example/back?page=1/",
        "https://agency.example.evil.example/back?page=1",
        "https://agency.example@evil.example/back?page=1",
        "http://agency.example/back?page=1",
        "//agency.example/back?page=1",
        "javascript:alert(1)",
        " https://agency.example/back?page=1",
        "https://agency.example/back?page=1\n",
        "https://agency.example/back?page=%31",
    ],
    ids=str,
)
def test_the_redirect_uri_is_a_registered_one_character_by_character(desk, uri):
    refused(desk.pages.push(redirect_uri=uri), "invalid_request")


@pytest.mark.requirement("AZ-01")
def test_the_response_type_is_code(desk):
    for response_type in ("token", "code id_token", "id_token", "Code"):
        refused(desk.pages.push(response_type=response_type), "unsupported_response_type")
    refused(desk.pages.push(response_type=None), "invalid_request")
    for mode in ("fragment", "form_post", "jwt"):
        refused(desk.pages.push(response_mode=mode), "invalid_request")


def test_what_is_not_for_a_pushed_request_is_refused(desk):
    pages = desk.pages
    refused(pages.push(request_uri="urn:ietf:params:oauth:request_uri:x"), "invalid_request")
    refused(pages.push(request="e30.e30."), "request_not_supported")
    refused(pages.push(scope="openid"), "invalid_scope")
    refused(pages.push(scope="attributes:request me"), "invalid_scope")
    refused(pages.push(resource="https://other.example"), "invalid_target")
    refused(pages.push(state="x" * 4097), "invalid_request")
    refused(pages.push(state="x\ny"), "invalid_request")
    refused(pages.push(max_age="-1"), "invalid_request")
    refused(pages.push(max_age="soon"), "invalid_request")
    refused(pages.push(acr_values="a " * 9), "invalid_request")
    assert pages.push(scope="attributes:request", resource=PUBLIC, state=None, nonce="n").status_code == 201


@pytest.mark.requirement("AZ-N2")
def test_a_state_may_be_long(desk):
    back = desk.person().allow(desk.pages.pushed(state="s" * 2000))
    assert back["state"] == "s" * 2000


def test_parameters_come_once_and_in_the_body(desk):
    pages = desk.pages
    form = pages.push_form()
    answer = pages.http.post("/oauth/par", data=form | {"redirect_uri": [REDIRECT_URI, REDIRECT_URI]})
    refused(answer, "invalid_request")
    refused(pages.http.post("/oauth/par?state=evil", data=pages.push_form()), "invalid_request")
    refused(pages.http.post("/oauth/par", json=pages.push_form()), "invalid_request")
    assert pages.http.get("/oauth/par").status_code == 405


def test_a_client_that_is_not_registered_for_the_flow_cannot_push(desk):
    other = desk.agency(redirect_uris=(), grants=("client_credentials",))
    refused(other.push(), "unauthorized_client")
    refused(other.redeem("c" * 43), "unauthorized_client")
    refused(other.refresh("r" * 43), "unauthorized_client")


LINE = DETAILS["attributes"][0]
BAD = [
    "x",
    "{}",
    "[]",
    "null",
    "[1]",
    json.dumps([DETAILS, DETAILS]),
    json.dumps([DETAILS | {"type": "other"}]),
    json.dumps([DETAILS | {"more": 1}]),
    json.dumps([{name: value for name, value in DETAILS.items() if name != "purpose"}]),
    json.dumps([DETAILS | {"agreement": "unknown"}]),
    json.dumps([DETAILS | {"purpose": "resident_parking"}]),
    json.dumps([DETAILS | {"attributes": []}]),
    json.dumps([DETAILS | {"attributes": [LINE, LINE]}]),
    json.dumps([DETAILS | {"attributes": [LINE | {"form": "exists"}]}]),
    json.dumps([DETAILS | {"attributes": [LINE | {"required": 1}]}]),
    json.dumps([DETAILS | {"attributes": [LINE | {"compare_to": "x"}]}]),
    json.dumps([DETAILS | {"attributes": [LINE] * 65}]),
    json.dumps([DETAILS | {"duration": "P2Y"}]),
    json.dumps([DETAILS | {"duration": "forever"}]),
    json.dumps([DETAILS | {"uses": 0}]),
    json.dumps([DETAILS | {"uses": "1"}]),
    json.dumps([DETAILS | {"uses": True}]),
    json.dumps([DETAILS | {"message": "a\nb"}]),
    json.dumps([DETAILS | {"message": "m" * 257}]),
    json.dumps([DETAILS])[:-2] + ',"uses":1,"uses":2}]',
    "[" * 5000 + "]" * 5000,
]


@pytest.mark.parametrize("details", BAD, ids=range(len(BAD)))
def test_details_that_do_not_hold_are_refused_and_not_repeated(desk, details):
    told = refused(desk.pages.push(authorization_details=details), "invalid_authorization_details")
    assert "m" * 20 not in told
    assert rows(desk) == []


def test_details_are_required(desk):
    refused(desk.pages.push(authorization_details=None), "invalid_authorization_details")


# Binding the code to a key (RFC 9449 §10)


@pytest.mark.requirement("AS-12")
def test_a_code_is_bound_to_the_key_that_was_named_or_proved(desk):
    pages = desk.pages
    thief = Device(desk.clock)
    for pushed in ({"dpop_jkt": pages.jkt}, {"proof": pages.proof("POST", PAR)}):
        code = desk.person().allow(pages.pushed(**pushed))["code"]
        stolen = pages.redeem(code, proof=thief.proof("POST", pages.token_url))
        refused(stolen, "invalid_grant")
        assert pages.redeem(code).status_code == 200


def test_a_proof_at_the_push_must_hold_and_is_good_once(desk):
    pages = desk.pages
    refused(pages.push(proof=pages.proof("POST", pages.token_url)), "invalid_dpop_proof")
    refused(pages.push(proof=pages.proof("GET", PAR)), "invalid_dpop_proof")
    refused(pages.push(proof=pages.proof("POST", PAR), dpop_jkt="j" * 43), "invalid_dpop_proof")
    refused(pages.push(dpop_jkt="short"), "invalid_request")
    proof = pages.proof("POST", PAR)
    assert pages.push(proof=proof).status_code == 201
    refused(pages.push(proof=proof), "invalid_dpop_proof")


def test_without_a_way_to_sign_in_there_is_no_flow(tmp_path, database_url):
    desk = open_desk(tmp_path, database_url, openid_client_key_file=None)
    try:
        refused(desk.pages.push(), "invalid_request")
        told = desk.api.test_client().get("/.well-known/oauth-authorization-server").json
        assert told["response_types_supported"] == []
        assert "authorization_endpoint" not in told
        assert "authorization_code" not in told["grant_types_supported"]
    finally:
        desk.close()


# Keys that a client publishes


@pytest.fixture
def publisher(desk):
    """A client whose signature keys stand at an address; the provider of the tests serves it."""
    pages = desk.pages
    enc = [key for key in pages.jwks()["keys"] if key["use"] == "enc"]
    desk.provider.documents["/client-keys"] = {"keys": [key for key in pages.jwks()["keys"] if key["use"] == "sig"]}
    return desk, enc


def published(desk, enc, address):
    """Registered with an address in place of keys. Plain http is for tests alone, so it is written past the check."""
    from exchange.client_registration import ClientRegistration
    from exchange.tables import client as client_table

    other = desk.agency(jwks={"keys": enc}, jwks_uri="https://agency.example/keys")
    other.assertion_key = desk.pages.assertion_key
    registration = ClientRegistration(
        grant_types=("client_credentials", "authorization_code", "refresh_token"),
        redirect_uris=(REDIRECT_URI,),
        jwks_uri=address,
    )
    with desk.exchange.database.write() as connection:
        connection.execute(
            client_table.update()
            .where(client_table.c.id == other.client_id)
            .values(registration=registration.to_text())
        )
        connection.commit()
    return other


@pytest.mark.requirement("CR-11")
def test_keys_at_a_jwks_uri_are_fetched_once_and_again_for_a_new_name(publisher):
    desk, enc = publisher
    provider = desk.provider
    other = published(desk, enc, provider.issuer + "/client-keys")
    for _ in range(3):
        assert other.push().status_code == 201
    assert provider.requests.count("/client-keys") == 1
    for number in range(5):
        refused(other.push(assertion=other.assertion(header={"kid": f"invented-{number}"})), "invalid_client")
    assert provider.requests.count("/client-keys") == 1  # half a minute protects whoever publishes
    desk.clock.move(seconds=31)
    refused(other.push(assertion=other.assertion(header={"kid": "invented"})), "invalid_client")
    assert provider.requests.count("/client-keys") == 2


def test_use_and_key_ops_of_published_keys_are_honoured(publisher):
    desk, enc = publisher
    [key] = desk.provider.documents["/client-keys"]["keys"]
    for members in ({"use": "enc"}, {"key_ops": ["sign"]}, {"alg": "PS256"}, {"key_ops": []}):
        desk.provider.documents["/client-keys"] = {"keys": [key | members]}
        desk.clock.move(minutes=11)
        refused(
            published(desk, enc, desk.provider.issuer + "/client-keys?" + str(members)[2:5]).push(), "invalid_client"
        )


def test_an_address_that_may_not_be_called_gives_no_keys(publisher):
    desk, enc = publisher
    for address in ("http://10.0.0.1/keys", "https://169.254.169.254/keys", desk.provider.issuer + "/nothing"):
        refused(published(desk, enc, address).push(), "invalid_client")
