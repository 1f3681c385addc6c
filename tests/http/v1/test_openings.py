"""Officers who open entries over HTTP, and a citizen's device that checks the own log without us."""

import base64
import hashlib
import json

import pytest

from tests.house import HOUSING, PARKING
from tests.http.v1.routes import OPENING
from tests.http.v1.site import NAME, asked

OPEN = "audit:open"


@pytest.fixture
def entry(site, agency):
    """The entry of a disclosure about Anna."""
    site.consented(agency)
    return agency.ask(asked(attributes=NAME)).json["entry"]


@pytest.fixture
def dpo(site):
    return site.agency(scope=OPEN)


def open_(caller, entry_id, **members):
    return caller.post(f"/v1/audit/entries/{entry_id}/open", OPENING | members)


def test_an_officer_opens_an_entry_of_the_own_agency(site, dpo, entry):
    site.house.integrate()
    answer = open_(dpo, entry)
    assert answer.status_code == 200, answer.text
    opened = answer.json
    assert (opened["id"], opened["type"], opened["org"]) == (entry, "attribute.disclosed", HOUSING)
    [owner] = opened["owners"]
    assert set(owner) == {"role", "state", "facts", "visible_from"}  # nothing says who it is
    assert (owner["role"], owner["state"], owner["visible_from"]) == ("person", "opened", None)
    assert {"name": "case", "value": "HB-2026-0042"} in owner["facts"]
    assert opened["proof"]["index"] >= 0
    for ref in site.house.people.values():
        assert str(ref) not in answer.text


def test_a_waiting_entry_has_no_proof(dpo, entry):
    assert open_(dpo, entry).json["proof"] is None


@pytest.mark.invariant(6)
def test_somebody_elses_entry_is_as_unknown_as_none(site, entry):
    stranger = site.agency(PARKING, scope=OPEN)
    none = "019bf2a2-0000-7000-8000-000000000001"
    answers = [open_(stranger, one) for one in (entry, none)]
    assert {answer.status_code for answer in answers} == {404}
    bodies = {
        answer.text.replace(one, "ID").replace(answer.headers["X-Correlation-Id"], "")
        for answer, one in zip(answers, (entry, none), strict=True)
    }
    assert len(bodies) == 1


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"reason": "x" * 10_001}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        ({"reason": "too short"}, "/reason"),
        ({"reason": "two lines\nof a reason"}, "/reason"),
        ({"reason": None}, "/reason"),
        ({"officer": ""}, "/officer"),
        ({"officer": "x" * 257}, "/officer"),
        ({"role": "a\x00b"}, "/role"),
        ({"org": "cdx"}, "/org"),
    ],
    ids=str,
)
def test_what_is_not_an_opening_is_refused_by_name(dpo, entry, members, pointer):
    answer = open_(dpo, entry, **members)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json["errors"]] == [pointer]


@pytest.mark.parametrize("members", [{"reason": " " * 20}, {"officer": "\u2028"}, {"role": "\u200e"}], ids=str)
def test_what_only_looks_like_text_is_refused(dpo, entry, members):
    answer = open_(dpo, entry, **members)
    assert answer.status_code == 422, answer.text
    assert answer.json["type"] in ("urn:cdx:problem:invalid-opening", "urn:cdx:problem:invalid-staff")


def test_no_other_token_opens_anything(site, agency, anna, entry):
    for caller in (agency, anna, site.agency(scope="audit:read")):
        answer = open_(caller, entry)
        assert answer.status_code == 403, answer.text
        assert f'scope="{OPEN}"' in answer.headers["WWW-Authenticate"]
    types = {one["type"] for one in anna.get("/v1/me/audit").json["entries"]}
    assert "audit.opened" not in types


def test_a_device_checks_every_fact_up_to_the_root_by_itself(site, dpo, anna, entry):
    site.clock.move(seconds=1)
    record = open_(dpo, entry, reason="a complaint, “checked”").json["recorded_as"]
    site.house.integrate()
    page = anna.get("/v1/me/audit").json
    _origin, size, root = page["checkpoint"].split("\n")[:3]
    checked = 0
    for line in page["entries"]:
        if line["proof"] is None:
            assert line["type"] == "history.read"
            continue
        leaf = line["proof"]["leaf"].encode()
        members = json.loads(leaf)
        assert (members["id"], members["typ"], members["org"]) == (line["id"], line["type"], line["org"])
        for fact in line["facts"]:
            salt = base64.urlsafe_b64decode(fact["salt"] + "=")
            written = b"".join(
                len(text).to_bytes(2, "big") + text for text in (fact["name"].encode(), fact["value"].encode())
            )
            commitment = hashlib.sha256(b"cdx/sd/v1" + salt + written).digest()
            assert base64.urlsafe_b64decode(members["sd"][fact["index"]] + "=") == commitment
            checked += 1
        assert line["proof"]["size"] == int(size)
        assert climb(leaf, line["proof"]) == base64.b64decode(root)
    assert checked > 10
    [seen] = next(line["opened_by"] for line in page["entries"] if line["id"] == entry)
    assert seen["entry"] == record[0]
    assert (seen["role"], seen["reason"], seen["org"]) == ("auditor", "a complaint, “checked”", HOUSING)
    # The role is shown, not who it was.
    assert "officer-17" not in json.dumps(page)
    assert "dpo-3" not in json.dumps(page)


def climb(leaf, proof):
    """RFC 9162 §2.1.3.2, from the entry to the root."""
    node, index, last = hashlib.sha256(b"\x00" + leaf).digest(), proof["index"], proof["size"] - 1
    for step in map(base64.b64decode, proof["hashes"]):
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + step + node).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + step).digest()
        index, last = index >> 1, last >> 1
    assert last == 0
    return node


def test_the_own_log_is_read_page_by_page(site, anna, entry):
    everything = [one["id"] for one in anna.get("/v1/me/audit").json["entries"] if one["type"] != "history.read"]
    found, cursor = [], {}
    while cursor is not None:
        page = anna.get("/v1/me/audit", query_string={"limit": 2} | cursor).json
        found += [one["id"] for one in page["entries"] if one["type"] != "history.read"]
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert found == everything
    assert entry in found
    assert anna.get("/v1/me/audit", query_string={"cursor": "x"}).status_code == 422


def test_reading_a_page_costs_the_same_statements_however_many_lines_it_has(site, anna, agency, entry):
    from sqlalchemy import event

    def statements(limit):
        seen = []

        def count(_conn, _cursor, statement, *_rest):
            seen.append(statement)

        engine = site.exchange.database.engine
        anna.current()
        event.listen(engine, "before_cursor_execute", count)
        try:
            assert anna.get("/v1/me/audit", query_string={"limit": limit}).status_code == 200
        finally:
            event.remove(engine, "before_cursor_execute", count)
        return len(seen)

    for _ in range(3):
        agency.ask(asked(attributes=NAME))
    site.house.integrate()
    statements(1)  # the first one fills caches
    assert statements(1) == statements(10)
