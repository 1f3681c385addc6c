"""A registered client in the shape that Authlib asks for."""

from api.oauth.authlib_parts import ClientMixin
from exchange.access import ClientRecord

METHOD = "private_key_jwt"


class RegisteredClient(ClientMixin):  # type: ignore[misc]  # Authlib has no types
    """A client in force. Everything that is not named here stays refused by Authlib's mixin."""

    def __init__(self, record: ClientRecord) -> None:
        self.record = record

    def get_client_id(self) -> str:
        """Its id."""
        return self.record.id

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002  # Authlib's signature
        """Every endpoint takes the one method, not only the token endpoint."""
        return method == METHOD

    def check_grant_type(self, grant_type: str) -> bool:
        """Those that it is registered for."""
        return grant_type in self.record.registration.grant_types

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Character by character (RFC 9700 §2.1): no prefix, no pattern, no normalisation."""
        return redirect_uri in self.record.registration.redirect_uris
