"""POST /oauth/token with an ID token: the citizen's own session."""

import json
from ipaddress import ip_network

import jwt
import pytest
from sqlalchemy import select

from exchange.tables import access_token, single_use, subject
from tests.http.oauth.clients import SIGN_IN_GRANT, Device, b64u, forged, header_of, new_key, payload_of
from tests.http.oauth.openid import AUDIENCE, Provider
from tests.http.oauth.test_token_endpoint import TOKEN_URL, refused
from tests.http.oauth.world import PUBLIC_URL, World


@pytest.fixture(params=["ES256"])
def provider(request, clock):
    started = Provider(clock, request.param)
    yield started
    started.close()


@pytest.fixture
def world(database, clock, provider):
    return World(
        database,
        clock,
        private_networks=(ip_network("127.0.0.1"),),
        config_changes={
            "openid_issuer": provider.issuer,
            "openid_audience": AUDIENCE,
            "openid_subject_claim": "national_id",
            "openid_subject_scheme": "national-id",
        },
    )


@pytest.fixture
def person(world):
    return world.person("AB 123-456")


@pytest.fixture
def device(world):
    return world.device


def sign_in(http, device, id_token, *, proof=None, headers=None, **changes):
    form = {"grant_type": SIGN_IN_GRANT, "assertion": id_token} | changes
    proof = proof or device.proof("POST", TOKEN_URL)
    return http.post("/oauth/token", data=form, headers={"DPoP": proof} | (headers or {}))


@pytest.mark.parametrize("provider", ["ES256", "PS256", "RS256"], indirect=True)
def test_a_signed_in_person_gets_the_own_token(world, http, provider, person, device):
    response = sign_in(http, device, provider.id_token(device))
    assert response.status_code == 200, response.json
    assert (response.json["token_type"], response.json["scope"], response.json["expires_in"]) == ("DPoP", "me", 300)
    assert response.headers["Cache-Control"] == "no-store"
    token = response.json["access_token"]
    [row] = world.rows(select(access_token))
    assert (row.client_id, row.subject_ref, row.jkt, row.scopes) == (None, person, device.jkt, "me")
    assert "AB" not in json.dumps(jwt.decode(token, options={"verify_signature": False}))
    answer = world.get("/v1/me", token=token, by=device)
    assert answer.json == {"subject": str(person)}


def test_the_persons_token_is_no_agencys_token_and_the_reverse(world, http, provider, person, device):
    token = sign_in(http, device, provider.id_token(device)).json["access_token"]
    answer = world.get(token=token, by=device)
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]
    assert 'scope="attributes:request"' in answer.headers["WWW-Authenticate"]
    answer = world.get("/v1/me", token=world.client.token(http))
    assert answer.status_code == 403
    assert 'scope="me"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    "fault",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": ["other"]},
        {"aud": None},
        {"aud": [AUDIENCE, "other"]},
        {"aud": [AUDIENCE, "other"], "azp": "other"},
        {"azp": "other"},
        {"sub": None},
        {"nonce": None},
        {"nonce": "another"},
        {"national_id": None},
        {"national_id": ""},
        {"national_id": 7},
        {"national_id": ["AB 123-456"]},
        {"exp": None},
        {"iat": None},
    ],
    ids=str,
)
def test_an_id_token_with_one_wrong_claim_is_refused(http, provider, person, device, fault):
    refused(sign_in(http, device, provider.id_token(device, **fault)), "invalid_grant")


@pytest.mark.parametrize("times", [{"exp": 0}, {"exp": -60}, {"iat": -301}, {"iat": 61}, {"nbf": 61}], ids=str)
def test_an_id_token_with_one_wrong_time_is_refused(world, http, provider, person, device, times):
    now = int(world.clock().timestamp())
    token = provider.id_token(device, **{name: now + offset for name, offset in times.items()})
    refused(sign_in(http, device, token), "invalid_grant")


@pytest.mark.parametrize("changes", [{"aud": [AUDIENCE]}, {"aud": [AUDIENCE, "other"], "azp": AUDIENCE}], ids=str)
def test_audiences_that_oidc_allows(http, provider, person, device, changes):
    assert sign_in(http, device, provider.id_token(device, **changes)).status_code == 200


def test_a_leaked_id_token_is_worth_nothing_to_another_key(world, http, provider, person, device):
    thief = Device(world.clock)
    leaked = provider.id_token(device)
    refused(sign_in(http, thief, leaked), "invalid_grant")
    assert sign_in(http, device, leaked).status_code == 200


def test_an_id_token_is_good_once(world, http, provider, person, device):
    token = provider.id_token(device)
    assert sign_in(http, device, token).status_code == 200
    assert "before" in refused(sign_in(http, device, token), "invalid_grant")


def test_the_second_form_of_an_ecdsa_signature_is_the_same_id_token(http, provider, person, device):
    token = provider.id_token(device)
    assert sign_in(http, device, token).status_code == 200
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    raw = jwt.utils.base64url_decode(token.split(".")[2])
    other = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    assert "before" in refused(sign_in(http, device, forged(token, signature=other)), "invalid_grant")


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_foreign_algorithms_are_refused(http, provider, person, device, algorithm):
    key = None if algorithm == "none" else "s" * 32
    refused(sign_in(http, device, provider.id_token(device, key=key or "", algorithm=algorithm)), "invalid_grant")


@pytest.mark.parametrize("provider", ["RS256"], indirect=True)
def test_a_public_key_is_no_shared_secret(http, provider, person, device):
    import hashlib
    import hmac

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = provider.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    payload = b64u(payload_of(provider.id_token(device)))
    signed = f"{b64u(json.dumps({'alg': 'HS256', 'typ': 'JWT', 'kid': 'op-1'}).encode())}.{payload}"
    token = f"{signed}.{b64u(hmac.digest(pem, signed.encode(), hashlib.sha256))}"
    refused(sign_in(http, device, token), "invalid_grant")


def test_an_id_token_by_another_key_is_refused(http, provider, person, device):
    refused(sign_in(http, device, provider.id_token(device, key=new_key())), "invalid_grant")


@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "dpop+jwt"])
def test_another_kind_of_token_of_the_provider_is_refused(http, provider, person, device, typ):
    refused(sign_in(http, device, provider.id_token(device, header={"typ": typ})), "invalid_grant")


def test_duplicate_members_are_refused(http, provider, person, device):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    good = provider.id_token(device)
    doubled = payload_of(good)[:-1] + b',"national_id":"CD 999"}'
    signed = forged(good, payload=doubled).rpartition(".")[0]
    r, s = decode_dss_signature(provider.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    token = f"{signed}.{b64u(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    assert header_of(token)
    refused(sign_in(http, device, token), "invalid_grant")


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "..", "e30.e30.e30", "x" * 20_000])
def test_malformed_id_tokens_are_refused(http, person, device, token):
    refused(sign_in(http, device, token), "invalid_grant")


def test_nobody_and_the_dead_get_the_same_help_and_no_value(world, http, provider, person, device):
    texts = [refused(sign_in(http, device, provider.id_token(device, national_id="ZZ 000")), "invalid_grant")]
    texts.append(refused(sign_in(http, device, provider.id_token(device, national_id="- -")), "invalid_grant"))
    for status in ("DECEASED", "ERASED"):
        world.set(subject, {"status": status}, subject.c.ref == person)
        texts.append(refused(sign_in(http, device, provider.id_token(device)), "invalid_grant"))
    assert len(set(texts)) == 1
    assert "help desk" in texts[0]
    # Nothing of theirs was taken; three that tried are on record, and marked for the hour.
    assert [row.expires_at.minute for row in world.rows(select(single_use))] == [0, 0, 0]


def test_a_protected_person_may_sign_in(world, http, provider, person, device):
    world.set(subject, {"status": "PROTECTED"}, subject.c.ref == person)
    assert sign_in(http, device, provider.id_token(device)).status_code == 200


def test_the_grant_takes_no_client_authentication_and_no_other_scope(world, http, provider, person, device):
    token = provider.id_token(device)
    refused(sign_in(http, device, token, client_assertion=world.client.assertion()), "invalid_request")
    refused(sign_in(http, device, token, headers={"Authorization": "Basic eDp5"}), "invalid_request")
    refused(sign_in(http, device, token, scope="attributes:request"), "invalid_scope")
    refused(sign_in(http, device, token, scope="me attributes:request"), "invalid_scope")
    refused(sign_in(http, device, token, resource="https://other.example"), "invalid_target")
    form = {"grant_type": SIGN_IN_GRANT, "assertion": token}
    refused(http.post("/oauth/token", data=form), "invalid_request")
    headers = {"DPoP": device.proof("POST", TOKEN_URL)}
    refused(http.post("/oauth/token", data={"grant_type": SIGN_IN_GRANT}, headers=headers), "invalid_request")
    assert sign_in(http, device, token, scope="me", resource=PUBLIC_URL).status_code == 200


def test_without_a_provider_there_is_no_such_grant(database, clock, provider):
    world = World(database, clock)
    response = sign_in(world.http(), world.device, provider.id_token(world.device))
    refused(response, "unsupported_grant_type")
    assert provider.requests == []


def test_keys_are_fetched_once_and_again_for_a_new_one(world, http, provider, person, device):
    for _ in range(3):
        assert sign_in(http, device, provider.id_token(device)).status_code == 200
        world.clock.advance(seconds=1)
    assert provider.requests == ["/.well-known/openid-configuration", "/keys"]
    provider.key = new_key()
    provider.documents["/keys"] = {"keys": [provider.jwk(kid="op-2")]}
    rotated = provider.id_token(device, header={"kid": "op-2"})
    refused(sign_in(http, device, rotated), "invalid_grant")  # half a minute protects the provider
    assert len(provider.requests) == 2
    world.clock.advance(seconds=31)
    assert sign_in(http, device, provider.id_token(device, header={"kid": "op-2"})).status_code == 200
    assert len(provider.requests) == 4


def test_a_provider_that_is_down_is_nobodys_fault(world, http, provider, person, device):
    provider.status = 500
    response = sign_in(http, device, provider.id_token(device))
    refused(response, "temporarily_unavailable", status=503)
    assert response.headers["Retry-After"] == "5"
    provider.status = 200
    world.clock.advance(seconds=31)
    assert sign_in(http, device, provider.id_token(device)).status_code == 200
    provider.status = 500
    world.clock.advance(minutes=50)  # known keys serve on for an hour
    assert sign_in(http, device, provider.id_token(device)).status_code == 200
    world.clock.advance(minutes=11)
    refused(sign_in(http, device, provider.id_token(device)), "temporarily_unavailable", status=503)


def test_a_token_that_could_not_hold_makes_nobody_fetch_keys(http, provider, person, device):
    refused(sign_in(http, device, provider.id_token(device, aud="other")), "invalid_grant")
    refused(sign_in(http, device, provider.id_token(device, nonce="other")), "invalid_grant")
    refused(sign_in(http, device, provider.id_token(device, key="s" * 32, algorithm="HS256")), "invalid_grant")
    assert provider.requests == []
