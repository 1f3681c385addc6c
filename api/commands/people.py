"""``cdx subjects`` and ``cdx subject``: what is held about people."""

import sys
from pathlib import Path
from uuid import UUID

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from api.commands.context import err, opened, out
from exchange.erasure import erase
from exchange.errors import UnknownSubjectError
from exchange.importing import Progress as ImportProgress
from exchange.importing import Rejected, import_file
from exchange.model import SubjectName
from exchange.staff import find as find_staff
from exchange.subjects import PSEUDONYM_SCHEME, find


@click.group("subjects")
def subjects_group() -> None:
    """What supplying agencies hold about people."""


@subjects_group.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", required=True, metavar="CODE", help="The agency whose values these are.")
@click.option("--from-start", is_flag=True, help="Import the whole file again, though it was imported before.")
def subjects_import(file: Path, provider: str, *, from_start: bool) -> None:
    """Import FILE (.csv, .jsonl) into the vault, sealed per person and field.

    Interrupted, the same command goes on where it stopped. Lines that cannot be taken are listed by number and reason.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[imported]} people"),
        TimeRemainingColumn(),
    )
    with opened() as services, Progress(*columns, console=err) as bar:
        task = bar.add_task("importing", total=file.stat().st_size or None, imported=0)

        def on_progress(progress: ImportProgress) -> None:
            bar.update(task, completed=progress.bytes_done, total=progress.bytes_total, imported=progress.imported)

        def on_rejected(rejected: Rejected) -> None:
            err.print(f"line {rejected.line}: {rejected.reason}")

        report = import_file(
            services.exchange,
            file,
            provider,
            now=services.clock(),
            on_progress=on_progress,
            on_rejected=on_rejected,
            from_start=from_start,
        )
    if report.resumed_at is not None:
        out.print(f"An earlier import had come to line {report.resumed_at}; this one went on there.")
    out.print(f"{report.imported} people are imported, {report.rejected_count} lines were not taken.")
    if report.rejected_count:
        raise click.exceptions.Exit(2)


@click.group("subject")
def subject_group() -> None:
    """One person."""


@subject_group.command("erase")
@click.option("--ref", type=click.UUID, help="Reference of the person; else the identifier is asked for.")
@click.option("--scheme", default="national-id", show_default=True, help="What kind of identifier is asked for.")
@click.option("--staff", metavar="CODE", help="A member of staff of this organisation; the staff id is asked for.")
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
def subject_erase(ref: UUID | None, scheme: str, staff: str | None, *, yes: bool) -> None:
    """Erase a person or a member of staff: keys, values, index, openings. Final; every proof of the log still holds.

    The identifier is asked for, or read from standard input: on the command line others of this machine would see it.
    """
    with opened() as services:
        if ref is None:
            identifier = click.prompt("Identifier", hide_input=sys.stdin.isatty())
            if scheme == PSEUDONYM_SCHEME:
                raise click.ClickException(
                    "a person is found by a national identifier or a reference, not by a pseudonym"
                )
            with services.exchange.database.read() as connection:
                if staff is not None:
                    ref = find_staff(connection, services.exchange, staff, identifier)
                else:
                    ref = find(connection, services.exchange, SubjectName(scheme=scheme, id=identifier), "")
        if ref is None:
            raise UnknownSubjectError("nobody is known by this identifier")
        if not yes:
            click.confirm(f"Everything about the person {ref} becomes unreadable, for good. Go on?", abort=True)
        done = erase(services.exchange, ref, services.clock())
    out.print(f"Erased: {done.consents_ended} consents ended, audit entry {done.entry_id}.")
    for table, rows in done.rows.items():
        out.print(f"  {table}: {rows}")
    if not done.file_is_clean:
        err.print(
            "warning: SQLite's write-ahead log still holds deleted rows while a reader keeps it open", style="yellow"
        )


COMMANDS = (subjects_group, subject_group)
