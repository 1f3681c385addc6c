"""The demonstration as a person starts it: the whole main job, every step of which checks itself."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 150

KEY_LINES = (
    "It gets a token for one scope",
    "waits for her — 202, no data",
    "A request about a person who does not exist looks just the same",
    "her ID token serves her device only, and once",
    "She allows it, but leaves out her other benefits",
    "decrypts with its key; signature, audience, time hold",
    "hashes lead from the receipt to the signed checkpoint",
    "Mara takes her consent receipt home",
    "The same request again is answered at once",
    "Asked for less, it tells less: “18 or older?” — yes",
    "What she left out is refused",
    "A call recorded on the way and sent again is refused — 401",
    "The fifth question about her age in a year is refused",
    "fetched from the vehicle registry this moment",
    "Mara withdraws; what was answered a moment ago is refused — 403",
    "Data Protection Authority and Court of Auditors have cosigned the log",
    "both witnesses vouch for it",
    "The log verifies from its first entry to its last",
    "One byte changed in an entry of the audit log is found",
    "One byte changed in an event of a consent is found",
    "One byte changed in a sealed value is found",
)


@pytest.fixture
def environ(tmp_path):
    """For a run of its own: nothing of the tests' settings, and a folder that no other run uses."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CDX_", "ONCE"))}
    return clean | {"CDX_DEMO_DIR": str(tmp_path / "demo"), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


def start(environ):
    return subprocess.Popen(
        [sys.executable, "-m", "demo"],
        env=environ,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def test_it_is_walked_through_after_a_run_that_was_killed(environ):
    killed = start(environ)
    # Some servers run by now, and the installation is half made.
    assert any("Catalogue version 1 is in force" in line for line in killed.stdout)
    children = psutil.Process(killed.pid).children(recursive=True)
    assert children
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, f"left behind: {alive}"

    # Somebody else has the usual port now, whoever had it before.
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            other.bind(("127.0.0.1", 8000))
            other.listen()
        except OSError:
            pass
        with start(environ | {"ONCE": "1"}) as run:
            printed, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 0, printed
    missing = [line for line in KEY_LINES if line not in printed]
    assert not missing, printed
    assert "✗" not in printed
    assert "\x1b" not in printed, "colours where nobody looks at them"
    port = int(re.search(r"the exchange at http://127\.0\.0\.1:([0-9]+)", printed)[1])
    assert port != 8000
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the exchange outlived the demonstration"


def test_two_at_once_do_not_touch_each_other(environ):
    folder = Path(environ["CDX_DEMO_DIR"])
    folder.mkdir()
    (folder / "exchange.db").write_text("of the run that was there first")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with start(environ | {"ONCE": "1"}) as second:
            printed, _ = second.communicate(timeout=SECONDS)
    assert second.returncode == 1
    assert "another demonstration is running" in printed
    assert (folder / "exchange.db").exists()


def test_a_folder_of_somebody_else_is_left_alone(environ):
    folder = Path(environ["CDX_DEMO_DIR"])
    folder.mkdir()
    (folder / "thesis.txt").write_text("three years of work")
    with start(environ | {"ONCE": "1"}) as run:
        printed, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 1
    assert "left alone" in printed
    assert (folder / "thesis.txt").exists()
