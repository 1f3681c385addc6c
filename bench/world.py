"""An installation to put under load: real keys, the demonstration's country, people with a consent, one client.

Made in this process through the same use cases as everywhere; only who asks and who allows is not sent over HTTP.
"""

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from api import wiring
from api.config import Config
from api.oauth.access_tokens import AccessTokens
from crypto.encoding import b64u_encode
from crypto.jose import EncryptionPrivateKey, SigningKey, decrypt_jwe, sign_jws, verify_jws
from exchange import access, agencies, agreements, catalogue, consents, requests, subjects
from exchange.audit import outbox
from exchange.model import AttributeRequest, Caller, Citizen, HeldValue, RequestedAttribute, SubjectName
from exchange.outcomes import Waiting

ROOT: Final = Path(__file__).resolve().parent.parent
_COUNTRY: Final = ROOT / "demo" / "country"
_PUBLIC_URL: Final = "http://127.0.0.1:8000"
_PATH: Final = "/v1/attribute-requests"
_AGENCY: Final = "housing-benefit-office"
_AGREEMENT: Final = "benchmark"
_SCOPE: Final = "attributes:request"
_VALUES: Final[dict[str, dict[str, Any]]] = {
    "population-register": {
        "full_name": "Anna Maria Example-Sampleton",
        "birth_date": "1984-02-29",
        "birth_place": "Riverton, Valdoria",
        "home_address": "5 Harbour Street, 1000 Riverton",
        "postal_code": "1000",
        "household_size": 3,
    },
    "tax-authority": {"annual_income": "21500.00", "employer_name": "Riverton Bakery and Mill Ltd"},
}
_NAMES: Final = tuple(name for values in _VALUES.values() for name in values)


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the client holds."""

    dpop: SigningKey
    encryption: EncryptionPrivateKey
    token: str


class World:
    """The installation, and the client that asks.

    Args:
        environment: settings of the installation, as the server's processes get them.
        people: how many; each allows the agreement once.
        advance: called after each person.
    """

    def __init__(self, environment: dict[str, str], *, people: int, advance: Callable[[], None]) -> None:
        self.environment = environment
        self._config = Config.from_env(environment)
        self._services = wiring.initialise(self._config)
        self._load_country()
        self._subjects = [SubjectName(scheme="national-id", id=f"VAL-{number:06}-1") for number in range(people)]
        self._client = self._register_client()
        self._write_values()
        for subject in self._subjects:
            self._consent(subject)
            advance()

    def close(self) -> None:
        """Close the database connections."""
        self._services.close()

    def waiting_entries(self) -> int:
        """Entries that the sequencer has not taken yet."""
        with self._services.exchange.database.read() as connection:
            return outbox.backlog(connection, datetime.now(UTC)).count

    def sign(self, count: int) -> list[bytes]:
        """Whole HTTP requests, each with its own proof and idempotency key, for people at random."""
        picked = random.choices(self._subjects, k=count)
        return [self._signed(subject) for subject in picked]

    def check(self, body: bytes) -> None:
        """Open an answer as the agency does, and see that it tells all eight facts."""
        jws = decrypt_jwe(json.loads(body)["response"], key=self._client.encryption).decode()
        signer = self._services.exchange.answer_signer.public_key()
        answer = verify_jws(jws, key=signer, typ="cdx-answer+jwt", max_bytes=10**6).claims()
        told = {one["name"]: one.get("value") for one in answer["attributes"]}
        assert told == {name: value for values in _VALUES.values() for name, value in values.items()}, told

    def _signed(self, subject: SubjectName) -> bytes:
        client = self._client
        body = json.dumps(
            {
                "subject": {"scheme": subject.scheme, "id": subject.id},
                "agreement": _AGREEMENT,
                "purpose": "housing_benefit",
                "attributes": [{"name": name} for name in _NAMES],
                "acting_officer": {"id": "officer-17", "role": "case worker"},
                "case_reference": "HB-2026-0042",
            }
        ).encode()
        proof = sign_jws(
            {
                "jti": b64u_encode(os.urandom(16)),
                "htm": "POST",
                "htu": _PUBLIC_URL + _PATH,
                "iat": int(datetime.now(UTC).timestamp()),
                "ath": b64u_encode(sha256(client.token.encode()).digest()),
            },
            key=client.dpop,
            typ="dpop+jwt",
            headers={"jwk": {name: client.dpop.public_jwk()[name] for name in ("kty", "crv", "x", "y")}},
        )
        head = (
            f"POST {_PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: DPoP {client.token}\r\nDPoP: {proof}\r\n"
            f"Idempotency-Key: {os.urandom(16).hex()}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nAccept: application/json\r\n\r\n"
        )
        return head.encode() + body

    def _load_country(self) -> None:
        exchange, now = self._services.exchange, wiring.system_clock()
        catalogue.load_catalogue(exchange, (_COUNTRY / "catalogue.yaml").read_text(), now)
        for agency in agencies.parse_agencies((_COUNTRY / "agencies.yaml").read_text()):
            agencies.register_agency(exchange, agency.code, agency.name, agency.profile, now)
        text = (ROOT / "bench" / "agreement.yaml").read_text()
        proposed = agreements.propose(exchange, text, by="first", now=now)
        agreements.approve(
            exchange, proposed.code, revision=proposed.revision, digest=proposed.digest, by="second", now=now
        )

    def _register_client(self) -> Key:
        exchange, now = self._services.exchange, wiring.system_clock()
        signing, dpop = SigningKey.generate("bench-sig"), SigningKey.generate("bench-dpop")
        encryption = EncryptionPrivateKey.generate("bench-enc")
        jwks = {"keys": [signing.public_jwk(), encryption.public_jwk()]}
        agencies.register_client(exchange, "bench", _AGENCY, jwks, [_SCOPE], now)
        tokens = AccessTokens(self._services.token_signer, issuer=exchange.issuer, resource=self._config.public_url)
        self._jkt = dpop.public_key().thumbprint
        token, stored = tokens.for_client("bench", [_SCOPE], jkt=self._jkt, lifetime=3600, now=now)
        with exchange.database.write() as connection:
            access.issue_token(connection, stored)
            connection.commit()
        self._token_digest = access.token_digest(stored.jti)
        return Key(dpop=dpop, encryption=encryption, token=token)

    def _write_values(self) -> None:
        for provider, values in _VALUES.items():
            held = tuple(
                HeldValue(name=name, provider=provider, state="present", value=value, last_updated="2026-01-15")
                for name, value in values.items()
            )
            records = [subjects.SubjectRecord(subject=subject, values=held) for subject in self._subjects]
            subjects.write_values(self._services.exchange, provider, records, wiring.system_clock())

    def _consent(self, subject: SubjectName) -> None:
        exchange, now = self._services.exchange, wiring.system_clock()
        soon = now + timedelta(minutes=5)
        waiting = requests.submit(
            exchange,
            Caller(
                token_digest=self._token_digest,
                client_id="bench",
                jkt=self._jkt,
                scopes=frozenset({_SCOPE}),
                proof_digest=os.urandom(32),
                proof_expires_at=soon,
            ),
            AttributeRequest(
                subject=subject,
                agreement=_AGREEMENT,
                purpose="housing_benefit",
                attributes=tuple(RequestedAttribute(name=name) for name in _NAMES),
                acting_officer="officer-17",
                officer_role="case worker",
                case_reference="HB-2026-0042",
            ),
            idempotency_key=os.urandom(16).hex(),
            body_digest=os.urandom(32),
            now=now,
        )
        assert isinstance(waiting, Waiting)
        with exchange.database.read() as connection:
            ref = subjects.find(connection, exchange, subject, _AGENCY)
        assert ref is not None
        mine = access.NewToken(
            jti=os.urandom(16).hex(), jkt="none", scopes=("me",), issued_at=now, expires_at=soon, subject_ref=ref
        )
        with exchange.database.write() as connection:
            access.issue_token(connection, mine)
            connection.commit()
        citizen = Citizen(
            subject_ref=ref,
            token_digest=access.token_digest(mine.jti),
            jkt="none",
            proof_digest=os.urandom(32),
            proof_expires_at=soon,
        )
        consents.allow(
            exchange,
            citizen,
            waiting.request_id,
            selection=[(name, "value") for name in _NAMES],
            language="en",
            notice_version="2026-1",
            now=now,
        )


def settings(folder: Path, database_url: str) -> dict[str, str]:
    """Settings of an installation in a folder."""
    return {
        "CDX_ENVIRONMENT": "development",
        "CDX_PUBLIC_URL": _PUBLIC_URL,
        "CDX_DATABASE_URL": database_url,
        "CDX_UNSAFE_LOCAL_KEYS_DIR": str(folder / "keys"),
    }
