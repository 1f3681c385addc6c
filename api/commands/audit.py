"""``cdx audit``: what officers of the exchange may see of the sealed part of the log, on record."""

from uuid import UUID

import click

from api.commands.context import opened
from api.commands.terminal import out
from exchange.openings import OWN, Officer, OpenedOwner, open_entry


@click.group("audit")
def audit_group() -> None:
    """The sealed facts of the log."""


@audit_group.command("open")
@click.argument("entry_id", type=click.UUID)
@click.option("--org", default=OWN, show_default=True, metavar="CODE", help="The officer's organisation.")
@click.option("--officer", required=True, metavar="ID", help="Pseudonymous staff id.")
@click.option("--role", default="operator", show_default=True, help="The people concerned see it.")
@click.option("--reason", required=True, help="Sealed; the people concerned see it. 10 to 500 characters.")
def audit_open(entry_id: UUID, org: str, officer: str, role: str, reason: str) -> None:
    """Open the sealed facts of the entry ENTRY_ID. It is an entry of the log, also when nothing is opened.

    Officers of the exchange (cdx) open every entry, those of an organisation the entries that bear its name.
    """
    with opened() as services:
        who = Officer(org=org, id=officer, role=role, via="command line")
        found = open_entry(services.exchange, who, entry_id, reason, services.clock())
    entry = found.entry
    out.print(f"{entry.type} of {entry.at.isoformat()}, {entry.org}, {entry.outcome}")
    for name, text in entry.detail.items():
        out.print(f"  {name}: {text} (public)")
    for owner in found.owners:
        out.print(_heading(owner))
        for fact in owner.facts:
            out.print(f"  {fact.name}: {'(kept from this organisation)' if fact.value is None else fact.value}")
    out.print("It waits for the sequencer." if found.proof is None else f"It is entry {found.proof.index} of the log.")
    out.print(f"Opened on record: {', '.join(map(str, found.recorded_as))}")


def _heading(owner: OpenedOwner) -> str:
    match owner.state:
        case "erased":
            return "Somebody who was erased: their facts are gone."
        case "damaged":
            return f"Facts of {owner.ref} that do not open as the entry committed to them: cdx log verify-db"
        case _:
            hidden = "" if owner.visible_from is None else f", hidden from them until {owner.visible_from.isoformat()}"
            return f"{owner.role} {owner.ref}{hidden}:"


COMMANDS = (audit_group,)
