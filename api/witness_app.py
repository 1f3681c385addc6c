"""The HTTP application of a witness (C2SP tlog-witness), for ``cdx witness serve``.

    POST /add-checkpoint                    a checkpoint and its proof → a cosignature line
    GET  /<SHA-256 of origin>/checkpoint    the last cosigned checkpoint of a log
    GET  /                                  who this witness is, for people
    GET  /healthz                           alive

Everything is plain text, refusals too: their first line says which check failed. No caller is known or remembered;
whatever is asked or answered here is public.
"""

from typing import Final

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from api import telemetry
from exchange.audit.witness import MAX_REQUEST_BYTES, TEXT_TYPE, Refuse
from exchange.audit.witnessing import Witness
from exchange.errors import DatabaseError

_CACHED: Final = "public, max-age=10"
_ABOUT: Final = """Witness {name}

    {vkey}

This witness cosigns checkpoints of the transparency logs below. A cosignature
says: at its time this was the largest tree of the log that I had seen, and
every tree that I had seen before is a beginning of it. The witness sees sizes
and roots, never an entry. Get its key on another way than this page.

POST /add-checkpoint and GET /<SHA-256 of origin>/checkpoint work as
c2sp.org/tlog-witness says.

Logs:
{logs}
"""


def create_witness_app(witness: Witness) -> Flask:
    """Build the WSGI application of one witness."""
    app = Flask("cdx_witness", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    telemetry.register(app)

    @app.post("/add-checkpoint")
    def add_checkpoint() -> Response:
        answer = witness.add_checkpoint(request.get_data(cache=False))
        if isinstance(answer, Refuse):
            return Response(answer.body, status=answer.status, content_type=answer.content_type)
        return _text(answer.line)

    @app.get("/<string(length=64):origin_hash>/checkpoint")
    def checkpoint(origin_hash: str) -> Response:
        note = witness.store.note(origin_hash)
        if note is None:
            return _text("no checkpoint of such a log was cosigned\n", 404)
        response = _text(note)
        response.headers["Cache-Control"] = _CACHED
        return response

    @app.get("/")
    def about() -> Response:
        return _text(_about(witness))

    @app.get("/healthz")
    def healthz() -> Response:
        return _text("ok\n")

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        response = _text(f"{error.name.lower()}\n", error.code or 500)
        if "Allow" in (headers := dict(error.get_headers())):
            response.headers["Allow"] = headers["Allow"]
        return response

    @app.errorhandler(DatabaseError)
    def unavailable(error: DatabaseError) -> Response:
        structlog.get_logger("cdx.witness").error("the memory of the witness refused", error=str(error))
        response = _text("not available now; nothing was cosigned\n", 503)
        response.headers["Retry-After"] = "5"
        return response

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


def _text(body: str, status: int = 200) -> Response:
    return Response(body, status=status, content_type=TEXT_TYPE)


def _about(witness: Witness) -> str:
    logs = [
        f"    {log.origin}: {log.size} entries, /{log.origin_hash}/checkpoint"
        for log in witness.store.lines()
        if log.vkeys
    ]
    return _ABOUT.format(name=witness.name, vkey=witness.vkey, logs="\n".join(logs) or "    none yet")
