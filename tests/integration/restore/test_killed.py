"""SIGKILL after each durable step of a restore: nothing serves in between, and the next run goes on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from api import keyfiles, restoring
from exchange import restore
from exchange.errors import OldDatabaseError
from exchange.uow import UnitOfWork
from tests.house import ANNA, BEN
from tests.integration.restore.lives import CARA, report

ROOT = Path(__file__).parents[3]


def environment(life):
    """Of the commands of an operator of that house."""
    own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return own | {
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "error",
        "CDX_ENVIRONMENT": "development",
        "CDX_PUBLIC_URL": "http://127.0.0.1:8000",
        "CDX_DATABASE_URL": life.url,
        "CDX_UNSAFE_LOCAL_KEYS_DIR": str(life.folder / "keys"),
        "CDX_JOURNAL_DIR": str(life.journal),
    }


def run(life, steps):
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.restore.killed", str(steps)],
        cwd=ROOT,
        env=environment(life),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def assert_finished(life):
    life.refuse_old()
    assert (life.status(life.consents[ANNA]), life.status(life.consents[BEN])) == ("WITHDRAWN", "PAUSED")
    assert life.status(life.consents[CARA]) == "TERMINATED"
    life.house.clock.move(hours=1)
    life.work()
    assert report(life) == []


class CrashError(BaseException):
    """As SIGKILL: nothing catches it."""


@pytest.mark.invariant(12)
def test_a_restore_that_ends_after_any_of_its_steps_is_finished_by_the_next_runs(lost, monkeypatch):
    life, left = lost, 0

    def counted(function):
        def step(*given, **named):
            nonlocal left
            result = function(*given, **named)
            left -= 1
            if left == 0:
                raise CrashError
            return result

        return step

    monkeypatch.setattr(restore, "AT_ONCE", 1)
    for module, name in (
        (restore, "take_name"),
        (restore, "revoke_tokens"),
        (keyfiles, "_write_private"),
        (restoring, "replace_file"),
        (UnitOfWork, "commit"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    kept = (life.journal / "checkpoint").read_bytes()
    steps, was_continued = 0, False
    while not was_continued:
        steps += 1
        life.put_back(life.copy)
        (life.journal / "checkpoint").write_bytes(kept)
        left = steps
        with pytest.raises(CrashError):
            life.restore()
        left = 0
        life.open()
        was_continued = life.checkpoint().note.partition("\n")[0].endswith("/2")
        if not was_continued:
            with pytest.raises(OldDatabaseError):
                life.refuse_old()
            life.restore()
        assert life.house.exchange.installation.origin.endswith("/2")
        assert (life.status(life.consents[ANNA]), life.status(life.consents[BEN])) == ("WITHDRAWN", "PAUSED")
    assert steps > 12
    assert_finished(life)


@pytest.mark.invariant(12)
def test_a_restore_that_is_killed_outright_is_finished_by_the_next_run(lost):
    life = lost
    for steps in (1, 7, 0):
        life.stop()
        done = run(life, steps)
        life.open()
        assert done.returncode == (-signal.SIGKILL if steps else 0), done.stdout + done.stderr
        if steps:
            with pytest.raises(OldDatabaseError):
                life.refuse_old()
    assert_finished(life)


def test_nothing_is_done_while_somebody_uses_the_database(lost):
    life = lost
    with life.house.exchange.database.read() as connection:
        connection.exec_driver_sql("SELECT 1")
        done = run(life, 0)
    assert done.returncode == 1
    assert "somebody else has the database open" in done.stderr
    assert life.status(life.consents[BEN]) == "GIVEN"
