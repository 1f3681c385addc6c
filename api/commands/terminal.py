"""What every command shares, those included that run without an installation: how things are told, files, failures."""

import os
import sys
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.errors import ConfigError
from consent.errors import ConsentError
from crypto.errors import CryptoError
from exchange.errors import ExchangeError

FAILURES: Final = (ConfigError, ExchangeError, ConsentError, CryptoError)
"""What a command may fail with in ways that a sentence explains."""

# Names and codes of files are shown as they are: no markup, no emoji, no colour of numbers.
out: Final = Console(
    highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160
)
err: Final = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def explain(failure: BaseException) -> None:
    """Tell what went wrong, one fault a line."""
    faults = failure.faults if isinstance(failure, ConfigError) else str(failure).splitlines()
    for fault in faults or [type(failure).__name__]:
        err.print(f"error: {fault}", style="red")


def keep_files_private() -> None:
    """From here on, files that this process makes (a database, its journal) are for its owner only."""
    os.umask(0o077)


def read_text(path: str | Path) -> str:
    """A text file.

    Raises:
        click.ClickException: it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise click.ClickException(f"{path} cannot be read as text: {exc}") from exc


def progress_bar() -> Progress:
    """A bar on standard error that vanishes when its work is done; nothing where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )
