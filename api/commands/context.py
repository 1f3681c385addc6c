"""What commands of an installation share: its configuration, and the installation opened.

Offers the names of :mod:`api.commands.terminal` too, which commands without an installation take from there.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from api.commands.terminal import FAILURES, err, explain, keep_files_private, out, progress_bar, read_text
from api.config import Config
from api.wiring import Services, open_services

__all__ = [
    "FAILURES",
    "err",
    "explain",
    "keep_files_private",
    "load_config",
    "opened",
    "out",
    "progress_bar",
    "read_text",
]


def load_config() -> Config:
    """The configuration of the environment, with its warnings told.

    Raises:
        ConfigError: all its faults.
    """
    config = Config.from_env(os.environ)
    for warning in config.warnings():
        err.print(f"warning: {warning}", style="bold yellow")
    return config


@contextmanager
def opened() -> Iterator[Services]:
    """The installation that the environment names.

    Raises:
        ConfigError, DatabaseError: it cannot be opened.
    """
    services = open_services(load_config(), "cli")
    try:
        yield services
    finally:
        services.close()
