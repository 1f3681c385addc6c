"""Processes killed outright: nothing disclosed without its entry, nothing told that is lost, and the log goes on."""

import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy import select

from api.commands.sealed import Opener
from exchange.audit.export import export_log
from exchange.audit.sources import open_source
from exchange.audit.tables import audit_leaf
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.audit.verify_db import verify_database
from exchange.model import RequestStatus
from exchange.outcomes import Answered, Repeated
from exchange.tables import attribute_request, idempotency
from tests.house import HOUSING, build
from tests.integration.crash.worker import NAME, a_client, open_house
from tests.integration.main_job.rows import disclosures

ROOT = Path(__file__).parents[3]


class Processes:
    """Workers over one installation, and all that they have told."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.lines = defaultdict(list)
        self.running = []

    def start(self, role, client, name):
        arguments = [sys.executable, "-m", "tests.integration.crash.worker"]
        process = subprocess.Popen(
            [*arguments, role, str(self.folder), self.url, client, name],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONWARNINGS": "error"},
        )
        self.running.append(process)
        return process

    def wait_until_ready(self):
        """They start side by side, which is quicker than one after the other."""
        for process in self.running:
            assert self.read(process) == "ready"

    def read(self, process):
        """One more line of a process; what it was about, or None at the end."""
        line = process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        told = json.loads(line)
        what = next(iter(told))
        self.lines[what].append(told)
        return what

    def kill(self):
        """All at once and without warning; then the lines that were still under way."""
        for process in self.running:
            process.send_signal(signal.SIGKILL)
        for process in self.running:
            while self.read(process) is not None:
                pass
            process.stdout.close()
            process.wait()
        self.running.clear()


@pytest.fixture
def processes(tmp_path, database_url):
    started = Processes(tmp_path, database_url)
    yield started
    started.kill()


@pytest.fixture
def client_name(tmp_path, database_url):
    """A house that was built and left, with a consent in force and a registered client."""
    house = build(tmp_path, database_url)
    client = house.add_client(HOUSING)
    house.consented(client)
    house.close()
    return client.id


def start_again(folder, url):
    """As an operator does after a crash: open, and let the sequencer catch up."""
    house = open_house(folder, url)
    house.integrate()
    return house


def faults_of(house, folder):
    """What a verification of the database with all keys finds, and one of the exported log with none."""
    vkey = house.services.config.vkey_file.read_text().strip()
    with house.exchange.database.read() as connection:
        opener = Opener(house.exchange, connection)
        report = verify_database(connection, [vkey], unseal=opener.unseal, check_sealed=opener.check)
        exported = folder / f"exported-{len(list(folder.glob('exported-*')))}"
        export_log(connection, exported)
    return [*report.faults, *verify_log(open_source(str(exported)), Trust.of(vkey)).faults]


def check(house, told):
    """Nothing half-done: each disclosure has its entry and its request, and whatever was told is there."""
    with house.exchange.database.read() as connection:
        logged = {row.id for row in connection.execute(select(audit_leaf.c.id))}
        requests = {row.id: row.status for row in connection.execute(select(*attribute_request.c))}
        keys = [row.request_id for row in connection.execute(select(idempotency.c.request_id))]
    found = {str(row.request_id): row for row in disclosures(house)}
    assert {row.entry_id for row in found.values()} <= logged
    released = {str(one) for one, status in requests.items() if status == RequestStatus.RELEASED}
    assert released == found.keys()
    assert set(keys) <= requests.keys()
    for one in told["answered"]:
        row = found[one["request"]]
        assert (str(row.id), str(row.entry_id)) == (one["disclosure"], one["entry"])
    for one in told["acknowledged"]:
        assert found[one["acknowledged"]].acknowledged_at is not None
    assert {one["waiting"] for one in told["waiting"]} <= {str(one) for one in requests}


@pytest.mark.invariant(1)
@pytest.mark.invariant(12)
def test_killed_in_the_middle_of_a_load_and_started_again_twice(processes, client_name, tmp_path, database_url):
    for turn in range(2):
        for number in range(2):
            processes.start("load", client_name, f"load-{turn}{number}")
        sequencer = processes.start("sequencer", client_name, "sequencer")
        processes.wait_until_ready()
        for _ in range(25):  # of each, so that all are in the middle of something
            assert all(processes.read(one) for one in processes.running if one is not sequencer)
        processes.kill()
        house = start_again(tmp_path, database_url)
        try:
            assert faults_of(house, tmp_path) == []
            check(house, processes.lines)
        finally:
            house.close()
    assert len(processes.lines["answered"]) > 20
    assert processes.lines["acknowledged"]
    assert processes.lines["waiting"]


@pytest.mark.invariant(9)
def test_a_request_that_was_under_way_has_one_effect_when_it_is_sent_again(
    processes, client_name, tmp_path, database_url
):
    """The client heard nothing, and asks again with the same key: released once, whatever had become of it."""
    for number in range(2):
        processes.start("load", client_name, f"again-{number}")
    processes.wait_until_ready()
    for _ in range(15):
        assert all(processes.read(one) for one in processes.running)
    processes.kill()
    told = {one["answered"] for one in processes.lines["answered"]}
    begun = {one["began"] for one in processes.lines["began"]}
    assert len(begun - told) <= 2  # of each process the one that it was killed in
    house = open_house(tmp_path, database_url)
    try:
        client = a_client(client_name)
        for key in (begun - told) | set(sorted(told)[-3:]):
            outcome = house.ask(client, lines=NAME, key=key)
            assert isinstance(outcome, Repeated if key in told else (Repeated, Answered))
            assert isinstance(house.ask(client, lines=NAME, key=key), Repeated)
        house.integrate()
        check(house, processes.lines)
        assert len(disclosures(house)) == len(begun)
        assert faults_of(house, tmp_path) == []
    finally:
        house.close()


@pytest.mark.invariant(1)
def test_killed_right_before_the_commit_nothing_has_happened(processes, client_name, tmp_path, database_url):
    process = processes.start("before-commit", client_name, "one")
    assert process.wait(60) == -signal.SIGKILL
    processes.kill()
    assert not processes.lines["answered"]
    house = start_again(tmp_path, database_url)
    try:
        assert disclosures(house) == []
        assert faults_of(house, tmp_path) == []
        assert isinstance(house.ask(a_client(client_name), lines=NAME, key="the-last-request"), Answered)
    finally:
        house.close()


@pytest.mark.invariant(1)
@pytest.mark.invariant(9)
def test_killed_right_after_the_commit_the_answer_is_collected(processes, client_name, tmp_path, database_url):
    process = processes.start("after-commit", client_name, "one")
    assert process.wait(60) == -signal.SIGKILL
    processes.kill()
    assert not processes.lines["answered"]
    house = start_again(tmp_path, database_url)
    try:
        [disclosed] = disclosures(house)
        assert faults_of(house, tmp_path) == []
        check(house, processes.lines)
        client = a_client(client_name)
        repeated = house.ask(client, lines=NAME, key="the-last-request")
        assert isinstance(repeated, Repeated)
        again = house.collect(client, repeated.request_id)
        assert isinstance(again, Answered)
        assert again.disclosure_id == disclosed.id
        assert len(disclosures(house)) == 1
    finally:
        house.close()
