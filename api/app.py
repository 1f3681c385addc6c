"""The API application: OAuth, the JSON resources, the public log, its own description. No cookies, no sessions."""

from typing import Any

from flask import Flask, Response, current_app
from flask_smorest import Api  # type: ignore[import-untyped]  # comes without types

from api import docs_pages, problems, telemetry, v1
from api.fast_lane import FastLane
from api.headers import VIEWS_MAY_SET, security_headers
from api.oauth import create_oauth_blueprint
from api.oauth.state import EXTENSION
from api.wiring import Services

_DESCRIPTION = """\
Verified facts about a citizen, from the agency that holds them to the agency that needs them, only with a recorded
legal basis.

1. **Get a token.** `POST /oauth/token` with `client_credentials`, `private_key_jwt` and a DPoP proof (FAPI 2.0).
2. **See what can be asked.** `GET /v1/catalogue/attributes`.
3. **Ask.** `POST /v1/attribute-requests` with an `Idempotency-Key`: 200 answers at once, 202 waits for the citizen.
4. **Collect.** `GET /v1/attribute-requests/{id}/response`: a signed JWT, encrypted to your key.
5. **Check us.** Every disclosure is an entry of the public log under `/audit`; the receipt in the answer proves it.

Errors are `application/problem+json` (RFC 9457); every `type` is explained under `/docs/problems`. Unknown members are
refused. Times are RFC 3339 in UTC. Ids are UUIDv7.
"""


def create_api_app(services: Services) -> Flask:
    """Build the WSGI application.

    Args:
        services: the composed parts; handlers find them through ``api.services``.
    """
    config = services.config
    app = Flask("api", static_folder=None)
    app.extensions["cdx"] = services
    app.config.update(
        CDX_PUBLIC_URL=config.public_url,
        MAX_CONTENT_LENGTH=config.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=config.max_body_bytes,
        PROPAGATE_EXCEPTIONS=False,
        **_api_settings(config.public_url),
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider has it
    telemetry.register(app)
    api = _Api(app)
    app.register_blueprint(create_oauth_blueprint(services))
    for blueprint in v1.blueprints():
        api.register_blueprint(blueprint)
    docs_pages.register(app, api)
    problems.register(app)
    app.after_request(_harden)
    app.wsgi_app = FastLane(app.wsgi_app, services, app.extensions[EXTENSION])  # type: ignore[method-assign]  # Flask's own way to put something in front
    return app


def openapi_document(public_url: str) -> dict[str, Any]:
    """The description of the API by itself: needs no installation."""
    app = Flask("api", static_folder=None)
    app.config.update(_api_settings(public_url))
    api = _Api(app)
    for blueprint in v1.blueprints():
        api.register_blueprint(blueprint)
    return docs_pages.describe(api)


def _api_settings(public_url: str) -> dict[str, Any]:
    return {
        "API_TITLE": "Citizen Data Exchange",
        "API_VERSION": "1",
        "OPENAPI_VERSION": "3.1.0",
        "API_SPEC_OPTIONS": _spec_options(public_url),
    }


class _Api(Api):  # type: ignore[misc]  # flask-smorest has no types
    """Errors are answered by ``api.problems``, and described as such."""

    def _register_error_handlers(self) -> None:
        pass


def _spec_options(public_url: str) -> dict[str, Any]:
    return {
        "info": {"description": _DESCRIPTION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": public_url}],
        "components": {
            "securitySchemes": {
                "client": {
                    "type": "oauth2",
                    "description": "FAPI 2.0: private_key_jwt and DPoP-bound access tokens.",
                    "flows": {"clientCredentials": {"tokenUrl": f"{public_url}/oauth/token", "scopes": {}}},
                },
            },
        },
    }


def _harden(response: Response) -> Response:
    for name, value in security_headers(current_app.config["CDX_PUBLIC_URL"]).items():
        if name not in VIEWS_MAY_SET or name not in response.headers:
            response.headers[name] = value
    return response
