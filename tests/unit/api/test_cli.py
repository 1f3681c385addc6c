"""The command line, end to end, as a program of its own."""

import json
import re
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing

import pytest

from api import schema
from tests.house import COUNTRY
from tests.unit.api.commands import cdx, environment

AGREEMENT = COUNTRY / "agreements" / "housing-benefit.yaml"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An installation with the demonstration country's catalogue and agencies, and a log that was written."""
    folder = tmp_path_factory.mktemp("installation")
    environ = environment(folder)
    printed = cdx(environ, "init")
    assert "is ready" in printed
    assert "UNSAFE LOCAL KEYS" in printed
    assert "40 attributes" in cdx(environ, "catalogue", "load", COUNTRY / "catalogue.yaml")
    assert "tax-authority is registered" in cdx(environ, "agency", "register", COUNTRY / "agencies.yaml")
    sequence(environ)
    return folder, environ


def sequence(environ):
    """Lets the real worker write the log, and stops it as an init system does."""
    path = environ["CDX_DATABASE_URL"].removeprefix("sqlite:///")

    def waiting():
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute("SELECT count(*) FROM audit_outbox").fetchone()[0]

    if not waiting():
        return
    program = [sys.executable, "-m", "api.cli", "worker"]
    with subprocess.Popen(program, env=environ, stderr=subprocess.PIPE, text=True) as worker:
        while worker.poll() is None and waiting():
            time.sleep(0.05)
        worker.terminate()
        _, errors = worker.communicate(timeout=60)
    assert worker.returncode == 0, errors


def test_help_teaches():
    printed = cdx({"PATH": "/usr/bin:/bin", "PYTHONPATH": environment_path()}, "--help")
    for word in ("cdx init", "cdx serve", "cdx sandbox client", "CDX_DATABASE_URL", "subjects", "log"):
        assert word in printed


def environment_path():
    from tests.unit.api.commands import ROOT

    return str(ROOT)


@pytest.mark.parametrize(
    "group", ["agency", "agreement", "catalogue", "client", "db", "keys", "log", "provider", "sandbox"]
)
def test_every_group_has_help(tmp_path, group):
    assert "Usage: cdx" in cdx(environment(tmp_path), group, "--help")


def test_a_missing_configuration_lists_every_fault(tmp_path):
    bare = {name: value for name, value in environment(tmp_path).items() if not name.startswith("CDX_")}
    printed = cdx(bare, "init", status=1)
    assert "CDX_PUBLIC_URL is missing" in printed
    assert "CDX_DATABASE_URL is missing" in printed


def test_settings_are_listed_without_any_being_set():
    printed = cdx({"PATH": "/usr/bin:/bin", "PYTHONPATH": environment_path()}, "config", "show")
    assert "CDX_INTEGRATE_WITHIN_SECONDS" in printed
    assert "(required)" in printed


def test_config_check(home, tmp_path):
    _, environ = home
    assert "complete" in cdx(environ, "config", "check")
    printed = cdx(environment(tmp_path), "config", "check", status=1)
    assert "cdx init" in printed
    assert "web.root" in printed
    assert "log.root" in printed


def test_a_second_init_changes_nothing(home):
    folder, environ = home
    keys = (folder / "keys" / "web.keyset").read_bytes()
    assert "already" in cdx(environ, "init", status=1)
    assert (folder / "keys" / "web.keyset").read_bytes() == keys


def test_files_of_an_installation_are_private(home):
    folder, _ = home
    assert stat.S_IMODE((folder / "cdx.db").stat().st_mode) == 0o600


def test_db_upgrade_may_run_again(home):
    assert schema.head() in cdx(home[1], "db", "upgrade")


def test_keys_status_shows_no_key(home):
    folder, environ = home
    printed = cdx(environ, "keys", "status")
    for purpose in ("blind-index", "token-signing", "receipt-signing", "log-signing"):
        assert purpose in printed
    assert "key epoch 1: ACTIVE" in printed
    for path in (folder / "keys").glob("*.root"):
        assert path.read_text() not in printed


def test_two_people_bring_an_agreement_into_force(home):
    _, environ = home
    printed = cdx(environ, "agreement", "propose", AGREEMENT, "--by", "officer-a")
    revision, digest = re.search(r"--revision (\d+) --digest ([0-9a-f]{64})", printed).groups()
    approve = ("agreement", "approve", "housing-benefit", "--revision", revision, "--digest")
    assert "error" in cdx(environ, *approve, digest, "--by", "officer-a", status=1)
    assert "digest" in cdx(environ, *approve, "0" * 64, "--by", "officer-b", status=1)
    assert "is in force" in cdx(environ, *approve, digest, "--by", "officer-b")
    assert "IN_FORCE" in cdx(environ, "agreement", "list")
    assert "Aborted" in cdx(environ, "agreement", "end", "housing-benefit", "--by", "officer-a", given="n\n", status=1)
    assert "has ended" in cdx(environ, "agreement", "end", "housing-benefit", "--by", "officer-a", "--yes")


def test_faults_of_a_file_are_listed_with_their_places(home, tmp_path):
    (tmp_path / "catalogue.yaml").write_text("catalogue: cdx/catalogue/v1\n")
    printed = cdx(home[1], "catalogue", "load", tmp_path / "catalogue.yaml", status=1)
    assert printed.count("error:") > 1
    assert "cannot be read" in cdx(home[1], "catalogue", "load", tmp_path / "nowhere.yaml", status=1)


def test_agencies_are_registered_once_and_suspended(home):
    _, environ = home
    assert "registered already" in cdx(environ, "agency", "register", COUNTRY / "agencies.yaml")
    cdx(environ, "agency", "status", "city-parking-office", "SUSPENDED")
    assert re.search(r"city-parking-office.*SUSPENDED", cdx(environ, "agency", "list"))
    cdx(environ, "agency", "status", "city-parking-office", "ACTIVE")


def test_a_sandbox_client(home, tmp_path):
    _, environ = home
    path = tmp_path / "client.json"
    arguments = ("sandbox", "client", "--agency", "housing-benefit-office", "--name", "housing-1", "--out", path)
    printed = cdx(environ, *arguments)
    assert "no agreement in force" in printed
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert {"issuer", "client_id", "signing", "dpop", "encryption"} <= document.keys()
    assert all(document[name]["d"] not in printed for name in ("signing", "dpop", "encryption"))
    # Neither the file nor the client is replaced.
    assert "exists already" in cdx(environ, *arguments, status=1)
    other = tmp_path / "other.json"
    assert "registered already" in cdx(environ, *arguments[:-1], other, status=1)
    assert not other.exists()


def test_no_sandbox_client_in_production(tmp_path):
    environ = environment(tmp_path)
    folder = tmp_path / "keys"
    cdx(environ, "init")
    del environ["CDX_UNSAFE_LOCAL_KEYS_DIR"]
    environ |= {
        "CDX_ENVIRONMENT": "production",
        "CDX_PUBLIC_URL": "https://exchange.example",
        "CDX_WEB_KEYSET_FILE": str(folder / "web.keyset"),
        "CDX_WEB_ROOT_KEY_FILE": str(folder / "web.root"),
        "CDX_LOG_VKEY_FILE": str(folder / "log.vkey"),
    }
    assert "cdx client register" in cdx(environ, "sandbox", "client", "--agency", "tax-authority", status=1)


def test_client_register(home, tmp_path):
    from crypto.jose import SigningKey

    _, environ = home
    key = SigningKey.generate("audit-1")
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [key.public_jwk()]}))
    arguments = ("client", "register", "auditor", "--agency", "tax-authority", "--jwks", jwks, "--scope", "audit:read")
    assert "auditor is registered" in cdx(environ, *arguments)
    jwks.write_text(json.dumps({"keys": [key.to_private_jwk()]}))
    printed = cdx(environ, *arguments[:2], "auditor-2", *arguments[3:], status=1)
    assert "jwks" in printed
    assert "SUSPENDED" in cdx(environ, "client", "status", "auditor", "suspended")


def test_import_lists_what_it_does_not_take_and_goes_on_where_it_stopped(home, tmp_path):
    _, environ = home
    path = tmp_path / "people.jsonl"
    lines = [{"scheme": "national-id", "id": f"VAL-20000{n}-0", "household_size": n} for n in range(3)]
    path.write_text("\n".join([*map(json.dumps, lines), "no json"]) + "\n")
    command = ("subjects", "import", path, "--provider", "population-register")
    printed = cdx(environ, *command, status=2)
    assert "3 people are imported, 1 lines were not taken" in printed, printed
    assert "line 4" in printed
    assert "VAL-" not in printed
    again = cdx(environ, *command, status=2)
    assert "3 people are imported" in again
    assert "line 5" in again
    assert "error" in cdx(environ, *command[:-1], "nobody", status=1)


def test_erasing_asks_and_takes_no_identifier_from_the_command_line(home, tmp_path):
    _, environ = home
    path = tmp_path / "one.jsonl"
    person = {"scheme": "national-id", "id": "VAL-300001-0", "household_size": 2}
    path.write_text(json.dumps(person) + "\n")
    cdx(environ, "subjects", "import", path, "--provider", "population-register")
    assert "nobody" in cdx(environ, "subject", "erase", "--yes", given="VAL-999999-0\n", status=1)
    printed = cdx(environ, "subject", "erase", "--yes", given="VAL-300001-0\n")
    assert "Erased" in printed
    assert "VAL-300001-0" not in printed
    assert "nobody" in cdx(environ, "subject", "erase", "--yes", given="VAL-300001-0\n", status=1)


def test_the_log_is_verified_exported_and_proved(home, tmp_path):
    folder, environ = home
    sequence(environ)
    assert "database: verified" in cdx(environ, "log", "verify-db")
    cdx(environ, "log", "export", tmp_path / "log")
    vkey = folder / "keys" / "log.vkey"
    # Whoever verifies needs no installation.
    bare = {name: value for name, value in environ.items() if not name.startswith("CDX_")}
    verify = ("log", "verify", tmp_path / "log", "--vkey", vkey, "--state", tmp_path / "state")
    assert "verified" in cdx(bare, *verify)
    assert "verified" in cdx(bare, *verify, "--quick")
    (bundle,) = (tmp_path / "log" / "tile" / "entries").rglob("*[0-9]")
    entry = re.search(rb'"id":"([0-9a-f-]{36})"', bundle.read_bytes())[1].decode()
    cdx(environ, "log", "prove", entry, "--out", tmp_path / "proof")
    assert "verified" in cdx(bare, "log", "verify", tmp_path / "proof", "--vkey", vkey.read_text().strip())
    data = bytearray(bundle.read_bytes())
    data[60] ^= 1
    bundle.write_bytes(data)
    assert "NOT VERIFIED" in cdx(bare, *verify[:-2], status=1)
    assert "Missing argument" in cdx(environ, "log", "verify", status=2)


@pytest.mark.parametrize(
    ("table", "column"),
    [("subject_identifier", "ct"), ("attribute_value", "ct"), ("audit_opening", "ct"), ("audit_tile", "data")],
)
def test_one_altered_byte_in_the_database_is_found(home, tmp_path, table, column):
    folder, environ = home
    path = tmp_path / "person.jsonl"
    number = 400001 + len(table)
    person = {"scheme": "national-id", "id": f"VAL-{number}-0", "household_size": 2}
    path.write_text(json.dumps(person) + "\n")
    cdx(environ, "subjects", "import", path, "--provider", "population-register")
    sequence(environ)
    copy = tmp_path / "copy.db"
    source, target = sqlite3.connect(folder / "cdx.db"), sqlite3.connect(copy)
    source.backup(target)
    rowid, value = target.execute(f"SELECT rowid, {column} FROM {table} LIMIT 1").fetchone()
    altered = value[:-1] + bytes([value[-1] ^ 1])
    target.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (altered, rowid))
    target.commit()
    target.close()
    source.close()
    printed = cdx(environ | {"CDX_DATABASE_URL": f"sqlite:///{copy}"}, "log", "verify-db", status=1)
    assert re.search(rf"wrong: +{table}", printed), printed


def test_openapi_needs_no_installation(tmp_path):
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": environment_path()}
    assert json.loads(cdx(bare, "openapi"))["openapi"].startswith("3.1")


def test_provider_keys_and_check(tmp_path):
    environ = environment(tmp_path)
    path = tmp_path / "provider.json"
    cdx(environ, "provider", "keys", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "File exists" in cdx(environ, "provider", "keys", path, status=1)
    (tmp_path / "mapping.yaml").write_text("mapping: nonsense\n")
    assert "error" in cdx(environ, "provider", "serve", tmp_path / "mapping.yaml", "--dry-run", status=1)
