"""Bad input to a person's own calls and to a provider's writes, and addresses and methods that there are not."""

import json

import pytest

from tests.http.v1.canary import SUBJECT, VALUES, logged_nothing, refused, repeats_nothing
from tests.http.v1.site import LINES, NAME, asked, plain

LONG = "x" * 129
UUID = "019bf2a2-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def agency(lasting):
    return lasting.agency()


@pytest.fixture(scope="module")
def anna(lasting):
    return lasting.citizen()


@pytest.fixture(scope="module")
def question(agency):
    """A request that stays undecided, whatever is sent."""
    return agency.ask(asked()).json["id"]


FAULTS = [
    ({"decision": None}, "/decision"),
    ({"decision": "ALLOW"}, "/decision"),
    ({"decision": True}, "/decision"),
    ({"language": "English"}, "/language"),
    ({"language": "en\n"}, "/language"),
    ({"language": 7}, "/language"),
    ({"notice_version": ""}, "/notice_version"),
    ({"notice_version": LONG}, "/notice_version"),
    ({"attributes": []}, "/attributes"),
    ({"attributes": None}, "/attributes"),
    ({"attributes": ["full_name"]}, "/attributes/0"),
    ({"attributes": [{"name": "full name"}]}, "/attributes/0/name"),
    ({"attributes": [{"name": "full_name", "required": True}]}, "/attributes/0/required"),
    ({"uses": 0}, "/uses"),
    ({"uses": -1}, "/uses"),
    ({"uses": "1"}, "/uses"),
    ({"uses": True}, "/uses"),
    ({"uses": None}, "/uses"),
    ({"uses": [1]}, "/uses"),
    ({"valid_until": "tomorrow"}, "/valid_until"),
    ({"valid_until": "2026-12-01T00:00:00"}, "/valid_until"),
    ({"valid_until": "2026-13-01T00:00:00Z"}, "/valid_until"),
    ({"valid_until": "2026-12-01T00:00:00+99:00"}, "/valid_until"),
    ({"valid_until": "0001-01-01T00:00:00+23:59"}, "/valid_until"),
    ({"valid_until": "9999-12-31T23:59:59-23:59"}, "/valid_until"),
    ({"valid_until": "10000-01-01T00:00:00Z"}, "/valid_until"),
    ({"valid_until": 1796083200}, "/valid_until"),
    ({"valid_until": None}, "/valid_until"),
    ({"reason": "because"}, "/reason"),
    ({"decision": "refuse", "attributes": plain(LINES)}, "/attributes"),
]


@pytest.mark.parametrize(("change", "where"), FAULTS, ids=lambda value: str(value)[:60])
def test_a_decision_that_is_not_valid_decides_nothing(anna, question, change, where):
    members = {"attributes": plain(LINES)} | change
    refused(logged_nothing(lambda: anna.decide(question, **members)), 422, "invalid-request", where)
    assert question in {one["id"] for one in anna.get("/v1/me/requests").json["requests"]}


NOT_OFFERED = [
    ({"notice_version": "1999"}, 422, "unknown-notice"),
    ({"notice_version": "a\x00b"}, 422, "unknown-notice"),
    ({"language": "xx"}, 422, "unknown-notice"),
    ({"attributes": NAME}, 422, "consent-scope"),  # required ones left out
    ({"attributes": [*plain(LINES), {"name": "annual_income"}]}, 422, "consent-scope"),  # a stronger form
    ({"attributes": [*plain(LINES), {"name": "shoe_size"}]}, 422, "consent-scope"),
    ({"attributes": [{"name": f"n{number}"} for number in range(4000)]}, 422, "consent-scope"),
    ({"valid_until": "1970-01-01T00:00:00Z"}, 422, "consent-scope"),
    ({"valid_until": "9999-12-31T23:59:59Z"}, 422, "consent-scope"),
]


@pytest.mark.parametrize(("change", "status", "slug"), NOT_OFFERED, ids=lambda value: str(value)[:60])
def test_what_was_not_offered_cannot_be_decided(anna, question, change, status, slug):
    refused(anna.decide(question, **({"attributes": plain(LINES)} | change)), status, slug)
    assert question in {one["id"] for one in anna.get("/v1/me/requests").json["requests"]}


@pytest.mark.parametrize("uses", [2**31 - 1, 2**31, 2**53 - 1])
def test_any_number_of_uses_is_kept_or_refused(site, uses):
    """A column of 32 bits is one thing, a number in JSON another."""
    request_id = site.agency().ask(asked()).json["id"]
    answer = site.citizen().decide(request_id, attributes=plain(LINES), uses=uses)
    assert answer.status_code in (200, 422), answer.text
    [consent] = site.citizen().get("/v1/me/consents").json["consents"]
    assert consent["status"] == ("GIVEN" if answer.status_code == 200 else "REQUESTED")
    assert consent["uses_left"] == (uses if answer.status_code == 200 else None)


def test_a_line_that_is_chosen_twice_is_chosen_once(site):
    agency = site.agency()
    request_id = agency.ask(asked()).json["id"]
    answer = site.citizen().decide(request_id, attributes=plain(LINES) * 2)
    assert (answer.status_code, answer.json["status"]) == (200, "GIVEN")
    [consent] = site.citizen().get("/v1/me/consents").json["consents"]
    assert len(consent["attributes"]) == len(LINES)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"decision":"allow","decision":"refuse"}', b"{"])
def test_a_decision_in_no_json_decides_nothing(anna, question, body):
    path = f"/v1/me/requests/{question}/decision"
    answer = anna.call("POST", path, data=body, content_type="application/json")
    assert answer.status_code in (400, 422), answer.text
    assert answer.content_type == "application/problem+json"
    assert question in {one["id"] for one in anna.get("/v1/me/requests").json["requests"]}


# Writes of a provider


@pytest.fixture(scope="module")
def register(lasting):
    return lasting.agency("population-register", scope="attributes:write")


def write(register, value, **subject):
    record = {"subject": {"scheme": "national-id", "id": SUBJECT} | subject, "attributes": [value]}
    return logged_nothing(lambda: register.call("PUT", "/v1/subjects/attributes", record))


SECRET = VALUES["message"]
VALUE_FAULTS = [
    ({"name": "full_name", "value": None}, "invalid-request"),
    ({"name": "full_name"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "code": SECRET}, "invalid-request"),
    ({"name": "full_name", "code": SECRET}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "state": "absent"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "state": "gone"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "assurance": "HIGH"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "last_updated": "1.1.2026"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "last_updated": "2026-01-01\n"}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "colour": SECRET}, "invalid-request"),
    ({"name": "full_name", "value": SECRET, "last_updated": "2026-02-31"}, "invalid-record"),
    ({"name": "full_name", "value": {}}, "invalid-record"),
    ({"name": "full_name", "value": [SECRET]}, "invalid-record"),
    ({"name": "full_name", "value": {"a": {"b": {"c": SECRET}}}}, "invalid-record"),
    ({"name": "full_name", "value": 7}, "invalid-record"),
    ({"name": "full_name", "value": ""}, "invalid-record"),
    ({"name": "full_name", "value": SECRET + "\x00"}, "invalid-record"),
    ({"name": "full_name", "value": SECRET * 300}, "invalid-record"),
    ({"name": "full_name", "code": SECRET, "label": SECRET}, "invalid-record"),
    ({"name": "sex", "code": SECRET, "label": "\x00"}, "invalid-record"),
    ({"name": "sex", "value": SECRET}, "invalid-record"),
    ({"name": "household_size", "value": "3"}, "invalid-record"),
    ({"name": "household_size", "value": True}, "invalid-record"),
    ({"name": "birth_date", "value": "2026-02-31"}, "invalid-record"),
    ({"name": "birth_date", "value": 19840229}, "invalid-record"),
    ({"name": "annual_income", "value": "1"}, "invalid-record"),  # another provider's
    ({"name": "vehicle_plate", "value": SECRET}, "invalid-record"),  # asked for live
    ({"name": SECRET, "value": "x"}, "invalid-record"),  # a value in the wrong place
]


@pytest.mark.parametrize(("value", "slug"), VALUE_FAULTS, ids=lambda value: str(value)[:60])
def test_a_value_that_does_not_fit_is_not_written(register, value, slug):
    refused(write(register, value), 422, slug)


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**400])
def test_a_number_of_more_than_53_bits_is_no_json_here(register, number):
    refused(write(register, {"name": "household_size", "value": number}), 400, "malformed-body")


@pytest.mark.parametrize(
    "subject",
    [{"scheme": "National"}, {"scheme": "x" * 40}, {"id": "\u202e1"}, {"id": "---"}, {"id": ""}, {"id": "a\x00"}],
    ids=ascii,
)
def test_an_identifier_that_cannot_be_filed(register, subject):
    answer = write(register, {"name": "full_name", "value": SECRET}, **subject)
    assert answer.status_code == 422, answer.text
    repeats_nothing(answer)


def test_a_pseudonym_that_was_never_given(register):
    refused(write(register, {"name": "full_name", "value": SECRET}, scheme="sub"), 403, "not-permitted")


def test_a_batch_has_one_to_five_hundred_records(register):
    record = {"subject": {"scheme": "national-id", "id": SUBJECT}, "attributes": [{"name": "full_name", "value": "x"}]}
    path = "/v1/subjects/attributes/batch"
    for records in ([], [record] * 501, None, {}):
        refused(register.post(path, {"records": records}), 422, "invalid-request", "/records")
    twice = refused(register.post(path, {"records": [record, record]}), 422, "invalid-record")
    assert "same person" in twice["detail"]


# Addresses and methods

NO_IDS = ["x", "1", "0", "%00", "..%2f..", UUID[:-1], UUID + "0", f"{{{UUID}}}", "9" * 4000, "%ff%fe", "' OR '1'='1"]


@pytest.mark.parametrize("identifier", NO_IDS, ids=lambda text: text[:20])
def test_an_id_that_is_none_is_not_found(agency, anna, identifier):
    for caller, path in (
        (agency, f"/v1/attribute-requests/{identifier}"),
        (agency, f"/v1/attribute-requests/{identifier}/response"),
        (anna, f"/v1/me/receipts/{identifier}"),
    ):
        answer = caller.get(path)
        refused(answer, 404, "not-found")
        assert len(identifier) < 4 or identifier not in answer.text


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/nothing", "/v2/attribute-requests", "/v1//me", "/V1/me/requests"]
)
def test_an_address_that_is_none_is_not_found(agency, path):
    refused(agency.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/attribute-requests", "POST"),
        ("PATCH", "/v1/attribute-requests", "POST"),
        ("PUT", f"/v1/attribute-requests/{UUID}", "GET"),
        ("TRACE", "/v1/me/requests", "GET"),
        ("GET", "/v1/subjects/attributes", "PUT"),
        ("DELETE", "/audit/checkpoint", "GET"),
        ("CANARY", "/v1/me/consents", "GET"),
    ],
)
def test_a_method_that_is_none_there(agency, method, path, allowed):
    answer = agency.call(method, path)
    refused(answer, 405, "method-not-allowed")
    assert allowed in answer.headers["Allow"].split(", ")
    assert "CANARY" not in answer.text


def test_values_in_the_address_do_not_come_back(agency, anna):
    for caller in (agency, anna):
        for path in ("/v1/me/disclosures", "/v1/attribute-requests", "/v1/nothing"):
            answer = logged_nothing(
                lambda at=path, by=caller: by.get(at, query_string={"name": SECRET, "limit": SECRET})
            )
            assert answer.status_code in (403, 404, 405, 422)
            repeats_nothing(answer)
            assert SECRET not in json.dumps(list(answer.headers))
