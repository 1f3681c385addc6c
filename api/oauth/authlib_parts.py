"""The parts of Authlib that the API and the portal stand on, imported in one place because Authlib has no types.

Dispatch, grant validation, the registry of authentication methods and the shape of errors. Never ``authlib.jose``.
"""

from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]  # has no types
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
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)
from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]  # has no types
    prepare_grant_uri,
    prepare_token_request,
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
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
    "UnsupportedResponseTypeError",
    "add_params_to_uri",
    "prepare_grant_uri",
    "prepare_token_request",
]
