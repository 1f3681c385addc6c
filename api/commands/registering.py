"""``cdx agency``, ``cdx client``, ``cdx sandbox``: who takes part."""

import json
import os
import shlex
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table

from api.commands.context import opened, out, read_text
from api.config import Environment
from crypto.canonical import load_json
from crypto.ids import random_bytes
from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange import agencies
from exchange.agreement_model import Agreement
from exchange.agreements import list_agreements
from exchange.client_registration import CLIENT_CREDENTIALS, GRANT_TYPES, ClientRegistration
from exchange.model import VALUE_FORM, Status

MAX_KEY_FILE: Final = 65_536
_STATUS = click.Choice([status.value for status in Status], case_sensitive=False)


@click.group("agency")
def agency_group() -> None:
    """The agencies that ask and supply."""


@agency_group.command("register")
@click.argument("file")
def agency_register(file: str) -> None:
    """Register the agencies that FILE (YAML) lists; those that are registered already are passed over."""
    entries = agencies.parse_agencies(read_text(file))
    with opened() as services:
        with services.exchange.database.read() as connection:
            known = {agency.code for agency in agencies.list_agencies(connection)}
        for entry in entries:
            if entry.code in known:
                out.print(f"{entry.code} is registered already.")
                continue
            agencies.register_agency(services.exchange, entry.code, entry.name, entry.profile, services.clock())
            out.print(f"{entry.code} is registered: {entry.name}")


@agency_group.command("list")
def agency_list() -> None:
    """List all agencies."""
    table = Table("agency", "name", "status", "live endpoint")
    with opened() as services, services.exchange.database.read() as connection:
        for agency in agencies.list_agencies(connection):
            endpoint = agency.profile.get("live", {}).get("endpoint", "")
            table.add_row(agency.code, agency.name, agency.status.value, endpoint)
    out.print(table)


@agency_group.command("status")
@click.argument("code")
@click.argument("status", type=_STATUS)
def agency_status(code: str, status: str) -> None:
    """Suspend an agency, or let it act again: its tokens stop, or work again, at once."""
    with opened() as services:
        agencies.set_agency_status(services.exchange, code, Status(status), services.clock())
    out.print(f"{code} is {status}.")


@click.group("client")
def client_group() -> None:
    """The programs of agencies that call the API."""


@client_group.command("register")
@click.argument("client_id")
@click.option("--agency", required=True, metavar="CODE", help="Whose client it is.")
@click.option("--jwks", required=True, metavar="FILE", help="Its public keys (JWK set): for signing, and for answers.")
@click.option("--scope", "scopes", multiple=True, required=True, help="What it may be granted; can be repeated.")
@click.option("--jwks-uri", metavar="URL", help="Where its signature keys stand; FILE then holds the one for answers.")
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URL",
    help="Where people who decide in a browser are sent back to; can be repeated.",
)
@click.option(
    "--grant",
    "grants",
    multiple=True,
    default=[CLIENT_CREDENTIALS],
    show_default=True,
    type=click.Choice(GRANT_TYPES),
    help="What it may ask tokens with; can be repeated.",
)
def client_register(
    client_id: str,
    agency: str,
    jwks: str,
    scopes: tuple[str, ...],
    jwks_uri: str | None,
    redirect_uris: tuple[str, ...],
    grants: tuple[str, ...],
) -> None:
    """Register the client CLIENT_ID of an agency by its public keys."""
    document = load_json(read_text(jwks), max_bytes=MAX_KEY_FILE)
    if not isinstance(document, dict):
        raise click.ClickException(f"{jwks} is not a JWK set")
    registration = ClientRegistration(grant_types=grants, redirect_uris=redirect_uris, jwks_uri=jwks_uri)
    with opened() as services:
        agencies.register_client(services.exchange, client_id, agency, document, scopes, services.clock(), registration)
    out.print(f"{client_id} is registered for {agency}: {' '.join(scopes)}")


@client_group.command("status")
@click.argument("client_id")
@click.argument("status", type=_STATUS)
def client_status(client_id: str, status: str) -> None:
    """Suspend a client, or let it act again: its tokens stop, or work again, at once."""
    with opened() as services:
        agencies.set_client_status(services.exchange, client_id, Status(status), services.clock())
    out.print(f"{client_id} is {status}.")


@click.group("sandbox")
def sandbox_group() -> None:
    """Help for agencies that try the exchange. Not in production."""


@sandbox_group.command("client")
@click.option("--agency", required=True, metavar="CODE", help="Whose client it is; must be registered.")
@click.option("--name", metavar="ID", help="Client id; default: made from the agency's code.")
@click.option("--scope", "scopes", multiple=True, default=["attributes:request", "catalogue:read"], show_default=True)
@click.option("--out", "path", type=click.Path(path_type=Path), help="Key file; default: ID.json")
@click.option("--subject", default="national-id:NUMBER", help="Invented person for the printed command: SCHEME:ID.")
def sandbox_client(agency: str, name: str | None, scopes: tuple[str, ...], path: Path | None, subject: str) -> None:
    """Make keys for a client, register it, write the key file, and print the command of a first request."""
    with opened() as services:
        config = services.config
        if config.environment is Environment.PRODUCTION:
            raise click.ClickException("in production an agency makes its own keys: cdx client register")
        client_id = name or f"{agency}-{random_bytes(3).hex()}"
        path = path or Path(f"{client_id}.json")
        signing, dpop = SigningKey.generate(f"{client_id}-sig"), SigningKey.generate(f"{client_id}-dpop")
        encryption = EncryptionPrivateKey.generate(f"{client_id}-enc")
        public = {"keys": [signing.public_jwk(), encryption.public_jwk()]}
        document = {
            "issuer": config.public_url,
            "agency": agency,
            "client_id": client_id,
            "scopes": list(scopes),
            "signing": signing.to_private_jwk(),
            "dpop": dpop.to_private_jwk(),
            "encryption": encryption.to_private_jwk(),
        }
        # The file first: a client whose keys could not be kept is of no use to anybody.
        write_key_file(path, document)
        try:
            agencies.register_client(services.exchange, client_id, agency, public, scopes, services.clock())
        except BaseException:
            path.unlink()
            raise
        with services.exchange.database.read() as connection:
            agreements = list_agreements(connection, consumer=agency)
        in_force = [one for one in agreements if one.is_in_force(services.clock())]
    out.print(f"{client_id} is registered for {agency}. Its private keys are in {path}: only you can read them.")
    if not in_force:
        out.print(f"{agency} has no agreement in force yet: cdx agreement propose FILE --by PERSON")
        return
    out.print("While `cdx serve` runs, this sends a first request:")
    out.print(f"  {_first_request(in_force[0], path, subject)}")
    if subject.endswith(":NUMBER"):
        out.print("NUMBER stands for the identifier of an invented person.")


def _first_request(agreement: Agreement, path: Path, subject: str) -> str:
    lines = [
        line.name if line.form == VALUE_FORM else f"{line.name}={line.form}"
        for line in agreement.lines
        if line.form != "equals"  # it would need something to compare with
    ]
    options = ["--key-file", str(path), "--subject", subject, "--agreement", agreement.code]
    return shlex.join(["python", "demo/first_request.py", *options, "--purpose", agreement.purpose, *lines])


def write_key_file(path: Path, document: dict[str, Any]) -> None:
    """Write private keys into a new file that only its owner reads.

    Raises:
        click.ClickException: there is such a file, or it cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} exists already and is not replaced") from None
    except OSError as exc:
        raise click.ClickException(f"{path}: {exc.strerror}") from exc
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")


COMMANDS = (agency_group, client_group, sandbox_group)
