"""OAuth 2.0 at the FAPI 2.0 level: the authorization server, and the resource side for views.

Reading order: ``dpop`` and ``client_assertion`` (checks, pure), ``access_tokens``, ``id_token``, ``server`` with its
grants, ``token_endpoint``, ``par``, ``metadata``; ``protect`` is what views call. One profile only, the safe one.
"""

from typing import TYPE_CHECKING

from flask import Blueprint

from api.oauth import metadata, par, token_endpoint
from api.oauth.access_denied import access_refused, replayed
from api.oauth.server import TokenServer
from api.oauth.state import EXTENSION, make_state
from exchange.errors import AccessRefusedError, ReplayedError

if TYPE_CHECKING:
    from api.wiring import Services

__all__ = ["create_oauth_blueprint"]


def create_oauth_blueprint(services: "Services") -> Blueprint:
    """The endpoints, and the responses to refused callers anywhere in the application."""
    state = make_state(services, TokenServer())
    blueprint = Blueprint("oauth", __name__)
    blueprint.record_once(lambda setup: setup.app.extensions.update({EXTENSION: state}))
    blueprint.add_url_rule(token_endpoint.PATH, "token", token_endpoint.token, methods=["POST"])
    blueprint.add_url_rule(par.PATH, "par", par.push, methods=["POST"])
    for path, view in (
        (metadata.AUTHORIZATION_SERVER_PATH, metadata.authorization_server),
        (metadata.PROTECTED_RESOURCE_PATH, metadata.protected_resource),
        (metadata.JWKS_PATH, metadata.jwks),
    ):
        blueprint.add_url_rule(path, view.__name__, view, methods=["GET"])
    blueprint.app_errorhandler(AccessRefusedError)(access_refused)
    blueprint.app_errorhandler(ReplayedError)(replayed)
    return blueprint
