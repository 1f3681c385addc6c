"""``cdx catalogue`` and ``cdx agreement``: what can be asked, and who may ask it."""

from typing import Any

import click
from rich.table import Table

from api.commands.context import opened, out, read_text
from exchange import agreements
from exchange.catalogue import load_catalogue

_BY = click.option("--by", required=True, metavar="PERSON", help="Reference of the person who does this.")


@click.group("catalogue")
def catalogue_group() -> None:
    """What can be asked, and for which purposes."""


@catalogue_group.command("load")
@click.argument("file")
def catalogue_load(file: str) -> None:
    """Load FILE (YAML) as the catalogue in force; every fault is listed with its place."""
    with opened() as services:
        loaded = load_catalogue(services.exchange, read_text(file), services.clock())
    attributes, purposes = len(loaded.attributes), len(loaded.purposes)
    out.print(f"Catalogue version {loaded.version} is in force: {attributes} attributes, {purposes} purposes.")


@click.group("agreement")
def agreement_group() -> None:
    """Who may ask what: one person proposes, another approves."""


@agreement_group.command("propose")
@click.argument("file")
@_BY
def agreement_propose(file: str, by: str) -> None:
    """Propose the agreement in FILE (YAML). It permits nothing until somebody else approves it."""
    with opened() as services:
        proposed = agreements.propose(services.exchange, read_text(file), by=by, now=services.clock())
    out.print(f"{proposed.code}, revision {proposed.revision}, is proposed. Digest: {proposed.digest}")
    out.print("Another person reads it and puts it in force:")
    out.print(
        f"  cdx agreement approve {proposed.code} --revision {proposed.revision} --digest {proposed.digest} --by PERSON"
    )


@agreement_group.command("approve")
@click.argument("code")
@click.option("--revision", required=True, type=click.IntRange(1), help="Which wording.")
@click.option("--digest", required=True, help="SHA-256 of the wording that was read, as the proposal showed it.")
@_BY
def agreement_approve(code: str, **given: Any) -> None:
    """Put a proposed revision of the agreement CODE in force. Not by the person who proposed it."""
    with opened() as services:
        approved = agreements.approve(services.exchange, code, now=services.clock(), **given)
    until = approved.valid_until.date().isoformat()
    out.print(f"{approved.code}, revision {approved.revision}, is in force until {until}.")


@agreement_group.command("end")
@click.argument("code")
@_BY
@click.confirmation_option(prompt="This ends the agreement and all consents under it, for good. Go on?")
def agreement_end(code: str, by: str) -> None:
    """End the agreement CODE and every consent under it. Final."""
    with opened() as services:
        ended = agreements.end(services.exchange, code, by=by, now=services.clock())
    out.print(f"{code} has ended, and with it {ended} consents.")


@agreement_group.command("list")
def agreement_list() -> None:
    """List all agreements."""
    table = Table("agreement", "consumer", "purpose", "legal basis", "status", "revision", "until")
    with opened() as services, services.exchange.database.read() as connection:
        for one in agreements.list_agreements(connection, limit=1000):
            until = one.valid_until.date().isoformat()
            basis, status = one.legal_basis.value, one.status.value
            table.add_row(one.code, one.consumer, one.purpose, basis, status, str(one.revision), until)
    out.print(table)


COMMANDS = (catalogue_group, agreement_group)
