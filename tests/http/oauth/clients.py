"""A client and a citizen's device, built on PyJWT: an implementation that shares nothing with ours."""

import base64
import hashlib
import json
import secrets

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

CLIENT_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGN_IN_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ALGORITHMS = {
    "ES256": jwt.algorithms.ECAlgorithm,
    "PS256": jwt.algorithms.RSAPSSAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
    "EdDSA": jwt.algorithms.OKPAlgorithm,
}


def new_key(algorithm="ES256"):
    match algorithm:
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case _:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(key, algorithm="ES256", **members):
    return _ALGORITHMS[algorithm].to_jwk(key.public_key(), as_dict=True) | members


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def thumbprint(jwk):
    names = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}[jwk["kty"]]
    text = json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))
    return b64u(hashlib.sha256(text.encode()).digest())


def changed(base, changes):
    """``base`` with members replaced, or left out where the change is None."""
    return {name: value for name, value in (base | changes).items() if value is not None}


class Device:
    """Holder of a DPoP key."""

    def __init__(self, clock, *, algorithm="ES256"):
        self.clock = clock
        self.algorithm = algorithm
        self.key = new_key(algorithm)
        self.jwk = {
            name: value for name, value in public_jwk(self.key, algorithm).items() if name not in ("key_ops", "alg")
        }
        self.jkt = thumbprint(self.jwk)

    def proof(self, method, url, *, token=None, key=None, header=None, algorithm=None, **claims):
        """A DPoP proof; members of claims and header can be replaced or left out (None)."""
        now = int(self.clock().timestamp())
        base = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": now}
        if token is not None:
            base["ath"] = b64u(hashlib.sha256(token.encode()).digest())
        head = changed({"typ": "dpop+jwt", "jwk": self.jwk}, header or {})
        return jwt.encode(changed(base, claims), key or self.key, algorithm=algorithm or self.algorithm, headers=head)


class Client(Device):
    """An agency's client."""

    def __init__(self, clock, client_id, issuer, *, algorithm="ES256"):
        super().__init__(clock)
        self.client_id = client_id
        self.issuer = issuer
        self.assertion_algorithm = algorithm
        self.assertion_key = new_key(algorithm)
        self.token_url = issuer + "/oauth/token"

    def jwks(self):
        jwk = public_jwk(self.assertion_key, self.assertion_algorithm, kid="sig-1", use="sig")
        return {"keys": [changed(jwk, {"key_ops": None})]}

    def assertion(self, *, key=None, header=None, algorithm=None, **claims):
        now = int(self.clock().timestamp())
        base = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "exp": now + 60,
        }
        return jwt.encode(
            changed(base, claims),
            key if key is not None else self.assertion_key,
            algorithm=algorithm or self.assertion_algorithm,
            headers={"kid": "sig-1"} | (header or {}),
        )

    def form(self, **changes):
        base = {
            "grant_type": "client_credentials",
            "scope": "attributes:request",
            "client_assertion_type": CLIENT_ASSERTION_TYPE,
            "client_assertion": changes.pop("assertion", None) or self.assertion(),
        }
        return changed(base, changes)

    def ask(self, http, *, proof=None, headers=None, **changes):
        """One request for a token."""
        proof = self.proof("POST", self.token_url) if proof is None else proof
        return http.post("/oauth/token", data=self.form(**changes), headers={"DPoP": proof} | (headers or {}))

    def token(self, http, **changes):
        response = self.ask(http, **changes)
        assert response.status_code == 200, response.json
        return response.json["access_token"]


def forged(token, *, header=None, payload=None, signature=None):
    """A compact token with one part replaced by exact bytes."""
    parts = token.split(".")
    for place, part in enumerate((header, payload, signature)):
        if part is not None:
            parts[place] = b64u(part)
    return ".".join(parts)


def header_of(token):
    return base64.urlsafe_b64decode(token.split(".")[0] + "==")


def payload_of(token):
    return base64.urlsafe_b64decode(token.split(".")[1] + "==")
