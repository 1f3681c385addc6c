"""The API with the audit append switched off: the other side of B4. Nothing outside this folder can switch it off."""

import os
from collections.abc import Sequence
from dataclasses import replace

from flask import Flask
from sqlalchemy import Connection

from api.app import create_api_app
from api.config import Config
from api.telemetry import configure_logging
from api.wiring import open_services
from exchange.audit.entry import PreparedEntry
from exchange.uow import SealedOpening


def discard(
    _connection: Connection, _entries: Sequence[PreparedEntry], _sealed_openings: Sequence[SealedOpening]
) -> None:
    """In place of ``exchange.audit.outbox.append``."""


def create() -> Flask:
    """As ``api.web.create``, apart from the append."""
    config = Config.from_env(os.environ)
    configure_logging(config.log_level)
    services = open_services(config, "web")
    return create_api_app(replace(services, exchange=replace(services.exchange, append=discard)))
