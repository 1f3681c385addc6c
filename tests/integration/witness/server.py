"""``cdx witness serve`` as a program of its own, which a test may kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import httpx

from crypto.checkpoint import NoteVerifier, read_note, split_note
from tests.unit.api.commands import ROOT

SECONDS = 60


def environ():
    """Nothing of an installation: a witness needs no settings."""
    own = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return own | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def family(pid):
    """A process and all that descend from it."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(child): int(parent) for child, parent in (line.split() for line in listed.splitlines())}
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def kill(process):
    """SIGKILL for the whole family at once, as a power cut would."""
    for pid in family(process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@contextmanager
def served(folder, *, workers=1):
    """The address of a witness and its process; whatever is left of it at the end is killed."""
    port = free_port()
    command = ["witness", "serve", str(folder), "--listen", f"127.0.0.1:{port}", "--workers", str(workers)]
    output = folder.parent / f"output-{port}"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "api.cli", *command], env=environ(), stdout=file, stderr=subprocess.STDOUT
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not answers(port):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process
    finally:
        if process.poll() is None:
            kill(process)


def answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5, trust_env=False).text == "ok\n"
    except httpx.HTTPError:
        return False


def cosigned_root(note, line, vkey):
    """The size and root that a cosignature holds for."""
    text = read_note(note + line, [NoteVerifier.parse(vkey)]).text
    assert text == split_note(note)[0]
    _, size, root, *_ = text.split("\n")
    return int(size), root
