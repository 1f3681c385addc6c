"""Bad input to the main call: each fault is named, each with its own problem, and no value of a person comes back."""

import json
import secrets

import pytest

from exchange import agreements
from tests.house import PARKING
from tests.http.v1.canary import logged_nothing, refused, repeats_nothing, told
from tests.http.v1.site import NAME, asked

PATH = "/v1/attribute-requests"


@pytest.fixture(scope="module")
def client(lasting):
    return lasting.agency()


def ask(client, body):
    return logged_nothing(lambda: client.ask(body))


def send(client, data, content_type="application/json", **changes):
    """Exact bytes as the body."""
    return logged_nothing(
        lambda: client.post(PATH, key=secrets.token_hex(8), data=data, content_type=content_type, **changes)
    )


def line(**members):
    return {"attributes": [{"name": "full_name"} | members]}


CALLERS_FAULTS = [
    ({"attributes": [{"name": "shoe_size"}]}, 422, "unknown-attribute"),
    ({"attributes": [{"name": "full_name", "form": "at_least:18"}]}, 422, "unknown-form"),
    ({"attributes": [{"name": "full_name", "form": "at_least:99999999999999999999"}]}, 422, "unknown-form"),
    ({"attributes": [{"name": "full_name", "form": "VALUE"}]}, 422, "unknown-form"),
    ({"attributes": [*NAME, *NAME]}, 422, "duplicate-line"),
    ({"attributes": [{"name": "bank_account", "form": "equals"}]}, 422, "compare-to-missing"),
    ({"attributes": [{"name": "full_name", "compare_to": "canary-name-1"}]}, 422, "compare-to-unexpected"),
    ({"attributes": [{"name": "birth_date", "form": "equals", "compare_to": "x"}]}, 403, "equals-not-admitted"),
    ({"attributes": [{"name": "annual_income"}]}, 403, "outside-agreement"),
    ({"attributes": [{"name": "birth_date", "form": "at_least:17"}]}, 403, "outside-agreement"),
    ({"purpose": "no_such_purpose"}, 422, "unknown-purpose"),
    ({"purpose": "resident_parking"}, 403, "purpose-outside-agreement"),
    ({"agreement": "no-such-agreement"}, 422, "unknown-agreement"),
    ({"agreement": "resident-parking"}, 422, "unknown-agreement"),  # somebody else's
]


@pytest.mark.parametrize(("change", "status", "slug"), CALLERS_FAULTS, ids=lambda value: str(value)[:60])
def test_a_fault_of_the_caller_is_named(client, change, status, slug):
    problem = refused(ask(client, told(**change)), status, slug)
    assert "canary-name-1" not in str(problem)
    names = [one["name"] for one in change.get("attributes", [])]
    # The faults of a line name the attribute, which is the catalogue's word and nobody's value.
    assert all(name in problem["detail"] for name in names)


def test_an_agreement_that_ran_out_is_not_in_force(site):
    parking = site.agency(PARKING)
    body = told(agreement="resident-parking", purpose="resident_parking", attributes=[{"name": "full_name"}])
    agreements.end(site.exchange, "resident-parking", by="officer-a", now=site.clock())
    refused(ask(parking, body), 403, "agreement-not-in-force")
    agency = site.agency()
    site.clock.move(days=365 * 5)
    refused(ask(agency, told()), 403, "agreement-not-in-force")


LONG = "x" * 257
NUL, RTL, BELL = "a\x00b", "\u202eabc", "a\x07b"
MALFORMED = [
    ({"subject": None}, "/subject"),
    ({"subject": "VAL-1"}, "/subject"),
    ({"subject": {}}, "/subject/scheme"),
    ({"subject": {"scheme": "national-id"}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": 7}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": None}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": ""}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": LONG}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": NUL}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": "---"}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": " \u00a0\u2003"}}, "/subject/id"),
    ({"subject": {"scheme": "national-id", "id": "\u200b\u202e\ufeff"}}, "/subject/id"),
    ({"subject": {"scheme": "sub", "id": "-"}}, "/subject/id"),
    ({"subject": {"scheme": "national id", "id": "x"}}, "/subject/scheme"),
    ({"subject": {"scheme": "x" * 65, "id": "x"}}, "/subject/scheme"),
    ({"subject": {"scheme": "id\n", "id": "x"}}, "/subject/scheme"),
    ({"subject": {"scheme": "national-id", "id": "x", "name": "Anna"}}, "/subject/name"),
    ({"agreement": 1}, "/agreement"),
    ({"agreement": ["housing-benefit"]}, "/agreement"),
    ({"agreement": LONG}, "/agreement"),
    ({"agreement": NUL}, "/agreement"),
    ({"purpose": None}, "/purpose"),
    ({"purpose": ""}, "/purpose"),
    ({"purpose": BELL}, "/purpose"),
    ({"attributes": []}, "/attributes"),
    ({"attributes": None}, "/attributes"),
    ({"attributes": {}}, "/attributes"),
    ({"attributes": "full_name"}, "/attributes"),
    ({"attributes": ["full_name"]}, "/attributes/0"),
    ({"attributes": [[]]}, "/attributes/0"),
    ({"attributes": NAME * 65}, "/attributes"),
    (line(name=None), "/attributes/0/name"),
    (line(name="full name"), "/attributes/0/name"),
    (line(name="1name"), "/attributes/0/name"),
    (line(name="full_name\n"), "/attributes/0/name"),
    (line(name="náme"), "/attributes/0/name"),
    (line(form=""), "/attributes/0/form"),
    (line(form=7), "/attributes/0/form"),
    (line(form="value;drop"), "/attributes/0/form"),
    (line(required="true"), "/attributes/0/required"),
    (line(required="yes"), "/attributes/0/required"),
    (line(required=1), "/attributes/0/required"),
    (line(required=0), "/attributes/0/required"),
    (line(required=None), "/attributes/0/required"),
    (line(required=[]), "/attributes/0/required"),
    (line(compare_to=NUL), "/attributes/0/compare_to"),
    (line(value="x"), "/attributes/0/value"),
    ({"acting_officer": None}, "/acting_officer"),
    ({"acting_officer": {"id": "o"}}, "/acting_officer/role"),
    ({"acting_officer": {"id": "o", "role": ""}}, "/acting_officer/role"),
    ({"acting_officer": {"id": NUL, "role": "r"}}, "/acting_officer/id"),
    ({"acting_officer": {"id": True, "role": "r"}}, "/acting_officer/id"),
    ({"case_reference": 42}, "/case_reference"),
    ({"case_reference": "a\nb"}, "/case_reference"),
    ({"case_reference": LONG}, "/case_reference"),
    ({"message": None}, "/message"),
    ({"message": ""}, "/message"),
    ({"message": LONG}, "/message"),
    ({"message": "a\tb"}, "/message"),
    ({"extra": 1}, "/extra"),
    ({"__proto__": {"admin": True}}, "/__proto__"),
]


@pytest.mark.parametrize(("change", "where"), MALFORMED, ids=lambda value: ascii(value)[:60])
def test_a_member_that_is_not_valid_is_named(client, change, where):
    refused(ask(client, told(**change)), 422, "invalid-request", where)


@pytest.mark.parametrize("member", list(asked()))
def test_a_member_that_is_missing_is_named(client, member):
    body = told()
    del body[member]
    refused(ask(client, body), 422, "invalid-request", f"/{member}")


def nested(depth):
    return '{"subject":' * depth + "1" + "}" * depth


def text(**changes):
    """The JSON of a good request with members appended as they are written."""
    members = {name: json.dumps(value) for name, value in told().items()} | changes
    return "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"


NO_JSON = [
    (b"", "not valid"),
    (b" ", "not valid"),
    (b"{", "not valid"),
    (b"\x00", "not valid"),
    (text().encode() + b"x", "not valid"),
    (text().encode() + b"{}", "not valid"),
    (text().encode("utf-16"), "not valid"),
    (b"\xef\xbb\xbf" + text().encode(), "not valid"),
    (text(message='"caf\xe9"').encode("latin-1"), "not valid"),
    (text(message="'single'").encode(), "not valid"),
    (text(message='"a\nb"').encode(), "not valid"),
    (text()[:-1].encode() + b',"purpose":"other"}', "duplicate"),
    (text(subject='{"scheme":"national-id","id":"1","id":"2"}').encode(), "duplicate"),
    (text(message='"\\ud800"').encode(), "surrogate"),
    (text(message='"\\udc00\\ud800"').encode(), "surrogate"),
    (text(**{"\\ud800": "1"}).encode(), "surrogate"),
    (text(message="1.0").encode(), "number"),
    (text(message="1e3").encode(), "number"),
    (text(message="NaN").encode(), "number"),
    (text(message="-Infinity").encode(), "number"),
    (text(message="9007199254740992").encode(), "53 bits"),
    (text(message="9" * 10_000).encode(), "53 bits"),
    (nested(17).encode(), "nested"),
    (b"[" * 100_000 + b"]" * 100_000, ""),
    (b'{"a":' * 40_000, ""),
]


@pytest.mark.parametrize(("body", "why"), NO_JSON, ids=lambda value: ascii(value)[:40])
def test_a_body_that_is_no_json_or_more_than_one(client, body, why):
    problem = refused(send(client, body), 400, "malformed-body")
    assert why in problem["detail"]


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"7", b"true"])
def test_a_body_that_is_no_object(client, body):
    refused(send(client, body), 422, "invalid-request")


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/merge-patch+json",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
    ],
)
def test_another_content_type(client, content_type):
    answer = send(client, text(), content_type)
    refused(answer, 415, "unsupported-media-type")
    assert answer.headers["Accept"] == "application/json"


def test_a_body_that_is_too_large(lasting, client):
    limit = lasting.house.services.config.max_body_bytes
    refused(send(client, text() + " " * limit), 413, "body-too-large")
    repeats_nothing(send(client, text(message='"' + "x" * (limit // 2) + '"')))


@pytest.mark.parametrize("key", [None, "", "short77", "k" * 129, "with a space", "tab\tin it", "k\u00e9y-with-more"])
def test_an_idempotency_key_is_8_to_128_visible_characters(client, key):
    answer = logged_nothing(lambda: client.post(PATH, told(), key=key))
    problem = refused(answer, 422, "invalid-request")
    assert "Idempotency-Key" in problem["detail"]
    assert not key or key not in answer.text


def test_one_idempotency_key_and_not_two(client):
    token = client.current()
    headers = [
        ("Authorization", f"DPoP {token}"),
        ("DPoP", client.proof_for("POST", PATH, token=token)),
        ("Idempotency-Key", "first-key-1"),
        ("Idempotency-Key", "second-key-2"),
    ]
    answer = logged_nothing(lambda: client.http.post(PATH, json=told(), headers=headers))
    assert "Idempotency-Key" in refused(answer, 422, "invalid-request")["detail"]


@pytest.mark.parametrize("key", ["k" * 8, "k" * 128, "!~:/?#[]@'\"\\<>"])
def test_any_visible_key_will_do(client, key):
    assert client.ask(asked(), key=key + secrets.token_hex(2) if len(key) < 100 else key).status_code == 202


TEXTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}} ${7*7} %s %n",
    "'; DROP TABLE consent; --",
    "\u202egnihtemos\u202c",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f600" * 256,
    "e" + "\u0301" * 255,
    "\\ud800 \\u0000",
    "\u0085\u2028\u2029",
]


@pytest.mark.parametrize("message", TEXTS, ids=lambda value: ascii(value)[:30])
def test_a_message_is_text_and_comes_to_the_person_as_it_was_written(lasting, client, message):
    asking = client.ask(asked(message=message, case_reference=message))
    assert asking.status_code == 202, asking.text
    shown = lasting.citizen().get("/v1/me/requests")
    assert shown.content_type == "application/json"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    [mine] = [one for one in shown.json["requests"] if one["id"] == asking.json["id"]]
    assert (mine["message"], mine["case_reference"]) == (message, message)


@pytest.mark.parametrize("identifier", ["x" * 256, "\U0001f600" * 256, "\ufdfa" * 256, "' OR '1'='1", "%", "\u202eabc"])
def test_an_identifier_of_nobody_waits_like_any_other(client, identifier):
    answer = client.ask(asked(identifier))
    assert answer.status_code == 202, answer.text
    repeats_nothing(answer, identifier)


@pytest.mark.parametrize("pseudonym", ["x" * 256, "\U0001f600" * 256, "' OR '1'='1", "%"])
def test_a_pseudonym_of_nobody_waits_like_any_other(client, pseudonym):
    answer = client.ask(asked(subject={"scheme": "sub", "id": pseudonym}))
    assert answer.status_code == 202, answer.text
