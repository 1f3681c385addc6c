"""``cdx housekeeping``: writes down what the clock has decided."""

import click

from api.commands.context import opened, out
from exchange.housekeeping import settle_due

_BATCH = 100


@click.command("housekeeping")
def housekeeping() -> None:
    """Append the end of consents and requests whose time has run out.

    Nothing waits for this: an expired permission is none from its last second on. Run it from a timer, daily or so, so
    that people's histories tell what has ended.
    """
    with opened() as services:
        settled = 0
        while count := settle_due(services.exchange, services.clock(), limit=_BATCH):
            settled += count
            out.print(f"{settled} ended …")
    out.print(f"Done: {settled} consents whose time had run out.")


COMMANDS = (housekeeping,)
