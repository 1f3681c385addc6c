"""The half of ``cdx log`` that needs an installation: verify its database, export and prove out of it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from api.commands.context import load_config, opened, read_text
from api.commands.sealed import Opener
from api.commands.transparency import progress, tell
from exchange.audit.export import export_log
from exchange.audit.report import Progress
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_proof
from exchange.audit.verify_db import verify_database
from exchange.rules_check import rule_faults


@click.command("verify-db")
@click.option(
    "--vkey",
    "vkeys",
    multiple=True,
    metavar="KEY",
    help="A verifier key of the log, or a file with one a line; default: the one of this installation.",
)
def verify_db(vkeys: tuple[str, ...]) -> None:
    """Verify this installation's database against the log, row by row.

    Every leaf, tile, checkpoint, opening, history line, consent event and sealed value, and what releases are decided
    upon. It names the row that differs.
    """
    given = vkeys or (str(load_config().vkey_file),)
    texts = [read_text(one) if Path(one).is_file() else one for one in given]
    keys = [line.strip() for text in texts for line in text.splitlines() if line.strip()]
    with opened() as services, services.exchange.database.read() as connection, progress("verifying") as moved:
        opener = Opener(services.exchange, connection)
        report = verify_database(connection, keys, unseal=opener.unseal, check_sealed=opener.check, progress=moved)
        for text in rule_faults(connection):
            report.fault(text)
        report.checked.append("what releases are decided upon: consents, clients, agencies, agreements, the catalogue")
    tell(report)


def export_own(directory: Path, moved: Progress, *, cosigned: bool) -> list[str]:
    """Export the log of this installation; tells what was written."""
    with opened() as services, services.exchange.database.read() as connection:
        policy = services.exchange.settings.witnesses if cosigned else None
        if cosigned and policy is None:
            raise click.UsageError("no witnesses are asked here: set CDX_WITNESS_POLICY_FILE, or leave --cosigned out")
        return export_log(connection, directory, cosigned=policy, progress=moved).explain()


def prove_own(which: UUID | int) -> tuple[str, list[str]]:
    """The proof file of an entry of this installation, and what it proves in words."""
    named: dict[str, Any] = {"entry_id" if isinstance(which, UUID) else "index": which}
    with opened() as services, services.exchange.database.read() as connection:
        text = services.prover.inclusion(connection, **named).to_text()
        trust = Trust.of(read_text(services.config.vkey_file))
    return text, verify_proof(text, trust).explain()


COMMANDS = (verify_db,)
