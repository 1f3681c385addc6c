"""The token endpoint's engine: Authlib finds the grant, authenticates by the registered method and shapes errors.

Taken from the framework-neutral class, not from Authlib's Flask integration: that one reads parameters from the query
too and registers a generator of bearer tokens that live ten days. Nothing of ``authlib.jose`` is used.
"""

from typing import Any

from flask import Response, json

from api.oauth.authlib_parts import (
    AuthorizationServer,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
)
from api.oauth.client_assertion import NOBODY, TYPE, Assertion, unverified_client_id, verify_assertion
from api.oauth.client_grant import ClientGrant
from api.oauth.errors import ClientAssertionError
from api.oauth.permission_grants import CodeGrant, RefreshGrant
from api.oauth.registered_client import METHOD, RegisteredClient
from api.oauth.replays import refused_replay
from api.oauth.request import TokenRequest
from api.oauth.sign_in_grant import SignInGrant
from api.oauth.state import oauth_state
from exchange import access, refusals
from exchange.access import SUBJECT, ClientRecord
from exchange.errors import AccessRefusedError


class TokenServer(AuthorizationServer):  # type: ignore[misc]  # Authlib has no types
    """Authlib's server with one client authentication method and the grants of this service."""

    def __init__(self) -> None:
        super().__init__()
        self.register_client_auth_method(METHOD, _authenticate)
        self.register_grant(ClientGrant)
        self.register_grant(CodeGrant)
        self.register_grant(RefreshGrant)
        self.register_grant(SignInGrant)

    def query_client(self, client_id: str) -> RegisteredClient | None:
        """The client in force of that id."""
        state = oauth_state()
        with state.services.exchange.database.read() as connection:
            record = access.client_for_authentication(connection, client_id)
        return None if record is None else RegisteredClient(record)

    def save_token(self, token: dict[str, Any], request: TokenRequest) -> None:  # noqa: ARG002  # Authlib's signature
        """Take assertion and proof and store the token, in one transaction, before it is handed out.

        Raises:
            OAuth2Error: something that is good once was used before, or the person may not sign in.
        """
        state = oauth_state()
        assert request.proof is not None  # both grants check it before they make a token
        assert request.new_token is not None  # as above
        uses = [request.proof.use]
        if request.assertion is not None:
            uses.append(request.assertion.use)
            org = request.assertion.client.agency
        else:
            assert request.sign_in is not None  # the only other grant
            uses.append(request.sign_in.use)
            org = SUBJECT
        try:
            replayed = access.issue(state.services.exchange, request.new_token, uses=uses, org=org, now=request.now)
        except AccessRefusedError:
            raise InvalidGrantError(SignInGrant.NO_MATCH) from None
        if replayed is not None:
            raise refused_replay(replayed)

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """The request was checked and shaped before it came here."""
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        """A Flask response. The headers, ``no-store`` among them, are Authlib's for JSON."""
        return Response(json.dumps(body), status=status, headers=headers)

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""


def _authenticate(query_client: Any, request: TokenRequest) -> RegisteredClient:
    """``private_key_jwt``: the only way in for a client."""
    state = oauth_state()
    form = request.parameters
    if request.has_authorization:
        raise InvalidRequestError("Authenticate by private_key_jwt in the body only.")
    if form.get("client_assertion_type") != TYPE or "client_assertion" not in form:
        raise InvalidClientError("Authenticate by private_key_jwt: client_assertion_type and client_assertion.")
    try:
        request.assertion = _checked(query_client, form["client_assertion"], form.get("client_id"), request)
    except ClientAssertionError as exc:
        raise InvalidClientError(exc.text(teaching=state.teaching)) from None
    return RegisteredClient(request.assertion.client)


def _suspended(client_id: str) -> ClientRecord | None:
    with oauth_state().services.exchange.database.read() as connection:
        return access.suspended_client(connection, client_id)


def _checked(query_client: Any, assertion: str, client_id: str | None, request: TokenRequest) -> Assertion:
    state = oauth_state()
    claimed = unverified_client_id(assertion)
    client = query_client(claimed)
    record = _suspended(claimed) if client is None else client.record
    checked = verify_assertion(
        assertion,
        client=record,
        find=lambda algorithm, kid: state.client_keys.find(record, algorithm, kid, request.now),
        nobody=state.nobody,
        issuer=state.services.exchange.issuer,
        now=request.now,
    )
    if client is None:
        # With its own key, so that it is known who tried; told apart from an unknown client by nothing.
        refusals.record_suspended(state.services.exchange, checked.client.id, request.now)
        raise ClientAssertionError(NOBODY)
    if client_id is not None and client_id != checked.client.id:
        raise ClientAssertionError("client_id differs from sub of the client assertion")
    return checked
