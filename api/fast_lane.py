"""The short way of the one call that carries the load: ``POST /v1/attribute-requests``, answered at once.

In front of the framework, and the only place that passes it by (ADR 0021): routing, contexts, hooks and schema
machinery cost as much as all the cryptography of a release. The lane takes a request that is plainly right, checks
token, proof, key and body by the same functions, runs the same use case, and writes the one answer "released".

Everything else is the framework's, with all its words. What the lane does not understand goes on untouched; what came
of a use case that it ran, another outcome or an error, goes on in the request's environment
(``attribute_requests.asked_before``), where no caller can write. So the lane can only be quicker, not more lenient, and
it has no error of its own. ``tests/http/v1/test_fast_lane.py`` holds both ways against each other.
"""

import json
from collections.abc import Iterable
from hashlib import sha256
from io import BytesIO
from typing import TYPE_CHECKING, Final

from api.body import MAX_DEPTH
from api.headers import security_headers
from api.oauth.errors import RefusedError
from api.oauth.protect import caller_of, verify
from api.oauth.state import OAuthState
from api.prepared_schema import NotTakenError, prepare
from api.problems import ProblemError
from api.telemetry import Started
from api.v1.attribute_requests import ASKED, PATH, SCOPE, AskSchema, answer_of, idempotency_key, request_of
from api.wiring import Services
from crypto.canonical import load_json
from crypto.errors import MalformedError
from exchange import requests
from exchange.model import AttributeRequest, Caller
from exchange.outcomes import Answered

if TYPE_CHECKING:
    from datetime import datetime
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_JSON: Final = "application/json"
_SCHEME: Final = "DPoP "
# A body of unknown length, and an answer that waits for its proof, are the framework's.
_UNUSUAL: Final = ("QUERY_STRING", "SCRIPT_NAME", "HTTP_TRANSFER_ENCODING", "HTTP_PREFER")
_read_body: Final = prepare(AskSchema())
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=str).encode


class FastLane:
    """A WSGI application in front of the framework's.

    Args:
        framework: takes all that the lane does not.
        services: the composed parts.
        state: of the resource side.
    """

    def __init__(self, framework: "WSGIApplication", services: Services, state: OAuthState) -> None:
        self._framework = framework
        self._services = services
        self._state = state
        self._headers = [("Content-Type", _JSON), *security_headers(services.config.public_url).items()]

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer, or hand over."""
        if environ["PATH_INFO"] != PATH or not _is_plain(environ, self._services.config.max_body_bytes):
            return self._framework(environ, start_response)
        started = Started.now(environ.get("HTTP_TRACEPARENT", ""))
        released = self._ask(environ)
        if released is None:
            return self._framework(environ, start_response)
        return _answer(released, started, self._headers, start_response)

    def _ask(self, environ: "WSGIEnvironment") -> Answered | None:
        """What was released; None: the framework goes on, with what is in the environment now."""
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(length)
        environ["wsgi.input"] = BytesIO(body)  # for the framework to read once more
        if len(body) != length:
            return None  # the caller has gone
        now = self._services.clock()
        try:
            caller = self._caller(environ, now)
            key = idempotency_key([environ["HTTP_IDEMPOTENCY_KEY"]])
            asked = _asked(body, caller)
        except (KeyError, RefusedError, ProblemError, MalformedError, NotTakenError):
            return None  # nothing has happened yet: the framework looks again, and tells what is wrong
        try:
            outcome = requests.submit(
                self._services.exchange,
                caller,
                asked,
                idempotency_key=key,
                body_digest=sha256(body).digest(),
                now=now,
            )
        except Exception as exc:  # noqa: BLE001  # whatever it is, the framework answers it
            environ[ASKED] = caller, exc
            return None
        if isinstance(outcome, Answered):
            return outcome
        environ[ASKED] = caller, outcome
        return None

    def _caller(self, environ: "WSGIEnvironment", now: "datetime") -> Caller:
        authorization: str = environ["HTTP_AUTHORIZATION"]
        if not authorization.startswith(_SCHEME):
            raise NotTakenError
        token, proof = verify(
            self._state,
            authorization[len(_SCHEME) :].strip(" "),
            [environ["HTTP_DPOP"]],
            method="POST",
            path=PATH,
            now=now,
        )
        if token.client_id is None or SCOPE not in token.scopes:
            raise NotTakenError
        return caller_of(token, proof)


def _is_plain(environ: "WSGIEnvironment", limit: int) -> bool:
    """Whether the lane may understand a request: JSON of a known length within the limit, and nothing unusual."""
    length: str = environ.get("CONTENT_LENGTH", "")
    return (
        environ["REQUEST_METHOD"] == "POST"
        and environ.get("CONTENT_TYPE") == _JSON
        and length.isascii()
        and length.isdigit()
        and len(length) < 9
        and int(length) <= limit
        and not any(environ.get(name) for name in _UNUSUAL)
    )


def _asked(body: bytes, caller: Caller) -> AttributeRequest:
    return request_of(_read_body(load_json(body, max_bytes=max(len(body), 1), max_depth=MAX_DEPTH)), caller)


def _answer(
    released: Answered, started: Started, headers: list[tuple[str, str]], start_response: "StartResponse"
) -> list[bytes]:
    members, _, located = answer_of(released)
    body = (_encode(members) + "\n").encode("ascii")
    start_response(
        "200 OK",
        [*headers, ("Content-Length", str(len(body))), *located.items(), *started.headers()],
    )
    started.log(method="POST", route=PATH, status=200)
    return [body]
