"""The factory that each web process of ``cdx serve`` calls."""

import os

from flask import Flask

from api.app import create_api_app
from api.config import Config
from api.telemetry import configure_logging
from api.wiring import open_services


def create() -> Flask:
    """The API application of this process, from its environment."""
    config = Config.from_env(os.environ)
    configure_logging(config.log_level)
    return create_api_app(open_services(config, "web"))
