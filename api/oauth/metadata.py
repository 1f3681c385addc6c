"""Documents that tell clients where everything is and what is accepted (RFC 8414, RFC 9728), and the public keys."""

from typing import Any

from flask import Response, jsonify

from api.oauth import client_assertion, dpop, par, token_endpoint
from api.oauth.permission_grants import CodeGrant, RefreshGrant
from api.oauth.registered_client import METHOD
from api.oauth.scopes import Scope
from api.oauth.sign_in_grant import SignInGrant
from api.oauth.state import OAuthState, oauth_state
from exchange.authorization.model import DETAILS_TYPE

AUTHORIZATION_SERVER_PATH = "/.well-known/oauth-authorization-server"
PROTECTED_RESOURCE_PATH = "/.well-known/oauth-protected-resource"
JWKS_PATH = "/oauth/jwks"
AUTHORIZE_PATH = "/oauth/authorize"
"""Served by the portal application (``api.portal``), which has cookies."""
_CACHE_SECONDS = 300
_KEYS_TYPE = "application/jwk-set+json"  # RFC 7517 §8.5.2


def authorization_server() -> Response:
    """RFC 8414 §2: only what is there."""
    state = oauth_state()
    grants = ["client_credentials"]
    flow: dict[str, Any] = {"response_types_supported": []}
    if state.asks_people:
        grants += [CodeGrant.GRANT_TYPE, RefreshGrant.GRANT_TYPE]
        flow = {
            "authorization_endpoint": state.url(AUTHORIZE_PATH),
            "pushed_authorization_request_endpoint": state.url(par.PATH),
            "require_pushed_authorization_requests": True,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "authorization_details_types_supported": [DETAILS_TYPE],
        }
    if state.provider is not None:
        grants.append(SignInGrant.GRANT_TYPE)
    return _document(
        {
            "issuer": state.services.exchange.issuer,
            "token_endpoint": state.url(token_endpoint.PATH),
            "jwks_uri": state.url(JWKS_PATH),
            "scopes_supported": _scopes(state),
            "grant_types_supported": grants,
            "token_endpoint_auth_methods_supported": [METHOD],
            "token_endpoint_auth_signing_alg_values_supported": list(client_assertion.ALGORITHMS),
            "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
            "protected_resources": [state.services.config.public_url],
        }
        | flow
    )


def protected_resource() -> Response:
    """RFC 9728 §2: the API as a resource."""
    state = oauth_state()
    return _document(
        {
            "resource": state.services.config.public_url,
            "authorization_servers": [state.services.exchange.issuer],
            "jwks_uri": state.url(JWKS_PATH),
            "scopes_supported": _scopes(state),
            "bearer_methods_supported": ["header"],
            "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
            "dpop_bound_access_tokens_required": True,
            "authorization_details_types_supported": [DETAILS_TYPE] if state.asks_people else [],
        }
    )


def jwks() -> Response:
    """The public keys of access tokens, answers, receipts and questions to live providers."""
    services = oauth_state().services
    exchange = services.exchange
    signers = (
        services.token_signer,
        exchange.answer_signer,
        *services.receipt_keys,
        exchange.provider_signer,
    )
    response = _document({"keys": [signer.public_jwk() for signer in signers]})
    response.mimetype = _KEYS_TYPE
    return response


def _scopes(state: OAuthState) -> list[str]:
    return [scope.value for scope in Scope if scope is not Scope.ME or state.provider is not None]


def _document(content: dict[str, Any]) -> Response:
    response = jsonify(content)
    response.cache_control.public = True
    response.cache_control.max_age = _CACHE_SECONDS
    return response
