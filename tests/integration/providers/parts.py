"""Real parts: a registry in SQLite, the gateway in front of it on a real port, and servers that misbehave."""

import json
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from flask import Flask, Response
from werkzeug.serving import make_server

from api.provider_gateway import ExchangeKeys, create_gateway_app, make_key_file, read_keys
from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange.catalogue_model import Attribute
from exchange.model import Agency, HeldValue, Status, SubjectName
from exchange.providers.addresses import AddressPolicy
from exchange.providers.gateway import GatewayKeys
from exchange.providers.http import HTTPProvider, LiveLimits, LiveProviders
from exchange.providers.mapping import RegistryMapping, load_mapping

ISSUER = "https://exchange.example"
PROVIDER = "vehicle-registry"
ALICE = SubjectName(scheme="national-id", id="VAL-1")
MAPPING = """
mapping: cdx/provider-mapping/v1
provider: vehicle-registry
exchange:
  issuer: https://exchange.example
  jwks: exchange-jwks.json
database:
  url: sqlite:///registry.db
  view: people
  timeout_seconds: 2
subjects:
  national-id: {column: person_id, normalised: true}
  customer: {column: customer_no, type: integer}
closed_until: closed_on
attributes:
  vehicle_count: {column: cars, type: integer, last_updated: changed, assurance: high}
  vehicle_plate: {column: plate, type: string, when_empty: not_applicable, states: {SECRET: unavailable}}
  vehicle_class: {column: class, type: code, labels: {A: small, B: large}}
  vehicle_first_registration: {column: first_reg, type: date, date_format: "%d.%m.%Y"}
  disabled_parking_badge: {column: badge, type: boolean, values: {J: true, N: false}, when_null: unavailable}
  vehicle_tax: {column: tax, type: money, valid_until: tax_until}
"""
TYPES = {
    "vehicle_count": "integer",
    "vehicle_plate": "string",
    "vehicle_class": "code",
    "vehicle_first_registration": "date",
    "disabled_parking_badge": "boolean",
    "vehicle_tax": "money",
    "unmapped": "string",
}
ROWS = [
    ("val1", 1001, 2, "2026-01-31", "VAL 42", "A", "05.11.2019", "J", 120.5, "2026-12-31", None),
    ("val2", 1002, None, None, "  ", "C", "31.02.2020", None, "many", None, ""),
    ("val3", 1003, 1, None, "SECRET", "B", "01.01.2020", "X", 12.345, None, "2999-01-01"),
    ("val4", 1004, 1, None, "X 1", "B", "01.01.2020", "N", 0, None, "2001-01-01"),
    ("val5", 1005, 1, None, "X 2", "B", "01.01.2020", "N", 0, None, "some day"),
    ("val6", 1006, 1, None, "X 3", "B", "01.01.2020", "N", 0, None, None),
    ("val6", 1007, 9, None, "X 4", "B", "01.01.2020", "N", 0, None, None),
]


def make_registry(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE old_people (pid TEXT, customer_no INTEGER, cars, changed, plate, class, first_reg, badge, tax,"
        " tax_until, closed_on, home TEXT DEFAULT 'secret street')"
    )
    columns = "pid, customer_no, cars, changed, plate, class, first_reg, badge, tax, tax_until, closed_on"
    connection.executemany(f"INSERT INTO old_people ({columns}) VALUES ({', '.join('?' * 11)})", ROWS)
    connection.execute(f"CREATE VIEW people AS SELECT {columns.replace('pid', 'pid AS person_id')} FROM old_people")
    connection.commit()
    connection.close()


@dataclass
class Provider:
    """A gateway's folder, its keys, and how the exchange reaches it."""

    folder: Path
    mapping: RegistryMapping
    keys: GatewayKeys
    signer: SigningKey = field(repr=False)

    def app(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Flask:
        return create_gateway_app(self.mapping, self.keys, replay_file=self.folder / "taken.db", clock=clock)

    def agency(self, url: str, *, version: int = 1, **live: Any) -> Agency:
        profile = {"live": {"endpoint": url, "jwks": self.keys.public_jwks(), **live}}
        return Agency(code=PROVIDER, name="Vehicles", status=Status.ACTIVE, version=version, profile=profile)


def make_provider(folder: Path, text: str = MAPPING) -> Provider:
    make_registry(folder / "registry.db")
    signer = SigningKey.generate("exchange-1")
    (folder / "exchange-jwks.json").write_text(json.dumps({"keys": [signer.public_jwk()]}))
    (folder / "mapping.yaml").write_text(text)
    make_key_file(folder / "keys.json")
    mapping = load_mapping(folder / "mapping.yaml")
    keys = read_keys(folder / "keys.json", ExchangeKeys(mapping.jwks))
    return Provider(folder=folder, mapping=mapping, keys=keys, signer=signer)


def live(provider: Provider, *, allowed: str = "127.0.0.1", **limits: Any) -> LiveProviders:
    return LiveProviders(
        issuer=ISSUER,
        signer=provider.signer,
        addresses=AddressPolicy.parse([allowed]),
        limits=LiveLimits(**{"connect_seconds": 1.0, "read_seconds": 1.0, "total_seconds": 2.0, **limits}),
    )


def attributes(*names: str) -> list[Attribute]:
    return [
        Attribute(
            name=name,
            label=name,
            description=name,
            type=TYPES[name],
            classification="basic",
            provider=PROVIDER,
            forms=frozenset({"value"}),
            live=True,
        )
        for name in names
    ]


def fetch(
    client: HTTPProvider, *names: str, who: SubjectName = ALICE, now: datetime | None = None, purpose: str = "parking"
) -> dict[str, HeldValue]:
    return client.fetch(
        subject=who,
        attributes=attributes(*(names or ("vehicle_count",))),
        purpose=purpose,
        request_id=uuid4(),
        now=now or datetime.now(UTC),
    )


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The application on a real port of this machine."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[int]]]:
    """A server of bytes: ``talk`` gets each connection after its request came in. Also counts the connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    count: list[int] = []
    stopped = threading.Event()

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(5)
                connection.recv(65_536)
                talk(connection)
            except OSError:
                return

    def run() -> None:
        threads = []
        while not stopped.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            count.append(1)
            threads.append(threading.Thread(target=handle, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", count
    finally:
        stopped.set()
        thread.join()
        listener.close()


def replying(body: Callable[[bytes], bytes | Response]) -> Flask:
    """An application that answers a query with whatever ``body`` makes of it."""
    from flask import request

    app = Flask("liar", static_folder=None)

    @app.post("/")
    def reply() -> Response:
        made = body(request.get_data())
        return made if isinstance(made, Response) else Response(made, mimetype="application/jwt")

    return app


def other_keys(keys: GatewayKeys) -> GatewayKeys:
    """The same names, other keys: what somebody in the middle would have."""
    return GatewayKeys(
        signer=SigningKey.generate(keys.signer.kid),
        decryption=EncryptionPrivateKey.generate(keys.decryption.kid),
        exchange=keys.exchange,
    )


LATER = timedelta(seconds=31)
