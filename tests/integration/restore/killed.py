"""``cdx db restored`` in a process of its own that kills itself after its n-th durable step.

    python -m tests.integration.restore.killed N

The environment is that of the command. Every commit and every file that is put in place counts.
"""

import os
import signal
import sys

from api import keyfiles, restoring
from api.cli import main
from exchange import restore
from exchange.uow import UnitOfWork

left = int(sys.argv[1])


def counted(function):
    """The function, after which the process may end."""

    def step(*given, **named):
        global left  # noqa: PLW0603  # this process counts one thing
        result = function(*given, **named)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return step


restore.AT_ONCE = 1
restore.take_name = counted(restore.take_name)
restore.revoke_tokens = counted(restore.revoke_tokens)
keyfiles._write_private = counted(keyfiles._write_private)
restoring.replace_file = counted(restoring.replace_file)
UnitOfWork.commit = counted(UnitOfWork.commit)
sys.argv[1:] = ["db", "restored", "--last-checkpoint", "auto", "--yes"]
main()
