"""``/oauth/authorize``: from a pushed request over the sign-in to a decision, and back to the client with the answer.

    GET  /oauth/authorize?client_id=…&request_uri=…   begin: away to the OpenID provider
    GET  /oauth/authorize/callback                    back from there: a session for this one decision
    GET  /oauth/authorize/<id>                        the question
    POST /oauth/authorize/<id>                        the decision

What does not hold before the client is known for sure is answered with a page, never with a redirect (RFC 9700 §4.11).
"""

from datetime import datetime
from typing import cast
from uuid import UUID

from flask import Blueprint, Response, request

from api.oauth.authlib_parts import add_params_to_uri
from api.oauth.errors import SignInError
from api.oauth.id_token import SignIn
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.par import URI_PREFIX
from api.oauth.sign_in_grant import find_person
from api.oauth.state import OAuthState, oauth_state
from api.portal.browser import Flow, Session
from api.portal.pages import Notice, PortalError, question_page, unlinked_page
from api.portal.relying_party import relying_party
from exchange import access
from exchange.access import SUBJECT
from exchange.authorization import deciding, pushing, viewing
from exchange.authorization.model import Completed, Opened, PushedRequest
from exchange.errors import AccessRefusedError
from exchange.model import Citizen

blueprint = Blueprint("authorize", __name__, url_prefix=AUTHORIZE_PATH)
_CLOCKS_DIFFER_SECONDS = 60
_LONGEST = 4096


@blueprint.get("")
def begin() -> Response:
    """A client sent somebody here: check what it pushed, and have the person sign in."""
    state = oauth_state()
    now = state.now()
    # CL-19: the two parameters and nothing else; whatever else stands there was not authenticated.
    if sorted(name for name, _ in request.args.items(multi=True)) != ["client_id", "request_uri"]:
        raise PortalError(Notice.NO_REQUEST)
    address = request.args["request_uri"]
    if not address.startswith(URI_PREFIX) or len(address) > _LONGEST:
        raise PortalError(Notice.NO_REQUEST)
    pushed = pushing.find_pushed(
        state.services.exchange,
        address.removeprefix(URI_PREFIX),
        client_id=request.args["client_id"],
        now=now,
    )
    if pushed is None:
        raise PortalError(Notice.NO_REQUEST)
    flow = Flow.begin(pushed.id)
    response = _redirect(relying_party().authorization_url(flow, pushed.request, now))
    flow.keep(response, secure=_secure(state))
    return response


@blueprint.get("/callback")
def callback() -> Response:
    """The OpenID provider sent the person back."""
    state = oauth_state()
    now = state.now()
    parameters = request.args.to_dict(flat=False)
    if any(len(values) != 1 or len(values[0]) > _LONGEST for values in parameters.values()):
        raise PortalError(Notice.SIGN_IN_FAILED)
    flow = Flow.of(request, request.args.get("state", ""), secure=_secure(state))
    if flow is None or flow.request_id is None:
        raise PortalError(Notice.OTHER_BROWSER)
    pushed = pushing.find_begun(state.services.exchange, flow.request_id, now)
    if pushed is None:
        raise PortalError(Notice.DECIDED)
    response = _signed_in(state, flow, pushed, now)
    flow.forget(response, secure=_secure(state))
    return response


def _signed_in(state: OAuthState, flow: Flow, pushed: Opened, now: datetime) -> Response:
    party, exchange = relying_party(), state.services.exchange
    party.require_issuer(request.args.get("iss"), now)
    code = request.args.get("code")
    if code is None:
        # The person went back, or the provider said no: OIDC Core §3.1.2.6.
        return _to_client(deciding.leave(exchange, pushed.id, now), "access_denied")
    sign_in = party.sign_in(flow, code, now)
    if not _strong_enough(sign_in, pushed.request, now):
        return _to_client(deciding.leave(exchange, pushed.id, now), "unmet_authentication_requirements")
    subject_ref = find_person(sign_in, now)
    session = Session.begin(pushed.id)
    if subject_ref is None:
        return _unlinked(pushed, now)
    token = session.token(subject_ref, now=now, until=pushed.decide_until)
    try:
        replayed = access.issue(exchange, token, uses=[sign_in.use], org=SUBJECT, now=now)
    except AccessRefusedError:
        return _unlinked(pushed, now)
    if replayed is not None:
        raise SignInError("the ID token was used before")
    response = _redirect(f"{AUTHORIZE_PATH}/{pushed.id}")
    seconds = int((pushed.decide_until - now).total_seconds())
    session.keep(response, seconds=seconds, secure=_secure(state))
    return response


def _unlinked(pushed: Opened, now: datetime) -> Response:
    """Nobody here, or nobody who may sign in: the same page (decision 13), and the way back."""
    completed = deciding.leave(oauth_state().services.exchange, pushed.id, now)
    return unlinked_page(pushed.agency_name, _answer(completed, "access_denied"))


def _strong_enough(sign_in: SignIn, asked: PushedRequest, now: datetime) -> bool:
    """Whether the person signed in as the client asked (OIDC Core §3.1.2.1): in that way, and lately enough."""
    if asked.acr_values and sign_in.acr not in asked.acr_values:
        return False
    if asked.max_age is None:
        return True
    return (
        sign_in.auth_time is not None and now.timestamp() - sign_in.auth_time <= asked.max_age + _CLOCKS_DIFFER_SECONDS
    )


@blueprint.get("/<uuid:request_id>")
def question(request_id: UUID) -> Response:
    """What is asked, by whom, why, for how long."""
    state = oauth_state()
    now = state.now()
    session, citizen = _session(state, request_id, now)
    asked = viewing.asked_permission(state.services.exchange, citizen, request_id, now)
    return question_page(asked, csrf=session.csrf, language=_language(list(asked.notice)))


@blueprint.post("/<uuid:request_id>")
def decide(request_id: UUID) -> Response:
    """The decision."""
    state = oauth_state()
    now = state.now()
    session, citizen = _session(state, request_id, now)
    form = request.form
    # Another site can make a browser send a form, and cannot know what stands in ours.
    if request.headers.get("Origin", state.services.config.public_url) != state.services.config.public_url:
        raise PortalError(Notice.FOREIGN_FORM)
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin" or not session.accepts(
        form.get("csrf", "")
    ):
        raise PortalError(Notice.FOREIGN_FORM)
    shown = deciding.Shown(language=form.get("language", ""), notice_version=form.get("notice_version", ""))
    exchange = state.services.exchange
    if form.getlist("decision") == ["allow"]:
        asked = viewing.asked_permission(exchange, citizen, request_id, now)
        selection = [(fact.name, fact.form) for fact in asked.facts if fact.required]
        selection += [_chosen(text) for text in form.getlist("fact")]
        completed = deciding.allow(exchange, citizen, request_id, selection=selection, shown=shown, now=now)
    elif form.getlist("decision") == ["refuse"]:
        completed = deciding.refuse(exchange, citizen, request_id, shown=shown, now=now)
    else:
        raise PortalError(Notice.FOREIGN_FORM)
    response = _to_client(completed, "access_denied")
    session.forget(response, secure=_secure(state))
    return response


def _session(state: OAuthState, request_id: UUID, now: datetime) -> tuple[Session, Citizen]:
    session = Session.of(request, request_id, secure=_secure(state))
    citizen = None if session is None else access.find_session(state.services.exchange, session.jti, now)
    if session is None or citizen is None:
        raise PortalError(Notice.SIGNED_OUT)
    return session, citizen


def _chosen(text: str) -> tuple[str, str]:
    """``name form`` of a ticked box; what was not asked for is refused by the ledger."""
    name, _, form = text.partition(" ")
    return name, form


def _language(offered: list[str]) -> str:
    """The one that is asked for in the address, else the best of what the browser prefers, else the first."""
    asked = request.args.get("lang", "")
    return asked if asked in offered else request.accept_languages.best_match(offered) or offered[0]


def _to_client(completed: Completed, error: str) -> Response:
    return _redirect(_answer(completed, error))


def _answer(completed: Completed, error: str) -> str:
    """The client's redirect URI with the answer (RFC 6749 §4.1.2), and with ``iss``, errors included (RFC 9207)."""
    parameters = [("code", completed.code)] if completed.code is not None else [("error", error)]
    if completed.state is not None:
        parameters.append(("state", completed.state))
    parameters.append(("iss", oauth_state().services.exchange.issuer))
    return cast(str, add_params_to_uri(completed.redirect_uri, parameters))


def _redirect(location: str) -> Response:
    """303: what was posted is never posted again elsewhere (FAPI 2.0 SP §5.3.2.2-10, -11)."""
    return Response(status=303, headers={"Location": location})


def _secure(state: OAuthState) -> bool:
    return state.services.config.public_url.startswith("https://")
