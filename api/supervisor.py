"""Runs the server's processes together: they end with the first of them, and with this one, in whatever way it ends.

Each child leads a process group of its own. Its standard input is a pipe whose other end only this process has: when
this process dies, even by SIGKILL, the pipe closes and the child stops itself (:func:`stop_with_parent`).
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Final

STOP_SECONDS: Final = 15.0
"""How long children may take to finish what they are doing."""
_POLL_SECONDS: Final = 0.1
_ENVIRONMENT: Final = frozenset(
    {"PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH", "PYTHONWARNINGS", "VIRTUAL_ENV"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "PGPASSFILE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGSSLMODE", "XDG_RUNTIME_DIR"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a child is started with: arguments of the Python interpreter, and all of its environment."""

    arguments: Sequence[str]
    environ: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process that is running."""

    name: str
    process: subprocess.Popen[bytes]


def small_environment(environ: Mapping[str, str], prefixes: Sequence[str] = ("CDX_", "LC_")) -> dict[str, str]:
    """What a server needs of the environment: the WSGI environ of each request contains all that its process has."""
    return {name: value for name, value in environ.items() if name in _ENVIRONMENT or name.startswith(tuple(prefixes))}


def is_taken(host: str, port: int) -> bool:
    """Whether somebody listens there already, or the address is not ours to listen on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def answers(host: str, port: int) -> bool:
    """Whether a server accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def supervise(
    commands: Mapping[str, Command],
    *,
    is_up: Callable[[], bool],
    on_up: Callable[[], None],
) -> str | None:
    """Run children until one of them ends or this process is told to stop; then end all.

    Args:
        commands: by the child's name.
        is_up: asked until it holds.
        on_up: called once then.

    Returns:
        What ended by itself, as a sentence; None after SIGINT or SIGTERM.
    """
    told = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    children: list[Child] = []
    try:
        for name, command in commands.items():
            children.append(_start(name, command))
        waiting_for_up = True
        while not told.wait(_POLL_SECONDS):
            ended = next((child for child in children if child.process.poll() is not None), None)
            if ended is not None:
                return f"the {ended.name} ended with status {ended.process.returncode}"
            if waiting_for_up and is_up():
                waiting_for_up = False
                on_up()
        return None
    finally:
        _end(children)
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_with_parent() -> None:
    """In a child: stop by SIGTERM when the parent is gone, which closes our standard input."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _start(name: str, command: Command) -> Child:
    process = subprocess.Popen(  # noqa: S603  # our own modules, by the interpreter that runs this
        [sys.executable, *command.arguments], stdin=subprocess.PIPE, env=dict(command.environ), start_new_session=True
    )
    return Child(name=name, process=process)


def _end(children: Sequence[Child]) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    # The web first: what it accepted is still logged by the sequencer, now or at the next start.
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
        try:
            child.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        # Whatever it had started and left behind.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.process.pid, signal.SIGKILL)
        if child.process.stdin is not None:
            child.process.stdin.close()
