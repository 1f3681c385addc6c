"""``cdx worker`` with witnesses: they cosign what it publishes, and stop it when its history is not theirs."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from api import log_keys
from api.commands import serving
from api.keyfiles import key_files, read_keyset
from crypto.checkpoint import Checkpoint, NoteVerifier, format_checkpoint, sign_note
from crypto.merkle import hash_leaf, root_from_leaves
from exchange.audit import store
from exchange.errors import InconsistentLogError
from tests.unit.api.commands import cdx, environment
from tests.unit.api.test_serving import SECONDS, until
from tests.witnesses import consistency_of, request_body, running_witness


@pytest.fixture
def witness(tmp_path):
    with running_witness(tmp_path / "witness", name="authority.example") as running:
        yield running


@pytest.fixture
def policy(witness, tmp_path):
    path = tmp_path / "policy"
    path.write_text(f"{witness.policy_line}\nquorum authority.example\n")
    return path


def cosigned_size(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT max(size) FROM audit_cosigned").fetchone()[0]


def test_an_older_copy_of_the_database_is_not_signed(witness, policy, tmp_path):
    environ = environment(tmp_path, CDX_WITNESS_POLICY_FILE=str(policy), CDX_WITNESS_EVERY_SECONDS="1")
    cdx(environ, "init")
    database, backup = tmp_path / "cdx.db", tmp_path / "backup.db"
    with closing(sqlite3.connect(database)) as running, closing(sqlite3.connect(backup)) as copy:
        running.backup(copy)
    vkey = (tmp_path / "keys" / "log.vkey").read_text()
    witness.witness.store.add_key(NoteVerifier.parse(vkey.strip()))
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "worker"], env=environ, stdout=output, stderr=output
        )
        try:
            until(lambda: cosigned_size(database), process, tmp_path / "output")
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
    # What was cosigned can be taken out and checked by anybody, with nothing but the policy.
    cdx(environ, "log", "export", tmp_path / "export", "--cosigned")
    theirs = tmp_path / "their-policy"
    theirs.write_text(f"log {vkey}{policy.read_text()}")
    assert "authority.example" in cdx({}, "log", "verify", tmp_path / "export", "--policy", theirs)
    for path in tmp_path.glob("cdx.db*"):
        path.unlink()
    shutil.copyfile(backup, database)
    printed = cdx(environ, "worker", status=3)
    assert "witness authority.example" in printed
    assert "cdx db restored" in printed
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM audit_checkpoint").fetchone() == (0,)


def test_evidence_ends_a_worker_that_runs(make_config, policy, witness, clock):
    from api.wiring import initialise, open_log

    config = make_config(witness_policy_file=policy, witness_every_seconds=1)
    initialise(config, clock=clock).close()
    services = open_log(config, clock=clock)
    try:
        signers = log_keys.signers(read_keyset(key_files(config, "log")), services.installation.origin)
        witness.witness.store.add_key(NoteVerifier.parse(signers[0].vkey))
        failures, stop = list[BaseException](), threading.Event()

        def work():
            try:
                serving._sequence(services, stop)
            except BaseException as exc:  # noqa: BLE001  # told below
                failures.append(exc)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            until(lambda: witness.witness.store.find(services.installation.origin).size)
            with services.database.read() as connection:
                hashes = [hash_leaf(body) for body in store.bodies(connection, 0, 99)]
            later = [*hashes, hash_leaf(b"what nobody here has")]
            checkpoint = Checkpoint(origin=services.installation.origin, size=len(later), root=root_from_leaves(later))
            note = sign_note(format_checkpoint(checkpoint), signers)
            witness.witness.add_checkpoint(request_body(len(hashes), consistency_of(later, len(hashes)), note))
            thread.join(SECONDS)
            assert not thread.is_alive()
        finally:
            stop.set()
            services.sequencer.wake()
            thread.join()
        (failure,) = failures
        assert isinstance(failure, InconsistentLogError)
        assert "signed by our key" in str(failure)
    finally:
        services.database.dispose()
