"""A witness that kills itself while it cosigns: ``python -m tests.integration.witness.worker FOLDER WHEN``.

WHEN is before-commit or after-commit. The body of a request comes on standard input, and the answer would leave on
standard output.
"""

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from api.witness_folder import open_witness
from exchange.audit.witnessing import Cosigned


def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder, when):
    witness = open_witness(Path(folder))
    if when == "before-commit":
        event.listen(witness.store._database.engine, "commit", die)
    answer = witness.add_checkpoint(sys.stdin.buffer.read())
    if when == "after-commit":
        die()
    sys.stdout.write(answer.line if isinstance(answer, Cosigned) else answer.body)


if __name__ == "__main__":
    main(*sys.argv[1:])
