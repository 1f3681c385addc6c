"""Runs command lines of ``cdx`` where only ``cryptography``, click and rich are installed.

Takes a list of command lines (JSON) from standard input; prints [status, output] for each. What is neither ours, nor
one of the three (with what they stand on), nor of the standard library is as if it were not there.
"""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

ALLOWED = {"api", "exchange", "consent", "crypto", "cryptography", "_cffi_backend", "click", "rich", "tests"}
ALLOWED |= {"markdown_it", "mdurl", "pygments"}


class Absent:
    """Finds other libraries nowhere, and says so."""

    def find_spec(self, name, path=None, target=None):
        """As importlib asks."""
        top = name.partition(".")[0]
        if top not in ALLOWED and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {top!r}", name=name)


def run(arguments):
    """The status and the output of one command, as the program itself would end."""
    from api import cli

    sys.argv = ["cdx", *arguments]
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            cli.main()
        except SystemExit as exc:
            return exc.code or 0, printed.getvalue()
    return 0, printed.getvalue()


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    json.dump([run(arguments) for arguments in json.load(sys.stdin)], sys.stdout)
