"""The parts of Authlib that this package stands on, imported in one place because Authlib has no types.

Dispatch, grant validation, the registry of authentication methods and the shape of errors. Never ``authlib.jose``.
"""

from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request  # type: ignore[import-untyped]  # has no types
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]  # has no types
    BaseGrant,
    ClientCredentialsGrant,
    ClientMixin,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    TokenEndpointMixin,
    UnsupportedGrantTypeError,
)
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload  # type: ignore[import-untyped]  # has no types

__all__ = [
    "AuthorizationServer",
    "BaseGrant",
    "BasicOAuth2Payload",
    "ClientCredentialsGrant",
    "ClientMixin",
    "InvalidClientError",
    "InvalidGrantError",
    "InvalidRequestError",
    "InvalidScopeError",
    "OAuth2Error",
    "OAuth2Request",
    "TokenEndpointMixin",
    "UnsupportedGrantTypeError",
]
