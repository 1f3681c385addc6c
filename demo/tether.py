"""Runs a program for as long as whoever started this lives: ``python -m demo.tether PROGRAM ARGUMENT …``.

The starter keeps a pipe to our standard input. It closes when the starter ends, however that happens (``kill -9`` too),
and then the program and all its children are ended.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

PATIENCE_SECONDS = 20.0


def main(command: list[str]) -> int:
    """Run ``command`` until it ends, or standard input does. Gives its exit status."""
    # Ctrl-C on the terminal reaches everybody; only the starter decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: _end(child, signal.SIGTERM))
    threading.Thread(target=_watch, args=(child,), daemon=True).start()
    return child.wait()


def _watch(child: "subprocess.Popen[bytes]") -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    _end(child, signal.SIGTERM)
    try:
        child.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        _end(child, signal.SIGKILL)


def _end(child: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, how)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
