"""The API's own description, used against it: it says things rightly, and nothing drawn from it breaks anything."""

import json
import shutil
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.http.v1.site import ALL_SCOPES

EXAMPLES = 8


@pytest.fixture(scope="module")
def lasting_url(tmp_path_factory, sqlite_template):
    """Most of what is drawn never reaches a database: the quick one does."""
    path = tmp_path_factory.mktemp("description") / "cdx.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def document(lasting):
    return lasting.http().get("/openapi.json").json


def every(name, value):
    """All values of a member, however deep."""
    if isinstance(value, dict):
        if name in value:
            yield value[name]
        for one in value.values():
            yield from every(name, one)
    elif isinstance(value, list):
        for one in value:
            yield from every(name, one)


SAMPLES = ["full_name", "in_range:0-30000", "en", "2026-11-02", "1762075800000.019bf2a2-0000-7000-8000-000000000000"]


def test_patterns_are_those_of_json_schema(document):
    """ECMA-262 knows no \\Z: a client generated from it would refuse whatever we take."""
    schema = pytest.importorskip("jsonschema_rs")
    patterns = {one for one in every("pattern", document) if isinstance(one, str)}
    assert patterns
    for pattern in patterns:
        assert "\\Z" not in pattern
        assert "\\A" not in pattern
        validator = schema.validator_for({"type": "string", "pattern": pattern})
        taken = [sample for sample in [*SAMPLES, "a-key-of-mine"] if validator.is_valid(sample)]
        assert taken, pattern
        assert not [sample for sample in taken if validator.is_valid(sample + "\n")], pattern


def test_a_call_that_asks_for_an_idempotency_key_says_so(document):
    key, prefer = document["paths"]["/v1/attribute-requests"]["post"]["parameters"]
    assert (key["in"], key["name"], key["required"]) == ("header", "Idempotency-Key", True)
    assert (prefer["in"], prefer["name"], prefer.get("required", False)) == ("header", "Prefer", False)


def operations(app, mode):
    schemathesis = pytest.importorskip("schemathesis")
    modes = pytest.importorskip("schemathesis.generation").GenerationMode
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    for result in schema.get_all_operations():
        operation = result.ok()
        yield operation, operation.as_strategy(generation_mode=modes[mode])


@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
def test_nothing_that_the_description_allows_or_forbids_breaks_anything(lasting, document, mode):
    agency, anna = lasting.agency(scope=" ".join(ALL_SCOPES)), lasting.citizen()
    statuses = set()
    for operation, cases in operations(lasting.app, mode):
        caller = anna if operation.path.startswith("/v1/me") else agency
        with suppress(Unsatisfiable):  # nothing can be wrong with a call that takes nothing
            draw(caller, operation, cases, statuses)
    # Drawn calls got further than the door.
    assert statuses >= ({200, 404, 422} if mode == "POSITIVE" else {404, 422})


def draw(caller, operation, cases, statuses):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def knock(case):
        answer = send(caller, operation, case)
        statuses.add(answer.status_code)
        where = f"{operation.method.upper()} {case.formatted_path}: {answer.text}"
        if operation.path != "/readyz":  # 503 is one of its answers, and no problem
            assert answer.status_code < 500, where
            assert answer.status_code < 400 or answer.content_type == "application/problem+json", where

    knock()


def send(caller, operation, case):
    sent = {"query_string": list((case.query or {}).items())}
    if type(case.body).__name__ != "NotSet":
        data = case.body if isinstance(case.body, bytes) else json.dumps(case.body)
        sent |= {"data": data, "content_type": "application/json"}
    key = str((case.headers or {}).get("Idempotency-Key", "a-key-of-the-tests"))
    key = key if key.isascii() and key.isprintable() else "none"
    return caller.call(operation.method.upper(), case.formatted_path, key=key, **sent)
