"""``cdx witness``: run a witness for the log of an exchange. Needs no installation and no settings, only a folder."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from api import supervisor
from api.commands.context import err, keep_files_private, out, read_text
from api.commands.web_process import arguments
from api.errors import ConfigError
from api.witness_folder import make_witness, open_witness
from api.witness_web import FOLDER
from crypto.note import NoteVerifier

_HELP: Final = """Witness the logs of others: say with your own key that they only grew.

A witness is run by somebody else than the log: a data protection authority, a court of auditors, another agency. The
log sends it each new checkpoint with a proof; the witness cosigns what continues the last one it cosigned, and nothing
else. Whoever trusts some witnesses need not trust the operator to show everybody the same history. A witness sees the
sizes and roots of a log, never an entry, and needs no settings but its folder.

\b
  cdx witness init DIR --name witness.authority.example    make the key and an empty memory
  cdx witness add-log DIR VKEY                             the log's public key (log.vkey)
  cdx witness serve DIR                                    behind a proxy that speaks https
  cdx witness status DIR                                   what was cosigned, and when

Give the line that `init` prints to the log's operator and to whoever checks the log: it is a line of their trust policy
(c2sp.org/tlog-policy). Never restore DIR from a backup: a witness that forgot would cosign a second history. When its
memory is lost, make a new witness with a new name.
"""

_DIR = click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))


@click.group("witness", help=_HELP)
def witness_group() -> None:
    """Gather the commands of a witness."""


@witness_group.command("init")
@_DIR
@click.option("--name", required=True, help="Its name, as an address without https://, such as witness.agency.example.")
@click.option("--url", default="https://…", show_default=False, help="Its address, for the line that is printed.")
def witness_init(*, folder: Path, name: str, url: str) -> None:
    """Make a new witness in DIR: its key, and an empty memory of what it cosigned.

    It never touches a witness that is there.
    """
    keep_files_private()
    vkey = make_witness(folder, name)
    out.print(f"The witness {name} is ready in {folder}; witness.vkey has its public key. Its line in a trust policy:")
    out.print(f"witness {name} {vkey} {url}")
    out.print("Next: cdx witness add-log, then cdx witness serve")


@witness_group.command("add-log")
@_DIR
@click.argument("vkey", metavar="VKEY")
@click.option("--remove", is_flag=True, help="Trust the key no longer. What was cosigned is remembered all the same.")
def witness_add_log(*, folder: Path, vkey: str, remove: bool) -> None:
    """Trust VKEY, the public key of a log, or a file with it, for the log whose name it bears.

    A second key of the same log is added beside the first, for the time in which the log changes its key; remove the
    first afterwards. A witness that is serving knows it with the next request.
    """
    keep_files_private()
    verifier = NoteVerifier.parse((read_text(vkey) if Path(vkey).is_file() else vkey).strip())
    store = open_witness(folder).store
    try:
        if remove:
            store.remove_key(verifier)
        else:
            store.add_key(verifier)
    finally:
        store.close()
    out.print(f"The key is {'no longer ' if remove else ''}trusted for {verifier.name}.")


@witness_group.command("status")
@_DIR
def witness_status(*, folder: Path) -> None:
    """Show each log: its keys, how far it was cosigned and when, and whether it signed two histories."""
    keep_files_private()
    witness = open_witness(folder)
    try:
        lines = witness.store.lines()
        proofs = [proof for line in lines for proof in witness.store.forks(line.origin)]
    finally:
        witness.store.close()
    out.print(f"Witness {witness.name}\n{witness.vkey}")
    table = Table("log", "keys", "size", "cosigned at", "served at")
    for line in lines:
        at = datetime.fromtimestamp(line.cosigned_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        place = f"/{line.origin_hash}/checkpoint"
        table.add_row(line.origin, str(len(line.vkeys)), str(line.size), at if line.cosigned_at else "never", place)
    out.print(table)
    for proof in proofs:
        err.print(f"{proof.origin} signed two histories of size {proof.size}. We cosigned:", style="bold red")
        out.print(proof.cosigned)
        err.print("and were shown:", style="bold red")
        out.print(proof.refused)
    if proofs:
        sys.exit(3)


@witness_group.command("serve")
@_DIR
@click.option("--listen", default="127.0.0.1:8200", show_default=True, metavar="HOST:PORT")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
def witness_serve(*, folder: Path, listen: str, workers: int) -> None:
    """Serve the witness in DIR: POST /add-checkpoint for logs, GET / for people.

    Terminate TLS at a proxy before it, and limit there how often anybody asks.
    """
    keep_files_private()
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(["--listen takes host:port"])
    # Faults of the folder are told here, before anything is started.
    witness = open_witness(folder)
    witness.store.close()
    host = host.strip("[]")
    if supervisor.is_taken(host, int(port)):
        raise ConfigError([f"{listen} is taken or not an address of this machine: choose another with --listen"])
    environ = supervisor.small_environment(os.environ, prefixes=("LC_",)) | {FOLDER: str(folder.absolute())}
    web = arguments("api.witness_web:create", host=host, port=int(port), workers=workers, threads=4)
    ended = supervisor.supervise(
        {"witness": supervisor.Command(arguments=web, environ=environ)},
        is_up=lambda: supervisor.answers(host, int(port)),
        on_up=lambda: out.print(f"Witness {witness.name} answers on http://{listen}. Ctrl-C stops."),
    )
    if ended is not None:
        err.print(f"error: {ended}", style="red")
        sys.exit(1)


COMMANDS = (witness_group,)
