"""What a client may register: where people are sent back to is where codes go."""

import pytest

from exchange.client_registration import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    REFRESH_TOKEN,
    ClientRegistration,
    is_https,
    is_redirect_uri,
    registration_of,
)

CODE = (CLIENT_CREDENTIALS, AUTHORIZATION_CODE, REFRESH_TOKEN)
BACK = ("https://agency.example/back",)


@pytest.mark.requirement("AZ-08")
@pytest.mark.parametrize(
    "uri",
    ["https://agency.example/back", "https://agency.example:8443/?x=1", "http://127.0.0.1/back", "http://[::1]:7/back"],
)
def test_where_people_may_be_sent(uri):
    assert is_redirect_uri(uri)


@pytest.mark.requirement("AZ-08")
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://",
        "https:agency.example",
        "http://agency.example/back",
        "http://localhost/back",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.2/",
        "https://user@agency.example/",
        "https://agency.example/#x",
        "https://agency.example/#",
        "https://agency.example/a b",
        "https://agency.example/\n",
        "https://agency.example\\@evil.example/",
        "https://agency.example:x/",
        "HTTPS://agency.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "app.example:/back",
        "//agency.example/back",
        "/back",
        "https://agency.éxample/",
        "https://agency.example/" + "x" * 1000,
    ],
)
def test_where_nobody_is_sent(uri):
    assert not is_redirect_uri(uri)


def test_keys_are_fetched_by_https_only():
    assert is_https("https://agency.example/keys")
    assert not is_https("http://127.0.0.1/keys")


@pytest.mark.parametrize(
    "registration",
    [
        ClientRegistration(),
        ClientRegistration(grant_types=CODE, redirect_uris=BACK),
        ClientRegistration(grant_types=(AUTHORIZATION_CODE,), redirect_uris=BACK, jwks_uri="https://a.example/keys"),
    ],
)
def test_what_holds_is_read_as_it_was_written(registration):
    assert list(registration.faults()) == []
    read = registration_of(registration.to_text())
    assert set(read.grant_types) == set(registration.grant_types)
    assert (read.redirect_uris, read.jwks_uri) == (registration.redirect_uris, registration.jwks_uri)
    assert read.to_text() == registration.to_text()


def test_a_plain_client_is_stored_as_nothing():
    assert ClientRegistration().to_text() == "{}"


@pytest.mark.requirement("AS-02")
@pytest.mark.parametrize(
    "registration",
    [
        ClientRegistration(grant_types=()),
        ClientRegistration(grant_types=("password",)),
        ClientRegistration(grant_types=("implicit", CLIENT_CREDENTIALS)),
        ClientRegistration(grant_types=(REFRESH_TOKEN,)),
        ClientRegistration(grant_types=CODE),
        ClientRegistration(redirect_uris=BACK),
        ClientRegistration(grant_types=CODE, redirect_uris=("http://agency.example/",)),
        ClientRegistration(grant_types=CODE, redirect_uris=tuple(f"https://a.example/{n}" for n in range(17))),
        ClientRegistration(jwks_uri="http://agency.example/keys"),
    ],
    ids=str,
)
def test_what_does_not_hold_is_named(registration):
    assert list(registration.faults())
