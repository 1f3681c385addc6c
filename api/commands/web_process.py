"""``python -m api.commands.web_process FACTORY HOST PORT WORKERS THREADS``: the parent of web processes.

``cdx serve`` and ``cdx provider serve`` start it, with a small environment and the end of a pipe as standard input.
"""

import sys

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from api.supervisor import stop_with_parent


def arguments(factory: str, *, host: str, port: int, workers: int, threads: int) -> list[str]:
    """Arguments of the interpreter that start this module."""
    return ["-m", "api.commands.web_process", factory, host, str(port), str(workers), str(threads)]


def run(factory: str, host: str, port: str, workers: str, threads: str) -> None:
    """Serve until told to stop."""
    stop_with_parent()
    Granian(
        factory,
        factory=True,
        interface=Interfaces.WSGI,
        address=host,
        port=int(port),
        workers=int(workers),
        blocking_threads=int(threads),
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=10,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    run(*sys.argv[1:])
