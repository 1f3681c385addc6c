"""The factory that each process of ``cdx provider serve`` calls; its settings are ``CDX_PROVIDER_…`` variables."""

import os
from ipaddress import ip_network
from pathlib import Path

from flask import Flask

from api.provider_gateway import ExchangeKeys, create_gateway_app, read_keys
from api.telemetry import configure_logging
from exchange.providers.addresses import AddressPolicy
from exchange.providers.mapping import load_mapping

PREFIX = "CDX_PROVIDER_"


def create() -> Flask:
    """The gateway of this process, from its environment."""
    configure_logging(os.environ.get(f"{PREFIX}LOG_LEVEL", "info"))
    networks = os.environ.get(f"{PREFIX}PRIVATE_NETWORKS", "")
    allowed = tuple(ip_network(text) for text in networks.split(",") if text)
    exchange = ExchangeKeys(os.environ[f"{PREFIX}EXCHANGE_KEYS"], addresses=AddressPolicy(allowed=allowed))
    return create_gateway_app(
        load_mapping(Path(os.environ[f"{PREFIX}MAPPING"])),
        read_keys(Path(os.environ[f"{PREFIX}KEYS"]), exchange),
        replay_file=Path(os.environ[f"{PREFIX}REPLAY_FILE"]),
    )
