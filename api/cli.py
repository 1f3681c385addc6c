"""``cdx``: everything an operator does. Each command calls one use case; this file only gathers and explains them.

The module of a command is imported when the command is used: whoever only checks a log needs no more than that.
"""

import sys

import click

from api.commands.lazy import LazyGroup
from api.commands.terminal import FAILURES, explain

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


# Command: module below api.commands, and its line in `cdx --help`.
_ROOMS = {
    "agency": ("registering", "The agencies that ask and supply."),
    "agreement": ("governing", "Who may ask what: one person proposes, another approves."),
    "audit": ("audit", "The sealed facts of the log."),
    "catalogue": ("governing", "What can be asked, and for which purposes."),
    "client": ("registering", "The programs of agencies that call the API."),
    "config": ("installation", "Look at the settings."),
    "db": ("installation", "Look after the database."),
    "housekeeping": ("housekeeping", "Append the end of consents and requests whose time has run out."),
    "init": ("installation", "Make a new installation: keys, tables, the operator's key and an empty audit log."),
    "keys": ("keys", "Look after keys."),
    "log": ("transparency", "The audit log: verify, prove, copy, follow."),
    "openapi": ("installation", "Print the description of the API (OpenAPI 3.1)."),
    "openid": ("openid", "How people sign in with a browser."),
    "provider": ("provider", "Answer live queries from a read-only view of an old registry."),
    "sandbox": ("registering", "Help for agencies that try the exchange."),
    "serve": ("serving", "Serve the API, together with the sequencer of the audit log."),
    "subject": ("people", "One person."),
    "subjects": ("people", "What supplying agencies hold about people."),
    "witness": ("witness", "Witness the logs of others: say with your own key that they only grew."),
    "worker": (
        "serving",
        "Run the sequencer of the audit log by itself, ask the witnesses to cosign, and delete what has expired.",
    ),
}

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=LazyGroup, rooms=_ROOMS, help=_HELP, context_settings=_SETTINGS)
@click.version_option(package_name="citizen-data-exchange", prog_name="cdx")
def cdx() -> None:
    """Gather all commands."""


def main() -> None:
    """Run the command line: a known failure is a sentence and status 1, never a traceback."""
    try:
        cdx.main(prog_name="cdx")
    except FAILURES as exc:
        explain(exc)
        sys.exit(1)


if __name__ == "__main__":
    main()
