"""The vehicle registry of the demonstration country behind its real gateway, on a real port; how it fails."""

import json
import socket
import sqlite3
import threading
from contextlib import contextmanager

from sqlalchemy import update
from werkzeug.serving import make_server

from api.provider_gateway import ExchangeKeys, create_gateway_app, make_key_file, read_keys
from exchange.providers.mapping import load_mapping
from exchange.tables import agency as agency_table
from tests.house import COUNTRY
from tests.integration.providers.parts import other_keys

PLATE = "RV 4711"
_ROWS = """
INSERT INTO LICHLD VALUES ('VAL1000017', 'A B        ', '20310101', 'N', NULL, '20260131');
INSERT INTO VEHREG VALUES ('{plate}', 'PC', 'EV', '05.11.2019', 'VAL1000017', 'A');
"""


class VehicleRegistry:
    """Answers as ``mode`` says; counts whom it was asked about.

    Modes: good, garbage, broken, slow, wrong key, of another question; ``meanwhile`` is called before a good answer.
    """

    def __init__(self, folder, house):
        self.folder = folder
        self.house = house
        self.mode = "good"
        self.asked = 0
        self.meanwhile = None
        self.let_go = threading.Event()
        self._earlier = None
        folder.mkdir()
        self._fill()
        self._good = self._gateway(self.keys)
        self._wrong = self._gateway(other_keys(self.keys))
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))  # taken, and nobody listens: down until it is served
        self.port = self._socket.getsockname()[1]
        self._introduce()

    def _fill(self):
        database = sqlite3.connect(self.folder / "vehicles.db")
        database.executescript((COUNTRY / "vehicle-registry.sql").read_text())
        database.executescript(_ROWS.format(plate=PLATE))
        database.close()
        signer = self.house.exchange.provider_signer
        (self.folder / "exchange-jwks.json").write_text(json.dumps({"keys": [signer.public_jwk()]}))
        mapping = self.folder / "mapping.yaml"
        mapping.write_text((COUNTRY / "vehicle-registry.yaml").read_text())
        make_key_file(self.folder / "keys.json")
        self.mapping = load_mapping(mapping)
        self.keys = read_keys(self.folder / "keys.json", ExchangeKeys(self.mapping.jwks))

    def _gateway(self, keys):
        return create_gateway_app(self.mapping, keys, replay_file=self.folder / "taken.db", clock=self.house.clock)

    def _introduce(self):
        """Tell the exchange where the registry answers, as its registration would."""
        live = {"endpoint": f"http://127.0.0.1:{self.port}/", "jwks": self.keys.public_jwks()}
        profile = {"address": "7 Station Road", "contact": "x@vehicles.example", "jurisdiction": "XV", "live": live}
        with self.house.exchange.database.write() as connection:
            change = update(agency_table).where(agency_table.c.code == "vehicle-registry")
            connection.execute(change.values(profile=json.dumps(profile), version=agency_table.c.version + 1))
            connection.commit()

    def __call__(self, environ, start_response):
        self.asked += 1
        if self.mode == "slow":
            self.let_go.wait(60)
        if self.mode in ("garbage", "broken"):
            status = "200 OK" if self.mode == "garbage" else "500 Oops"
            start_response(status, [("Content-Type", "application/jwt")])
            return [b"e30.Anna.Example"]
        if self.mode == "of another question":
            start_response("200 OK", [("Content-Type", "application/jwt")])
            return [self._earlier]
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        app = self._wrong if self.mode == "wrong key" else self._good
        body = b"".join(app(environ, start_response))
        self._earlier = body
        return [body]

    @contextmanager
    def serving(self):
        """Up, for as long as the block lasts."""
        self._socket.close()
        server = make_server("127.0.0.1", self.port, self, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            server.shutdown()
            thread.join()
            server.server_close()

    def close(self):
        self._socket.close()
        self._good.extensions["gateway"].close()
        self._wrong.extensions["gateway"].close()
