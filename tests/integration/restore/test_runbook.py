"""The runbook of docs/operations.md, command by command as it stands there, by the programs that an operator runs."""

import json
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import closing, contextmanager

import pytest

from exchange import consents
from exchange.audit.export import export_log
from exchange.audit.report import Finding
from exchange.audit.sources import DirectorySource
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.outcomes import Answered
from tests.house import ANNA, BEN
from tests.integration.restore.test_killed import ROOT, environment
from tests.unit.docs.documents import flowing, read

SECONDS = 60


def runbook():
    """The commands of the numbered steps, in order; those that only explain are in step 2."""
    page = read("docs/operations.md")
    section = page[page.index("### Restoring") : page.index("| option | when |", page.index("### Restoring"))]
    steps = re.findall(r"(?ms)^(\d)\. (.*?)(?=^\d\. |\Z)", section)
    return [
        words for number, text in steps if number in "34567" for words in re.findall(r"`(cdx [^`]+)`", flowing(text))
    ]


def free_port():
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(words, environ):
    return subprocess.Popen(
        [sys.executable, "-m", "api.cli", *shlex.split(words)[1:]],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(words, environ):
    process = start(words, environ)
    told, _ = process.communicate("y\n", timeout=SECONDS)
    assert process.returncode == 0, told
    return told


@contextmanager
def serving(environ):
    port = free_port()
    process = start("cdx serve", environ | {"CDX_LISTEN": f"127.0.0.1:{port}", "CDX_WORKERS": "1"})
    try:
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)


def ready(address, process):
    """What readyz says once it is ready."""
    for _ in range(10 * SECONDS):
        assert process.poll() is None, process.stdout.read()
        try:
            with urllib.request.urlopen(f"{address}/readyz", timeout=5) as response:
                return json.load(response)
        except OSError:  # not up yet, or 503
            time.sleep(0.1)
    raise AssertionError("the service did not become ready")


@pytest.mark.timeout(400)
def test_the_runbook_works_word_by_word(lost):
    life = lost
    environ = environment(life)
    life.stop()
    refused = start("cdx serve", environ | {"CDX_LISTEN": f"127.0.0.1:{free_port()}"})
    told, _ = refused.communicate(timeout=SECONDS)
    assert refused.returncode == 1
    assert "cdx db restored" in told
    commands = runbook()
    assert commands == [
        "cdx db upgrade",
        "cdx db restored --last-checkpoint auto --dry-run",
        "cdx db restored --last-checkpoint auto",
        "cdx serve",
        "cdx log verify-db",
    ]
    for words in commands:
        if words == "cdx serve":
            with serving(environ) as (address, process):
                assert set(ready(address, process)["checks"]) >= {"sequencer", "journal"}
            continue
        told = run(words, environ)
        if "--dry-run" in words:
            assert "Nothing was changed." in told
    life.open()
    assert (life.status(life.consents[ANNA]), life.status(life.consents[BEN])) == ("WITHDRAWN", "PAUSED")
    house = life.house
    house.clock.now = house.log.sequencer._clock()
    house.clock.move(hours=1)
    consents.resume(house.exchange, house.citizen(BEN), life.consents[BEN], house.clock())
    assert isinstance(house.ask(life.client, BEN), Answered)


def test_whoever_kept_a_later_state_learns_what_happened_in_a_sentence(lost, tmp_path):
    life = lost
    note = (life.journal / "checkpoint").read_text()
    life.restore()
    with life.house.exchange.database.read() as connection:
        export_log(connection, tmp_path / "export")
    trust = Trust.of(*life.old_vkeys, *life.vkeys)
    # Who last looked at the time of the backup sees the log go on …
    assert verify_log(DirectorySource(tmp_path / "export"), trust, state=life.backup_note).ok
    # … who looked later sees what is missing, and where to read on; also after the new log outgrew the old one.
    shrunk = verify_log(DirectorySource(tmp_path / "export"), trust, state=note)
    assert shrunk.finding is Finding.SHRUNK
    assert any("restored from an older state" in fault and "log.continued" in fault for fault in shrunk.faults)
    while life.checkpoint().size <= life.last.size:
        step = consents.pause if life.status(life.consents[BEN]) == "GIVEN" else consents.resume
        step(life.house.exchange, life.house.citizen(BEN), life.consents[BEN], life.house.clock())
        life.work()
    with life.house.exchange.database.read() as connection:
        export_log(connection, tmp_path / "export")
    forked = verify_log(DirectorySource(tmp_path / "export"), trust, state=note)
    assert forked.finding is Finding.FORK
    assert any("restored from an older state" in fault for fault in forked.faults)
