"""``cdx log``: verify, export, prove. Verifying needs no installation, only the log and its public key."""

import os
from pathlib import Path
from uuid import UUID

import click
from rich.progress import Progress

from api.commands.context import err, load_config, opened, out, read_text
from api.commands.sealed import Opener
from exchange.audit.export import export_log
from exchange.audit.report import Report
from exchange.audit.sources import open_source
from exchange.audit.verify import verify_log, verify_proof
from exchange.audit.verify_db import verify_database
from exchange.rules_check import rule_faults


@click.group("log")
def log_group() -> None:
    """The audit log: verify, export, prove."""


@log_group.command("verify")
@click.argument("location", required=False)
@click.option("--database", is_flag=True, help="Verify this installation's database against the log, row by row.")
@click.option("--vkey", help="The log's public key, or a file with it; default: the one of this installation.")
@click.option("--state", "state_file", type=click.Path(dir_okay=False, path_type=Path), help="Remembers what was seen.")
@click.option("--quick", is_flag=True, help="With --state: check only what has been added since.")
def log_verify(location: str | None, vkey: str | None, state_file: Path | None, *, database: bool, quick: bool) -> None:
    """Verify the log at LOCATION: an address, a directory from `cdx log export`, or one proof file.

    With --state it also shows that the log only grew since the last time. The key should come from somewhere else than
    the log: whoever can rewrite the one could replace the other.
    """
    if database == (location is not None):
        raise click.UsageError("name one thing to verify: LOCATION, or --database")
    key = _vkey(vkey)
    if location is None:
        _tell(_verify_own_database(key))
        return
    if Path(location).is_file():
        _tell(verify_proof(read_text(location), key))
        return
    state = read_text(str(state_file)) if state_file is not None and state_file.exists() else None
    with _progress() as bar:
        task = bar.add_task("verifying", total=None)
        report = verify_log(
            open_source(location),
            key,
            state=state,
            full=not quick,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if state_file is not None and report.state is not None:
        partial = state_file.with_name(f".{state_file.name}.{os.getpid()}")
        partial.write_text(report.state, encoding="utf-8")
        partial.replace(state_file)
    _tell(report)


@log_group.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def log_export(directory: Path) -> None:
    """Write the log as plain files into DIRECTORY: any web server can offer them, any verifier can read them."""
    with opened() as services, services.exchange.database.read() as connection, _progress() as bar:
        task = bar.add_task("exporting", total=None)
        done = export_log(
            connection, directory, progress=lambda step, total: bar.update(task, completed=step, total=total)
        )
    for line in done.explain():
        out.print(line)


@log_group.command("prove")
@click.argument("entry_id", type=click.UUID)
@click.option("--out", "path", type=click.Path(dir_okay=False, path_type=Path), help="File; default: print it.")
def log_prove(entry_id: UUID, path: Path | None) -> None:
    """Write a proof that an entry is in the log: `cdx log verify FILE` checks it anywhere, offline."""
    with opened() as services, services.exchange.database.read() as connection:
        text = services.prover.inclusion(connection, entry_id=entry_id).to_text()
    if path is None:
        click.echo(text, nl=False)
        return
    path.write_text(text, encoding="utf-8")
    out.print(f"The proof is in {path}.")


def _verify_own_database(key: str) -> Report:
    with opened() as services, services.exchange.database.read() as connection, _progress() as bar:
        task = bar.add_task("verifying", total=None)
        opener = Opener(services.exchange, connection)
        report = verify_database(
            connection,
            [key],
            unseal=opener.unseal,
            check_sealed=opener.check,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        for text in rule_faults(connection):
            report.fault(text)
        report.checked.append("what releases are decided upon: consents, clients, agencies, agreements, the catalogue")
        return report


def _progress() -> Progress:
    return Progress(console=err, transient=True)


def _vkey(given: str | None) -> str:
    if given is None:
        given = str(load_config().vkey_file)
    return (read_text(given) if Path(given).is_file() else given).strip()


def _tell(report: Report) -> None:
    for line in report.explain():
        out.print(line)
    if report.faults:
        raise click.exceptions.Exit(1)


COMMANDS = (log_group,)
