"""The operational log: one JSON line per event, with ids and codes and never a value that belongs to a person.

Of a request its route is logged (``/v1/attribute-requests/<uuid:id>``), not its address; of an error where it happened,
not what it said. ``traceparent`` (W3C Trace Context) is taken up and echoed; the correlation id is ours alone.
"""

import json
import logging
import re
import secrets
import sys
import time
from typing import Any, Final

import structlog
from flask import Flask, Response, g, request

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_OUR_PACKAGES: Final = frozenset({"api", "exchange", "consent", "crypto"})  # their messages hold ids and codes only
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
CORRELATION_HEADER: Final = "X-Correlation-Id"


def configure_logging(level: str = "info") -> None:
    """Write structured lines to standard error; libraries log there too, from WARNING on, without their arguments."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LibraryLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.WARNING))
    for name in _OUR_PACKAGES:
        logging.getLogger(name).setLevel(threshold)


class _LibraryLine(logging.Formatter):
    """A library's line without what it interpolates: an argument may be anybody's name."""

    def format(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] in _OUR_PACKAGES
        told = record.getMessage() if ours else str(record.msg)
        event: dict[str, Any] = {
            "event": told if ours or record.args else "message of a library",
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
        }
        if record.exc_info and record.exc_info[0]:
            event["error"] = record.exc_info[0].__qualname__
        return json.dumps(event, sort_keys=True)


def register(app: Flask) -> None:
    """Give every request an id, and the log a line about it."""
    log = structlog.get_logger("cdx.api")

    @app.before_request
    def begin() -> None:
        g.correlation_id = secrets.token_hex(16)
        g.began = time.monotonic()
        found = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
        g.trace_id = found[1] if found else None

    @app.after_request
    def end(response: Response) -> Response:
        if "correlation_id" not in g:
            return response
        response.headers[CORRELATION_HEADER] = g.correlation_id
        if g.trace_id:
            response.headers["traceparent"] = request.headers["traceparent"]
        log.info(
            "request",
            method=request.method if request.method in _METHODS else "?",
            route=str(request.url_rule) if request.url_rule else None,
            status=response.status_code,
            milliseconds=round((time.monotonic() - g.began) * 1000, 1),
            correlation_id=g.correlation_id,
            trace_id=g.trace_id,
        )
        return response
