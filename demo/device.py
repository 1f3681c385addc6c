"""One key that stays on one device, and calls that prove it (DPoP, RFC 9449). Public libraries only."""

import base64
import hashlib
import json
import time
import uuid
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

Response = httpx.Response


def b64u(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_jwk(key: ec.EllipticCurvePrivateKey, **members: str) -> dict[str, Any]:
    """The public half as a JWK, with further members such as ``kid`` and ``use``."""
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | members


class Device:
    """An HTTP client with a key of its own. A token that it gets is of no use without that key."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.token: str | None = None
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._jwk = public_jwk(self._key)

    @property
    def thumbprint(self) -> str:
        """RFC 7638: the name of the key."""
        members = {name: self._jwk[name] for name in ("crv", "kty", "x", "y")}
        return b64u(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest())

    def proof(self, method: str, path: str) -> str:
        """A fresh proof for one call; it names the token when there is one."""
        url = str(self.http.base_url.join(path)).partition("?")[0]
        claims = {"htm": method, "htu": url, "iat": int(time.time()), "jti": str(uuid.uuid4())}
        if self.token is not None:
            claims["ath"] = b64u(hashlib.sha256(self.token.encode()).digest())
        return jwt.encode(claims, self._key, algorithm="ES256", headers={"typ": "dpop+jwt", "jwk": self._jwk})

    def fetch_token(self, form: dict[str, str]) -> Response:
        """Ask the token endpoint; keep the token if it gives one."""
        self.token = None
        answer = self.http.post("/oauth/token", data=form, headers={"DPoP": self.proof("POST", "/oauth/token")})
        if answer.is_success:
            self.token = answer.json()["access_token"]
        return answer

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        proof: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """Call the API with the token and a proof, a fresh one unless one is given."""
        sent = {"Authorization": f"DPoP {self.token}", "DPoP": proof or self.proof(method, path), **(headers or {})}
        return self.http.request(method, path, json=body, headers=sent)
