"""``cdx``: everything an operator does. Each command calls one use case; this file only gathers and explains them."""

import sys

import click

from api.commands import (
    governing,
    housekeeping,
    installation,
    keys,
    log,
    people,
    provider,
    registering,
    serving,
    witness,
)
from api.commands.context import FAILURES, explain

_HELP = """Citizen Data Exchange: verified facts about a person, between agencies, only with a recorded legal basis.

\b
A new installation, step by step:
  export CDX_ENVIRONMENT=development CDX_PUBLIC_URL=http://127.0.0.1:8000
  export CDX_DATABASE_URL=sqlite:///cdx.db CDX_UNSAFE_LOCAL_KEYS_DIR=keys
  cdx init                          make keys, tables and the audit log
  cdx config check                  is everything set, and safe?
  cdx catalogue load FILE           what can be asked, and for which purposes
  cdx agency register FILE          who asks and who supplies
  cdx agreement propose FILE        one person proposes what may be asked …
  cdx agreement approve CODE        … and another one approves it
  cdx subjects import FILE          what a supplying agency holds
  cdx serve                         the API and the sequencer of the log
  cdx sandbox client                keys for a first request, and the command that sends it

Settings come from the environment (CDX_…) or from the TOML file that CDX_CONFIG names: `cdx config show` lists them.
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="citizen-data-exchange", prog_name="cdx")
def cdx() -> None:
    """Gather all commands."""


for module in (installation, keys, serving, governing, registering, people, provider, log, housekeeping, witness):
    for command in module.COMMANDS:
        cdx.add_command(command)


def main() -> None:
    """Run the command line: a known failure is a sentence and status 1, never a traceback."""
    try:
        cdx.main(prog_name="cdx")
    except FAILURES as exc:
        explain(exc)
        sys.exit(1)


if __name__ == "__main__":
    main()
