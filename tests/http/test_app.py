"""What holds for every response: headers, ids, log lines, no cookies; and the description of the API."""

import json
import re
import shutil

import pytest
from structlog.testing import capture_logs

from api import v1
from api.body import Blueprint, StrictParser

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PATHS = ["/healthz", "/nowhere", "/docs", "/openapi.json", "/audit/checkpoint", "/oauth/jwks", "/v1/catalogue/purposes"]


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    """Nothing here depends on the database: the quick one does."""
    shutil.copyfile(sqlite_template, tmp_path / "cdx.db")
    return f"sqlite:///{tmp_path / 'cdx.db'}"


@pytest.mark.parametrize("path", PATHS)
def test_security_headers_are_on_every_response(api_client, path):
    headers = api_client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Strict-Transport-Security"].startswith("max-age=63072000")
    assert "Cache-Control" in headers
    assert "Cross-Origin-Resource-Policy" in headers
    assert "Set-Cookie" not in headers
    assert "Access-Control-Allow-Credentials" not in headers


def test_no_transport_security_on_plain_http(make_config, clock):
    from api.app import create_api_app
    from api.wiring import initialise

    services = initialise(make_config(public_url="http://127.0.0.1:8000"), clock=clock)
    response = create_api_app(services).test_client().get("/healthz")
    services.close()
    assert "Strict-Transport-Security" not in response.headers


def test_each_response_has_a_correlation_id_of_our_own(api_client):
    first, second = (api_client.get("/healthz", headers={"X-Correlation-Id": "mine"}) for _ in range(2))
    ids = {response.headers["X-Correlation-Id"] for response in (first, second)}
    assert len(ids) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in ids)


def test_traceparent_is_echoed_and_logged(api_client):
    with capture_logs() as lines:
        response = api_client.get("/healthz", headers={"traceparent": TRACEPARENT})
    assert response.headers["traceparent"] == TRACEPARENT
    assert lines[-1]["trace_id"] == TRACEPARENT[3:35]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        TRACEPARENT.upper(),
        TRACEPARENT + "\t",
        "00-" + "0" * 32 + TRACEPARENT[35:],
        "ff" + TRACEPARENT[2:],
    ],
)
def test_a_bad_traceparent_is_dropped(api_client, text):
    with capture_logs() as lines:
        response = api_client.get("/healthz", headers={"traceparent": text})
    assert "traceparent" not in response.headers or response.headers["traceparent"] == text.strip() == TRACEPARENT
    assert lines[-1]["trace_id"] in (None, TRACEPARENT[3:35])


def test_the_log_line_names_the_route_and_not_the_address(api_client):
    with capture_logs() as lines:
        response = api_client.get("/audit/tile/0/x001/000?name=Anna", headers={"User-Agent": "Anna", "DPoP": "Anna"})
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["route"] == "/audit/tile/<int:level>/<path:index>"
    assert line["method"] == "GET"
    assert line["status"] == response.status_code == 404
    assert line["correlation_id"] == response.headers["X-Correlation-Id"]
    assert line["milliseconds"] >= 0
    assert "Anna" not in repr(lines)
    assert "x001" not in repr(lines)


def test_an_invented_method_is_not_logged(api_client):
    with capture_logs() as lines:
        api_client.open("/healthz", method="ANNA")
    assert "ANNA" not in repr(lines)


def test_there_is_no_session(api_app):
    assert api_app.secret_key is None
    assert not api_app.testing


def test_the_api_description_covers_every_resource(api_client):
    document = api_client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "https://exchange.example"}]
    tags = [tag["name"] for tag in document["tags"]]
    assert tags == [blueprint.name for blueprint in v1.blueprints()]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["responses"]["default"] == {"$ref": "#/components/responses/DEFAULT_ERROR"}, where
            assert [status for status in operation["responses"] if status != "default"], where
    error = document["components"]["responses"]["DEFAULT_ERROR"]
    assert list(error["content"]) == ["application/problem+json"]


def test_references_in_the_description_lead_somewhere(api_client):
    document = api_client.get("/openapi.json").json
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        target = document
        for part in reference.split("/"):
            assert part in target, reference
            target = target[part]


def test_the_pages_show_every_call_and_need_nothing_from_elsewhere(api_client):
    document = api_client.get("/openapi.json").json
    page = api_client.get("/docs")
    assert page.status_code == 200
    assert page.content_type == "text/html; charset=utf-8"
    for path in document["paths"]:
        assert path in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert set(re.findall(r'(?:src|href)="([^"#][^"]*)"', page.text)) == {
        "/docs/style.css",
        "/docs",
        "/docs/problems",
        "/openapi.json",
    }
    assert api_client.get("/docs/style.css").content_type.startswith("text/css")
    assert "style-src 'self'" in page.headers["Content-Security-Policy"]
    assert '<html lang="en">' in page.text
    ids = re.findall(r'id="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= set(ids)


def test_the_page_of_problems_explains_every_type(api_client):
    from api import problems

    page = api_client.get("/docs/problems")
    for problem in problems.all_problems():
        assert f'id="{problem.type}"' in page.text
        assert f"urn:cdx:problem:{problem.type}" in page.text


def test_descriptions_are_escaped():
    from api.docs_pages.prose import prose

    text = prose("Use `a<b>` or **no** <script>.\n\n1. one\n2. two & three")
    assert str(text) == (
        "<p>Use <code>a&lt;b&gt;</code> or <strong>no</strong> &lt;script&gt;.</p>\n"
        "<ol><li>one</li><li>two &amp; three</li></ol>"
    )


def test_every_resource_reads_bodies_strictly():
    for blueprint in v1.blueprints():
        assert isinstance(blueprint, Blueprint)
        assert isinstance(blueprint.ARGUMENTS_PARSER, StrictParser)


def test_a_redirect_is_no_problem(api_client):
    response = api_client.get("/docs/")
    assert response.status_code == 404
