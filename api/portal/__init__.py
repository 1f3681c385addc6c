"""The portal application: what people open in a browser. For now one thing: deciding upon what an agency pushed.

An application of its own beside the API's, because it has what the API must never have: cookies. ``mounted`` puts both
behind one address (ADR 0022). Reading order: ``relying_party`` (signing in), ``browser`` (cookies and what they tie
together), ``authorize`` (the pages), ``pages`` (rendering and headers).
"""

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask

from api import telemetry
from api.oauth.metadata import AUTHORIZE_PATH
from api.oauth.server import TokenServer
from api.oauth.state import EXTENSION, make_state
from api.portal import authorize, pages
from api.portal.relying_party import RelyingParty
from api.wiring import Services

MAX_FORM_BYTES = 65_536
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""WSGI (PEP 3333)."""


def create_portal_app(services: Services) -> Flask:
    """Build the WSGI application of everything under ``/oauth/authorize``.

    Raises:
        ConfigError: a file of the relying party cannot be used.
    """
    app = Flask("api.portal", static_folder=None)
    app.extensions["cdx"] = services
    state = make_state(services, TokenServer())
    app.extensions[EXTENSION] = state
    app.extensions[RelyingParty.EXTENSION] = RelyingParty.of(state)
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=MAX_FORM_BYTES,
        PROPAGATE_EXCEPTIONS=False,
    )
    telemetry.register(app)
    app.register_blueprint(authorize.blueprint)
    pages.register(app)
    return app


def mounted(api: Flask, portal: Flask) -> Application:
    """Both applications behind one address: the path decides, and nothing else is shared."""

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        chosen = portal if path == AUTHORIZE_PATH or path.startswith(AUTHORIZE_PATH + "/") else api
        return chosen(environ, start_response)

    return application
