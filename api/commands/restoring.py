"""``cdx db restored``: what comes after putting a backup back."""

from pathlib import Path

import click
from rich.progress import Progress, TaskID

from api.commands.context import err, keep_files_private, opened, out
from api.restoring import carry_out, look
from api.wiring import Services
from exchange.errors import RestoreError


@click.command("restored")
@click.option(
    "--last-checkpoint",
    required=True,
    metavar="FILE|auto",
    help="The last known checkpoint of the log; auto: the one beside the journal.",
)
@click.option("--journal", type=click.Path(path_type=Path), help="The journal's folder; default: CDX_JOURNAL_DIR.")
@click.option("--without-journal", is_flag=True, help="There is none: what ended since the backup comes back, paused.")
@click.option("--despite-faults", is_flag=True, help="Of a journal that is not whole, take what bears our signature.")
@click.option("--anyway", is_flag=True, help="Also if the database holds all that the last checkpoint stands for.")
@click.option("--dry-run", is_flag=True, help="Tell what is known, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
def restored(
    last_checkpoint: str,
    journal: Path | None,
    *,
    without_journal: bool,
    despite_faults: bool,
    anyway: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Bring a database that was restored, or that took over from a lost one, up to what is known of the time since.

    Nothing may use the database meanwhile. Revokes all tokens; does again what the journal tells: withdrawals,
    erasures, ends, suspensions; pauses every consent in force; and continues the log under its next name, with an entry
    that says so. Until it is done nothing serves. Interrupted, run it again. Needs both keysets.
    """
    keep_files_private()
    with opened() as services:
        if not dry_run:
            _be_alone(services)
        found = look(
            services,
            last_checkpoint=last_checkpoint,
            journal_dir=journal,
            without_journal=without_journal,
            despite_faults=despite_faults,
        )
        for line in found.explain():
            out.print(line)
        if not found.continuation.is_older and not anyway:
            raise RestoreError("nothing is known to be lost: if it was restored all the same, say --anyway")
        if dry_run:
            out.print("Nothing was changed.")
            return
        if not yes:
            click.confirm("All tokens end, and all consents in force are paused. Go on?", abort=True)
        _be_alone(services)  # again: whoever reads a question may take long, and a service is started anew meanwhile
        with Progress(console=err, transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def progress(what: str, count: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total or None)
                bar.advance(tasks[what], count)

            done = carry_out(services, found, progress=progress)
        for line in done.explain():
            out.print(line)
        out.print(f"The log goes on as {done.origin}. Give {services.config.vkey_file} to verifiers and witnesses.")


def _be_alone(services: Services) -> None:
    if services.exchange.database.is_used_by_others():
        raise RestoreError("somebody else has the database open: stop the service, the worker and other sessions")
