"""What can be asked, shown to whoever has a token for it."""

import pytest

from exchange.agencies import register_client, set_agency_status
from exchange.catalogue import load_catalogue
from exchange.model import Status
from tests.house import COUNTRY
from tests.http.agency import SignedClient, register

PATHS = ["/v1/catalogue/attributes", "/v1/catalogue/purposes", "/v1/catalogue/agencies"]


@pytest.fixture
def agency(services, clock):
    return register(services, clock, "tax", scopes="catalogue:read")


@pytest.fixture
def loaded(services, clock):
    return load_catalogue(services.exchange, (COUNTRY / "catalogue.yaml").read_text(), clock())


def test_attributes(api_client, agency, loaded):
    response = agency.get(api_client, "/v1/catalogue/attributes")
    assert response.status_code == 200
    assert (response.json["version"], response.json["digest"]) == (1, loaded.digest)
    shown = {item["name"]: item for item in response.json["items"]}
    assert shown.keys() == loaded.attributes.keys()
    for name, attribute in loaded.attributes.items():
        assert shown[name]["provider"] == attribute.provider
        assert shown[name]["forms"] == sorted(attribute.forms)
        assert shown[name]["live"] == attribute.live


def test_purposes(api_client, agency, loaded):
    response = agency.get(api_client, "/v1/catalogue/purposes")
    assert response.status_code == 200
    shown = {item["code"]: item for item in response.json["items"]}
    assert shown.keys() == loaded.purposes.keys()
    for code, purpose in loaded.purposes.items():
        assert set(shown[code]["legal_bases"]) == {str(basis) for basis in purpose.legal_bases}


def test_agencies(api_client, agency, services, clock):
    register(services, clock, "police", scopes="catalogue:read")
    set_agency_status(services.exchange, "police", Status.SUSPENDED, clock())
    response = agency.get(api_client, "/v1/catalogue/agencies")
    assert response.status_code == 200
    assert [(item["code"], item["status"]) for item in response.json["items"]] == [
        ("police", "SUSPENDED"),
        ("tax", "ACTIVE"),
    ]
    assert "keys" not in response.text


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_token(api_client, path):
    response = api_client.get(path)
    assert response.status_code == 401
    assert response.content_type == "application/problem+json"
    assert response.headers["WWW-Authenticate"].startswith("DPoP")


@pytest.mark.parametrize("path", PATHS)
def test_another_scope_does_not_do(api_client, services, clock, path):
    other = register(services, clock, "audit-office", scopes="audit:read")
    assert other.get(api_client, path).status_code == 403


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.invariant(13)
def test_a_suspended_agencys_token_is_dead(api_client, services, clock, agency, path):
    token = agency.token(api_client)
    set_agency_status(services.exchange, "tax", Status.SUSPENDED, clock())
    assert agency.get(api_client, path, token=token).status_code == 401


@pytest.mark.invariant(9)
def test_a_proof_is_good_once(api_client, agency, loaded):
    token = agency.token(api_client)
    headers = agency.headers("GET", PATHS[0], token)
    assert api_client.get(PATHS[0], headers=headers).status_code == 200
    again = api_client.get(PATHS[0], headers=headers)
    assert again.status_code == 401
    assert again.json["type"] == "urn:cdx:problem:replayed"


def test_no_catalogue_yet(api_client, agency):
    response = agency.get(api_client, PATHS[0])
    assert response.status_code == 503
    assert response.json["type"] == "urn:cdx:problem:no-catalogue"


def test_a_second_client_of_the_same_agency(api_client, services, clock, agency, loaded):
    second = SignedClient(clock, "tax-2", services.config.public_url, scope="catalogue:read")
    register_client(services.exchange, "tax-2", "tax", second.jwks(), ["catalogue:read"], clock())
    assert second.get(api_client, PATHS[1]).status_code == 200
