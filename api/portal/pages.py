"""Rendering, headers and errors of the portal. Every text from outside is escaped by Jinja; no page needs a script."""

from enum import Enum
from http import HTTPStatus
from importlib import resources
from urllib.parse import urlsplit

import structlog
from flask import Blueprint, Flask, Response, g, render_template
from werkzeug.exceptions import HTTPException

from api.headers import VIEWS_MAY_SET, security_headers
from api.oauth.errors import SignInError, SignInUnavailableError
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.state import oauth_state
from consent.errors import ConsentConflictError, IllegalTransitionError, ScopeError
from exchange.authorization.viewing import AskedFact, AskedPermission
from exchange.errors import (
    AccessRefusedError,
    AgreementNotInForceError,
    DatabaseError,
    NoticeError,
    SubjectErasedError,
    UnknownRequestError,
)
from exchange.forms import FormKind, parse_form

STYLE = "portal.css"
_POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action {targets}"


class Notice(Enum):
    """Why there is no question to show: status, title, what to do."""

    NO_REQUEST = (
        400,
        "This link does not work",
        "It is incomplete, was used before, or is too old. Go back and start again.",
    )
    OTHER_BROWSER = (
        400,
        "We cannot finish this sign-in",
        "It did not begin in this browser, or took too long. Go back and start again.",
    )
    SIGN_IN_FAILED = (400, "The sign-in did not work", "Go back to the page of the office and start again.")
    SIGN_IN_AWAY = (
        503,
        "You cannot sign in just now",
        "The sign-in service does not answer. Try again in a few minutes.",
    )
    SIGNED_OUT = (
        401,
        "Your session is over",
        "Nothing was decided. Go back to the page of the office and start again.",
    )
    DECIDED = (
        409,
        "There is nothing to decide here any more",
        "This was decided already, perhaps in another tab, or has run out.",
    )
    CHANGED = (
        409,
        "The question has changed",
        "Nothing was decided. Go back to the page of the office and start again.",
    )
    FOREIGN_FORM = (400, "This form does not hold", "Nothing was decided. Go back to the question and try again.")
    NOWHERE = (404, "There is nothing here", "Check the address.")
    NOT_ALLOWED = (400, "This does not work", "Go back to the page of the office and start again.")
    BROKEN = (500, "Something went wrong on our side", "Nothing was decided. Try again later.")


class PortalError(Exception):
    """A page in place of a question."""

    def __init__(self, notice: Notice) -> None:
        super().__init__(notice.name)
        self.notice = notice


_ERRORS: dict[type[Exception], Notice] = {
    SignInError: Notice.SIGN_IN_FAILED,
    SignInUnavailableError: Notice.SIGN_IN_AWAY,
    UnknownRequestError: Notice.DECIDED,
    IllegalTransitionError: Notice.DECIDED,
    ConsentConflictError: Notice.CHANGED,
    AgreementNotInForceError: Notice.CHANGED,
    NoticeError: Notice.CHANGED,
    ScopeError: Notice.FOREIGN_FORM,
    AccessRefusedError: Notice.SIGNED_OUT,
    SubjectErasedError: Notice.SIGNED_OUT,
    DatabaseError: Notice.SIGN_IN_AWAY,
}


def question_page(asked: AskedPermission, *, csrf: str, language: str) -> Response:
    """The question, with two buttons alike."""
    response = _page(
        "question.html",
        asked=asked,
        csrf=csrf,
        language=language,
        notice=asked.notice[language],
        words=words_of,
    )
    # A browser that follows the answer of a form asks this policy for the client's address too.
    client = urlsplit(asked.redirect_uri)
    response.headers["Content-Security-Policy"] = _POLICY.format(targets=f"'self' {client.scheme}://{client.netloc}")
    return response


def unlinked_page(agency_name: str, back: str) -> Response:
    """Somebody signed in whom we cannot find: help, and the way back. Never a guess (decision 13)."""
    return _page("unlinked.html", status=403, agency_name=agency_name, back=back)


def words_of(fact: AskedFact) -> str:
    """What a weaker form tells, in words."""
    form = parse_form(fact.form)
    match form.kind:
        case FormKind.VALUE:
            return ""
        case FormKind.EXISTS:
            return "only yes or no: if there is one"
        case FormKind.AT_LEAST:
            return f"only yes or no: at least {form.parameter}"
        case FormKind.IN_RANGE:
            return f"only yes or no: from {form.low} to {form.high}"
        case FormKind.EQUALS:
            return "only yes or no: if it is what you told the office"
        case FormKind.PARTIAL:
            return f"only a part: {form.parameter}"


def register(app: Flask) -> None:
    """Style, errors and headers."""
    style = resources.files("api.portal").joinpath(STYLE).read_text(encoding="utf-8")
    blueprint = Blueprint("portal", __name__, template_folder="templates")

    @blueprint.get(f"{AUTHORIZE_PATH}/{STYLE}")
    def stylesheet() -> Response:
        return Response(style, mimetype="text/css", headers={"Cache-Control": "public, max-age=300"})

    app.register_blueprint(blueprint)
    app.register_error_handler(PortalError, lambda error: _notice(error.notice))
    app.register_error_handler(HTTPException, _on_http_error)
    app.register_error_handler(Exception, _on_error)
    app.after_request(_protect)


def _on_http_error(error: HTTPException) -> Response | HTTPException:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    if error.code == HTTPStatus.NOT_FOUND:
        return _notice(Notice.NOWHERE)
    response = _notice(Notice.NOT_ALLOWED if error.code < 500 else Notice.BROKEN)
    response.status_code = error.code
    return response


def _on_error(error: Exception) -> Response:
    notice = _ERRORS.get(type(error), Notice.BROKEN)
    if notice is Notice.BROKEN:
        # The kind of fault, not what it says: a message of a library may quote a value.
        structlog.get_logger("cdx.portal").error("failed", error=f"{type(error).__module__}.{type(error).__qualname__}")
    return _notice(notice)


def _notice(notice: Notice) -> Response:
    status, title, text = notice.value
    return _page("notice.html", status=status, title=title, text=text, number=g.get("correlation_id"))


def _page(template: str, *, status: int = 200, **values: object) -> Response:
    return Response(render_template(template, **values), status=status, mimetype="text/html")


def _protect(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", _POLICY.format(targets="'none'"))
    headers["Cross-Origin-Opener-Policy"] = "same-origin"
    for name, value in security_headers(oauth_state().services.config.public_url).items():
        if name not in VIEWS_MAY_SET or name not in headers:
            headers[name] = value
    # Not "no-referrer": with it a browser tells us no Origin with a form.
    headers["Referrer-Policy"] = "same-origin"
    return response
