"""The commands for outsiders, as programs, where nothing but three libraries is installed."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exchange.audit.entry import decode_entry
from exchange.audit.state_file import parse_state
from tests.integration.offline.tree import BODIES, OTHERS, SIGNER, TIME, TreeOfFiles, policy, served

ROOT = Path(__file__).parents[3]
VKEY = ("--vkey", SIGNER.vkey)


def run(*lines, **options):
    """[(status, output)] of command lines, in one process without the other libraries."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.offline.bare"],
        input=json.dumps([[str(word) for word in line] for line in lines]),
        cwd=ROOT,
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(result) for result in json.loads(done.stdout)]


@pytest.fixture
def tree(tmp_path):
    return TreeOfFiles(tmp_path / "log").grow(BODIES[:300], a=TIME, b=TIME)


def test_every_command_is_listed_and_what_needs_more_says_so():
    listed, of_the_log, serve, verify_db, own = run(
        ["--help"], ["log", "--help"], ["serve"], ["log", "verify-db"], ["log", "prove", "7"]
    )
    assert listed[0] == 0
    for name in ("agency", "init", "log", "openapi", "serve", "worker", "subjects"):
        assert f"\n  {name} " in listed[1]
    for name in ("verify", "verify-db", "prove", "export", "monitor"):
        assert f"\n  {name} " in of_the_log[1]
    for status, printed in (serve, verify_db, own):
        assert status == 1
        assert "needs a whole installation" in printed


def test_everything_works_from_a_directory_and_from_an_address(tree, tmp_path):
    (tmp_path / "policy").write_text(policy())
    (tmp_path / "keys").write_text(f"{SIGNER.vkey}\n")
    entry = decode_entry(BODIES[5])
    proof, by_id, state, copy = (tmp_path / name for name in ("proof", "by-id", "state", "copy"))
    (tmp_path / "entry").write_bytes(BODIES[5])
    with served(tree.folder) as address, served(tree.folder, entries=401) as public:
        results = run(
            ["log", "verify", tree.folder, *VKEY],
            ["log", "verify", address, "--policy", tmp_path / "policy", "--state", state],
            ["log", "verify", public, "--vkey", tmp_path / "keys", "--state", state, "--quick"],
            ["log", "prove", 5, "--from", public, *VKEY, "--out", proof],
            ["log", "prove", "--check", proof, *VKEY],
            ["log", "prove", "--check", proof, *VKEY, "--entry", tmp_path / "entry"],
            ["log", "prove", entry.id, "--from", address, *VKEY, "--out", by_id],
            ["log", "prove", "--check", by_id, "--policy", tmp_path / "policy"],
            ["log", "verify", by_id, *VKEY],
            ["log", "export", copy, "--from", address, *VKEY],
            ["log", "verify", copy, *VKEY],
            ["log", "monitor", public, "--state", state, "--policy", tmp_path / "policy", "--max-age", 10**9],
            ["log", "prove", entry.id, "--from", public, *VKEY],
        )
    assert [status for status, _ in results] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1], results
    assert "the witness a cosigned it" in results[1][1]
    assert "nobody else vouches" in results[0][1]
    assert "for it" in results[2][1]
    assert "what the entry says" in results[3][1]
    assert "does not hold the entry" in results[4][1]
    assert f"entry {entry.id} is number 5" in results[7][1]
    assert "name the index" in results[12][1]
    assert parse_state(state.read_text()).cosigned == TIME


def test_a_fork_keeps_the_state_and_both_checkpoints(tree, tmp_path):
    state = tmp_path / "state"
    line = ["log", "monitor", tree.folder, "--state", state, *VKEY]
    ((status, _),) = run(line)
    assert status == 0
    kept, note = state.read_text(), tree.note
    tree.bodies = [*OTHERS[:1], *BODIES[1:400]]
    tree.publish()
    first, again, verified = run(line, line, ["log", "verify", tree.folder, "--state", state, *VKEY])
    assert (first[0], again[0], verified[0]) == (3, 3, 3)
    assert state.read_text() == kept
    (evidence,) = tmp_path.glob("state.fork-*")
    assert note in evidence.read_text()
    assert tree.note in evidence.read_text()


def test_each_status(tree, tmp_path):
    state, spoilt = tmp_path / "state", tmp_path / "spoilt"
    spoilt.write_text("nonsense")
    monitor = ["log", "monitor", tree.folder, *VKEY, "--state"]
    with served(tree.folder) as address:
        pass
    (tmp_path / "policy").write_text(policy())
    longer = TreeOfFiles(tmp_path / "longer").grow(BODIES[:400])
    run(["log", "monitor", longer.folder, *VKEY, "--state", state])
    before = state.read_text()
    results = run(
        [*monitor, state],
        ["log", "verify", tree.folder, *VKEY, "--state", state],
        [*monitor, spoilt],
        ["log", "monitor", address, *VKEY, "--state", tmp_path / "none"],
        ["log", "verify", address, *VKEY],
        ["log", "export", tmp_path / "copy", "--from", address, *VKEY],
        ["log", "monitor", tree.folder, "--policy", tmp_path / "policy", "--state", tmp_path / "none"],
        ["log", "verify", tree.folder],
        ["log", "verify", tree.folder, "--vkey", "nonsense"],
        ["log", "verify", tree.folder, *VKEY, "--policy", tmp_path / "policy"],
        ["log", "prove", *VKEY],
        ["log", "prove", "x", "--from", tree.folder, *VKEY],
        ["log", "monitor", tree.folder, *VKEY, "--state", state, "--cosigned-only"],
        ["log", "monitor", tree.folder, *VKEY, "--state", state, "--once", "--every", 5],
        ["log", "verify", "ftp://log.example", *VKEY],
    )
    assert [status for status, _ in results] == [5, 5, 1, 6, 6, 6, 4, 2, 2, 2, 2, 2, 2, 2, 1], results
    assert "saved state" in results[2][1]
    assert spoilt.read_text() == "nonsense"
    assert state.read_text() == before


def test_a_disk_that_is_full_leaves_the_state_as_it_was(tree, tmp_path):
    state = tmp_path / "state"
    line = ["log", "monitor", tree.folder, "--state", state, *VKEY]
    run(line)
    kept = state.read_text()
    (tmp_path / ".state.1").write_text("half of a sta")
    tree.grow(BODIES[300:400])

    def no_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    ((status, printed),) = run(line, preexec_fn=no_room)
    assert status == 1
    assert "cannot be written" in printed
    assert state.read_text() == kept
    assert {path.name for path in tmp_path.iterdir()} == {"log", "state", ".state.1"}
    ((status, printed),) = run(line)
    assert status == 0
    assert "grew from 300 to 400" in printed


def test_a_monitor_that_stays_sees_the_log_grow_and_ends_at_a_fork(tree, tmp_path):
    state = tmp_path / "state"
    program = [sys.executable, "-m", "api.cli", "log", "monitor", str(tree.folder), "--state", str(state), *VKEY]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    program += ["--every", "1"]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environ) as running:
        lines = iter(running.stdout.readline, "")
        assert any("first look" in line for line in lines)
        tree.grow(BODIES[300:301])
        assert any("grew from 300 to 301" in line for line in lines)
        tree.bodies = [*OTHERS[:1], *BODIES[1:301]]
        tree.publish()
        assert any("FORK" in line for line in lines)
        assert running.wait(timeout=60) == 3
