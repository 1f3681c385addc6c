"""POST /oauth/token with client_credentials."""

import json

import jwt
import pytest
from sqlalchemy import select

from exchange.tables import access_token, single_use
from tests.http.oauth.clients import Client, Device, new_key, public_jwk
from tests.http.oauth.world import PUBLIC_URL

TOKEN_URL = PUBLIC_URL + "/oauth/token"


def refused(response, error, status=400):
    assert response.status_code == status, response.json
    assert response.json["error"] == error
    assert "access_token" not in response.json
    assert response.headers["Cache-Control"] == "no-store"
    assert response.mimetype == "application/json"
    return response.json.get("error_description", "")


@pytest.mark.parametrize("algorithm", ["ES256", "PS256", "EdDSA"])
@pytest.mark.parametrize("proof_algorithm", ["ES256", "PS256", "EdDSA"])
@pytest.mark.requirement("CR-02")
def test_a_client_gets_a_bound_token(world, http, algorithm, proof_algorithm):
    client = world.register(Client(world.clock, "another", PUBLIC_URL, algorithm=algorithm))
    device = Device(world.clock, algorithm=proof_algorithm)
    response = client.ask(http, proof=device.proof("POST", TOKEN_URL))
    assert response.status_code == 200, response.json
    assert response.json["token_type"] == "DPoP"
    assert response.json["expires_in"] == 300
    assert response.json["scope"] == "attributes:request"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Content-Type"] == "application/json"
    token = response.json["access_token"]
    keys = jwt.PyJWKSet.from_dict(http.get("/oauth/jwks").json)
    claims = jwt.decode(
        token,
        keys[jwt.get_unverified_header(token)["kid"]],
        algorithms=["ES256"],
        issuer=PUBLIC_URL,
        audience=PUBLIC_URL,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert claims["cnf"] == {"jkt": device.jkt}
    assert claims["exp"] - claims["iat"] == 300
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("another", "another", "attributes:request")
    [row] = world.rows(select(access_token))
    assert (row.client_id, row.subject_ref, row.jkt, row.status) == ("another", None, device.jkt, "ACTIVE")
    assert row.expires_at.timestamp() == claims["exp"]
    assert claims["jti"].encode() not in row.digest


def test_the_name_ed25519_is_accepted_too(world, http):
    from crypto.jose import SigningKey, sign_jws

    key = SigningKey.generate("sig-1", "Ed25519")
    client = Client(world.clock, "fully-specified", PUBLIC_URL)
    client.jwks = lambda: {"keys": [key.public_jwk()]}
    world.register(client)
    claims = jwt.decode(client.assertion(), options={"verify_signature": False})
    assert json.loads(sign_jws_header(sign_jws(claims, key=key, typ="JWT")))["alg"] == "Ed25519"
    assert client.ask(http, assertion=sign_jws(claims, key=key, typ="JWT")).status_code == 200


def sign_jws_header(token):
    from tests.http.oauth.clients import header_of

    return header_of(token)


@pytest.mark.parametrize(
    "fault",
    [
        {"aud": PUBLIC_URL + "/oauth/token"},
        {"aud": "https://other.example"},
        {"aud": [PUBLIC_URL]},
        {"aud": None},
        {"iss": "somebody-else"},
        {"sub": "somebody-else"},
        {"sub": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"iat": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 600},
    ],
    ids=str,
)
def test_an_assertion_with_one_wrong_claim_is_refused(client, http, fault):
    refused(client.ask(http, assertion=client.assertion(**fault)), "invalid_client")


@pytest.mark.parametrize(
    "times",
    [
        {"exp": 0},
        {"exp": -1},
        {"exp": 301},
        {"exp": 10**9},
        {"iat": -400, "exp": 10},
        {"iat": 61, "exp": 120},
        {"nbf": 61},
        {"iat": 20, "exp": 10},
    ],
    ids=str,
)
@pytest.mark.requirement("AS-13")
def test_an_assertion_with_one_wrong_time_is_refused(client, http, world, times):
    now = int(world.clock().timestamp())
    assertion = client.assertion(**{name: now + offset for name, offset in times.items()})
    refused(client.ask(http, assertion=assertion), "invalid_client")


@pytest.mark.parametrize("times", [{"iat": 10}, {"nbf": 10}, {"nbf": -60}, {"iat": 0, "exp": 300}], ids=str)
@pytest.mark.requirement("AS-13")
def test_clocks_may_differ_a_little(client, http, world, times):
    now = int(world.clock().timestamp())
    client.token(http, assertion=client.assertion(**{name: now + offset for name, offset in times.items()}))


def test_an_assertion_by_another_key_is_refused(client, http):
    refused(client.ask(http, assertion=client.assertion(key=new_key())), "invalid_client")


@pytest.mark.requirement("CR-03")
def test_weak_and_foreign_algorithms_are_refused(client, http, world):
    secret = "s" * 32
    for algorithm, key in (("none", None), ("HS256", secret), ("RS256", new_key("RS256"))):
        token = jwt.encode(
            jwt.decode(client.assertion(), options={"verify_signature": False}),
            key,
            algorithm=algorithm,
            headers={"kid": "sig-1"},
        )
        refused(client.ask(http, assertion=token), "invalid_client")
    rsa_client = world.register(Client(world.clock, "rsa", PUBLIC_URL, algorithm="PS256"))
    refused(rsa_client.ask(http, assertion=rsa_client.assertion(algorithm="RS256")), "invalid_client")
    rsa_client.token(http)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "dpop+jwt"},
        {"typ": "at+jwt"},
        {"kid": "other"},
        {"crit": ["exp"]},
        {"b64": True},
        {"typ": 7},
    ],
    ids=str,
)
def test_an_assertion_with_one_wrong_header_member_is_refused(client, http, header):
    refused(client.ask(http, assertion=resigned(client, header)), "invalid_client")


def resigned(client, header):
    """PyJWT refuses to write some headers: written by hand, signed by the client's key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    from tests.http.oauth.clients import b64u, payload_of

    head = {"alg": "ES256", "typ": "JWT", "kid": "sig-1"} | header
    signed = f"{b64u(json.dumps(head).encode())}.{b64u(payload_of(client.assertion()))}"
    r, s = decode_dss_signature(client.assertion_key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64u(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def test_the_hand_written_assertion_is_good_otherwise(client, http):
    client.token(http, assertion=resigned(client, {}))
    client.token(http, assertion=resigned(client, {"typ": "client-authentication+jwt"}))


@pytest.mark.parametrize(
    "assertion", ["x", "a.b", "a.b.c", ".", "..", "é.é.é", "a" * 9000, "e30.e30.e30", "W10.W10.AA"]
)
def test_malformed_assertions_are_refused(client, http, assertion):
    refused(client.ask(http, assertion=assertion), "invalid_client")


def test_unknown_client_bad_signature_and_suspended_client_look_alike(client, http, world):
    from exchange.tables import client as client_table

    stranger = Client(world.clock, "stranger", PUBLIC_URL)
    answers = [stranger.ask(http), client.ask(http, assertion=client.assertion(key=new_key()))]
    answers.append(client.ask(http, assertion=client.assertion(header={"kid": "unknown"})))
    world.set(client_table, {"status": "SUSPENDED"}, client_table.c.id == client.client_id)
    answers.append(client.ask(http))
    for answer in answers:
        refused(answer, "invalid_client")
    assert len({answer.data for answer in answers}) == 1
    # Nothing of theirs was taken; the suspended client's try is on record, and marked for the hour.
    assert [row.expires_at.minute for row in world.rows(select(single_use))] == [0]


def test_an_assertion_is_good_once(client, http, world):
    assertion = client.assertion()
    client.token(http, assertion=assertion)
    assert "before" in refused(client.ask(http, assertion=assertion), "invalid_client")
    assert len(world.rows(select(access_token))) == 1


def test_a_proof_is_good_once(client, http, world):
    proof = client.proof("POST", TOKEN_URL)
    client.token(http, proof=proof)
    assert "before" in refused(client.ask(http, proof=proof), "invalid_dpop_proof")
    assert len(world.rows(select(access_token))) == 1


def test_a_refused_request_uses_nothing_up(client, http, world):
    assertion, proof = client.assertion(), client.proof("POST", TOKEN_URL)
    client.token(http, proof=proof)
    refused(client.ask(http, assertion=assertion, proof=proof), "invalid_dpop_proof")
    client.token(http, assertion=assertion)


@pytest.mark.requirement("DP-17")
def test_a_missing_proof_is_an_invalid_request(client, http):
    refused(http.post("/oauth/token", data=client.form()), "invalid_request")


@pytest.mark.parametrize(
    ("scope", "granted"),
    [
        ("attributes:request", "attributes:request"),
        ("catalogue:read attributes:request", "catalogue:read attributes:request"),
        ("catalogue:read catalogue:read", "catalogue:read"),
    ],
)
@pytest.mark.requirement("AS-14")
def test_a_token_carries_what_was_asked_for_and_no_more(client, http, scope, granted):
    assert client.ask(http, scope=scope).json["scope"] == granted


@pytest.mark.parametrize(
    "scope", [None, "", " ", "me", "attributes:write", "attributes:request admin", "Attributes:request"]
)
def test_a_scope_that_the_client_does_not_have_is_refused(client, http, scope):
    refused(client.ask(http, scope=scope), "invalid_scope")


def test_no_client_ever_gets_the_scope_of_a_person(world, http):
    client = world.register(Client(world.clock, "greedy", PUBLIC_URL), scopes="me attributes:request")
    refused(client.ask(http, scope="me"), "invalid_scope")


@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
@pytest.mark.requirement("AS-02")
def test_a_grant_is_for_clients_that_are_registered_for_it(client, http, grant_type):
    refused(client.ask(http, grant_type=grant_type), "unauthorized_client")


@pytest.mark.parametrize("grant_type", ["password", "implicit", "x", None])
@pytest.mark.requirement("AS-02")
def test_other_grants_are_not_there(client, http, grant_type):
    refused(client.ask(http, grant_type=grant_type), "unsupported_grant_type")


def test_the_resource_may_be_named_and_must_be_ours(client, http):
    client.token(http, resource=PUBLIC_URL)
    refused(client.ask(http, resource="https://other.example"), "invalid_target")


def test_the_configured_address_counts_not_the_host_header(client, http):
    evil = client.proof("POST", "https://evil.example/oauth/token")
    refused(client.ask(http, proof=evil, headers={"Host": "evil.example"}), "invalid_dpop_proof")
    response = client.ask(http, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert response.status_code == 200


def test_an_oversized_form_is_refused(client, http):
    refused(client.ask(http, padding="x" * 70_000), "invalid_request", status=413)


def test_in_production_an_error_does_not_teach(client, world):
    from api.config import Environment

    http = world.new_app(environment=Environment.PRODUCTION).test_client()
    text = refused(client.ask(http, assertion=client.assertion(aud="https://other.example")), "invalid_client")
    assert text == "Client authentication failed."
    proof = client.proof("POST", "https://other.example/oauth/token")
    assert refused(client.ask(http, proof=proof), "invalid_dpop_proof") == "The DPoP proof is not valid."


def test_in_the_sandbox_an_error_teaches(client, http, world):
    text = refused(client.ask(http, assertion=client.assertion(aud="https://other.example")), "invalid_client")
    assert text == f"aud of the client assertion must be the text {PUBLIC_URL}"
    proof = client.proof("POST", "https://other.example/oauth/token")
    text = refused(client.ask(http, proof=proof), "invalid_dpop_proof")
    assert text == f"htu is https://other.example/oauth/token, expected {TOKEN_URL}"
    proof = client.proof("POST", TOKEN_URL, iat=int(world.clock().timestamp()) - 500)
    assert "iat lies 500 s in the past by our clock" in refused(client.ask(http, proof=proof), "invalid_dpop_proof")


def test_what_a_stranger_sent_cannot_break_out_of_an_error(client, http):
    proof = client.proof("POST", 'https://x.example/"\\\r\nSet-Cookie: a=b\x00é')
    text = refused(client.ask(http, proof=proof), "invalid_dpop_proof")
    assert text.isascii()
    assert not set(text) & set('"\\\r\n\x00')


def test_a_key_without_kid_serves_when_it_is_the_only_one(world, http):
    client = Client(world.clock, "no-kid", PUBLIC_URL)
    client.jwks = lambda: {"keys": [public_jwk(client.assertion_key, use="sig")]}
    world.register(client)
    assertion = jwt.encode(
        jwt.decode(client.assertion(), options={"verify_signature": False}), client.assertion_key, algorithm="ES256"
    )
    client.token(http, assertion=assertion)
