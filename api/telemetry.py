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
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Started:
    """A request that has begun: its id, and when."""

    correlation_id: str
    traceparent: str | None  # echoed; None: there is none that can be taken up
    at: float  # of the monotonic clock

    @classmethod
    def now(cls, traceparent: str) -> "Started":
        """A request with this header, or an empty one, begins."""
        return cls(
            secrets.token_hex(16), traceparent if _TRACEPARENT.fullmatch(traceparent) else None, time.monotonic()
        )

    def headers(self) -> list[tuple[str, str]]:
        """What the answer tells of it."""
        told = [(CORRELATION_HEADER, self.correlation_id)]
        return told if self.traceparent is None else [*told, ("traceparent", self.traceparent)]

    def log(self, *, method: str, route: str | None, status: int) -> None:
        """Its line, once it was answered."""
        _log.info(
            "request",
            method=method if method in _METHODS else "?",
            route=route,
            status=status,
            milliseconds=round((time.monotonic() - self.at) * 1000, 1),
            correlation_id=self.correlation_id,
            trace_id=None if self.traceparent is None else self.traceparent[3:35],
        )


_log = structlog.get_logger("cdx.api")


def register(app: Flask) -> None:
    """Give every request an id, and the log a line about it."""

    @app.before_request
    def begin() -> None:
        g.started = Started.now(request.headers.get("traceparent", ""))
        g.correlation_id = g.started.correlation_id

    @app.after_request
    def end(response: Response) -> Response:
        if "started" in g:
            response.headers.update(g.started.headers())
            rule = request.url_rule
            g.started.log(method=request.method, route=str(rule) if rule else None, status=response.status_code)
        return response
