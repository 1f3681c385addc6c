"""Callers of the API as they stand outside: PyJWT signs, joserfc decrypts, cryptography verifies; nothing of ours."""

import base64
import json
import secrets

import jwt
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OKPKey

from tests.http.oauth.clients import SIGN_IN_GRANT, Client, Device

ANSWER = "cdx-answer+jwt"
RECEIPT = "entry-receipt+jwt"
CONSENT_RECEIPT = "consent-receipt+jwt"


class Calls(Device):
    """Whoever holds a token and the key that it is bound to."""

    http = None
    issuer = ""
    held = None

    def proof_for(self, method, path, *, token=None, **claims):
        return self.proof(method, self.issuer + path.partition("?")[0], token=token, **claims)

    def call(self, method, path, body=None, *, token=None, proof=None, headers=None, key=None, **sent):
        """One call with the token that is held and a fresh proof; ``key`` is an Idempotency-Key."""
        token = token or self.current()
        own = {"Authorization": f"DPoP {token}", "DPoP": proof or self.proof_for(method, path, token=token)}
        if key is not None:
            own["Idempotency-Key"] = key
        if body is not None:
            sent["json"] = body
        return self.http.open(path, method=method, headers=own | (headers or {}), **sent)

    def get(self, path, **changes):
        return self.call("GET", path, **changes)

    def post(self, path, body=None, **changes):
        return self.call("POST", path, body, **changes)

    def current(self):
        """The token that is held; a new one when it ran out."""
        if self.held is None or self.clock().timestamp() >= self.held[1]:
            token = self.fetch()
            self.held = token, jwt.decode(token, options={"verify_signature": False})["exp"]
        return self.held[0]


class AgencyCaller(Client, Calls):
    """An agency's software: ``client_credentials`` with ``private_key_jwt``, answers decrypted with its own key."""

    def __init__(self, clock, http, *, client_id, agency, issuer, scope):
        super().__init__(clock, client_id, issuer)
        self.http = http
        self.agency = agency
        self.scope = scope
        members = {"kid": f"{client_id}-enc", "use": "enc", "alg": "ECDH-ES"}
        self.decryption = ECKey.generate_key("P-256", members, auto_kid=False)

    def jwks(self):
        return {"keys": [*super().jwks()["keys"], self.decryption.as_dict(private=False)]}

    def fetch(self, scope=None):
        # The parent's ``ask`` is a request for a token, ours one for attributes.
        answer = super().ask(self.http, scope=scope or self.scope)
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    def ask(self, body, *, key=None, **changes):
        """Ask for attributes of a person."""
        return self.post("/v1/attribute-requests", body, key=key or secrets.token_urlsafe(12), **changes)

    def state(self, request_id):
        return self.get(f"/v1/attribute-requests/{request_id}")

    def collect(self, request_id):
        return self.get(f"/v1/attribute-requests/{request_id}/response")

    def acknowledge(self, request_id):
        return self.post(f"/v1/attribute-requests/{request_id}/receipt-acknowledgement")

    def open(self, sealed):
        """The claims of an answer: decrypted, its signature, issuer, audience and times checked."""
        plain = jwe.decrypt_compact(sealed, self.decryption, algorithms=["ECDH-ES", "A256GCM"]).plaintext.decode()
        # PyJWT would ask the wall clock; the times are checked by the clock of the test.
        claims = self.verified(plain, ANSWER, audience=self.agency, options={"verify_exp": False, "verify_iat": False})
        assert claims["iat"] <= self.clock().timestamp() < claims["exp"]
        return claims

    def verified(self, token, typ, **expected):
        """The claims of a token that the exchange signed with a published key."""
        key = jwt.PyJWK(self._published(token, typ), algorithm="ES256")
        return jwt.decode(token, key, algorithms=["ES256"], issuer=self.issuer, **expected)

    def receipt(self, token):
        """The claims of the promise that an entry will be in the log. PyJWT does not know Ed25519 by that name."""
        key = OKPKey.import_key(self._published(token, RECEIPT))
        return json.loads(jws.deserialize_compact(token, key, algorithms=["Ed25519"]).payload)

    def _published(self, token, typ):
        header = jwt.get_unverified_header(token)
        assert header["typ"] == typ
        keys = self.http.get("/oauth/jwks").json["keys"]
        return next(key for key in keys if key["kid"] == header["kid"])


class CitizenCaller(Calls):
    """A person's own device: signs in at the identity provider, exchanges the ID token (RFC 7523)."""

    def __init__(self, clock, http, *, provider, issuer, identifier):
        super().__init__(clock)
        self.http = http
        self.provider = provider
        self.issuer = issuer
        self.identifier = identifier

    def fetch(self):
        form = {
            "grant_type": SIGN_IN_GRANT,
            "assertion": self.provider.id_token(self, national_id=self.identifier, jti=secrets.token_hex(8)),
        }
        answer = self.http.post("/oauth/token", data=form, headers={"DPoP": self.proof_for("POST", "/oauth/token")})
        assert answer.status_code == 200, answer.text
        return answer.json["access_token"]

    def decide(self, request_id, decision="allow", **members):
        body = {"decision": decision, "language": "en", "notice_version": "2026-1"} | members
        return self.post(f"/v1/me/requests/{request_id}/decision", body)


def leaf_hash_of(receipt):
    """What a receipt promises, as bytes."""
    return base64.urlsafe_b64decode(receipt["leaf_hash"] + "=")
