"""``client_credentials`` (RFC 6749 §4.4): a client gets a token for its agency."""

from api.oauth.authlib_parts import ClientCredentialsGrant, InvalidScopeError
from api.oauth.bound_grant import BoundGrant
from api.oauth.dpop import Proof
from api.oauth.registered_client import METHOD
from api.oauth.scopes import Scope
from api.oauth.state import TOKEN_LIFETIME_SECONDS, oauth_state
from exchange.access import NewToken


class ClientGrant(BoundGrant, ClientCredentialsGrant):  # type: ignore[misc]  # Authlib has no types
    """A client in its own name, for exactly the scopes that it asks for."""

    TOKEN_ENDPOINT_AUTH_METHODS = (METHOD,)

    def validate_token_request(self) -> None:
        """Check proof, client and scope.

        Raises:
            OAuth2Error: one of them does not hold.
        """
        self.require_proof()
        super().validate_token_request()
        self.require_resource()

    def validate_requested_scope(self) -> None:
        """AS-14: a token never carries more than was asked for, so asking for nothing gives nothing.

        Raises:
            OAuth2Error: no scope, or one that the client is not registered for.
        """
        asked = self._scopes()
        if not asked:
            raise InvalidScopeError("Name the scopes that you need.")
        allowed = self.request.client.record.scopes - {Scope.ME.value}
        if not allowed.issuperset(asked):
            raise InvalidScopeError("The client is not registered for a scope that it asks for.")

    def make_token(self, proof: Proof) -> tuple[str, NewToken]:
        """A token for the client."""
        return oauth_state().tokens.for_client(
            self.request.client.record.id,
            self._scopes(),
            jkt=proof.jkt,
            lifetime=TOKEN_LIFETIME_SECONDS,
            now=self.request.now,
        )

    def _scopes(self) -> tuple[str, ...]:
        # Each once, in the order asked for.
        return tuple(dict.fromkeys(self.request.parameters.get("scope", "").split()))
