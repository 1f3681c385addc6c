"""The gateway's HTTP application: what it takes, what it refuses, and what it lets be seen."""

import json
import stat
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import structlog

from api.provider_gateway import ExchangeKeys, make_key_file, read_keys
from crypto.errors import UnknownKeyError
from crypto.jose import EncryptionPrivateKey, SigningKey, encrypt_jwe, load_jwk_set, sign_jws
from exchange.providers.mapping import MappingError
from exchange.providers.protocol import MAX_QUERY_BYTES, QUERY_TYPE, key_finder, read_answer, write_query
from tests.integration.providers.parts import ALICE, ISSUER, PROVIDER, Provider, make_provider, other_keys

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
JWT = "application/jwt"


@pytest.fixture
def provider(tmp_path) -> Provider:
    return make_provider(tmp_path)


@pytest.fixture
def client(provider):
    return provider.app(clock=lambda: NOW).test_client()


def query(provider: Provider, **changes: object):
    parts = {
        "issuer": ISSUER,
        "provider": PROVIDER,
        "request": uuid4(),
        "purpose": "parking",
        "subject": ALICE,
        "attributes": ["vehicle_count"],
        "signer": provider.signer,
        "recipient": provider.keys.decryption.public_key(),
        "now": NOW,
    }
    return write_query(**(parts | changes))


def post(client, body, media_type: str = JWT):
    return client.post("/", data=body, content_type=media_type)


def claims(provider: Provider, **changes: object) -> bytes:
    """A query with claims of our own, well signed and encrypted."""
    made = {
        "iss": ISSUER,
        "aud": PROVIDER,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
        "jti": "A" * 43,
        "request": str(uuid4()),
        "purpose": "parking",
        "subject": {"scheme": "national-id", "id": "VAL-1"},
        "attributes": ["vehicle_count"],
        "answer_key": EncryptionPrivateKey.generate("a").public_jwk(),
    }
    body = {name: value for name, value in (made | changes).items() if value is not None}
    token = sign_jws(body, key=provider.signer, typ=QUERY_TYPE)
    return encrypt_jwe(token.encode(), key=provider.keys.decryption.public_key()).encode()


def test_a_query_gets_an_answer_that_only_its_asker_can_read(provider, client):
    sent = query(provider)
    response = post(client, sent.body)
    assert (response.status_code, response.mimetype) == (200, JWT)
    assert response.headers["Cache-Control"] == "no-store"
    keys = key_finder([provider.keys.signer.public_key()])
    assert read_answer(response.data, sent, keys=keys, now=NOW)["vehicle_count"].value == 2


def test_the_well_formed_claims_of_this_test_are_taken(provider, client):
    assert post(client, claims(provider)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"iss": "https://other.example"}, 400, "issuer"),
        ({"iss": None}, 400, "issuer"),
        ({"aud": "tax-authority"}, 400, "audience"),
        ({"aud": [PROVIDER]}, 400, "audience"),
        ({"exp": int(NOW.timestamp()) + 61}, 400, "time"),
        ({"exp": int(NOW.timestamp())}, 400, "time"),
        ({"exp": None}, 400, "time"),
        ({"iat": int(NOW.timestamp()) - 120, "exp": int(NOW.timestamp()) - 60}, 400, "time"),
        ({"iat": int(NOW.timestamp()) + 30, "exp": int(NOW.timestamp()) + 60}, 400, "time"),
        ({"iat": True, "exp": 60}, 400, "time"),
        ({"jti": None}, 400, "malformed"),
        ({"jti": "short"}, 400, "malformed"),
        ({"jti": 7}, 400, "malformed"),
        ({"request": "7"}, 400, "malformed"),
        ({"purpose": "a b"}, 400, "malformed"),
        ({"subject": "VAL-1"}, 400, "malformed"),
        ({"subject": {"scheme": "n"}}, 400, "malformed"),
        ({"subject": {"scheme": "n", "id": 7}}, 400, "malformed"),
        ({"attributes": []}, 400, "malformed"),
        ({"attributes": ["a", "a"]}, 400, "malformed"),
        ({"attributes": ["a b"]}, 400, "malformed"),
        ({"attributes": [7]}, 400, "malformed"),
        ({"attributes": [f"a{n}" for n in range(65)]}, 400, "malformed"),
        ({"answer_key": None}, 400, "malformed"),
        ({"answer_key": {"kty": "oct", "k": "AA"}}, 400, "malformed"),
        ({"more": 1}, 400, "malformed"),
    ],
)
def test_a_query_that_is_signed_but_wrong_is_refused_with_its_reason(provider, client, changes, status, reason):
    response = post(client, claims(provider, **changes))
    assert response.status_code == status
    assert response.mimetype == "application/problem+json"
    assert response.json == {"type": f"urn:cdx:problem:query-{reason}", "status": status}


def test_a_stranger_is_refused(provider, client):
    same_name = SigningKey.generate(provider.signer.kid)
    assert post(client, query(provider, signer=same_name).body).json["type"].endswith("query-signature")
    assert post(client, query(provider, signer=SigningKey.generate("new")).body).json["type"].endswith("unknown-key")
    other = other_keys(provider.keys).decryption.public_key()
    assert post(client, query(provider, recipient=other).body).json["type"].endswith("query-not-for-this-key")
    typed = sign_jws({"iss": ISSUER}, key=provider.signer, typ="cdx-attribute-answer+jwt")
    body = encrypt_jwe(typed.encode(), key=provider.keys.decryption.public_key())
    assert post(client, body).json["type"].endswith("query-signature")


@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"a.b.c.d.e", b"." * 4, b"{}"])
def test_what_is_no_query_is_malformed(client, body):
    response = post(client, body)
    assert (response.status_code, response.json["type"]) == (400, "urn:cdx:problem:query-malformed")


def test_other_media_types_methods_and_sizes_are_refused(provider, client):
    assert post(client, query(provider).body, "application/json").status_code == 415
    assert client.get("/").status_code == 405
    assert post(client, b"x" * (MAX_QUERY_BYTES + 1)).status_code == 413


def test_a_replay_is_refused_by_every_process_and_after_a_restart_until_it_is_too_old_anyway(provider):
    sent = query(provider)
    first, second = (provider.app(clock=lambda: NOW).test_client() for _ in range(2))
    assert post(first, sent.body).status_code == 200
    assert post(first, sent.body).status_code == 409
    assert post(second, sent.body).status_code == 409
    later = provider.app(clock=lambda: NOW + timedelta(seconds=64)).test_client()
    assert post(later, sent.body).status_code == 409
    later = provider.app(clock=lambda: NOW + timedelta(seconds=66)).test_client()
    assert post(later, sent.body).json["type"].endswith("query-time")


def test_the_public_keys_are_published_without_their_private_halves(provider, client):
    jwks = client.get("/jwks.json").json
    assert len(load_jwk_set(jwks, use="sig")) == len(load_jwk_set(jwks, use="enc")) == 1
    assert all("d" not in jwk for jwk in jwks["keys"])
    assert client.get("/healthz").data == b"ok\n"


def test_the_log_tells_what_was_answered_and_not_about_whom(provider, client):
    with structlog.testing.capture_logs() as logs:
        post(client, query(provider, attributes=["vehicle_count", "vehicle_plate"]).body)
        post(client, b"garbage")
        (provider.folder / "registry.db").unlink()
        post(provider.app(clock=lambda: NOW).test_client(), query(provider).body)
    assert [one["event"] for one in logs] == ["query answered", "query refused", "query failed"]
    assert logs[0]["attributes"] == {"vehicle_count": "present", "vehicle_plate": "present"}
    assert not any(text in json.dumps(logs) for text in ("VAL", "val1", '"42"', "person_id"))


def test_a_registry_that_is_gone_is_503(provider, client):
    (provider.folder / "registry.db").unlink()
    response = post(client, query(provider).body)
    assert (response.status_code, response.json["type"]) == (503, "urn:cdx:problem:registry-unavailable")


def test_a_key_file_is_made_once_for_its_owner_only_and_read_strictly(tmp_path):
    path = tmp_path / "keys.json"
    make_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        make_key_file(path)
    finder = key_finder([])
    assert read_keys(path, finder).signer.kid.startswith("sig-")
    for text in ("", "{}", '{"keys": []}', '{"keys": [7]}', '{"keys": {}}', path.read_text().replace('"sig"', '"enc"')):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(MappingError):
            read_keys(tmp_path / "bad.json", finder)
    with pytest.raises(MappingError):
        read_keys(tmp_path / "missing.json", finder)


def test_new_keys_of_the_exchange_are_taken_up_but_not_asked_for_all_the_time(tmp_path, monkeypatch):
    path = tmp_path / "jwks.json"
    old, new = SigningKey.generate("old"), SigningKey.generate("new")
    path.write_text(json.dumps({"keys": [old.public_jwk()]}))
    seconds = [1000.0]
    monkeypatch.setattr("api.provider_gateway.time.monotonic", lambda: seconds[0])
    keys = ExchangeKeys(str(path))
    assert keys("old").kid == "old"
    path.write_text(json.dumps({"keys": [new.public_jwk()]}))
    with pytest.raises(UnknownKeyError):
        keys("new")
    seconds[0] += 61
    assert keys("new").kid == "new"
    with pytest.raises(UnknownKeyError):
        keys("old")
    path.unlink()
    seconds[0] += 61
    with pytest.raises(UnknownKeyError):
        keys("other")
    assert keys("new").kid == "new"
    with pytest.raises(UnknownKeyError):
        ExchangeKeys("https://127.0.0.1:1/jwks.json")("old")
