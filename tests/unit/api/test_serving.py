"""``cdx serve``: its processes start together, end together, and know little of the environment."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.unit.api.commands import cdx, environment

SECONDS = 60


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environ(tmp_path, port):
    settings = environment(
        tmp_path,
        CDX_PUBLIC_URL=f"http://127.0.0.1:{port}",
        CDX_LISTEN=f"127.0.0.1:{port}",
        CDX_WORKERS="1",
        SOME_PASSWORD="hunter2",
    )
    cdx(settings, "init")
    return settings


@pytest.fixture
def server(environ, port, tmp_path):
    with (tmp_path / "output").open("w+") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"], env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            until(lambda: is_ready(port), process, tmp_path / "output")
            yield process
        finally:
            process.kill()
            process.wait()


def is_ready(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False


def until(holds, process=None, output=None):
    deadline = time.monotonic() + SECONDS
    while not holds():
        if process is not None:
            assert process.poll() is None, output.read_text()
        assert time.monotonic() < deadline, output.read_text() if output else "not in time"
        time.sleep(0.05)


def parents():
    """Process id → id of its parent, for all that live."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(path.parent.name)] = int(fields[1])
    return found


def descendants(pid):
    known, found = parents(), {pid}
    while new := {child for child, parent in known.items() if parent in found} - found:
        found |= new
    return found - {pid}


def command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pids):
    return pids & parents().keys()


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")


def sequencer_of(server):
    (found,) = [pid for pid in descendants(server.pid) if "worker --with-parent" in command_of(pid)]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything(server, port, tmp_path, number):
    children = descendants(server.pid)
    assert len(children) >= 3
    server.send_signal(number)
    assert server.wait(SECONDS) == 0
    until(lambda: not alive(children))
    assert "Stopped." in (tmp_path / "output").read_text()
    assert not is_ready(port)


def test_killed_outright_it_takes_its_children_along(server, port):
    """No handler runs on SIGKILL: the children notice by themselves."""
    children = descendants(server.pid)
    server.kill()
    server.wait()
    until(lambda: not alive(children))
    assert not is_ready(port)


def test_without_its_sequencer_the_server_stops_and_says_so(server, port, tmp_path):
    children = descendants(server.pid)
    os.kill(sequencer_of(server), signal.SIGKILL)
    assert server.wait(SECONDS) == 1
    until(lambda: not alive(children))
    assert "the sequencer ended" in (tmp_path / "output").read_text()
    assert not is_ready(port)


def test_a_taken_port_is_told_clearly(server, environ):
    printed = cdx(environ, "serve", status=1)
    assert "is taken" in printed
    assert "CDX_LISTEN" in printed


def test_processes_know_little_of_the_environment(server, environ):
    assert environ["SOME_PASSWORD"] == "hunter2"
    for pid in descendants(server.pid):
        assert b"hunter2" not in Path(f"/proc/{pid}/environ").read_bytes(), command_of(pid)


def test_a_server_that_cannot_start_says_why(tmp_path, port):
    settings = environment(tmp_path, CDX_LISTEN=f"127.0.0.1:{port}")
    assert "cdx init" in cdx(settings, "serve", status=1)


def test_the_key_of_the_log_is_only_the_sequencers(environ, port, tmp_path):
    """Web processes start and serve without the log's keyset; the sequencer runs elsewhere."""
    for path in (tmp_path / "keys").glob("log.*"):
        if path.suffix != ".vkey":
            path.unlink()
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve", "--web-only"], env=environ, stdout=output, stderr=output
        )
        try:
            until(lambda: "Serving" in (tmp_path / "output").read_text(), process, tmp_path / "output")
        finally:
            process.terminate()
            assert process.wait(SECONDS) == 0


def test_an_inconsistent_log_stops_the_worker(environ, tmp_path):
    import sqlite3

    connection = sqlite3.connect(tmp_path / "cdx.db")
    connection.execute("UPDATE audit_head SET root = zeroblob(32)")
    connection.commit()
    connection.close()
    printed = cdx(environ, "worker", status=3)
    assert "nothing more is signed" in printed


def test_the_worker_deletes_what_has_expired(log_services, clock, monkeypatch):
    import threading
    from datetime import timedelta

    import sqlalchemy as sa

    from api.commands import serving
    from exchange.tables import single_use

    def left():
        with log_services.database.read() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(single_use)).scalar_one()

    with log_services.database.write() as connection:
        for number, age in enumerate((timedelta(days=-1), timedelta(days=1))):
            row = {"digest": bytes([number]) * 32, "expires_at": clock() + age}
            connection.execute(sa.insert(single_use).values(row))
        connection.commit()
    monkeypatch.setattr(serving, "PURGE_SECONDS", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=serving._purge_now_and_then, args=(log_services, stop))
    thread.start()
    until(lambda: left() == 1)
    stop.set()
    thread.join()


def test_the_command_that_the_sandbox_prints_works(environ, port, tmp_path):
    """From an empty folder to a first request, with nothing but printed commands."""
    import re
    import shlex

    from tests.house import COUNTRY
    from tests.unit.api.commands import ROOT

    cdx(environ, "catalogue", "load", COUNTRY / "catalogue.yaml")
    cdx(environ, "agency", "register", COUNTRY / "agencies.yaml")
    proposed = cdx(environ, "agreement", "propose", COUNTRY / "agreements" / "housing-benefit.yaml", "--by", "a.one")
    approve = re.search(r"cdx (agreement approve .*) PERSON", proposed)[1]
    cdx(environ, *shlex.split(approve), "b.two")
    keys = tmp_path / "client.json"
    client = ("--agency", "housing-benefit-office", "--subject", "national-id:VAL-100001-7", "--out", keys)
    printed = cdx(environ, "sandbox", "client", *client)
    (command,) = re.findall(r"python (demo/first_request.py .*)", printed)
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", "serve"], env=environ, stdout=output, stderr=output
        )
        try:
            until(lambda: is_ready(port), process, tmp_path / "output")
            asked = subprocess.run(
                [sys.executable, *shlex.split(command)],
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        finally:
            process.terminate()
            process.wait(SECONDS)
    # Nobody is known here by that number: an unknown person looks like a silent one.
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert '"state": "waiting"' in asked.stdout
