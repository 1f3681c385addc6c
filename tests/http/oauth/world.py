"""A whole exchange over a real database, with an agency, a client and a person, behind a small Flask application."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from flask import Flask, jsonify
from sqlalchemy import insert, select, update

from api import problems
from api.config import Config, Environment
from api.oauth import create_oauth_blueprint
from api.oauth.protect import authenticate_agency, authenticate_citizen
from crypto.blind_index import BlindIndex, normalise
from crypto.envelope import LocalKeyWrapper, generate_kek, wrap_kek
from crypto.ids import new_id, random_bytes
from crypto.jose import SigningKey
from crypto.pseudonym import PseudonymKey
from exchange import access
from exchange.audit.tables import audit_outbox, audit_subject_entry
from exchange.context import Exchange, Installation
from exchange.keyring import Keyring
from exchange.model import SubjectName
from exchange.providers.addresses import AddressPolicy
from exchange.providers.http import LiveProviders
from exchange.subjects import create
from exchange.tables import agency, client, installation, kek, subject
from tests.http.oauth.clients import Client, Device

PUBLIC_URL = "https://exchange.example"
AGENCY = "tax-office"
SCOPES = "attributes:request catalogue:read"


@dataclass
class Clock:
    now: datetime

    def __call__(self):
        return self.now

    def advance(self, **parts):
        self.now += timedelta(**parts)


@dataclass
class PlainServices:
    """What handlers find as ``current_app.extensions["cdx"]``."""

    config: Config
    exchange: Exchange
    token_signer: SigningKey
    clock: Clock

    @property
    def receipt_keys(self) -> tuple[SigningKey, ...]:
        return (self.exchange.receipt_signer,)


@dataclass
class World:
    database: object
    clock: Clock
    private_networks: tuple = ()
    config_changes: dict = field(default_factory=dict)

    def __post_init__(self):
        self.exchange = self._make_exchange()
        self.config = Config(
            **{
                "environment": Environment.SANDBOX,
                "public_url": PUBLIC_URL,
                "database_url": "sqlite:///unused.db",
                "private_networks": self.private_networks,
            }
            | self.config_changes
        )
        self.token_signer = SigningKey.generate("token-1")
        self.services = PlainServices(self.config, self.exchange, self.token_signer, self.clock)
        self.app = self.new_app()
        self.client = self.register(Client(self.clock, "tax-client", PUBLIC_URL))
        self.device = Device(self.clock)

    def _make_exchange(self):
        now = self.clock()
        wrapper = LocalKeyWrapper(random_bytes(32))
        here = Installation(id=new_id(now), origin="exchange.example/audit", operator_ref=new_id(now))
        keyring = Keyring(wrapper, installation_id=here.id)
        provider_signer = SigningKey.generate("provider-1")
        addresses = AddressPolicy(allowed=self.private_networks)
        made = Exchange(
            database=self.database,
            installation=here,
            issuer=PUBLIC_URL,
            keyring=keyring,
            blind_index=BlindIndex(key=random_bytes(32), version=1, table="subject_identifier", column="bidx"),
            pseudonyms=PseudonymKey(key=random_bytes(32), version=1),
            answer_signer=SigningKey.generate("answer-1"),
            receipt_signer=SigningKey.generate("receipt-1", "Ed25519"),
            provider_signer=provider_signer,
            live_providers=LiveProviders(issuer=PUBLIC_URL, signer=provider_signer, addresses=addresses),
        )
        with self.database.write() as connection:
            rows = [
                (installation, {"id": here.id, "origin": here.origin, "operator_ref": here.operator_ref}),
                (kek, {"epoch": 1, "wrapped": wrap_kek(wrapper, generate_kek(1)), "status": "ACTIVE"}),
                (subject, {"ref": here.operator_ref, "status": "OPERATOR", "version": 1}),
                (agency, {"code": AGENCY, "name": "Tax", "profile": "{}", "status": "ACTIVE", "version": 1}),
            ]
            for table, row in rows:
                connection.execute(insert(table).values(**row, created_at=now))
            keyring.create(connection, here.operator_ref, now)
            connection.commit()
        return made

    def new_app(self, **config_changes):
        """The application of one more process over the same database."""
        if config_changes:
            self.config = Config(
                **{
                    name: config_changes.get(name, getattr(self.config, name))
                    for name in self.config.__dataclass_fields__
                }
            )
            self.services = PlainServices(self.config, self.exchange, self.token_signer, self.clock)
        app = Flask("world")
        app.config["CDX_PUBLIC_URL"] = PUBLIC_URL
        app.register_blueprint(create_oauth_blueprint(self.services))
        problems.register(app)
        app.add_url_rule("/v1/things/<name>", "things", self._things, methods=["GET", "POST"])
        app.add_url_rule("/v1/me", "me", self._me)
        return app

    def _things(self, name):
        caller = authenticate_agency("attributes:request")
        live = access.admit(self.exchange, caller, self.clock())
        return jsonify(name=name, agency=live.agency, client=caller.client_id, scopes=sorted(caller.scopes))

    def _me(self):
        citizen = authenticate_citizen()
        access.admit_citizen(self.exchange, citizen, self.clock())
        return jsonify(subject=str(citizen.subject_ref))

    def http(self):
        return self.app.test_client()

    def register(self, new, *, scopes=SCOPES):
        """Store a client's registration."""
        with self.database.write() as connection:
            connection.execute(
                insert(client).values(
                    id=new.client_id,
                    agency=AGENCY,
                    jwks=json.dumps(new.jwks()),
                    scopes=scopes,
                    status="ACTIVE",
                    version=1,
                    created_at=self.clock(),
                )
            )
            connection.commit()
        return new

    def person(self, identifier, *, scheme="national-id") -> UUID:
        """Create a person with that identifier."""
        with self.exchange.unit_of_work(self.clock()) as uow:
            ref = create(uow, self.exchange, [SubjectName(scheme=scheme, id=normalise(identifier))])
            uow.commit()
        return ref

    def set(self, table, values, *where):
        with self.database.write() as connection:
            connection.execute(update(table).values(**values).where(*where))
            connection.commit()

    def rows(self, statement):
        with self.database.read() as connection:
            return connection.execute(statement).all()

    def history(self, subject_ref):
        """Types of the entries in a person's own history."""
        own = select(audit_outbox.c.body).join(audit_subject_entry, audit_subject_entry.c.entry_id == audit_outbox.c.id)
        rows = self.rows(own.where(audit_subject_entry.c.subject_ref == subject_ref))
        return [json.loads(row.body)["typ"] for row in rows]

    def get(self, path="/v1/things/one", *, token, by=None, http=None, scheme="DPoP", method="GET", **changes):
        """One call with a token and a proof; ``headers`` replaces all headers."""
        by = by or self.client
        headers = changes.pop("headers", None)
        if headers is None:
            proof = changes.pop("proof", None) or by.proof(method, PUBLIC_URL + path, token=token, **changes)
            headers = {"Authorization": f"{scheme} {token}", "DPoP": proof}
        return (http or self.http()).open(path, method=method, headers=headers)
