"""An OpenID provider as far as this service meets one: discovery and keys over HTTP, and ID tokens signed by PyJWT."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

from tests.http.oauth.clients import changed, new_key, public_jwk

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

            def log_message(self, *_args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}"
        self.documents = {
            "/.well-known/openid-configuration": {"issuer": self.issuer, "jwks_uri": self.issuer + "/keys"},
            "/keys": {"keys": [self.jwk()]},
        }
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

    def jwk(self, **members):
        jwk = public_jwk(self.key, self.algorithm) | {"kid": "op-1", "use": "sig", "alg": self.algorithm}
        return changed(jwk, {"key_ops": None} | members)

    def id_token(self, device, *, key=None, algorithm=None, header=None, **claims):
        now = int(self.clock().timestamp())
        base = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "op-subject-1",
            "iat": now,
            "exp": now + 600,
            "nonce": device.jkt,
            "national_id": "AB 123-456",
        }
        return jwt.encode(
            changed(base, claims),
            key if key is not None else self.key,
            algorithm=algorithm or self.algorithm,
            headers={"kid": "op-1"} | (header or {}),
        )
