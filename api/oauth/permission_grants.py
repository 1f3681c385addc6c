"""``authorization_code`` and ``refresh_token`` (RFC 6749 §4.1.3, §6): tokens for what a person allowed.

Authlib's own grants look a code up, save a token and delete the code, each for itself; here one transaction under the
lock of code and consent does all of it (``exchange.authorization.redeeming``).
"""

import re
from typing import Any, ClassVar

from api.oauth.access_tokens import new_token
from api.oauth.authlib_parts import (
    BaseGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    TokenEndpointMixin,
    UnauthorizedClientError,
)
from api.oauth.bound_grant import BoundGrant
from api.oauth.errors import InvalidAuthorizationDetailsError
from api.oauth.registered_client import METHOD
from api.oauth.replays import refused_replay
from api.oauth.scopes import Scope
from api.oauth.state import TOKEN_LIFETIME_SECONDS, oauth_state
from exchange.access import NewToken, SingleUse
from exchange.authorization import redeeming
from exchange.authorization.redeeming import Granted, NotGranted, Presented
from exchange.client_registration import AUTHORIZATION_CODE, REFRESH_TOKEN

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # RFC 7636 §4.1
_LONGEST_SECRET = 128
Outcome = Granted | NotGranted | SingleUse


class PermissionGrant(BoundGrant, BaseGrant, TokenEndpointMixin):  # type: ignore[misc]  # Authlib has no types
    """What both have in common."""

    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)
    PARAMETER: ClassVar[str]
    """Which one holds the code or refresh token."""

    def validate_token_request(self) -> None:
        """Check proof and client, and that nothing is asked for beyond what was allowed.

        Raises:
            OAuth2Error: one of them does not hold.
        """
        self.require_proof()
        client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError(f"The client is not registered for {self.GRANT_TYPE}.")
        self.request.client = client
        self.require_resource()
        form = self.request.parameters
        if "authorization_details" in form:
            raise InvalidAuthorizationDetailsError("What the person allowed is not changed here; leave them out.")
        if form.get("scope", Scope.ATTRIBUTES_REQUEST.value) != Scope.ATTRIBUTES_REQUEST.value:
            raise InvalidScopeError(f"The only scope of this grant is {Scope.ATTRIBUTES_REQUEST.value}.")
        if not 0 < len(form.get(self.PARAMETER, "")) <= _LONGEST_SECRET:
            raise InvalidRequestError(f"The parameter {self.PARAMETER} is missing or too long.")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        """Take what is good once, store the tokens, hand them out.

        Raises:
            OAuth2Error: what was presented does not hold, or not any more.
        """
        state, request = oauth_state(), self.request
        assert request.proof is not None  # validate_token_request has checked both
        assert request.assertion is not None
        token = new_token(
            request.proof.jkt,
            (Scope.ATTRIBUTES_REQUEST.value,),
            TOKEN_LIFETIME_SECONDS,
            request.now,
            client_id=request.client.record.id,
        )
        outcome = self.take(token, [request.assertion.use, request.proof.use])
        if isinstance(outcome, SingleUse):
            raise refused_replay(outcome)
        if isinstance(outcome, NotGranted):
            raise InvalidGrantError(f"Not granted: {outcome.reason}." if state.teaching else "Not granted.")
        return 200, _body(outcome), self.TOKEN_RESPONSE_HEADER

    def take(self, token: NewToken, uses: list[SingleUse]) -> Outcome:
        """Redeem or refresh."""
        raise NotImplementedError()


class CodeGrant(PermissionGrant):
    """A code, once."""

    GRANT_TYPE = AUTHORIZATION_CODE
    PARAMETER = "code"

    def take(self, token: NewToken, uses: list[SingleUse]) -> Outcome:
        """Redeem the code."""
        form = self.request.parameters
        verifier = form.get("code_verifier", "")
        if _VERIFIER.fullmatch(verifier) is None:
            raise InvalidGrantError("code_verifier is missing or no verifier of RFC 7636.")
        presented = Presented(code=form["code"], redirect_uri=form.get("redirect_uri"), verifier=verifier)
        return redeeming.redeem(
            oauth_state().services.exchange,
            self.request.client.record,
            presented,
            token,
            uses=uses,
            now=self.request.now,
        )


class RefreshGrant(PermissionGrant):
    """A refresh token, again and again: it is bound to client, key and consent, so it need not change."""

    GRANT_TYPE = REFRESH_TOKEN
    PARAMETER = "refresh_token"

    def take(self, token: NewToken, uses: list[SingleUse]) -> Outcome:
        """Use the refresh token."""
        return redeeming.refresh(
            oauth_state().services.exchange,
            self.request.client.record,
            self.request.parameters["refresh_token"],
            token,
            uses=uses,
            now=self.request.now,
        )


def _body(granted: Granted) -> dict[str, Any]:
    """RFC 6749 §5.1, RFC 9396 §7: the details are what the person allowed, which may be less than was asked."""
    consent = {"consent": str(granted.consent_id)}
    details = granted.permission.details()
    named = {name: details[name] for name in ("type", "agreement", "purpose")} | consent
    body: dict[str, Any] = {
        "access_token": oauth_state().tokens.for_permission(
            granted.token, pseudonym=granted.pseudonym, details=[named]
        ),
        "token_type": "DPoP",
        "expires_in": max(0, int((granted.token.expires_at - granted.token.issued_at).total_seconds())),
        "scope": " ".join(granted.token.scopes),
        "authorization_details": [details | consent],
    }
    if granted.refresh_token is not None:
        body["refresh_token"] = granted.refresh_token
    return body
