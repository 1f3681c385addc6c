"""``cdx witness`` as an operator of one uses it: no settings, one folder."""

import socket
import stat

import pytest

from api.witness_folder import open_witness
from crypto.checkpoint import NoteSigner, NoteVerifier
from exchange.audit.policy_file import parse_policy
from tests.integration.witness.server import environ
from tests.unit.api.commands import cdx
from tests.witnesses import TinyLog, request_body

LOG = TinyLog(NoteSigner("log.example/1", bytes(range(32))))
VKEY = LOG.signers[0].vkey
NAME = "witness.example"


@pytest.fixture
def folder(tmp_path):
    cdx(environ(), "witness", "init", tmp_path / "w", "--name", NAME)
    return tmp_path / "w"


def test_help_teaches():
    printed = " ".join(cdx(environ(), "witness", "--help").split())
    for text in ("cdx witness init", "add-log", "serve", "status", "Never restore", "never an entry"):
        assert text in printed


def test_init_prints_a_line_that_a_policy_reads(tmp_path):
    printed = cdx(environ(), "witness", "init", tmp_path / "w", "--name", NAME, "--url", "https://witness.example")
    (line,) = (line for line in printed.splitlines() if line.startswith("witness "))
    policy = parse_policy(f"log {VKEY}\n{line}\nquorum {NAME}\n")
    vkey = (tmp_path / "w" / "witness.vkey").read_text().strip()
    assert policy.witnesses[NAME].verifier == NoteVerifier.parse(vkey)
    assert policy.witnesses[NAME].url == "https://witness.example"


def test_secrets_are_for_their_owner_only_and_never_printed(folder):
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("witness.db", "witness.keyset", "witness.root"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    root = (folder / "witness.root").read_text()
    assert root not in cdx(environ(), "witness", "status", folder)


def test_init_never_touches_a_witness_that_is_there(folder):
    vkey = (folder / "witness.vkey").read_text()
    assert "error: " in cdx(environ(), "witness", "init", folder, "--name", NAME, status=1)
    assert (folder / "witness.vkey").read_text() == vkey


def test_a_log_is_added_by_its_key_or_a_file_with_it_and_taken_away(folder, tmp_path):
    (tmp_path / "log.vkey").write_text(f"{VKEY}\n")
    assert "trusted for log.example/1" in cdx(environ(), "witness", "add-log", folder, tmp_path / "log.vkey")
    assert "log.example/1" in cdx(environ(), "witness", "status", folder)
    assert "no longer trusted" in cdx(environ(), "witness", "add-log", folder, VKEY, "--remove")
    assert "not trusted" in cdx(environ(), "witness", "add-log", folder, VKEY, "--remove", status=1)


def test_what_is_no_key_is_refused_in_a_sentence(folder):
    assert "error: a verifier key" in cdx(environ(), "witness", "add-log", folder, "nonsense", status=1)
    own = (folder / "witness.vkey").read_text().strip()
    assert "error: a log signs" in cdx(environ(), "witness", "add-log", folder, own, status=1)


def test_status_shows_a_second_history_and_tells_by_its_own_status(folder):
    witness = open_witness(folder)
    witness.store.add_key(NoteVerifier.parse(VKEY))
    witness.add_checkpoint(LOG.request(0, 5))
    assert "never" not in cdx(environ(), "witness", "status", folder)
    twisted = TinyLog(*LOG.signers, forked_at=2)
    witness.add_checkpoint(request_body(5, [], twisted.note(5)))
    witness.store.close()
    printed = cdx(environ(), "witness", "status", folder, status=3)
    assert "two histories of size 5" in printed
    for log in (LOG, twisted):
        assert log.note(5) in printed


def test_what_cannot_be_served_is_told_before_anything_starts(folder, tmp_path):
    assert "holds no witness" in cdx(environ(), "witness", "serve", tmp_path / "nowhere", status=1)
    assert "host:port" in cdx(environ(), "witness", "serve", folder, "--listen", "here", status=1)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "is taken" in cdx(environ(), "witness", "serve", folder, "--listen", listen, status=1)
