"""``cdx provider``: what a supplying agency runs beside its old registry. Needs no installation of the exchange."""

import os
import sys
from pathlib import Path

import click
from rich.table import Table

from api import supervisor
from api.commands.context import err, out
from api.commands.web_process import arguments
from api.errors import ConfigError
from api.provider_gateway import ExchangeKeys, make_key_file, read_keys
from api.provider_web import PREFIX
from api.wiring import system_clock
from exchange.providers.gateway import dry_run
from exchange.providers.mapping import load_mapping

_MAPPING = click.argument("mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group("provider")
def provider_group() -> None:
    """Answer live queries from a read-only view of an old registry."""


@provider_group.command("keys")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def provider_keys(file: Path) -> None:
    """Make the provider's private keys in FILE, which only its owner can read."""
    try:
        make_key_file(file)
    except OSError as exc:
        raise click.ClickException(f"{file}: {exc.strerror}") from exc
    out.print(f"The keys are in {file}. Their public halves are served at /jwks.json.")


@provider_group.command("serve")
@_MAPPING
@click.option("--dry-run", "dry", is_flag=True, help="Serve nothing: show what the first rows would answer, masked.")
@click.option("--rows", default=5, show_default=True, type=click.IntRange(1, 100), help="How many, with --dry-run.")
@click.option("--keys", type=click.Path(exists=True, path_type=Path), help="From `cdx provider keys`.")
@click.option("--exchange-keys", metavar="SOURCE", help="The exchange's JWK set: an address or a file.")
@click.option("--replay-file", type=click.Path(path_type=Path), default=Path("replay.db"), show_default=True)
@click.option("--listen", default="127.0.0.1:8100", show_default=True, metavar="HOST:PORT")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--private-network", "networks", multiple=True, help="Where the exchange's keys may be fetched; repeatable."
)
def provider_serve(  # click hands over one argument for each option
    *,
    mapping: Path,
    dry: bool,
    rows: int,
    keys: Path | None,
    exchange_keys: str | None,
    replay_file: Path,
    listen: str,
    workers: int,
    networks: tuple[str, ...],
) -> None:
    """Serve the registry that MAPPING describes; with --dry-run look first at what it would say."""
    if dry:
        _show(mapping, rows)
        return
    if keys is None or exchange_keys is None:
        raise ConfigError(["serving needs --keys and --exchange-keys (or look first with --dry-run)"])
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(["--listen takes host:port"])
    # Faults of the files are told here, before anything is started.
    read_keys(keys, ExchangeKeys(exchange_keys))
    dry_run(load_mapping(mapping), limit=1, now=system_clock())
    host = host.strip("[]")
    if supervisor.is_taken(host, int(port)):
        raise ConfigError([f"{listen} is taken or not an address of this machine: choose another with --listen"])
    environ = supervisor.small_environment(os.environ, prefixes=("LC_",)) | {
        f"{PREFIX}MAPPING": str(mapping),
        f"{PREFIX}KEYS": str(keys),
        f"{PREFIX}EXCHANGE_KEYS": exchange_keys,
        f"{PREFIX}REPLAY_FILE": str(replay_file),
        f"{PREFIX}PRIVATE_NETWORKS": ",".join(networks),
    }
    gateway = arguments("api.provider_web:create", host=host, port=int(port), workers=workers, threads=4)
    ended = supervisor.supervise(
        {"gateway": supervisor.Command(arguments=gateway, environ=environ)},
        is_up=lambda: supervisor.answers(host, int(port)),
        on_up=lambda: out.print(f"Answering on http://{listen}. Ctrl-C stops."),
    )
    if ended is not None:
        err.print(f"error: {ended}", style="red")
        sys.exit(1)


def _show(mapping: Path, rows: int) -> None:
    table = Table("person", "answers")
    for row in dry_run(load_mapping(mapping), limit=rows, now=system_clock()):
        person = ", ".join(f"{scheme} {identifier}" for scheme, identifier in row.subject.items())
        table.add_row(person, ", ".join(f"{name}: {answer}" for name, answer in row.answers.items()))
    out.print(table)


COMMANDS = (provider_group,)
