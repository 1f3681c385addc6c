"""The fast lane and the framework behind it answer alike: status, headers, body, log line; good and bad."""

import json
import re
import secrets
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from api import fast_lane
from tests.http.v1.site import ANNA, BEN, NAME, NOBODY, asked
from tests.properties.api.test_prepared_schema import GONE, VALUES

PATH = "/v1/attribute-requests"
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAKES_ITS_OWN = {"response", "receipt", "reference"}  # of an answer: sealed or random each time
LATER = {"milliseconds", "correlation_id"}


class Ways:
    """One application, by the lane and past it."""

    def __init__(self, site):
        self.site = site
        self.agency = site.agency()
        self.lane = site.app.wsgi_app
        assert isinstance(self.lane, fast_lane.FastLane)
        self.reached = 0  # how often the framework was asked
        self.framework = self.lane._framework
        self.lane._framework = self.count
        site.consented(self.agency, ANNA)

    def count(self, environ, start_response):
        self.reached += 1
        return self.framework(environ, start_response)

    def both(self, send):
        """What ``send`` gets by the lane, having seen that the framework's own answer is the same."""
        told = []
        for way in (self.lane, self.framework):
            self.site.app.wsgi_app = way
            with capture_logs() as lines:
                answer = send()
            told.append((answer, comparable(answer), [without_times(line) for line in lines]))
        self.site.app.wsgi_app = self.lane
        (answer, *by_lane), (_, *by_framework) = told
        assert by_lane == by_framework
        return answer

    def ask(self, body, **changes):
        return self.both(lambda: self.agency.ask(body, **changes))

    def send(self, data=None, headers=None, path=PATH, method="POST", **changes):
        """A request with headers as given; None leaves one out."""

        def send():
            token = self.agency.current()
            own = {
                "Authorization": f"DPoP {token}",
                "DPoP": self.agency.proof_for("POST", PATH, token=token),
                "Idempotency-Key": secrets.token_hex(8),
                "Content-Type": "application/json",
            }
            given = {name: text for name, text in (own | (headers or {})).items() if text is not None}
            body = json.dumps(asked(attributes=NAME)) if data is None else data
            return self.agency.http.open(path, method=method, data=body, headers=given, **changes)

        return self.both(send)


def comparable(answer):
    """Status, headers and body, without what is new each time."""
    headers = sorted((name, UUID.sub("…", text)) for name, text in answer.headers if name != "X-Correlation-Id")
    assert len(answer.headers["X-Correlation-Id"]) == 32
    if answer.is_json or answer.mimetype.endswith("+json"):
        assert answer.text.endswith("}\n") or answer.mimetype != "application/json"
        body = {
            name: "…" if name in MAKES_ITS_OWN or name == "correlation_id" else UUID.sub("…", json.dumps(value))
            for name, value in answer.json.items()
        }
        return answer.status_code, headers, list(body.items())
    return answer.status_code, headers, answer.text


def without_times(line):
    return {name: text for name, text in line.items() if name not in LATER}


@pytest.fixture(scope="module")
def ways(lasting):
    return Ways(lasting)


def test_a_released_answer_never_reaches_the_framework(ways):
    ways.agency.current()
    before = ways.reached
    answer = ways.ask(asked(attributes=NAME))
    assert ways.reached == before
    assert (answer.status_code, answer.json["state"]) == (200, "released")
    assert ways.agency.open(answer.json["response"])["attributes"][0]["value"] == "Anna Example"


@pytest.mark.parametrize("who", [BEN.id, NOBODY], ids=["silent", "unknown"])
def test_whoever_has_to_wait(ways, who):
    assert ways.ask(asked(who, attributes=NAME)).status_code == 202


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"purpose": "no_such_purpose"}, 422),
        ({"agreement": "no-such-agreement"}, 422),
        ({"agreement": "resident-parking"}, 422),
        ({"attributes": [{"name": "annual_income"}]}, 403),
        ({"attributes": [*NAME, *NAME]}, 422),
    ],
)
def test_refusals(ways, members, status):
    assert ways.ask(asked(**members)).status_code == status


def test_a_proof_is_good_once_whichever_way_it_came(ways):
    token = ways.agency.current()
    proof = ways.agency.proof_for("POST", PATH, token=token)
    assert ways.agency.ask(asked(attributes=NAME), token=token, proof=proof).status_code == 200
    refused = ways.ask(asked(attributes=NAME), token=token, proof=proof)
    assert refused.status_code == 401
    assert "used before" in refused.headers["WWW-Authenticate"]


def test_a_key_has_one_effect_whichever_way_it_came(ways):
    body, key = asked(attributes=NAME), secrets.token_hex(8)
    first = ways.agency.ask(body, key=key).json["id"]
    assert ways.ask(body, key=key).json["id"] == first
    assert ways.ask(asked(attributes=NAME, case_reference="other"), key=key).status_code == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": "DPoP x"}, 401),
        ({"Authorization": "DPoP a, DPoP b"}, 400),
        ({"DPoP": None}, 401),
        ({"DPoP": "x.y.z"}, 401),
        ({"DPoP": "x,y"}, 401),
        ({"Idempotency-Key": None}, 422),
        ({"Idempotency-Key": "short"}, 422),
        ({"Idempotency-Key": "with a space"}, 422),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Type": "Application/JSON"}, 200),
        ({"Content-Type": None}, 415),
        ({"Host": "elsewhere.example"}, 200),
        ({"Accept": "text/html"}, 200),
        ({"Prefer": "wait=0"}, 200),
        ({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}, 200),
        ({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\u00e9"}, 200),
        ({"traceparent": "00-00000000000000000000000000000000-00f067aa0ba902b7-01"}, 200),
        ({"X-Forwarded-For": "10.1.2.3"}, 200),
        ({"X-HTTP-Method-Override": "DELETE"}, 200),
        ({"Cookie": "session=x"}, 200),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"cdx.asked": "x"}, 200),
    ],
    ids=str,
)
def test_headers(ways, headers, status):
    assert ways.send(headers=headers).status_code == status


def test_a_scheme_has_no_case_and_spaces_do_not_count(ways):
    token = ways.agency.current()
    for text in (f"dpop {token}", f"DPoP  {token} "):
        assert ways.send(headers={"Authorization": text}).status_code == 200


def test_a_token_without_the_scope_and_a_citizens_token(ways):
    other = ways.site.agency(scope="catalogue:read")
    anna = ways.site.citizen()
    assert other.current() != anna.current()
    assert ways.both(lambda: other.ask(asked())).status_code == 403
    key = secrets.token_hex(8)
    assert ways.both(lambda: anna.post(PATH, asked(), key=key)).status_code == 403


def test_a_proof_for_another_key_or_call(ways):
    other = ways.site.agency()
    token = ways.agency.current()
    assert ways.ask(asked(), proof=other.proof_for("POST", PATH, token=token)).status_code == 401
    assert ways.ask(asked(), proof=ways.agency.proof_for("GET", PATH, token=token)).status_code == 401
    assert ways.ask(asked(), proof=ways.agency.proof_for("POST", PATH + "/", token=token)).status_code == 401


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 422),
        (b"null", 422),
        (b'{"subject":1,"subject":2}', 400),
        (b"[" * 17 + b"]" * 17, 400),
        (b"\xef\xbb\xbf{}", 400),
        (b"\xff", 400),
        (json.dumps(asked(attributes=NAME)).encode("utf-16"), 400),
    ],
    ids=lambda value: str(value)[:20],
)
def test_bodies(ways, data, status):
    assert ways.send(data).status_code == status


def test_a_body_that_is_too_large(ways):
    limit = ways.site.house.services.config.max_body_bytes
    text = json.dumps(asked(attributes=NAME))
    assert ways.send(text.ljust(limit)).status_code == 200
    assert ways.send(text.ljust(limit + 1)).status_code == 413


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (PATH + "?x=1", "POST"),
        (PATH + "?access_token=x", "POST"),
        (PATH + "/", "POST"),
        (PATH, "PUT"),
        (PATH, "GET"),
        ("/v1/attribute%2Drequests", "POST"),
    ],
)
def test_addresses_and_methods(ways, path, method):
    ways.send(path=path, method=method)


def test_a_body_that_ends_early(ways):
    body = json.dumps(asked(attributes=NAME))
    assert ways.send(body, environ_overrides={"CONTENT_LENGTH": str(len(body) + 2)}).status_code == 400


PLACES = [
    ("subject",),
    ("subject", "scheme"),
    ("subject", "id"),
    ("agreement",),
    ("purpose",),
    ("attributes",),
    ("attributes", 0),
    ("attributes", 0, "name"),
    ("attributes", 0, "form"),
    ("attributes", 0, "required"),
    ("attributes", 0, "compare_to"),
    ("acting_officer", "id"),
    ("case_reference",),
    ("message",),
    ("unknown",),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(PLACES), value=VALUES | st.just(GONE))
def test_any_body(ways, place, value):
    body = deepcopy(asked(attributes=NAME))
    inner = body
    for step in place[:-1]:
        inner = inner[step]
    if value is not GONE:
        inner[place[-1]] = value
    elif place[-1] in inner or isinstance(inner, list):
        del inner[place[-1]]
    assert ways.ask(body).status_code < 500


def test_a_log_that_is_behind_is_told_alike(site):
    """An error of the use case, after the lane has run it: the framework answers."""
    ways = Ways(site)
    pressure = site.exchange.pressure
    pressure._fault, pressure._looked_at = "the log is behind", site.clock()
    behind = ways.ask(asked(attributes=NAME))
    assert (behind.status_code, behind.headers["Retry-After"]) == (503, "5")
