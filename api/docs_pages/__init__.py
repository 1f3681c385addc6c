"""The API's description: ``/openapi.json``, and the same for people under ``/docs``.

The pages are rendered here, from the description itself: no script, nothing from another host, readable by any browser
and screen reader.
"""

from importlib import resources
from typing import Any

from flask import Blueprint, Flask, Response, jsonify, render_template
from flask_smorest import Api  # type: ignore[import-untyped]  # comes without types

from api import problems
from api.docs_pages.operations import sections
from api.docs_pages.prose import prose

_STYLE = "style.css"
_PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def register(app: Flask, api: Api) -> None:
    """Serve the description of everything that ``api`` knows by now."""
    document = describe(api)
    groups = sections(document)
    style = resources.files(__name__).joinpath(_STYLE).read_text(encoding="utf-8")
    blueprint = Blueprint("docs", __name__, template_folder="templates")

    @blueprint.get("/openapi.json")
    def openapi() -> Response:
        return _keep(jsonify(document))

    @blueprint.get("/docs")
    def index() -> Response:
        return _page("docs_index.html", info=document["info"], groups=groups)

    @blueprint.get("/docs/problems")
    def problem_types() -> Response:
        return _page("docs_problems.html", info=document["info"], problems=problems.all_problems(), urn=problems.URN)

    @blueprint.get("/docs/" + _STYLE)
    def stylesheet() -> Response:
        return _keep(Response(style, mimetype="text/css"))

    blueprint.add_app_template_filter(prose)
    app.register_blueprint(blueprint)


def describe(api: Api) -> dict[str, Any]:
    """The OpenAPI document, with errors described as they are answered (RFC 9457)."""
    document: dict[str, Any] = api.spec.to_dict()
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).pop("Error", None)
    components["schemas"]["Problem"] = _PROBLEM
    responses = components.setdefault("responses", {})
    for name in [name for name in responses if name != "DEFAULT_ERROR"]:
        del responses[name]
    responses["DEFAULT_ERROR"] = {
        "description": "A problem (RFC 9457).",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in document["paths"].values():
        for method, operation in path.items():
            if method == "parameters":
                continue
            answers = operation.setdefault("responses", {})
            for status in [status for status, answer in answers.items() if "components/responses" in str(answer)]:
                del answers[status]
            answers["default"] = {"$ref": "#/components/responses/DEFAULT_ERROR"}
    return document


_PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable name of the kind of problem."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong in this case. Never a personal value."},
        "correlation_id": {"type": "string", "description": "Names the log line; quote it when you ask for help."},
        "errors": {
            "type": "array",
            "description": "Members that are missing, unknown or not valid.",
            "items": {
                "type": "object",
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer into the body."},
                    "parameter": {"type": "string", "description": "Name of a query parameter or header."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def _page(template: str, **values: Any) -> Response:
    response = Response(render_template(template, **values), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _PAGE_POLICY
    return _keep(response)


def _keep(response: Response) -> Response:
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
