"""The demonstration's servers: started on free ports, waited for until they answer, and ended with it."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import httpx

from demo.story import WrongError

T = TypeVar("T")

HOST = "127.0.0.1"
START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LAST_LINES = 12


def free_port(preferred: int) -> int:
    """``preferred``, or any other port when somebody has that one."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise WrongError("this machine has no free port")


def wait_until(look: Callable[[], T], what: str, *, seconds: float = START_SECONDS) -> T:
    """Look again and again until something is there, and give that.

    Raises:
        WrongError: there was nothing in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise WrongError(f"{what}: not after {seconds:.0f} seconds")
        time.sleep(_POLL_SECONDS)
    return found


@dataclass(frozen=True, kw_only=True)
class Server:
    """A program that was started. It is ready when the address ``ready`` answers."""

    name: str
    ready: str
    log: Path
    process: "subprocess.Popen[bytes]"

    def answers(self, http: httpx.Client) -> bool:
        """Whether it is ready.

        Raises:
            WrongError: it has ended; with the last lines that it wrote.
        """
        self.require_running()
        try:
            return http.get(self.ready).is_success
        except httpx.HTTPError:
            return False

    def require_running(self) -> None:
        """See that it is still there.

        Raises:
            WrongError: it has ended; with the last lines that it wrote.
        """
        if self.process.poll() is not None:
            lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
            raise WrongError("\n".join([f"{self.name} ended (status {self.process.returncode}):", *lines]))


class Servers:
    """Child processes. Leaving the block ends them, the last one first; so does the end of this process in any way."""

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self._logs = logs
        self._running: list[Server] = []

    def __enter__(self) -> "Servers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in reversed(self._running):
            assert server.process.stdin is not None
            server.process.stdin.close()
        for server in reversed(self._running):
            server.process.wait()

    def start(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], ready: str) -> Server:
        """Start a program; it is waited for with :meth:`await_all`."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "demo.tether", *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=Path(__file__).resolve().parent.parent,
            )
        server = Server(name=name, ready=ready, log=log, process=process)
        self._running.append(server)
        return server

    def await_all(self) -> None:
        """Wait until every program answers.

        Raises:
            WrongError: one has ended, or does not answer in time.
        """
        with httpx.Client(timeout=2, trust_env=False) as http:
            for server in self._running:
                what = f"{server.name} answers at {server.ready} (what it wrote: {server.log})"
                wait_until(partial(server.answers, http), what)

    def require_running(self) -> None:
        """See that all are still there.

        Raises:
            WrongError: one has ended.
        """
        for server in self._running:
            server.require_running()
