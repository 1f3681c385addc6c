"""``cdx log`` for everybody: verify, prove, copy and follow a log with its public key alone.

Needs no installation, no database and no library of the service (contract ``verifier`` in setup.cfg). What concerns the
own installation stands in :mod:`api.commands.log`, and is imported when it is used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click

from api.commands.lazy import LazyGroup, use
from api.commands.terminal import err, explain, out, progress_bar, read_text
from crypto.errors import CryptoError
from exchange.audit.files import write_whole
from exchange.audit.mirror import mirror_log
from exchange.audit.promise import verify_promise
from exchange.audit.prove import prove_entry
from exchange.audit.report import Finding, Progress, Report
from exchange.audit.sources import open_source
from exchange.audit.state_file import State, format_state, parse_state
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log, verify_proof

PATH: Final = click.Path(path_type=Path)
FILE: Final = click.Path(dir_okay=False, path_type=Path)

_HELP = """The audit log: verify, prove, copy, follow.

\b
Exit status of these commands:
  0  everything that was checked holds
  1  something does not verify: malformed, missing, or not signed as it must be
  2  the command was used wrongly
  3  fork: the log signed two histories
  4  stale: nothing new for too long
  5  shrunk: the log shows fewer entries than before
  6  not reached
"""


@click.group(
    "log",
    cls=LazyGroup,
    help=_HELP,
    rooms={
        "verify-db": ("log", "Verify this installation's database against the log, row by row."),
        "monitor": ("monitor", "Follow the log at LOCATION: what is new, and does it fit what was seen before?"),
    },
)
def log_group() -> None:
    """Gather the commands."""


def trusting(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is trusted."""
    vkey = click.option(
        "--vkey",
        "vkeys",
        multiple=True,
        metavar="KEY",
        help="A verifier key of the log, or a file with one a line; several: the log's key was rotated.",
    )
    policy = click.option(
        "--policy",
        type=FILE,
        help="A trust policy (C2SP tlog-policy): keys of the log, and the witnesses that must have cosigned.",
    )
    return vkey(policy(command))


def the_trust(vkeys: tuple[str, ...], policy: Path | None) -> Trust:
    """What the options name.

    Raises:
        click.UsageError: nothing, or unusable keys.
    """
    texts = [read_text(given) if _is_file(given) else given for given in vkeys]
    try:
        return Trust.of(*texts, policy=None if policy is None else read_text(policy))
    except CryptoError as exc:
        raise click.UsageError(f"--vkey or --policy: {exc}") from exc


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A bar on the terminal, as a function that moves it."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def reaching() -> Iterator[None]:
    """A source that cannot be read ends the command with status 6."""
    try:
        yield
    except OSError as exc:
        explain(exc)
        raise click.exceptions.Exit(Finding.UNREACHABLE) from None


def tell(report: Report) -> None:
    """Print a report, and end with its finding as the exit status."""
    for line in report.explain():
        out.print(line)
    raise click.exceptions.Exit(report.finding)


def load_state(path: Path | None) -> State | None:
    """What was remembered in a file; None: nothing was yet."""
    return parse_state(read_text(path)) if path is not None and path.exists() else None


def save(path: Path, text: str) -> None:
    """Write a file whole.

    Raises:
        click.ClickException: it cannot be written.
    """
    try:
        write_whole(path, text.encode())
    except OSError as exc:
        raise click.ClickException(f"{path} cannot be written: {exc.strerror}") from exc


@log_group.command("verify")
@click.argument("location")
@trusting
@click.option("--state", "state_file", type=FILE, help="Remembers what was seen.")
@click.option("--quick", is_flag=True, help="With --state: check only what has been added since.")
def log_verify(
    location: str, vkeys: tuple[str, ...], policy: Path | None, state_file: Path | None, *, quick: bool
) -> None:
    """Verify the log at LOCATION: an address, a directory from `cdx log export`, or one proof file.

    With --state it also shows that the log only grew since the last time. The key should come from somewhere else than
    the log: whoever can rewrite the one could replace the other.

    From an address the entries themselves can be read by auditors only, whose every request is signed: there all hashes
    are verified. To verify the entries too, ask the operator for a directory from `cdx log export`.
    """
    trust = the_trust(vkeys, policy)
    if _is_file(location):
        tell(verify_proof(read_text(location), trust))
    state = load_state(state_file)
    with reaching(), progress("verifying") as moved:
        report = verify_log(
            open_source(location), trust, state=None if state is None else state.note, full=not quick, progress=moved
        )
    if state_file is not None and report.state is not None:
        same = state is not None and state.note == report.state
        save(state_file, format_state(state if same and state else State(note=report.state)))
    tell(report)


@log_group.command("prove")
@click.argument("which", required=False, metavar="ID|INDEX")
@click.option("--from", "location", metavar="LOCATION", help="The address of a log or a directory; default: our own.")
@click.option("--out", "path", type=FILE, help="Where the proof goes; default: standard output.")
@click.option("--check", type=FILE, help="Verify the proof in FILE instead of making one.")
@click.option("--entry", type=FILE, help="With --check: the bytes of the entry, for a proof that does not hold them.")
@trusting
def log_prove(
    which: str | None,
    location: str | None,
    path: Path | None,
    check: Path | None,
    entry: Path | None,
    vkeys: tuple[str, ...],
    policy: Path | None,
) -> None:
    """Write a proof that an entry is in the log, or check one with --check, anywhere and offline.

    An entry is named by its id, or by its index (0 is the first). To find an id with --from, the entries are read,
    which an address shows to auditors only; an index needs hashes alone.
    """
    if (which is None) == (check is None):
        raise click.UsageError("name one thing: the entry to prove, or the proof to --check")
    if check is not None:
        trust = the_trust(vkeys, policy)
        tell(verify_proof(read_text(check), trust, entry=None if entry is None else _read_bytes(entry)))
    named = _entry(str(which))
    if location is None:
        text, told = use("log", "prove_own")(named)
    else:
        trust = the_trust(vkeys, policy)
        with reaching(), progress("searching") as moved:
            proved = prove_entry(open_source(location), trust, named, progress=moved)
        if proved.text is None:
            tell(proved.report)
        text, told = str(proved.text), proved.report.explain()
    if path is None:
        click.echo(text, nl=False)
    else:
        save(path, text)
        told.append(f"The proof is in {path}.")
    for line in told:
        (err if path is None else out).print(line)


@log_group.command("receipt")
@click.argument("receipt", type=FILE)
@click.option("--from", "location", required=True, metavar="LOCATION", help="The address of the log, or a directory.")
@click.option(
    "--keys", required=True, type=FILE, help="The JWK set with the receipt keys: /oauth/jwks, as you kept it."
)
@trusting
def log_receipt(receipt: Path, location: str, keys: Path, vkeys: tuple[str, ...], policy: Path | None) -> None:
    """Hold the operator to a RECEIPT: is the entry in the log that an answer of the exchange promised?

    RECEIPT is a file with the receipt as it stood in the answer. When the entry is missing, a policy with witnesses
    shows whether it had to be there by now: they say when they saw the log.
    """
    trust = the_trust(vkeys, policy)
    with reaching(), progress("searching") as moved:
        report = verify_promise(
            open_source(location), trust, read_text(receipt).strip(), read_text(keys), progress=moved
        )
    tell(report)


@log_group.command("export")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--from", "location", metavar="LOCATION", help="The address of a log or a directory; default: our own.")
@click.option("--cosigned", is_flag=True, help="Our own log, up to the newest checkpoint that a quorum has cosigned.")
@trusting
def log_export(
    directory: Path, location: str | None, vkeys: tuple[str, ...], policy: Path | None, *, cosigned: bool
) -> None:
    """Write a log as plain files into DIRECTORY: any web server can offer them, any verifier can read them.

    Run again, it adds what is new. With --from it copies another tree and verifies it on the way (--vkey or --policy):
    nothing that does not belong to the signed checkpoint is written.
    """
    if location is None:
        if vkeys or policy:
            raise click.UsageError("--vkey and --policy belong to --from")
        with progress("exporting") as moved:
            lines = use("log", "export_own")(directory, moved, cosigned=cosigned)
        for line in lines:
            out.print(line)
        return
    if cosigned:
        raise click.UsageError("--cosigned is about our own log; with --from a --policy asks for its quorum")
    if cosigned:
        raise click.UsageError("--cosigned is about our own log; with --from, a --policy says what must be cosigned")
    trust = the_trust(vkeys, policy)
    with reaching(), progress("copying") as moved:
        report = mirror_log(open_source(location), trust, directory, progress=moved)
    tell(report)


def _entry(text: str) -> UUID | int:
    if text.isascii() and text.isdigit() and len(text) < 20:
        return int(text)
    try:
        return UUID(text)
    except ValueError:
        raise click.UsageError(f"{text} is neither the id nor the index of an entry") from None


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # longer than a name can be, or with a zero byte
        return False


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise click.ClickException(f"{path} cannot be read: {exc.strerror}") from exc


COMMANDS: Final[tuple[Any, ...]] = (log_group,)
