"""What a failure looks like from outside: RFC 9457 ``application/problem+json``, from one table.

Every error type of ``crypto``, ``consent`` and ``exchange`` has its row; a test walks the type trees, so that a new one
without a row fails the build. A fault of ours (5xx) carries no detail, only a correlation id that finds the log line.
Everything about a person is one coarse answer. OAuth endpoints keep the errors of RFC 6749 and do not pass here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Flask, Response, g, json
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException

from consent import errors as consent
from crypto import errors as crypto
from exchange import errors as exchange
from exchange.agencies import RegistrationError
from exchange.http_client import CallError
from exchange.openings import OpeningError
from exchange.policy import DenyReason
from exchange.providers.files import ImportFileError, LineError
from exchange.providers.mapping import MappingError
from exchange.providers.protocol import QueryRefusedError
from exchange.staff import InvalidStaffError
from exchange.subjects import InvalidRecordError, SubjectMovedError

MEDIA_TYPE: Final = "application/problem+json"
URN: Final = "urn:cdx:problem:"
RETRY_SECONDS: Final = 5
"""``Retry-After`` of every 503. A sequencer that was behind takes 4,096 entries in less; the backlog is looked at every
second, and witnesses are asked every ten."""
_LONGEST_NAME = 64
_OUR_HEADERS = ("content-type", "content-length")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of problem. ``type`` is its slug: stable, never reused for something else."""

    type: str
    title: str
    status: int
    explains: bool = True
    """Whether the error's own message is shown; never above 499."""


class ProblemError(Exception):
    """Raised by HTTP code that knows its problem. ``detail`` holds no personal value."""

    def __init__(
        self,
        problem: Problem,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
    ) -> None:
        super().__init__(detail or problem.title)
        self.problem = problem
        self.detail = detail
        self.headers = headers
        self.errors = errors


def _ours(slug: str, status: int = 500) -> Problem:
    return Problem(type=slug, title=HTTPStatus(status).phrase, status=status, explains=False)


INTERNAL: Final = _ours("internal-error")
NOT_PERMITTED: Final = Problem(type="not-permitted", title="This request is not permitted.", status=403, explains=False)
"""The one answer to everything that has its reason in the person or their decision."""
MALFORMED_BODY: Final = Problem(type="malformed-body", title="The body is not the JSON it should be.", status=400)
INVALID: Final = Problem(type="invalid-request", title="A member is missing, unknown or not valid.", status=422)
UNSUPPORTED: Final = Problem(type="unsupported-media-type", title="Send application/json.", status=415)
INSUFFICIENT_SCOPE: Final = Problem(type="insufficient-scope", title="The token lacks a scope.", status=403)
_UNKNOWN_AGREEMENT: Final = Problem(type="unknown-agreement", title="You have no such agreement.", status=422)
_UNKNOWN_ATTRIBUTE: Final = Problem(
    type="unknown-attribute", title="The catalogue has no such attribute or form.", status=422
)
_UNKNOWN_PURPOSE: Final = Problem(type="unknown-purpose", title="The catalogue has no such purpose.", status=422)
_AGREEMENT_NOT_IN_FORCE: Final = Problem(
    type="agreement-not-in-force", title="The agreement is not in force.", status=403
)
_OUTSIDE_AGREEMENT: Final = Problem(type="outside-agreement", title="The agreement does not contain this.", status=403)
_CONFLICT: Final = Problem(
    type="conflict", title="Something else changed this at the same time. Read it again.", status=409
)

ERRORS: Final[Mapping[type[Exception], Problem]] = {
    crypto.CryptoError: INTERNAL,
    crypto.MalformedError: INTERNAL,  # a caller's malformed input is caught where it is read
    crypto.DecryptionError: INTERNAL,
    crypto.UnknownKeyError: INTERNAL,
    crypto.VerificationError: INTERNAL,
    consent.ConsentError: INTERNAL,
    consent.UnknownConsentError: Problem(type="unknown-consent", title="There is no such consent.", status=404),
    consent.IllegalTransitionError: Problem(
        type="illegal-consent-transition", title="This consent does not allow that step.", status=409
    ),
    consent.ConsentConflictError: _CONFLICT,
    consent.ScopeError: Problem(type="consent-scope", title="The decision does not fit what was asked.", status=422),
    consent.InconsistentConsentError: INTERNAL,
    exchange.ExchangeError: INTERNAL,
    exchange.UnknownAgencyError: Problem(type="unknown-agency", title="There is no such agency.", status=404),
    exchange.UnknownAttributeError: _UNKNOWN_ATTRIBUTE,
    exchange.UnknownPurposeError: _UNKNOWN_PURPOSE,
    exchange.UnknownAgreementError: _UNKNOWN_AGREEMENT,
    exchange.AgreementNotInForceError: _AGREEMENT_NOT_IN_FORCE,
    exchange.OutsideAgreementError: _OUTSIDE_AGREEMENT,
    exchange.UnknownRequestError: Problem(type="unknown-request", title="You have no such request.", status=404),
    exchange.RequestNotReadyError: Problem(
        type="request-not-ready", title="There is no answer to collect.", status=409
    ),
    exchange.IdempotencyConflictError: Problem(
        type="idempotency-conflict", title="This idempotency key was used with another body.", status=422
    ),
    exchange.ReplayedError: Problem(type="replayed", title="A single-use value was presented again.", status=401),
    exchange.AccessRefusedError: Problem(type="access-refused", title="The token is not in force.", status=401),
    # Neither may reach an agency; if one does, it says nothing.
    exchange.UnknownSubjectError: NOT_PERMITTED,
    exchange.SubjectErasedError: NOT_PERMITTED,
    SubjectMovedError: _CONFLICT,
    InvalidRecordError: Problem(type="invalid-record", title="A record does not fit the catalogue.", status=422),
    RegistrationError: Problem(type="invalid-registration", title="This cannot be registered.", status=422),
    ImportFileError: Problem(type="invalid-import", title="The file cannot be imported.", status=422),
    LineError: Problem(type="invalid-import", title="The file cannot be imported.", status=422),
    MappingError: Problem(type="invalid-mapping", title="The mapping is not valid.", status=422),
    QueryRefusedError: Problem(type="query-refused", title="The provider does not answer this query.", status=400),
    exchange.CatalogueError: _ours("no-catalogue", 503),  # over HTTP it only means that none is loaded
    exchange.NoticeError: Problem(type="unknown-notice", title="This notice was not offered.", status=422),
    exchange.AgreementError: Problem(type="invalid-agreement", title="The agreement is not valid.", status=422),
    exchange.ProviderError: _ours("provider-error", 502),
    exchange.ProviderUnavailableError: _ours("provider-unavailable", 503),
    exchange.ProviderProtocolError: _ours("provider-error", 502),
    exchange.AuditError: INTERNAL,
    exchange.UnauditedChangeError: INTERNAL,
    exchange.AuditUnavailableError: _ours("audit-unavailable", 503),
    exchange.InconsistentLogError: INTERNAL,
    exchange.JournalError: INTERNAL,
    exchange.OldDatabaseError: INTERNAL,
    exchange.RestoreError: INTERNAL,
    exchange.UnknownEntryError: Problem(type="unknown-entry", title="The log holds no such entry or size.", status=404),
    exchange.WitnessError: INTERNAL,  # a witness has its own application, which speaks plain text
    CallError: INTERNAL,  # whoever calls says what it means
    exchange.DatabaseError: _ours("database-error", 503),
    exchange.ContentionError: _ours("contention", 503),
    OpeningError: Problem(type="invalid-opening", title="An entry is not opened like this.", status=422),
    InvalidStaffError: Problem(type="invalid-staff", title="This names no member of staff.", status=422),
}

DENIALS: Final[Mapping[DenyReason, Problem]] = {
    DenyReason.MISSING_SCOPE: INSUFFICIENT_SCOPE,
    DenyReason.EMPTY_REQUEST: Problem(type="empty-request", title="The request asks for nothing.", status=422),
    DenyReason.DUPLICATE_LINE: Problem(type="duplicate-line", title="An attribute is asked for twice.", status=422),
    DenyReason.COMPARE_TO_MISSING: Problem(type="compare-to-missing", title="compare_to is missing.", status=422),
    DenyReason.COMPARE_TO_UNEXPECTED: Problem(
        type="compare-to-unexpected", title="compare_to belongs to the form equals only.", status=422
    ),
    DenyReason.UNKNOWN_PURPOSE: _UNKNOWN_PURPOSE,
    DenyReason.UNKNOWN_ATTRIBUTE: _UNKNOWN_ATTRIBUTE,
    DenyReason.UNKNOWN_FORM: Problem(type="unknown-form", title="The attribute is not given in this form.", status=422),
    DenyReason.EQUALS_NOT_ADMITTED: Problem(
        type="equals-not-admitted", title="This attribute is too easily guessed to be compared.", status=403
    ),
    DenyReason.UNKNOWN_AGREEMENT: _UNKNOWN_AGREEMENT,
    DenyReason.AGREEMENT_NOT_YOURS: _UNKNOWN_AGREEMENT,  # invariant 6: a non-party gets the same as not-found
    DenyReason.AGREEMENT_NOT_IN_FORCE: _AGREEMENT_NOT_IN_FORCE,
    DenyReason.PURPOSE_OUTSIDE_AGREEMENT: Problem(
        type="purpose-outside-agreement", title="The agreement is for another purpose.", status=403
    ),
    DenyReason.LEGAL_BASIS_NOT_ADMITTED: Problem(
        type="legal-basis-not-admitted", title="The purpose does not admit the agreement's legal basis.", status=403
    ),
    DenyReason.OUTSIDE_GRANT: Problem(
        type="outside-grant", title="The token stands for a permission under another agreement.", status=403
    ),
    DenyReason.OUTSIDE_AGREEMENT: _OUTSIDE_AGREEMENT,
} | {reason: NOT_PERMITTED for reason in DenyReason if not reason.is_callers_fault}

# Of the web framework. 400 and 422 never quote what was sent.
STATUSES: Final[Mapping[int, Problem]] = {
    problem.status: problem
    for problem in (
        Problem(type="bad-request", title="The request is not valid HTTP for this service.", status=400),
        Problem(type="unauthorized", title="Authentication is needed.", status=401),
        Problem(type="forbidden", title="This is not allowed.", status=403),
        Problem(type="not-found", title="There is nothing here.", status=404),
        Problem(type="method-not-allowed", title="This method is not allowed here.", status=405),
        Problem(type="not-acceptable", title="There is no such representation.", status=406),
        Problem(type="body-too-large", title="The body is too large.", status=413),
        Problem(type="uri-too-long", title="The address is too long.", status=414),
        UNSUPPORTED,
        INVALID,
        Problem(type="too-many-requests", title="Too many requests. Try again later.", status=429),
        Problem(type="headers-too-large", title="The headers are too large.", status=431),
        INTERNAL,
        _ours("unavailable", 503),
    )
}


def all_problems() -> list[Problem]:
    """Every problem once, by slug: for the documentation."""
    rows = {*ERRORS.values(), *DENIALS.values(), *STATUSES.values(), MALFORMED_BODY}
    return sorted({row.type: row for row in sorted(rows, key=repr)}.values(), key=lambda row: row.type)


def respond(
    problem: Problem,
    *,
    detail: str | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response for a problem.

    Args:
        problem: its row.
        detail: an explanation of this case, without personal values; dropped where the row does not explain.
        errors: per member: ``{"pointer" or "parameter", "detail"}``.
        headers: further headers.
    """
    body: dict[str, Any] = {
        "type": URN + problem.type,  # the same in every installation; explained under /docs/problems
        "title": problem.title,
        "status": problem.status,
    }
    if detail and problem.explains and problem.status < 500 and detail != problem.title:
        body["detail"] = detail
    if errors:
        body["errors"] = errors
    if correlation_id := g.get("correlation_id"):
        body["correlation_id"] = correlation_id
    response = Response(json.dumps(body), status=problem.status, mimetype=MEDIA_TYPE)
    response.headers.update(dict(headers or {}))
    return response


def refused(reason: DenyReason) -> Response:
    """The answer to a refused request: exact where the caller is at fault, coarse about the person."""
    return respond(DENIALS[reason])


def member_errors(messages: Any) -> list[dict[str, str]]:
    """Flatten the messages of a validation: they name members, never values."""
    if not isinstance(messages, Mapping):
        return [{"detail": text} for text in _texts(messages)]
    found = []
    for location, inner in messages.items():
        kind = "pointer" if location in ("json", "_schema") else "parameter"
        for path, text in _walk(inner, ()):
            name = "".join(f"/{part}" for part in path) if kind == "pointer" else ".".join(path)
            found.append({kind: name, "detail": text})
    return found


def _walk(messages: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(messages, Mapping):
        for name, inner in messages.items():
            yield from _walk(inner, path if name == "_schema" else (*path, _pointer_part(str(name))))
    else:
        for text in _texts(messages):
            yield path, text


def _texts(messages: Any) -> list[str]:
    return [str(text) for text in messages] if isinstance(messages, list | tuple) else [str(messages)]


def _pointer_part(name: str) -> str:
    # The name of an unknown member is the caller's own text: printable, short, escaped (RFC 6901).
    shown = "".join(character if character.isprintable() else "?" for character in name[:_LONGEST_NAME])
    return shown.replace("~", "~0").replace("/", "~1")


def _on_http_error(error: HTTPException) -> Response | HTTPException:
    if error.response is not None or error.code is None or error.code < 400:
        return error  # a redirect, or a response that is ready
    problem = STATUSES.get(error.code) or STATUSES[400 if error.code < 500 else 500]
    headers = {name: value for name, value in error.get_headers() if name.lower() not in _OUR_HEADERS}
    data = getattr(error, "data", None) or {}
    headers |= data.get("headers") or {}
    if problem.status >= 500:
        _log(error, problem)
    return respond(problem, errors=member_errors(data.get("messages") or {}), headers=headers)


def _on_error(error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return respond(error.problem, detail=error.detail, errors=error.errors, headers=error.headers)
    if isinstance(error, ValidationError):
        return respond(INVALID, errors=member_errors({"json": error.messages}))
    problem = ERRORS.get(type(error), INTERNAL)
    if problem.status >= 500:
        _log(error, problem)
    return respond(problem, detail=str(error))


def _log(error: Exception, problem: Problem) -> None:
    # Where it happened, not what was said: a message of a library may quote a value.
    frames: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(frames) < 8:
        trace = cause.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
        frames.append(f"{type(cause).__module__}.{type(cause).__qualname__} in {place}")
        cause = cause.__cause__ or cause.__context__
    structlog.get_logger("cdx.api").error("failed", problem=problem.type, error=frames)


def _say_when_to_come_again(response: Response) -> Response:
    # Here, and not where each is made: the token endpoint and the readiness check say 503 in words of their own.
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", str(RETRY_SECONDS))
    return response


def register(app: Flask) -> None:
    """Answer every error of ``app`` with a problem."""
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_error)
    app.after_request(_say_when_to_come_again)
