"""The factory that each web process of ``cdx serve`` calls."""

import os

from api.app import create_api_app
from api.config import Config
from api.portal import Application, create_portal_app, mounted
from api.telemetry import configure_logging
from api.wiring import open_services, refuse_old_database


def create() -> Application:
    """The applications of this process, from its environment."""
    config = Config.from_env(os.environ)
    configure_logging(config.log_level)
    services = open_services(config, "web")
    refuse_old_database(config, services.exchange.database)
    return mounted(create_api_app(services), create_portal_app(services))
