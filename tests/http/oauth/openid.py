"""An OpenID provider as far as this service meets one: discovery and keys over HTTP, and ID tokens signed by PyJWT."""

import base64
import hashlib
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import jwt

from tests.http.oauth.clients import b64u, changed, new_key, public_jwk

AUDIENCE = "cdx-portal"


class Provider:
    """Serves until closed. ``documents`` may be changed at will: path → what to answer (bytes, or JSON)."""

    def __init__(self, clock, algorithm="ES256"):
        self.clock = clock
        self.algorithm = algorithm
        self.key = new_key(algorithm)
        self.requests = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.requests.append(self.path)
                status, headers, body = provider.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                status, body = provider.token({name: values[0] for name, values in form.items()}, self.headers)
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.documents = {
            "/.well-known/openid-configuration": {
                "issuer": self.issuer,
                "jwks_uri": self.issuer + "/keys",
                "authorization_endpoint": self.issuer + "/authorize",
                "token_endpoint": self.issuer + "/token",
                "authorization_response_iss_parameter_supported": True,
            },
            "/keys": {"keys": [self.jwk()]},
        }
        self.codes = {}
        self.signed_in = 0
        self.client_jwk = None  # public key of our relying party; None: it has a secret
        self.status = 200
        self.headers = {"Content-Type": "application/json"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path):
        document = self.documents.get(path)
        if document is None:
            return 404, {}, b""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.status, self.headers, body

    # The code flow: what a person does at the provider, and its token endpoint

    def sign_in(self, location, **claims):
        """A person signs in at that address; the query of the way back. Members of the ID token can be replaced."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked, claims
        return {"code": code, "state": asked["state"], "iss": self.issuer}

    def token(self, form, headers):
        """RFC 6749 §4.1.3, strictly: client, code, redirect URI, verifier."""
        asked, claims = self.codes.pop(form.get("code"), (None, None))
        if not self.knows(form, headers):
            return 401, {"error": "invalid_client"}
        challenge = b64u(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or (form.get("redirect_uri"), challenge) != (asked["redirect_uri"], asked["code_challenge"]):
            return 400, {"error": "invalid_grant"}
        self.signed_in += 1
        base = {"nonce": asked["nonce"], "jti": secrets.token_hex(8)}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.signed({}, **(base | claims))}

    def knows(self, form, headers):
        if self.client_jwk is None:
            return headers["Authorization"] == "Basic " + base64.b64encode(f"{AUDIENCE}:s3cret".encode()).decode()
        now = int(self.clock().timestamp())
        claims = jwt.decode(
            form["client_assertion"],
            jwt.PyJWK(self.client_jwk, algorithm="ES256"),
            algorithms=["ES256"],
            audience=self.issuer,
            options={"verify_exp": False, "verify_iat": False},
        )
        return claims["sub"] == claims["iss"] == AUDIENCE and now - 5 <= claims["iat"] < claims["exp"] <= now + 300

    def jwk(self, **members):
        jwk = public_jwk(self.key, self.algorithm) | {"kid": "op-1", "use": "sig", "alg": self.algorithm}
        return changed(jwk, {"key_ops": None} | members)

    def id_token(self, device, **changes):
        return self.signed({"nonce": device.jkt}, **changes)

    def signed(self, about, *, key=None, algorithm=None, header=None, **claims):
        """An ID token."""
        now = int(self.clock().timestamp())
        base = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "op-subject-1",
            "iat": now,
            "exp": now + 600,
            "national_id": "AB 123-456",
        }
        return jwt.encode(
            changed(base | about, claims),
            key if key is not None else self.key,
            algorithm=algorithm or self.algorithm,
            headers={"kid": "op-1"} | (header or {}),
        )
