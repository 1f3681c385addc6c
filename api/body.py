"""Reading what callers send: JSON that means one thing only, and nothing that was not asked for.

The framework's own reader takes duplicate members, falls over deeply nested arrays, and guesses where no content type
is given.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import marshmallow
from flask import Request
from flask_smorest import Blueprint as SmorestBlueprint  # type: ignore[import-untyped]  # comes without types
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from api.problems import MALFORMED_BODY, UNSUPPORTED, ProblemError
from crypto.canonical import load_json
from crypto.errors import MalformedError

MAX_DEPTH = 16
_JSON = "application/json"

F = TypeVar("F", bound=Callable[..., Any])


def read_json(request: Request, *, max_depth: int = MAX_DEPTH) -> Any:
    """The body of a request as JSON. Its length was limited by the server before.

    Raises:
        ProblemError: 415 for another content type, 400 for bad, ambiguous or too deeply nested JSON.
    """
    if request.mimetype != _JSON or request.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
        raise ProblemError(UNSUPPORTED, f"the body must be {_JSON} in UTF-8", headers={"Accept": _JSON})
    data = request.get_data(cache=True)
    try:
        return load_json(data, max_bytes=max(len(data), 1), max_depth=max_depth)
    except MalformedError as exc:
        raise ProblemError(MALFORMED_BODY, str(exc)) from exc


class StrictParser(FlaskParser):
    """Reads bodies by :func:`read_json`, and refuses unknown query parameters."""

    DEFAULT_UNKNOWN_BY_LOCATION = FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION | {"query": marshmallow.RAISE}

    def _raw_load_json(self, req: Request) -> Any:
        if not req.mimetype and not req.get_data(cache=True):
            return missing  # no body at all: the schema says what is missing
        return read_json(req)


class Blueprint(SmorestBlueprint):
    """The blueprint of every JSON resource: the strict parser, and decorators that keep types."""

    ARGUMENTS_PARSER = StrictParser()

    def route(self, rule: str, **options: Any) -> Callable[[F], F]:
        """Register a view under ``rule``, relative to the blueprint's prefix."""
        return cast(Callable[[F], F], super().route(rule, **options))

    def arguments(self, schema: Any, **options: Any) -> Callable[[F], F]:
        """Read and check what the caller sends, and hand it to the view."""
        return cast(Callable[[F], F], super().arguments(schema, **options))

    def response(self, status_code: int, schema: Any = None, **options: Any) -> Callable[[F], F]:
        """Write what the view returns."""
        return cast(Callable[[F], F], super().response(status_code, schema, **options))

    def alt_response(self, status_code: int, **options: Any) -> Callable[[F], F]:
        """Describe a further response."""
        return cast(Callable[[F], F], super().alt_response(status_code, **options))

    def doc(self, **members: Any) -> Callable[[F], F]:
        """Add members to the description of an operation."""
        return cast(Callable[[F], F], super().doc(**members))
