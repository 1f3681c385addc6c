"""Calls with an access token and a DPoP proof, at a view that admits its caller."""

import json

import jwt
import pytest

from api.config import Environment
from tests.http.oauth.clients import Device, b64u, forged, header_of, new_key, payload_of
from tests.http.oauth.test_token_endpoint import TOKEN_URL
from tests.http.oauth.world import AGENCY, PUBLIC_URL

URL = PUBLIC_URL + "/v1/things/one"


@pytest.fixture
def token(client, http):
    return client.token(http)


def refused(response, error, status=401):
    assert response.status_code == status, response.data
    assert response.mimetype == "application/problem+json"
    assert response.json["status"] == status
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("DPoP ")
    assert f'error="{error}"' in challenge
    assert 'algs="ES256 PS256 Ed25519 EdDSA"' in challenge
    assert f'resource_metadata="{PUBLIC_URL}/.well-known/oauth-protected-resource"' in challenge
    assert response.headers["Cache-Control"] == "no-store"
    return challenge


def test_a_good_call_is_let_in(world, token):
    assert world.get(token=token).json == {
        "name": "one",
        "agency": AGENCY,
        "client": "tax-client",
        "scopes": ["attributes:request"],
    }


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
@pytest.mark.requirement("RS-01")
def test_the_scheme_has_no_case(world, token, scheme):
    assert world.get(token=token, scheme=scheme).status_code == 200


def test_a_query_does_not_matter_to_the_proof(world, token):
    headers = {"Authorization": f"DPoP {token}", "DPoP": world.client.proof("GET", URL, token=token)}
    assert world.http().get("/v1/things/one?page=2", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://EXCHANGE.example/v1/things/one",
        "https://exchange.example:443/v1/things/one",
        "https://exchange.example/v1/things/one?x=y#z",
        "https://exchange.example/v1/things/%6Fne",
    ],
)
def test_other_spellings_of_the_address_are_the_same_address(world, token, htu):
    assert world.get(token=token, htu=htu).status_code == 200


def test_an_address_with_signs_outside_ascii_can_be_proved(world, token):
    for name in ("%C3%BCber%20uns", "one%3Fx=y", "one%23x", "a%252Fb", "%25"):
        assert world.get(f"/v1/things/{name}", token=token).status_code == 200


@pytest.mark.parametrize("name", ["one%3Fx", "one%23x", "%256Fne"])
def test_a_proof_for_one_address_does_not_serve_a_similar_one(world, token, name):
    refused(world.get(f"/v1/things/{name}", token=token, htu=URL), "invalid_dpop_proof")


@pytest.mark.parametrize(
    "fault",
    [
        {"htu": "https://other.example/v1/things/one"},
        {"htu": "http://exchange.example/v1/things/one"},
        {"htu": "https://exchange.example:8443/v1/things/one"},
        {"htu": "https://exchange.example/v1/things/two"},
        {"htu": "https://exchange.example/v1/things/one/"},
        {"htu": "https://user@exchange.example/v1/things/one"},
        {"htu": "/v1/things/one"},
        {"htu": "https://exchange.example:x/v1/things/one"},
        {"htu": None},
        {"htu": 7},
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": None},
        {"ath": None},
        {"ath": b64u(bytes(32))},
        {"ath": 7},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"iat": None},
        {"iat": "now"},
        {"iat": 1e300},
        {"iat": True},
    ],
    ids=str,
)
def test_a_proof_with_one_wrong_claim_is_refused(world, token, fault):
    refused(world.get(token=token, **fault), "invalid_dpop_proof")


@pytest.mark.parametrize(
    ("times", "good"),
    [
        ({"iat": -10}, True),
        ({"iat": -119}, True),
        ({"iat": -121}, False),
        ({"iat": 10}, True),
        ({"iat": 61}, False),
        ({"iat": 10**12}, False),
        ({"exp": -1}, False),
        ({"exp": 5}, True),
        ({"nbf": 61}, False),
        ({"nbf": 5}, True),
    ],
    ids=str,
)
@pytest.mark.requirement("DP-08")
def test_the_times_of_a_proof_are_bounded(world, token, times, good):
    now = int(world.clock().timestamp())
    response = world.get(token=token, **{name: now + offset for name, offset in times.items()})
    assert response.status_code == (200 if good else 401)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"jwk": None},
        {"jwk": "x"},
        {"jwk": {}},
        {"jwk": []},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
        {"jwk": {"kty": "EC", "crv": "P-256", "x": b64u(bytes(32)), "y": b64u(bytes(32))}},
    ],
    ids=str,
)
def test_a_proof_with_one_wrong_header_member_is_refused(world, token, header):
    proof = world.client.proof("GET", URL, token=token, header=header)
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


@pytest.mark.requirement("DP-04")
def test_a_private_key_in_the_header_is_refused(world, token):
    private = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(world.client.key))
    private = {name: private[name] for name in ("kty", "crv", "x", "y", "d")}
    proof = world.client.proof("GET", URL, token=token, header={"jwk": private})
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


@pytest.mark.requirement("DP-05")
def test_a_proof_signed_by_another_key_is_refused(world, token):
    proof = world.client.proof("GET", URL, token=token, key=new_key())
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


@pytest.mark.requirement("DP-03")
@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS256"])
def test_weak_and_foreign_algorithms_are_refused(world, token, algorithm):
    device = Device(world.clock, algorithm="PS256") if algorithm == "RS256" else world.client
    key = {"none": "", "HS256": "s" * 32, "RS256": device.key}[algorithm]
    proof = device.proof("GET", URL, token=token, key=key, algorithm=algorithm) if key else unsigned(device, token)
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


def unsigned(device, token):
    good = device.proof("GET", URL, token=token)
    return forged(good, header=header_of(good).replace(b'"ES256"', b'"none"'), signature=b"")


@pytest.mark.requirement("DP-12")
def test_a_proof_by_another_holder_is_refused(world, token):
    refused(world.get(token=token, by=Device(world.clock)), "invalid_token")


@pytest.mark.requirement("DP-01")
def test_there_must_be_exactly_one_proof(world, token):
    first, second = (world.client.proof("GET", URL, token=token) for _ in range(2))
    headers = [("Authorization", f"DPoP {token}")]
    refused(world.get(token=token, headers=headers), "invalid_dpop_proof")
    refused(world.get(token=token, headers=[*headers, ("DPoP", f"{first},{second}")]), "invalid_dpop_proof")
    refused(world.get(token=token, headers=[*headers, ("DPoP", first), ("DPoP", second)]), "invalid_dpop_proof")
    refused(world.get(token=token, headers=[*headers, ("DPoP", first), ("DPoP", first)]), "invalid_dpop_proof")
    refused(world.get(token=token, headers=[*headers, ("DPoP", "")]), "invalid_dpop_proof")


@pytest.mark.parametrize("proof", ["x", "a.b", "a.b.c", "..", "é", "e30.e30.e30", "x" * 5000])
def test_malformed_proofs_are_refused(world, token, proof):
    headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
    refused(world.get(token=token, headers=headers), "invalid_dpop_proof")


@pytest.mark.parametrize("part", ["header", "payload"])
def test_duplicate_members_are_refused(world, token, part):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    good = world.client.proof("GET", URL, token=token)
    doubled = {
        "header": {"header": header_of(good)[:-1] + b',"typ":"dpop+jwt"}'},
        "payload": {"payload": payload_of(good)[:-1] + b',"htm":"GET"}'},
    }[part]
    signed = forged(good, **doubled).rpartition(".")[0]
    r, s = decode_dss_signature(world.client.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    proof = f"{signed}.{b64u(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


@pytest.mark.requirement("DP-09")
def test_a_proof_is_good_once(world, token):
    proof = world.client.proof("GET", URL, token=token)
    assert world.get(token=token, proof=proof).status_code == 200
    refused(world.get(token=token, proof=proof), "invalid_dpop_proof")


def test_two_holders_may_use_the_same_jti(world, http, token):
    device = Device(world.clock)
    other = world.client.token(http, proof=device.proof("POST", TOKEN_URL))
    assert world.get(token=token, jti="same").status_code == 200
    assert world.get(token=other, by=device, jti="same").status_code == 200


@pytest.mark.requirement("RS-02")
@pytest.mark.parametrize("name", ["access_token", "dpop"])
def test_a_token_in_the_address_is_refused(world, token, name):
    headers = {"Authorization": f"DPoP {token}", "DPoP": world.client.proof("GET", URL, token=token)}
    refused(world.get(f"/v1/things/one?{name}={token}", token=token, headers=headers), "invalid_request", status=400)
    refused(world.http().get(f"/v1/things/one?{name}={token}"), "invalid_request", status=400)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer {token}",
        "Basic eDp5",
        "{token}",
        "DPoP",
        "DPoP ",
        "DPoP x",
        "DPoP {token} x",
        "DPoP  é",
        "",
        "DPoP\t{token}",
    ],
)
def test_other_authorization_headers_are_refused(world, token, value):
    headers = {"Authorization": value.format(token=token), "DPoP": world.client.proof("GET", URL, token=token)}
    refused(world.get(token=token, headers=headers), "invalid_token")


def test_two_authorization_headers_are_refused(world, token):
    proof = ("DPoP", world.client.proof("GET", URL, token=token))
    twice = [("Authorization", f"DPoP {token}"), ("Authorization", f"DPoP {token}"), proof]
    refused(world.get(token=token, headers=twice), "invalid_request", status=400)
    joined = [("Authorization", f"DPoP {token},DPoP {token}"), proof]
    refused(world.get(token=token, headers=joined), "invalid_request", status=400)


@pytest.mark.parametrize(
    "fault",
    [
        {"iss": "https://other.example"},
        {"aud": "https://other.example"},
        {"aud": [PUBLIC_URL]},
        {"cnf": None},
        {"cnf": {}},
        {"cnf": "x"},
        {"jti": None},
        {"client_id": None},
        {"sub": "another"},
        {"exp": None},
        {"exp": 1},
        {"scope": None},
        {"scope": "me"},
        {"scope": ["attributes:request"]},
    ],
    ids=str,
)
@pytest.mark.requirement("RS-03")
def test_a_token_of_ours_with_one_wrong_claim_is_refused(world, token, fault):
    claims = jwt.decode(token, options={"verify_signature": False})
    claims = {name: value for name, value in (claims | fault).items() if value is not None}
    made = jwt.encode(claims, own_key(world), algorithm="ES256", headers={"typ": "at+jwt", "kid": "token-1"})
    refused(world.get(token=made), "invalid_token")


def own_key(world):
    return jwt.PyJWK(world.token_signer.to_private_jwk()).key


def test_a_token_of_ours_without_a_row_is_refused(world, token):
    claims = jwt.decode(token, options={"verify_signature": False}) | {"jti": "never-issued"}
    made = jwt.encode(claims, own_key(world), algorithm="ES256", headers={"typ": "at+jwt", "kid": "token-1"})
    refused(world.get(token=made), "invalid_token")


def test_a_token_with_more_scopes_than_its_row_cannot_be_made_by_others(world, token):
    claims = jwt.decode(token, options={"verify_signature": False})
    made = jwt.encode(claims, new_key(), algorithm="ES256", headers={"typ": "at+jwt", "kid": "token-1"})
    refused(world.get(token=made), "invalid_token")
    body = payload_of(token).replace(b"attributes:request", b"attributes:writing")
    refused(world.get(token=forged(token, payload=body)), "invalid_token")


def test_an_answer_of_ours_is_no_access_token(world, token):
    from crypto.jose import sign_jws

    claims = jwt.decode(token, options={"verify_signature": False})
    for key, typ in ((world.exchange.answer_signer, "at+jwt"), (world.token_signer, "JWT")):
        refused(world.get(token=sign_jws(claims, key=key, typ=typ)), "invalid_token")


def test_a_token_ends_by_the_clock_even_when_it_was_seen_before(world, token):
    assert world.get(token=token).status_code == 200
    world.clock.advance(seconds=299)
    assert world.get(token=token).status_code == 200
    world.clock.advance(seconds=1)
    assert "expired" in refused(world.get(token=token), "invalid_token")


def test_a_missing_scope_is_forbidden_and_named(world, http, client):
    token = client.token(http, scope="catalogue:read")
    challenge = refused(world.get(token=token), "insufficient_scope", status=403)
    assert 'scope="attributes:request"' in challenge


def test_a_wrong_scope_uses_no_proof_up_and_a_wrong_proof_tells_no_scope(world, http, client):
    token = client.token(http, scope="catalogue:read")
    refused(world.get(token=token, htm="POST"), "invalid_dpop_proof")


@pytest.mark.requirement("DP-07")
def test_the_host_header_does_not_matter(world, token):
    evil = world.client.proof("GET", "https://evil.example/v1/things/one", token=token)
    headers = {"Authorization": f"DPoP {token}", "DPoP": evil, "Host": "evil.example"}
    refused(world.get(token=token, headers=headers), "invalid_dpop_proof")
    headers |= {"DPoP": world.client.proof("GET", URL, token=token), "X-Forwarded-Host": "evil.example"}
    assert world.get(token=token, headers=headers).status_code == 200


def test_errors_teach_in_the_sandbox_and_not_in_production(world, token):
    wrong = "https://other.example/v1/things/one"
    assert f"htu is {wrong}, expected {URL}" in refused(world.get(token=token, htu=wrong), "invalid_dpop_proof")
    early = int(world.clock().timestamp()) + 100
    assert "100 s in the future by our clock" in refused(world.get(token=token, iat=early), "invalid_dpop_proof")
    http = world.new_app(environment=Environment.PRODUCTION).test_client()
    response = world.get(token=token, htu=wrong, http=http)
    challenge = refused(response, "invalid_dpop_proof")
    assert 'error_description="The DPoP proof is not valid."' in challenge
    assert "other.example" not in challenge + response.text


def test_what_a_stranger_sent_cannot_break_out_of_the_challenge(world, token):
    challenge = refused(world.get(token=token, htu='x", evil="1\r\nSet-Cookie: a=b'), "invalid_dpop_proof")
    assert "\r" not in challenge
    assert 'evil="' not in challenge


def test_a_repeated_token_costs_no_second_signature_check(world, token):
    from api.oauth.state import EXTENSION

    tokens = world.app.extensions[EXTENSION].tokens
    now = world.clock()
    assert tokens.verify(token, now) is tokens.verify(token, now)


def test_unsupported_methods_are_no_way_around(world, token):
    proof = world.client.proof("POST", URL, token=token)
    assert world.get(token=token, proof=proof, method="POST").status_code == 200
    refused(
        world.get(token=token, proof=world.client.proof("GET", URL, token=token), method="POST"), "invalid_dpop_proof"
    )
    # HEAD is answered by the view for GET and has its own name in a proof.
    headers = {"Authorization": f"DPoP {token}", "DPoP": world.client.proof("GET", URL, token=token)}
    assert world.http().head("/v1/things/one", headers=headers).status_code == 401
