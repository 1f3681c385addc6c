"""Every failure is a problem of the table; none says more than it may."""

import importlib
import inspect
import json
import pkgutil
import shutil

import flask
import pytest
from marshmallow import Schema, fields
from structlog.testing import capture_logs

import consent
import crypto
import exchange
from api import problems
from api.body import Blueprint
from consent.errors import ConsentError, IllegalTransitionError
from crypto.errors import CryptoError, DecryptionError
from exchange.errors import (
    AuditUnavailableError,
    DatabaseError,
    ExchangeError,
    SubjectErasedError,
    UnknownRequestError,
    UnknownSubjectError,
)
from exchange.policy import DenyReason

SECRET = "19840229-1234"
MEDIA_TYPE = "application/problem+json"


@pytest.fixture
def database_url(sqlite_template, tmp_path):
    """Nothing here depends on the database: the quick one does."""
    shutil.copyfile(sqlite_template, tmp_path / "cdx.db")
    return f"sqlite:///{tmp_path / 'cdx.db'}"


def all_errors():
    for package in (crypto, consent, exchange):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    found = set()
    waiting = [CryptoError, ConsentError, ExchangeError]
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting += error.__subclasses__()
    return {error for error in found if not error.__module__.startswith("tests.")}


def test_every_error_of_the_house_has_its_row():
    missing = {f"{error.__module__}.{error.__qualname__}" for error in all_errors() - problems.ERRORS.keys()}
    assert not missing, "add a row to api.problems.ERRORS"


def test_every_refusal_has_its_row():
    assert problems.DENIALS.keys() == set(DenyReason)


def test_a_slug_means_one_thing():
    rows = [*problems.ERRORS.values(), *problems.DENIALS.values(), *problems.STATUSES.values()]
    by_slug = {row.type: row for row in rows}
    assert all(by_slug[row.type] == row for row in rows)
    assert {row.type for row in rows} <= {row.type for row in problems.all_problems()}


def test_everything_about_the_person_is_one_answer():
    about = {problems.DENIALS[reason] for reason in DenyReason if not reason.is_callers_fault}
    assert about == {problems.NOT_PERMITTED}
    assert problems.ERRORS[UnknownSubjectError] == problems.ERRORS[SubjectErasedError] == problems.NOT_PERMITTED
    assert not problems.NOT_PERMITTED.explains


def test_faults_of_ours_never_explain():
    rows = [*problems.ERRORS.values(), *problems.DENIALS.values(), *problems.STATUSES.values()]
    assert not [row for row in rows if row.status >= 500 and row.explains]


class Inner(Schema):
    name = fields.String(required=True)


class Outer(Schema):
    number = fields.Integer(required=True, strict=True)
    lines = fields.List(fields.Nested(Inner), required=True)


class Query(Schema):
    limit = fields.Integer()


@pytest.fixture
def app(api_app):
    blueprint = Blueprint("probe", __name__, url_prefix="/probe")

    @blueprint.route("/echo", methods=["POST"])
    @blueprint.arguments(Outer)
    def echo(body):
        return flask.jsonify(body)

    @blueprint.route("/search")
    @blueprint.arguments(Query, location="query")
    def search(query):
        return flask.jsonify(query)

    @blueprint.route("/raise/<name>")
    def fail(name):
        raise RAISED[name]

    api_app.register_blueprint(blueprint)
    return api_app


RAISED = {
    "foreign": RuntimeError(f"no such person: {SECRET}"),
    "crypto": DecryptionError(),
    "database": DatabaseError(f"refused {SECRET}"),
    "audit": AuditUnavailableError("64 entries wait"),
    "unknown": UnknownRequestError("no request 7"),
    "subject": UnknownSubjectError(f"nobody is {SECRET}"),
    "transition": IllegalTransitionError(from_status="GIVEN", action="GIVEN", to_status="GIVEN", actor_kind="subject"),
}


@pytest.fixture
def client(app):
    return app.test_client()


def post(client, body, content_type="application/json"):
    return client.post("/probe/echo", data=body, content_type=content_type)


def errors_of(response):
    return {(error.get("pointer", error.get("parameter"))) for error in response.json["errors"]}


VALID = '{"number": 1, "lines": [{"name": "a"}]}'


def test_a_good_body_passes(client):
    response = post(client, VALID)
    assert response.status_code == 200
    assert response.json == {"number": 1, "lines": [{"name": "a"}]}


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_content_types_that_are_taken(client, content_type):
    assert post(client, VALID, content_type).status_code == 200


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", ""]
)
def test_other_content_types(client, content_type):
    response = post(client, VALID, content_type)
    assert response.status_code == 415
    assert response.content_type == MEDIA_TYPE
    assert response.headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not valid"),
        (b"{", "not valid"),
        (b'{"number": 1, "number": 2, "lines": []}', "duplicate"),
        (b'{"number": NaN, "lines": []}', "not allowed"),
        (b'{"number": 1e400, "lines": []}', "not allowed"),
        (b'{"number": 1.5, "lines": []}', "not allowed"),
        (b'{"number": 9007199254740993, "lines": []}', "53 bits"),
        (b'\xef\xbb\xbf{"number": 1, "lines": []}', "not valid"),
        (b"\xff\xfe", "not valid"),
        (b'"\\ud800"', ""),
        (b"[" * 100_000 + b"]" * 100_000, ""),
        (b'{"lines":' * 17 + b"1" + b"}" * 17, "nested"),
    ],
)
def test_json_that_is_none_or_two(client, body, why):
    response = post(client, body)
    assert response.status_code == 400, response.json
    assert response.content_type == MEDIA_TYPE
    assert response.json["type"] == "urn:cdx:problem:malformed-body"
    assert why in response.json["detail"]


def test_members_are_named_and_values_are_not(client):
    body = {"number": SECRET, "lines": [{"name": SECRET}, {"nome": SECRET}], SECRET[:0] + "extra": SECRET}
    response = post(client, json.dumps(body))
    assert response.status_code == 422
    assert response.content_type == MEDIA_TYPE
    assert errors_of(response) == {"/number", "/lines/1/name", "/lines/1/nome", "/extra"}
    assert SECRET not in response.text


def test_names_of_unknown_members_are_short_and_escaped(client):
    body = {"number": 1, "lines": [], "a/b~c": 1, "x" * 500: 1, "line\nbreak": 1}
    response = post(client, json.dumps(body))
    assert errors_of(response) == {"/a~1b~0c", "/" + "x" * 64, "/line?break"}


@pytest.mark.parametrize("body", ["[]", '"text"', "null", "3"])
def test_a_body_that_is_no_object(client, body):
    response = post(client, body)
    assert response.status_code == 422
    assert response.content_type == MEDIA_TYPE


def test_unknown_query_parameters_are_refused(client):
    assert client.get("/probe/search?limit=3").json == {"limit": 3}
    response = client.get(f"/probe/search?limit={SECRET}&lmit=4")
    assert response.status_code == 422
    assert errors_of(response) == {"limit", "lmit"}
    assert SECRET not in response.text


def test_too_large(client, services):
    response = post(client, b" " * (services.config.max_body_bytes + 1))
    assert response.status_code == 413
    assert response.content_type == MEDIA_TYPE


def test_unknown_addresses_and_methods(client):
    missing = client.get("/nowhere/19840229-1234")
    assert (missing.status_code, missing.json["type"]) == (404, "urn:cdx:problem:not-found")
    assert SECRET not in missing.text
    wrong = client.delete("/probe/echo")
    assert (wrong.status_code, wrong.json["type"]) == (405, "urn:cdx:problem:method-not-allowed")
    assert set(wrong.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("name", "status", "slug"),
    [
        ("foreign", 500, "internal-error"),
        ("crypto", 500, "internal-error"),
        ("database", 503, "database-error"),
        ("audit", 503, "audit-unavailable"),
        ("unknown", 404, "unknown-request"),
        ("subject", 403, "not-permitted"),
        ("transition", 409, "illegal-consent-transition"),
    ],
)
def test_errors_become_their_problem(client, name, status, slug):
    with capture_logs() as lines:
        response = client.get(f"/probe/raise/{name}")
    assert response.status_code == response.json["status"] == status
    assert response.content_type == MEDIA_TYPE
    assert response.json["type"] == f"urn:cdx:problem:{slug}"
    assert response.json["correlation_id"] == response.headers["X-Correlation-Id"]
    assert ("detail" in response.json) == (name in ("unknown", "transition"))
    assert ("Retry-After" in response.headers) == (status == 503)
    assert SECRET not in response.text
    # The log tells where, and names no value either.
    failures = [line for line in lines if line["event"] == "failed"]
    assert len(failures) == (1 if status >= 500 else 0)
    assert SECRET not in repr(lines)
    if failures:
        assert "fail:" in repr(failures[0]["error"])


def test_a_cause_is_followed_in_the_log(client):
    RAISED["caused"] = DatabaseError("refused")
    RAISED["caused"].__cause__ = ValueError(SECRET)
    with capture_logs() as lines:
        client.get("/probe/raise/caused")
    (failure,) = [line for line in lines if line["event"] == "failed"]
    assert "ValueError" in repr(failure["error"])
    assert SECRET not in repr(lines)


@pytest.mark.parametrize("reason", list(DenyReason))
def test_refusals(api_app, reason):
    with api_app.test_request_context():
        response = problems.refused(reason)
    body = json.loads(response.get_data())
    assert response.status_code in (403, 422)
    assert "detail" not in body
    if not reason.is_callers_fault:
        assert (body["type"], body["status"]) == ("urn:cdx:problem:not-permitted", 403)
        assert reason.value not in response.get_data(as_text=True)


def test_the_table_mentions_no_status_in_the_domain():
    """Only this package knows HTTP: an error of the house has no status of its own."""
    for error in all_errors():
        assert not [name for name, _ in inspect.getmembers(error) if name in ("status", "status_code", "http_status")]
