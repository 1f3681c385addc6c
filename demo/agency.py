"""An agency's own software, as it could stand anywhere: knows the published interface and public libraries only."""

import base64
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OKPKey
from jwt.algorithms import ECAlgorithm

from demo.device import Device, Response, public_jwk
from demo.story import require

ANSWER_TYPE = "cdx-answer+jwt"
CONSENT_RECEIPT_TYPE = "consent-receipt+jwt"
RECEIPT_TYPE = "entry-receipt+jwt"
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer that was decrypted, and whose signature, audience and time hold; and its receipt, which holds too."""

    subject: str
    disclosure: str
    request: str
    receipt: dict[str, Any]
    attributes: list[dict[str, Any]]

    def __getitem__(self, name: str) -> dict[str, Any]:
        """What is said about one attribute."""
        found = [one for one in self.attributes if one["name"] == name]
        require(len(found) == 1, f"the answer names {name} {len(found)} times")
        return found[0]

    @property
    def leaf_hash(self) -> bytes:
        """What the receipt promises to be in the log."""
        return base64.urlsafe_b64decode(self.receipt["leaf_hash"] + "=")


class Agency:
    """A client of the exchange: makes its keys, asks, opens answers."""

    def __init__(self, http: httpx.Client, *, code: str, client_id: str, officer: str, role: str) -> None:
        self.code = code
        self.client_id = client_id
        self.device = Device(http)
        self._http = http
        self._officer = {"id": officer, "role": role}
        self._signing = ec.generate_private_key(ec.SECP256R1())
        self._decryption = ec.generate_private_key(ec.SECP256R1())
        self._issuer = ""
        self._keys: dict[str, dict[str, Any]] = {}

    def public_keys(self) -> dict[str, Any]:
        """What is registered at the exchange: nothing secret."""
        return {
            "keys": [
                public_jwk(self._signing, kid=f"{self.client_id}-sig", use="sig", alg="ES256"),
                public_jwk(self._decryption, kid=f"{self.client_id}-enc", use="enc", alg="ECDH-ES"),
            ]
        }

    def discover(self) -> None:
        """Read who the exchange is, and its public keys."""
        metadata = self._http.get("/.well-known/oauth-authorization-server").raise_for_status().json()
        self._issuer = metadata["issuer"]
        keys = self._http.get(metadata["jwks_uri"]).raise_for_status().json()["keys"]
        self._keys = {key["kid"]: key for key in keys}

    def sign_in(self, *scopes: str) -> Response:
        """Get a token for these scopes: ``client_credentials`` with ``private_key_jwt``."""
        now = int(time.time())
        claims = {"iss": self.client_id, "sub": self.client_id, "aud": self._issuer, "jti": str(uuid.uuid4())}
        assertion = jwt.encode(
            claims | {"iat": now, "exp": now + 60},
            self._signing,
            algorithm="ES256",
            headers={"kid": f"{self.client_id}-sig"},
        )
        return self.device.fetch_token(
            {
                "grant_type": "client_credentials",
                "scope": " ".join(scopes),
                "client_assertion_type": _ASSERTION_TYPE,
                "client_assertion": assertion,
            }
        )

    def ask(
        self,
        subject: str,
        agreement: str,
        purpose: str,
        lines: Sequence[dict[str, Any]],
        *,
        case: str,
        key: str | None = None,
        proof: str | None = None,
    ) -> Response:
        """Ask for attributes of a person."""
        body = {
            "subject": {"scheme": "national-id", "id": subject},
            "agreement": agreement,
            "purpose": purpose,
            "attributes": list(lines),
            "acting_officer": self._officer,
            "case_reference": case,
        }
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        return self.device.call("POST", "/v1/attribute-requests", body, headers=headers, proof=proof)

    def state(self, request: str, *, proof: str | None = None) -> Response:
        """Where a request stands."""
        return self.device.call("GET", f"/v1/attribute-requests/{request}", proof=proof)

    def collect(self, request: str) -> Response:
        """Fetch the answer of a request that waited."""
        return self.device.call("GET", f"/v1/attribute-requests/{request}/response")

    def acknowledge(self, request: str) -> Response:
        """Confirm that the answer arrived."""
        return self.device.call("POST", f"/v1/attribute-requests/{request}/receipt-acknowledgement")

    def open(self, sealed: str) -> Answer:
        """Decrypt an answer and check it.

        Raises:
            WrongError: it is not an answer of this exchange to us.
        """
        token = self.decrypt(sealed)
        needed = ["iss", "aud", "sub", "jti", "iat", "exp"]
        claims = self._verified(token, ANSWER_TYPE, audience=self.code, options={"require": needed})
        receipt = self._verified_receipt(claims["receipt"])
        return Answer(
            subject=claims["sub"],
            disclosure=claims["jti"],
            request=claims["request"],
            receipt=receipt,
            attributes=claims["attributes"],
        )

    def verify_consent_receipt(self, signed: str) -> dict[str, Any]:
        """The claims of a person's consent receipt; anybody who knows the exchange's keys can check it."""
        return self._verified(signed, CONSENT_RECEIPT_TYPE)

    def decrypt(self, sealed: str) -> str:
        """The signed token inside an encrypted answer."""
        key = ECKey.import_key(ECAlgorithm.to_jwk(self._decryption, as_dict=True))
        opened = jwe.decrypt_compact(sealed, key, algorithms=["ECDH-ES", "A256GCM"])
        require(opened.plaintext is not None, "the answer is empty")
        return (opened.plaintext or b"").decode()

    def _key_of(self, token: str, typ: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        require(header.get("typ") == typ, f"a token of the type {header.get('typ')} instead of {typ}")
        require(header.get("kid") in self._keys, "a token signed with a key that is not published")
        return self._keys[header["kid"]]

    def _verified(self, token: str, typ: str, **expected: Any) -> dict[str, Any]:
        key = jwt.PyJWK(self._key_of(token, typ), algorithm="ES256")
        return jwt.decode(token, key, algorithms=["ES256"], issuer=self._issuer, **expected)

    def _verified_receipt(self, token: str) -> dict[str, Any]:
        # Ed25519 under its own name (RFC 9864), which PyJWT does not know yet.
        key = OKPKey.import_key(self._key_of(token, RECEIPT_TYPE))
        payload: dict[str, Any] = json.loads(jws.deserialize_compact(token, key, algorithms=["Ed25519"]).payload)
        return payload
