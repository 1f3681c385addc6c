"""The code flow as an operator sets it up: keys, a client, and both applications behind one address."""

import json
import stat
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from api.config import Config
from api.wiring import initialise
from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange.agencies import parse_agencies, register_agency
from tests.house import COUNTRY
from tests.unit.api.commands import cdx, environment
from tests.unit.api.test_serving import is_ready, port, until  # noqa: F401  # a fixture is found by its name here

FLOW = ("--grant", "authorization_code", "--grant", "refresh_token", "--scope", "attributes:request")


@pytest.fixture
def environ(tmp_path, port):  # noqa: F811  # the fixture that was imported
    own = environment(
        tmp_path,
        CDX_PUBLIC_URL=f"http://127.0.0.1:{port}",
        CDX_LISTEN=f"127.0.0.1:{port}",
        CDX_WORKERS="1",
        CDX_OPENID_ISSUER="http://127.0.0.1:9",
        CDX_OPENID_AUDIENCE="cdx",
        CDX_OPENID_CLIENT_KEY_FILE=str(tmp_path / "openid.json"),
    )
    services = initialise(Config.from_env(own))
    for agency in parse_agencies((COUNTRY / "agencies.yaml").read_text()):
        register_agency(services.exchange, agency.code, agency.name, agency.profile, services.clock())
    services.close()
    return own


def fetch(port, path):  # noqa: F811  # the number of the fixture
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def test_a_client_is_registered_for_the_flow(environ, tmp_path):
    signing, encryption = SigningKey.generate("s"), EncryptionPrivateKey.generate("e")
    both, one = tmp_path / "both.json", tmp_path / "one.json"
    both.write_text(json.dumps({"keys": [signing.public_jwk(), encryption.public_jwk()]}))
    one.write_text(json.dumps({"keys": [encryption.public_jwk()]}))
    command = ("client", "register", "pages", "--agency", "housing-benefit-office", *FLOW)
    wrong = ("--jwks", both, "--redirect-uri", "http://agency.example/back")
    assert "redirect_uris" in cdx(environ, *command, *wrong, status=1)
    back = ("--redirect-uri", "https://agency.example/back")
    keys = ("--jwks", one, "--jwks-uri", "https://agency.example/keys")
    assert "pages is registered" in cdx(environ, *command, *back, *keys)


def test_both_applications_stand_behind_one_address(environ, port, tmp_path):  # noqa: F811  # as above
    assert "CDX_OPENID_CLIENT_KEY_FILE" in cdx(environ, "serve", status=1)  # named, and not there yet
    printed = cdx(environ, "openid", "key", tmp_path / "openid.json")
    assert stat.S_IMODE((tmp_path / "openid.json").stat().st_mode) == 0o600
    assert "d" not in json.loads(printed.splitlines()[-1])["keys"][0]

    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"], env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: is_ready(port), process, tmp_path / "output")
            status, headers, page = fetch(port, "/oauth/authorize?client_id=pages&request_uri=x")
            assert (status, headers["Content-Type"]) == (400, "text/html; charset=utf-8")
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert "This link does not work" in page
            assert fetch(port, "/oauth/authorize/portal.css")[0] == 200
            assert fetch(port, "/oauth/authorized")[0] == 404
            told = json.loads(fetch(port, "/.well-known/oauth-authorization-server")[2])
            assert told["authorization_endpoint"] == f"http://127.0.0.1:{port}/oauth/authorize"
        finally:
            process.terminate()
            process.wait(timeout=60)
