"""The small HTTP application of ``cdx provider serve``: the protocol of live providers over an old registry.

    POST /           a query, application/jwt → the answer, application/jwt
    GET  /jwks.json  the provider's public keys, for its profile at the exchange
    GET  /healthz    alive

A refusal is a problem (RFC 9457) whose type says which check failed, and nothing about a person. The log line of an
answer names request, purpose, attributes and states, never who was asked about.
"""

import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog
from flask import Flask, Response, request

from api.oauth.safe_fetch import FetchError, fetch_json
from crypto.canonical import load_json
from crypto.errors import CryptoError, UnknownKeyError
from crypto.jose import EncryptionPrivateKey, PublicKey, SigningKey, load_jwk_set
from exchange.errors import DatabaseError
from exchange.providers.addresses import AddressPolicy
from exchange.providers.gateway import Gateway, GatewayKeys
from exchange.providers.mapping import MappingError, RegistryMapping
from exchange.providers.protocol import MAX_QUERY_BYTES, MEDIA_TYPE, QueryRefusedError, key_finder

_PROBLEM: Final = "application/problem+json"
_REFRESH_SECONDS: Final = 60
_MAX_KEY_FILE: Final = 65_536
_STATUS: Final[Mapping[str, int]] = {"replayed": 409, "purpose": 403, "unknown_key": 401, "signature": 401}


def create_gateway_app(
    mapping: RegistryMapping,
    keys: GatewayKeys,
    *,
    replay_file: Path,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Flask:
    """Build the WSGI application.

    Args:
        mapping: which view answers which attributes.
        keys: the provider's and the exchange's.
        replay_file: remembers the queries that were answered; all processes of a provider share it.
        clock: tells the time of each query.
    """
    app = Flask("provider_gateway", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_QUERY_BYTES
    gateway = Gateway(mapping, keys, replay_file=replay_file)
    app.extensions["gateway"] = gateway
    log = structlog.get_logger("cdx.provider")

    @app.post("/")
    def answer() -> Response:
        if request.mimetype != MEDIA_TYPE:
            return _problem("unsupported-media-type", 415)
        try:
            answered = gateway.answer(request.get_data(cache=False), clock())
        except QueryRefusedError as exc:
            log.warning("query refused", reason=exc.reason)
            return _problem(f"query-{exc.reason.replace('_', '-')}", _STATUS.get(exc.reason, 400))
        except DatabaseError as exc:
            log.error("query failed", error=str(exc))  # noqa: TRY400  # a traceback would show the statement's values
            return _problem("registry-unavailable", 503)
        log.info(
            "query answered", request=str(answered.request), purpose=answered.purpose, attributes=dict(answered.states)
        )
        return Response(answered.body, mimetype=MEDIA_TYPE)

    @app.get("/jwks.json")
    def jwks() -> Response:
        return Response(json.dumps(keys.public_jwks()), mimetype="application/jwk-set+json")

    @app.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.errorhandler(413)
    def too_large(_error: Any) -> Response:
        return _problem("content-too-large", 413)

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def _problem(slug: str, status: int) -> Response:
    body = json.dumps({"type": f"urn:cdx:problem:{slug}", "status": status})
    return Response(body, status=status, mimetype=_PROBLEM)


class ExchangeKeys:
    """Finds the exchange's public keys in its JWK set, which is read again for a new kid, at most once a minute.

    Args:
        source: a file, or an https address.
        addresses: which addresses may be called.
        tls: trust for https; the system's by default.
    """

    def __init__(
        self, source: str, *, addresses: AddressPolicy | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._source = source
        self._addresses = addresses or AddressPolicy()
        self._tls = tls
        self._lock = threading.Lock()
        self._keys: tuple[PublicKey, ...] = ()
        self._read_at: float | None = None

    def __call__(self, kid: str | None) -> PublicKey:
        """The key of that name.

        Raises:
            UnknownKeyError: there is none, or the JWK set cannot be read.
        """
        try:
            return key_finder(self._keys)(kid)
        except UnknownKeyError:
            self._read()
        return key_finder(self._keys)(kid)

    def _read(self) -> None:
        with self._lock:
            if self._read_at is not None and time.monotonic() - self._read_at < _REFRESH_SECONDS:
                return
            self._read_at = time.monotonic()
            try:
                self._keys = load_jwk_set(self._load(), use="sig")
            except (CryptoError, FetchError, OSError) as exc:
                raise UnknownKeyError("the exchange's keys cannot be read") from exc

    def _load(self) -> Any:
        if "://" not in self._source:
            return load_json(Path(self._source).read_bytes(), max_bytes=_MAX_KEY_FILE)
        return fetch_json(self._source, addresses=self._addresses, tls=self._tls or ssl.create_default_context())


def make_key_file(path: Path) -> None:
    """Make new private keys for a provider, in a file that only its owner reads.

    Raises:
        FileExistsError: there is one already; it is not replaced.
    """
    made = datetime.now(UTC).strftime("%Y%m%d")
    keys = [
        SigningKey.generate(f"sig-{made}").to_private_jwk(),
        EncryptionPrivateKey.generate(f"enc-{made}").to_private_jwk(),
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"keys": keys}, file, indent=2)
        file.write("\n")


def read_keys(path: Path, exchange: Callable[[str | None], PublicKey]) -> GatewayKeys:
    """Read a provider's private keys.

    Raises:
        MappingError: the file cannot be read, or does not hold one signing and one encryption key.
    """
    try:
        jwks = load_json(path.read_bytes(), max_bytes=_MAX_KEY_FILE)
        by_use = {jwk["use"]: jwk for jwk in jwks["keys"]}
        return GatewayKeys(
            signer=SigningKey.from_private_jwk(by_use["sig"]),
            decryption=EncryptionPrivateKey.from_jwk(by_use["enc"]),
            exchange=exchange,
        )
    except (OSError, CryptoError, KeyError, TypeError) as exc:
        raise MappingError("the key file cannot be read; it holds one key for signing and one for encryption") from exc
