"""The processes under load: web servers and sequencers, started as ``cdx serve`` starts them."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

import sqlalchemy as sa

from api.commands.web_process import arguments
from api.supervisor import answers, small_environment
from bench.load import HOST
from bench.world import ROOT

THREADS: Final = 4
_START_SECONDS: Final = 60


@contextmanager
def web(factory: str, *, workers: int, environment: dict[str, str], log: Path) -> Iterator[tuple[int, int]]:
    """A web server; its process and port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    command = arguments(factory, host=HOST, port=port, workers=workers, threads=THREADS)
    with _running(command, environment, log) as process:
        deadline = time.monotonic() + _START_SECONDS
        while not answers(HOST, port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"a web server did not start:\n{log.read_text()}")
            time.sleep(0.1)
        yield process.pid, port


@contextmanager
def sequencer(environment: dict[str, str], log: Path) -> Iterator[int]:
    """A sequencer; its process."""
    with _running(["-m", "api.cli", "worker", "--with-parent"], environment, log) as process:
        yield process.pid


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with ExitStack() as stack:
        output: IO[bytes] = stack.enter_context(log.open("ab"))
        process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,  # closes with us, and they stop then
            stdout=output,
            stderr=output,
            env=small_environment(os.environ) | environment,
            cwd=ROOT,
        )
        assert process.stdin is not None
        stack.enter_context(process.stdin)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def postgres_process(url: str) -> int:
    """The first process of a PostgreSQL on this machine."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        folder = connection.execute(sa.text("SHOW data_directory")).scalar_one()
    return int((Path(folder) / "postmaster.pid").read_text().splitlines()[0])


def postgres_version(url: str) -> str:
    """As it names itself."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return str(connection.execute(sa.text("SHOW server_version")).scalar_one())
