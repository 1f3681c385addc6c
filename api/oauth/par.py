"""``POST /oauth/par`` (RFC 9126): the only way in for an authorization request, and only for an authenticated client.

What is pushed is checked here once and for all; the browser brings nothing but the address of it.
"""

import re
from collections.abc import Mapping

from flask import Response, request

from api.oauth.authlib_parts import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedResponseTypeError,
)
from api.oauth.bound_grant import require_resource
from api.oauth.citizen_attributes import read_details
from api.oauth.dpop import verify_proof
from api.oauth.errors import (
    InvalidAuthorizationDetailsError,
    InvalidDPoPProofError,
    ProofError,
    RequestNotSupportedError,
)
from api.oauth.registered_client import METHOD, RegisteredClient
from api.oauth.replays import refused_replay
from api.oauth.request import TokenRequest, read_token_request
from api.oauth.scopes import Scope
from api.oauth.state import oauth_state
from exchange.access import SingleUse
from exchange.authorization import pushing
from exchange.authorization.model import URI_LIFETIME, NotAdmitted, PushedRequest
from exchange.client_registration import AUTHORIZATION_CODE

PATH = "/oauth/par"
URI_PREFIX = "urn:ietf:params:oauth:request_uri:"
MAX_STATE = 4096
MAX_AGE = 10**6
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_THUMBPRINT = _CHALLENGE
_ACR = re.compile(r"[!-~]{1,128}", re.ASCII)
_MAX_ACRS = 8


def push() -> Response:
    """Take an authorization request, or answer with an error of RFC 6749 §5.2."""
    state = oauth_state()
    try:
        checked = read_token_request(request, url=state.url(PATH), now=state.now())
        client = state.server.authenticate_client(checked, (METHOD,), "par")
        body = _push(checked, client)
    except OAuth2Error as error:
        return state.server.handle_response(*error())
    return state.server.handle_response(201, body, list(_HEADERS))


_HEADERS = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache"))


def _push(checked: TokenRequest, client: RegisteredClient) -> dict[str, object]:
    state = oauth_state()
    if not state.asks_people:
        raise InvalidRequestError("Nobody can sign in here: this exchange has no OpenID provider.")
    if not client.check_grant_type(AUTHORIZATION_CODE):
        raise UnauthorizedClientError("The client is not registered for the authorization code flow.")
    require_resource(checked)
    pushed = read_request(checked.parameters, client)
    jkt, uses = _key(checked)
    assert checked.assertion is not None  # the client was authenticated by it
    outcome = pushing.push(
        state.services.exchange,
        client.record,
        pushed,
        jkt=jkt,
        uses=[checked.assertion.use, *uses],
        now=checked.now,
    )
    if isinstance(outcome, SingleUse):
        raise refused_replay(outcome)
    if isinstance(outcome, NotAdmitted):
        raise InvalidAuthorizationDetailsError(f"The agreement does not admit this: {outcome.text}")
    return {"request_uri": URI_PREFIX + outcome.secret, "expires_in": int(URI_LIFETIME.total_seconds())}


def read_request(parameters: Mapping[str, str], client: RegisteredClient) -> PushedRequest:
    """The parameters of an authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 9396), as FAPI 2.0 narrows them.

    Raises:
        OAuth2Error: one of them is missing or does not hold.
    """
    if "request_uri" in parameters:  # RFC 9126 §2.1
        raise InvalidRequestError("A pushed request cannot refer to another.")
    if "request" in parameters:
        raise RequestNotSupportedError("Signed request objects are not supported.")
    if "response_type" not in parameters:
        raise InvalidRequestError("response_type is missing.")
    if parameters["response_type"] != "code":
        raise UnsupportedResponseTypeError(parameters["response_type"])
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequestError("The only response_mode is query.")
    # RFC 6749 §3.3: the one scope of this flow; the details say the rest.
    if parameters.get("scope", Scope.ATTRIBUTES_REQUEST.value) != Scope.ATTRIBUTES_REQUEST.value:
        raise InvalidScopeError(f"The only scope of this flow is {Scope.ATTRIBUTES_REQUEST.value}.")
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None or not client.check_redirect_uri(redirect_uri):
        raise InvalidRequestError("redirect_uri must be one that the client registered, character by character.")
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise InvalidRequestError("PKCE is required: code_challenge, and code_challenge_method S256.")
    state = parameters.get("state")
    if state is not None and (len(state) > MAX_STATE or not state.isprintable()):
        raise InvalidRequestError(f"state must be at most {MAX_STATE} printable characters.")
    if "authorization_details" not in parameters:
        raise InvalidAuthorizationDetailsError("authorization_details is missing.")
    return PushedRequest(
        permission=read_details(parameters["authorization_details"]),
        redirect_uri=redirect_uri,
        code_challenge=challenge,
        state=state,
        acr_values=_acr_values(parameters.get("acr_values", "")),
        max_age=_max_age(parameters.get("max_age")),
    )


def _acr_values(text: str) -> tuple[str, ...]:
    values = tuple(text.split())
    if len(values) > _MAX_ACRS or any(_ACR.fullmatch(value) is None for value in values):
        raise InvalidRequestError(f"acr_values must be at most {_MAX_ACRS} words.")
    return values


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) <= MAX_AGE):
        raise InvalidRequestError(f"max_age must be a number of seconds up to {MAX_AGE}.")
    return int(text)


def _key(checked: TokenRequest) -> tuple[str | None, list[SingleUse]]:
    """The key that the code shall be bound to (RFC 9449 §10, §10.1), and what to take for it."""
    named = checked.parameters.get("dpop_jkt")
    if named is not None and _THUMBPRINT.fullmatch(named) is None:
        raise InvalidRequestError("dpop_jkt must be the SHA-256 thumbprint of a key.")
    if not checked.proofs:
        return named, []
    try:
        proof = verify_proof(checked.proofs, method="POST", url=checked.url, now=checked.now)
    except ProofError as exc:
        raise InvalidDPoPProofError(exc.text(teaching=oauth_state().teaching)) from None
    if named not in (None, proof.jkt):
        raise InvalidDPoPProofError("dpop_jkt names another key than the DPoP proof.")
    return proof.jkt, [proof.use]
