"""The factory that each process of ``cdx witness serve`` calls, which the variable ``CDX_WITNESS_FOLDER`` names."""

import os
from pathlib import Path
from typing import Final

from flask import Flask

from api.telemetry import configure_logging
from api.witness_app import create_witness_app
from api.witness_folder import open_witness

FOLDER: Final = "CDX_WITNESS_FOLDER"


def create() -> Flask:
    """The application of this process, from its environment."""
    configure_logging()
    return create_witness_app(open_witness(Path(os.environ[FOLDER])))
