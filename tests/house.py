"""A working house for tests: initialised, with the demonstration country's rules and a few people.

Everything is real: keys, database, sequencer. Only the clock is ours.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from api import wiring
from api.config import Config, Environment
from crypto.ids import new_id, random_bytes
from crypto.jose import EncryptionPrivateKey, SigningKey, decrypt_jwe, verify_jws
from exchange import access, agencies, agreements, catalogue, consents, requests, subjects
from exchange.access import NewToken
from exchange.audit.sequencer import Sequencer
from exchange.context import Exchange
from exchange.model import AttributeRequest, Caller, Citizen, HeldValue, RequestedAttribute, SubjectName
from exchange.outcomes import Answered, Outcome, Waiting

COUNTRY = Path(__file__).resolve().parent.parent / "demo" / "country"
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
HOUSING = "housing-benefit-office"
PARKING = "city-parking-office"
ANNA = SubjectName(scheme="national-id", id="VAL-100001-7")
BEN = SubjectName(scheme="national-id", id="VAL-100002-5")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.before_moving: Callable[[], object] = lambda: None

    def __call__(self) -> datetime:
        return self.now

    def move(self, **delta: float) -> datetime:
        """Move on by a timedelta's arguments. Whoever works in the meantime does so first."""
        self.before_moving()
        self.now += timedelta(**delta)
        return self.now


@dataclass
class Client:
    """An agency's client and its private keys."""

    id: str
    agency: str
    signing: SigningKey
    encryption: EncryptionPrivateKey
    dpop: SigningKey

    def jwks(self) -> dict[str, Any]:
        """What it registers."""
        return {"keys": [self.signing.public_jwk(), self.encryption.public_jwk()]}


@dataclass
class House:
    """The house and what tests do in it."""

    services: wiring.Services
    clock: Clock
    log: wiring.LogServices
    clients: dict[str, Client] = field(default_factory=dict)
    people: dict[SubjectName, UUID] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        """The exchange under test."""
        return self.services.exchange

    @property
    def sequencer(self) -> Sequencer:
        """The sequencer of its log."""
        return self.log.sequencer

    def close(self) -> None:
        """Close both databases."""
        self.services.close()
        self.log.database.dispose()

    # Parties

    def add_client(self, agency: str, scopes: tuple[str, ...] = ("attributes:request",), **more: Any) -> Client:
        """Register a client with fresh keys."""
        name = f"{agency}-{len(self.clients) + 1}"
        client = Client(
            id=name,
            agency=agency,
            signing=SigningKey.generate(f"{name}-sig"),
            encryption=EncryptionPrivateKey.generate(f"{name}-enc"),
            dpop=SigningKey.generate(f"{name}-dpop"),
        )
        agencies.register_client(self.exchange, client.id, agency, client.jwks(), list(scopes), self.clock(), **more)
        self.clients[name] = client
        return client

    def caller(self, client: Client, *, scopes: tuple[str, ...] = ("attributes:request",)) -> Caller:
        """A fresh token of the client, and a fresh proof."""
        now = self.clock()
        jti = random_bytes(16).hex()
        jkt = client.dpop.public_key().thumbprint
        token = NewToken(
            jti=jti, jkt=jkt, scopes=scopes, issued_at=now, expires_at=now + timedelta(minutes=5), client_id=client.id
        )
        with self.exchange.database.write() as connection:
            access.issue_token(connection, token)
            connection.commit()
        return Caller(
            token_digest=access.token_digest(jti),
            client_id=client.id,
            jkt=jkt,
            scopes=frozenset(scopes),
            proof_digest=random_bytes(32),
            proof_expires_at=now + timedelta(minutes=5),
        )

    def again(self, caller: Caller) -> Caller:
        """The same token with a fresh proof."""
        return Caller(
            token_digest=caller.token_digest,
            client_id=caller.client_id,
            jkt=caller.jkt,
            scopes=caller.scopes,
            proof_digest=random_bytes(32),
            proof_expires_at=self.clock() + timedelta(minutes=5),
        )

    def citizen(self, who: SubjectName) -> Citizen:
        """A fresh own token of a person, and a fresh proof."""
        now = self.clock()
        jti = random_bytes(16).hex()
        ref = self.people[who]
        token = NewToken(
            jti=jti, jkt="jkt", scopes=("me",), issued_at=now, expires_at=now + timedelta(minutes=5), subject_ref=ref
        )
        with self.exchange.database.write() as connection:
            access.issue_token(connection, token)
            connection.commit()
        return Citizen(
            subject_ref=ref,
            token_digest=access.token_digest(jti),
            jkt="jkt",
            proof_digest=random_bytes(32),
            proof_expires_at=now + timedelta(minutes=5),
        )

    # The main job

    def ask(
        self,
        client: Client,
        who: SubjectName = ANNA,
        lines: tuple[RequestedAttribute, ...] | None = None,
        *,
        agreement: str = "housing-benefit",
        purpose: str = "housing_benefit",
        key: str | None = None,
        caller: Caller | None = None,
    ) -> Outcome:
        """One request."""
        request = AttributeRequest(
            subject=who,
            agreement=agreement,
            purpose=purpose,
            attributes=lines or HOUSING_LINES,
            acting_officer="officer-17",
            officer_role="case worker",
            case_reference="HB-2026-0042",
        )
        key = key or random_bytes(8).hex()
        return requests.submit(
            self.exchange,
            caller or self.caller(client),
            request,
            idempotency_key=key,
            body_digest=sha256(repr(request).encode()).digest(),
            now=self.clock(),
        )

    def allow(
        self, who: SubjectName, request_id: UUID, leave_out: tuple[str, ...] = (), **narrower: Any
    ) -> consents.Decided:
        """The person allows what the request asked, less some."""
        lines = [(one.name, one.form) for one in HOUSING_LINES if one.name not in leave_out]
        return consents.allow(
            self.exchange,
            self.citizen(who),
            request_id,
            selection=lines,
            language="en",
            notice_version="2026-1",
            now=self.clock(),
            **narrower,
        )

    def consented(self, client: Client, who: SubjectName = ANNA, **narrower: Any) -> consents.Decided:
        """Ask and allow: a consent in force."""
        waiting = self.ask(client, who)
        assert isinstance(waiting, Waiting)
        return self.allow(who, waiting.request_id, **narrower)

    def collect(self, client: Client, request_id: UUID) -> Outcome:
        """Collect an answer."""
        return requests.collect(self.exchange, self.caller(client), request_id, self.clock())

    def open_answer(self, client: Client, answered: Answered) -> dict[str, Any]:
        """Decrypt and verify, as the agency does."""
        jws = decrypt_jwe(answered.jwe, key=client.encryption).decode()
        return verify_jws(
            jws, key=self.exchange.answer_signer.public_key(), typ="cdx-answer+jwt", max_bytes=10**6
        ).claims()

    def integrate(self) -> None:
        """Run the sequencer until nothing waits."""
        while self.sequencer.run_round():
            pass


HOUSING_LINES = (
    RequestedAttribute(name="full_name", form="value"),
    RequestedAttribute(name="birth_date", form="at_least:18"),
    RequestedAttribute(name="home_address", form="value"),
    RequestedAttribute(name="household_size", form="value"),
    RequestedAttribute(name="annual_income", form="in_range:0-30000"),
    RequestedAttribute(name="other_benefits", form="exists", required=False),
)


def build(folder: Path, database_url: str, *, clock: Clock | None = None) -> House:
    """Initialise a house on a migrated, empty database."""
    clock = clock or Clock()
    config = Config(
        environment=Environment.DEVELOPMENT,
        public_url="http://127.0.0.1:8000",
        database_url=database_url,
        unsafe_local_keys_dir=folder / "keys",
    )
    services = wiring.initialise(config, clock=clock)
    return furnish(House(services=services, clock=clock, log=wiring.open_log(config, clock=clock)))


def furnish(house: House) -> House:
    """Load the country's rules into a new house, and let two people move in."""
    exchange, clock = house.exchange, house.clock
    # As the worker does all the time: releases wait for a log that nobody writes.
    clock.before_moving = house.integrate
    catalogue.load_catalogue(exchange, (COUNTRY / "catalogue.yaml").read_text(), clock())
    for agency in agencies.parse_agencies((COUNTRY / "agencies.yaml").read_text()):
        agencies.register_agency(exchange, agency.code, agency.name, agency.profile, clock())
    for path in sorted((COUNTRY / "agreements").glob("*.yaml")):
        proposed = agreements.propose(exchange, path.read_text(), by="officer-a", now=clock())
        agreements.approve(
            exchange, proposed.code, revision=proposed.revision, digest=proposed.digest, by="officer-b", now=clock()
        )
    house.people = {who: _person(house, who, name) for who, name in ((ANNA, "Anna Example"), (BEN, "Ben Example"))}
    return house


def _person(house: House, who: SubjectName, name: str) -> UUID:
    def held(attribute: str, value: Any) -> HeldValue:
        return HeldValue(
            name=attribute,
            provider=house.exchange.catalogue(connection).attribute(attribute).provider,
            state="present",
            value=value,
            last_updated="2026-01-15",
        )

    with house.exchange.database.read() as connection:
        register = (
            held("full_name", name),
            held("birth_date", "1984-02-29"),
            held("home_address", "5 Harbour Street, 1000 Riverton"),
            held("household_size", 3),
        )
        tax = (held("annual_income", "21500.00"),)
    for provider, values in (("population-register", register), ("tax-authority", tax)):
        record = subjects.SubjectRecord(subject=who, values=values)
        subjects.write_values(house.exchange, provider, [record], house.clock())
    with house.exchange.database.read() as connection:
        found = subjects.find(connection, house.exchange, who, HOUSING)
    assert found is not None
    return found


def new_request_id(house: House) -> UUID:
    """An id that no request has."""
    return new_id(house.clock())
