"""What an OpenID provider may publish, and which addresses are followed."""

import ssl
from datetime import timedelta
from ipaddress import ip_network

import pytest

from api.oauth.errors import SignInUnavailableError
from api.oauth.openid_provider import OpenIDProvider
from api.oauth.safe_fetch import MAX_BYTES, FetchError, fetch_json
from exchange.providers.addresses import AddressPolicy
from tests.http.oauth.clients import new_key, public_jwk
from tests.http.oauth.openid import Provider

LOCAL = AddressPolicy(allowed=(ip_network("127.0.0.1"),))
TLS = ssl.create_default_context()


@pytest.fixture
def provider(clock):
    started = Provider(clock)
    yield started
    started.close()


def known(provider, addresses=LOCAL):
    return OpenIDProvider(provider.issuer, addresses=addresses, tls=TLS)


def test_a_document_is_fetched(provider):
    assert fetch_json(provider.issuer + "/keys", addresses=LOCAL, tls=TLS)["keys"]


def test_a_private_address_needs_the_operators_leave(provider):
    with pytest.raises(FetchError, match="not on the allow-list"):
        fetch_json(provider.issuer + "/keys", addresses=AddressPolicy(), tls=TLS)
    assert provider.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://[::ffff:10.0.0.1]/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "//127.0.0.1/x",
        "",
        "http://127.0.0.1/#x",
    ],
)
def test_other_addresses_are_refused(url):
    with pytest.raises(FetchError):
        fetch_json(url, addresses=LOCAL, tls=TLS)


def test_redirects_are_not_followed(provider):
    provider.status, provider.headers = 302, {"Location": provider.issuer + "/keys"}
    with pytest.raises(FetchError):
        fetch_json(provider.issuer + "/keys", addresses=LOCAL, tls=TLS)
    assert provider.requests == ["/keys"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"[" * 1000, b" " * (MAX_BYTES + 1), b"\xff"])
def test_what_is_not_a_small_plain_document_is_refused(provider, body):
    provider.documents["/keys"] = body
    with pytest.raises(FetchError):
        fetch_json(provider.issuer + "/keys", addresses=LOCAL, tls=TLS)


def test_compression_is_refused(provider):
    provider.headers = {"Content-Encoding": "gzip"}
    with pytest.raises(FetchError):
        fetch_json(provider.issuer + "/keys", addresses=LOCAL, tls=TLS)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example", "jwks_uri": "{issuer}/keys"},
        {"issuer": "{issuer}/", "jwks_uri": "{issuer}/keys"},
        {"issuer": "{issuer}"},
        {"issuer": "{issuer}", "jwks_uri": 7},
        {"issuer": "{issuer}", "jwks_uri": "https://192.168.0.1/keys"},
        ["issuer"],
    ],
    ids=str,
)
def test_metadata_of_somebody_else_is_refused(provider, now, metadata):
    if isinstance(metadata, dict):
        metadata = {
            name: value.format(issuer=provider.issuer) if isinstance(value, str) else value
            for name, value in metadata.items()
        }
    provider.documents["/.well-known/openid-configuration"] = metadata
    with pytest.raises(SignInUnavailableError):
        known(provider).keys("ES256", "op-1", now)


def test_useless_keys_are_skipped_and_one_key_serves_one_algorithm(provider, now):
    rsa = new_key("RS256")
    rsa_jwk = {name: value for name, value in public_jwk(rsa, "RS256").items() if name != "key_ops"}
    provider.documents["/keys"] = {
        "keys": [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "op-1", "alg": "HS256"},
            {"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "op-1"},
            provider.jwk(use="enc"),
            "nonsense",
            provider.jwk(),
            rsa_jwk | {"kid": "both"},
            rsa_jwk | {"kid": "old", "alg": "RS256"},
            rsa_jwk | {"kid": "new", "alg": "PS256"},
            rsa_jwk | {"kid": "longer", "alg": "RS512"},
        ]
    }
    keys = known(provider)
    assert [key.kid for key in keys.keys("ES256", "op-1", now)] == ["op-1"]
    assert [key.kid for key in keys.keys("RS256", None, now)] == ["both", "old"]
    assert [key.kid for key in keys.keys("PS256", None, now)] == ["both", "new"]
    assert not keys.keys("HS256", "op-1", now)
    assert not keys.keys("RS512", None, now)


def test_a_short_rsa_key_is_no_key(provider, now):
    from cryptography.hazmat.primitives.asymmetric import rsa

    short = public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=1024), "RS256")
    provider.documents["/keys"] = {"keys": [{name: short[name] for name in ("kty", "n", "e")}]}
    assert not known(provider).keys("RS256", None, now)


def test_invented_key_names_do_not_flood_the_provider(provider, now):
    keys = known(provider)
    for number in range(50):
        assert not keys.keys("ES256", f"invented-{number}", now + timedelta(milliseconds=number))
    assert len(provider.requests) == 2
