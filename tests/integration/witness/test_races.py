"""Many at once, and killed at any moment: a witness never goes back, and never cosigns two roots of one size."""

import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from api.witness_folder import make_witness, open_witness
from crypto.checkpoint import NoteSigner, NoteVerifier
from tests.integration.witness.server import cosigned_root, environ, kill, served
from tests.witnesses import TinyLog, running_witness

SIGNER = NoteSigner("log.example/1", bytes(range(32)))
HISTORIES = (TinyLog(SIGNER), TinyLog(SIGNER, forked_at=6))
THREADS = 8
LAST = 40


@pytest.fixture
def folder(tmp_path):
    """A witness that trusts the log, and serves nobody yet."""
    make_witness(tmp_path / "witness", "witness.example")
    witness = open_witness(tmp_path / "witness")
    witness.store.add_key(NoteVerifier.parse(SIGNER.vkey))
    witness.store.close()
    return tmp_path / "witness"


def vkey_of(folder):
    return (folder / "witness.vkey").read_text().strip()


def hammer(url, vkey, number):
    """Ask for this and that, in both histories, until the log is at its end; returns what was cosigned.

    Each is (old size, new size, root).
    """
    draw = random.Random(number)
    known, got = 0, []
    with httpx.Client(trust_env=False, timeout=60) as http:
        while known < LAST:
            log = draw.choice(HISTORIES)
            size = min(LAST, known + draw.choice([0, 1, 2, 3]))
            answer = http.post(f"{url}/add-checkpoint", content=log.request(known, size))
            if answer.status_code == 200:
                got.append((known, *cosigned_root(log.note(size), answer.text, vkey)))
                known = size
            elif answer.status_code == 409:
                assert int(answer.text) > known, "a witness went back"
                known = int(answer.text)
            else:
                assert answer.status_code == 422, answer.text
    return got


def assert_one_history(got):
    """What all callers got was one line of states: each left once, and one root of each size."""
    roots = {}
    for _, size, root in got:
        assert roots.setdefault(size, root) == root, f"two roots of size {size}"
    grown = sorted((old, new) for old, new, _ in got if old != new)
    assert [old for old, _ in grown] == [0, *(new for _, new in grown[:-1])], "two grew from one state"
    assert grown[-1][1] == LAST


def hammer_from_all_sides(url, vkey):
    with ThreadPoolExecutor(THREADS) as pool:
        got = list(pool.map(lambda number: hammer(url, vkey, number), range(THREADS)))
    assert sum(bool(one) for one in got) > 1, "several callers were served"
    return [one for each in got for one in each]


def test_threads_at_once_write_one_history(folder):
    with running_witness(folder) as witness:
        assert_one_history(hammer_from_all_sides(witness.url, witness.vkey))


def test_processes_at_once_write_one_history(folder):
    """Two processes serve, and a third one beside them shares the folder."""
    with served(folder, workers=2) as (url, _), running_witness(folder) as beside:
        urls = [url, beside.url]
        with ThreadPoolExecutor(THREADS) as pool:
            got = list(pool.map(lambda number: hammer(urls[number % 2], beside.vkey, number), range(THREADS)))
        assert_one_history([one for each in got for one in each])


def test_the_first_checkpoint_of_a_log_is_cosigned_in_one_history(folder):
    """Two histories of one size, at once, when nothing is known yet: only one can win."""
    twisted = TinyLog(SIGNER, forked_at=0)
    with running_witness(folder) as witness:
        barrier = threading.Barrier(THREADS)

        def ask(number):
            log = (HISTORIES[0], twisted)[number % 2]
            with httpx.Client(trust_env=False, timeout=60) as http:
                barrier.wait()
                answer = http.post(f"{witness.url}/add-checkpoint", content=log.request(0, 9))
            return cosigned_root(log.note(9), answer.text, witness.vkey) if answer.status_code == 200 else None

        with ThreadPoolExecutor(THREADS) as pool:
            got = [one for one in pool.map(ask, range(THREADS)) if one is not None]
    assert len(got) == 1


# Killed


@pytest.mark.parametrize("when", ["before-commit", "after-commit"])
def test_killed_around_the_commit(folder, when):
    log = HISTORIES[0]
    with running_witness(folder) as witness:
        assert httpx.post(f"{witness.url}/add-checkpoint", content=log.request(0, 7), timeout=60).status_code == 200
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.witness.worker", str(folder), when],
        input=log.request(7, 9),
        env=environ(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b""), done.stderr
    stored = 9 if when == "after-commit" else 7
    with running_witness(folder) as witness, httpx.Client(trust_env=False, timeout=60) as http:
        assert http.post(f"{witness.url}/add-checkpoint", content=log.request(1, 20)).text == f"{stored}\n"
        twisted = http.post(f"{witness.url}/add-checkpoint", content=HISTORIES[1].request(stored, 9))
        assert twisted.status_code == 422
        answer = http.post(f"{witness.url}/add-checkpoint", content=log.request(stored, 9))
        assert cosigned_root(log.note(9), answer.text, witness.vkey)[0] == 9


def test_killed_under_load_it_remembers_all_that_it_answered(folder):
    vkey, draw, answered = vkey_of(folder), random.Random(7), 0
    log = HISTORIES[0]
    for _ in range(3):
        with served(folder) as (url, process), httpx.Client(trust_env=False, timeout=60) as http:
            found = http.post(f"{url}/add-checkpoint", content=log.request(answered, answered))
            if found.status_code == 409:
                assert int(found.text) > answered, "a cosignature was forgotten"
                answered = int(found.text)
            killer = threading.Timer(draw.uniform(0.05, 0.5), kill, [process])
            killer.start()
            try:
                for size in count(answered + 1):
                    answer = http.post(f"{url}/add-checkpoint", content=log.request(answered, size))
                    answered, _ = cosigned_root(log.note(size), answer.text, vkey)
            except httpx.HTTPError:
                killer.join()
    with running_witness(folder) as witness:
        stored = witness.witness.store.find(log.origin)
    assert answered > 0
    assert stored.size in (answered, answered + 1)
    assert stored.root == log.root(stored.size)


def test_a_memory_that_vanishes_under_it_is_not_made_anew(folder):
    with served(folder) as (url, process), httpx.Client(trust_env=False, timeout=60) as http:
        assert http.post(f"{url}/add-checkpoint", content=HISTORIES[0].request(0, 7)).status_code == 200
        for path in folder.glob("witness.db*"):
            path.unlink()
        kill(process)
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "witness", "serve", str(folder)],
        env=environ(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "must not cosign anew" in done.stderr
    assert not (folder / "witness.db").exists()
