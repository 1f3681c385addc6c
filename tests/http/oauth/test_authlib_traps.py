"""What stock Authlib 1.9 allows and FAPI 2.0 forbids: a test for each trap that applies to this service (A1 … A19)."""

import logging

import jwt
import pytest
from werkzeug.datastructures import MultiDict

from tests.http.oauth.clients import CLIENT_ASSERTION_TYPE, Client, Device, public_jwk
from tests.http.oauth.test_token_endpoint import TOKEN_URL, refused
from tests.http.oauth.world import PUBLIC_URL


@pytest.mark.parametrize("algorithm", ["PS256", "EdDSA"])
def test_a1_assertions_with_ps256_and_ed25519_are_accepted(world, http, algorithm):
    world.register(Client(world.clock, "a1", PUBLIC_URL, algorithm=algorithm)).token(http)


def test_a2_an_rs256_assertion_is_refused(world, http):
    client = world.register(Client(world.clock, "a2", PUBLIC_URL, algorithm="PS256"))
    refused(client.ask(http, assertion=client.assertion(algorithm="RS256")), "invalid_client")


@pytest.mark.requirement("AS-08")
def test_a3_an_array_as_audience_is_refused(client, http):
    for audience in ([PUBLIC_URL], [PUBLIC_URL, "https://other.example"]):
        refused(client.ask(http, assertion=client.assertion(aud=audience)), "invalid_client")


def test_a4_an_assertion_cannot_live_for_years_or_without_iat(client, http, world):
    far = int(world.clock().timestamp()) + 10 * 365 * 86_400
    refused(client.ask(http, assertion=client.assertion(exp=far)), "invalid_client")
    refused(client.ask(http, assertion=client.assertion(iat=None)), "invalid_client")


@pytest.mark.parametrize(("ahead", "status"), [(10, 200), (70, 400)])
def test_a5_the_future_is_bounded(client, http, world, ahead, status):
    issued = int(world.clock().timestamp()) + ahead
    response = client.ask(http, assertion=client.assertion(iat=issued, exp=issued + 60))
    assert response.status_code == status


def test_a6_client_id_must_be_that_of_the_assertion(client, http):
    refused(client.ask(http, client_id="another"), "invalid_client")
    client.token(http, client_id=client.client_id)


@pytest.mark.parametrize("secret", [{"client_secret": "x"}, {"password": "x"}], ids=str)
def test_a6_a_second_way_to_authenticate_is_refused(client, http, secret):
    refused(client.ask(http, **secret), "invalid_request")
    refused(client.ask(http, headers={"Authorization": "Basic Zm9vOmJhcg=="}), "invalid_request")


@pytest.mark.requirement("AS-06")
def test_a6_secrets_alone_never_authenticate(client, http):
    proof = client.proof("POST", TOKEN_URL)
    form = {"grant_type": "client_credentials", "scope": "attributes:request", "client_id": client.client_id}
    refused(http.post("/oauth/token", data=form, headers={"DPoP": proof}), "invalid_client")
    headers = {"DPoP": client.proof("POST", TOKEN_URL), "Authorization": "Basic Zm9vOmJhcg=="}
    refused(http.post("/oauth/token", data=form, headers=headers), "invalid_request")


def test_a7_parameters_in_the_query_are_refused(client, http):
    headers = {"DPoP": client.proof("POST", TOKEN_URL)}
    form = client.form(grant_type=None)
    refused(http.post("/oauth/token?grant_type=client_credentials", data=form, headers=headers), "invalid_request")
    refused(http.post("/oauth/token?x=y", data=client.form(), headers=headers), "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "scope", "client_assertion", "client_assertion_type", "unknown"])
def test_a7_repeated_parameters_are_refused(client, http, name):
    form = MultiDict(client.form(unknown="x"))
    form.add(name, form[name])
    refused(http.post("/oauth/token", data=form, headers={"DPoP": client.proof("POST", TOKEN_URL)}), "invalid_request")


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/json", "text/plain", None])
def test_a7_only_a_form_is_read(client, http, kind):
    headers = {"DPoP": client.proof("POST", TOKEN_URL)}
    if kind == "multipart/form-data":
        response = http.post("/oauth/token", data=client.form(), headers=headers, content_type=kind)
    else:
        response = http.post("/oauth/token", data=b"grant_type=client_credentials", headers=headers, content_type=kind)
    refused(response, "invalid_request")


@pytest.mark.requirement("SEC-01")
def test_a8_tokens_are_short_and_bound(client, http):
    body = client.ask(http).json
    assert (body["token_type"], body["expires_in"]) == ("DPoP", 300)
    assert "refresh_token" not in body


def test_a9_a_token_of_another_type_is_refused(world, http, client):
    claims = jwt.decode(client.token(http), options={"verify_signature": False})
    for typ in (None, "JWT", "dpop+jwt"):
        token = jwt.encode(claims, signing_key(world), algorithm="ES256", headers={"typ": typ, "kid": "token-1"})
        assert world.get(token=token).status_code == 401
    token = jwt.encode(claims, signing_key(world), algorithm="ES256", headers={"typ": "at+jwt", "kid": "token-1"})
    assert world.get(token=token).status_code == 200


def signing_key(world):
    return jwt.PyJWK(world.token_signer.to_private_jwk()).key


@pytest.mark.requirement("DP-13")
def test_a10_a_bound_token_is_no_bearer_token(world, http, client):
    token = client.token(http)
    response = world.get(token=token, scheme="Bearer")
    assert response.status_code == 401
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert world.get(token=token).status_code == 200


def test_a14_a_challenge_names_dpop_and_standard_errors_only(world):
    answer = world.http().get("/v1/things/one")
    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('DPoP algs="ES256 PS256')
    assert "error=" not in challenge


def test_a15_proofs_with_large_rsa_keys_are_accepted(world, http):
    from cryptography.hazmat.primitives.asymmetric import rsa

    device = Device(world.clock, algorithm="PS256")
    device.key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    device.jwk = {name: public_jwk(device.key, "PS256")[name] for name in ("kty", "n", "e")}
    token = world.client.token(http, proof=device.proof("POST", TOKEN_URL))
    assert world.get(token=token, by=device).status_code == 200


def test_a18_no_default_method_of_authlib_gets_in(world, http, client):
    # client_secret_basic is Authlib's default for further endpoints; "none" and "client_secret_post" are built in.
    for form in (
        {"client_id": client.client_id},
        {"client_id": client.client_id, "client_assertion_type": "x", "client_assertion": client.assertion()},
        {"client_id": client.client_id, "client_assertion_type": CLIENT_ASSERTION_TYPE},
    ):
        form |= {"grant_type": "client_credentials", "scope": "attributes:request"}
        headers = {"DPoP": client.proof("POST", TOKEN_URL)}
        refused(http.post("/oauth/token", data=form, headers=headers), "invalid_client")


def test_a19_every_answer_says_that_it_is_json(client, http):
    for response in (client.ask(http), client.ask(http, scope="x"), client.ask(http, grant_type="x")):
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["Cache-Control"] == "no-store"


def test_authlib_writes_no_token_into_the_log(client, http, caplog):
    with caplog.at_level(logging.DEBUG):
        token = client.token(http)
    assert token not in caplog.text
    assert token.split(".")[1] not in caplog.text


def test_the_deprecated_jose_is_never_imported():
    import subprocess
    import sys

    program = "import sys, api.oauth; sys.exit(any(name.startswith('authlib.jose') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-W", "error", "-c", program], check=False).returncode == 0


def test_a_key_of_the_wrong_kind_cannot_be_an_assertion_key(world, http):
    client = Client(world.clock, "enc-only", PUBLIC_URL)
    client.jwks = lambda: {"keys": [public_jwk(client.assertion_key, kid="sig-1", use="enc")]}
    refused(world.register(client).ask(http), "invalid_client")
