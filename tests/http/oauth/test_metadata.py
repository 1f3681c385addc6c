"""The documents that tell clients where everything is, and a client that knows nothing else."""

import jwt
import pytest

from tests.http.oauth.clients import Client, thumbprint
from tests.http.oauth.world import PUBLIC_URL


@pytest.mark.requirement("AS-01")
def test_the_authorization_server_describes_itself(http):
    response = http.get("/.well-known/oauth-authorization-server")
    assert response.mimetype == "application/json"
    assert response.json == {
        "issuer": PUBLIC_URL,
        "token_endpoint": PUBLIC_URL + "/oauth/token",
        "jwks_uri": PUBLIC_URL + "/oauth/jwks",
        "scopes_supported": [
            "attributes:request",
            "attributes:write",
            "requests:read",
            "catalogue:read",
            "audit:read",
            "audit:open",
        ],
        "response_types_supported": [],
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
        "dpop_signing_alg_values_supported": ["ES256", "PS256", "Ed25519", "EdDSA"],
        "protected_resources": [PUBLIC_URL],
    }


@pytest.mark.requirement("DP-18")
def test_the_resource_describes_itself(http):
    document = http.get("/.well-known/oauth-protected-resource").json
    assert document["resource"] == PUBLIC_URL
    assert document["authorization_servers"] == [PUBLIC_URL]
    assert document["bearer_methods_supported"] == ["header"]
    assert document["dpop_bound_access_tokens_required"] is True
    assert document["dpop_signing_alg_values_supported"] == ["ES256", "PS256", "Ed25519", "EdDSA"]


@pytest.mark.requirement("CR-09")
def test_the_public_keys_are_public_and_named(world, http):
    response = http.get("/oauth/jwks")
    assert response.mimetype == "application/jwk-set+json"
    keys = response.json["keys"]
    assert [key["kid"] for key in keys] == ["token-1", "answer-1", "receipt-1", "provider-1"]
    for key in keys:
        assert key["use"] == "sig"
        assert not {"d", "k", "p", "q"} & set(key)
    assert len({thumbprint(key) for key in keys}) == 4


def test_no_document_depends_on_the_host_header(http):
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource", "/oauth/jwks"):
        assert http.get(path).data == http.get(path, headers={"Host": "evil.example"}).data
        assert http.post(path).status_code == 405


def test_the_token_endpoint_takes_nothing_but_post(http):
    for method in ("GET", "PUT", "DELETE", "HEAD"):
        assert http.open("/oauth/token", method=method).status_code == 405


def test_a_client_that_reads_the_metadata_first_gets_in(world, http):
    document = http.get("/.well-known/oauth-authorization-server").json
    client = world.register(Client(world.clock, "discovering", document["issuer"]))
    assert client.token_url == document["token_endpoint"]
    token = client.token(http)
    key = jwt.PyJWKSet.from_dict(http.get("/oauth/jwks").json)[jwt.get_unverified_header(token)["kid"]]
    options = {"verify_exp": False, "verify_iat": False}
    resource = http.get("/.well-known/oauth-protected-resource").json["resource"]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=resource, issuer=document["issuer"], options=options)
    assert claims["cnf"]["jkt"] == client.jkt
    assert world.get(token=token, by=client).status_code == 200
