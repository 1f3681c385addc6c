"""Pages of a list: cursors that were given out lead on, forged ones are told from them and tell nothing."""

import pytest

from tests.http.v1.site import ANNA, BEN, NAME, asked

UUID = "019bf2a2-0000-7000-8000-000000000000"
FORGED = [
    "",
    "x",
    "1",
    "1.",
    "1.x",
    f".{UUID}",
    f"1 .{UUID}",
    f"1.{UUID}\n",
    f"1.{{{UUID}}}",
    f"-1.{UUID}",
    f"-99999999999999999999.{UUID}",
    f"999999999999999.{UUID}",
    f"{'9' * 90}.{UUID}",
    f"٣.{UUID}",
    f"1_0.{UUID}",
    "9" * 5000,
    "' OR 1=1 --",
    "%00",
    "\x00",
]


def page(citizen, **query):
    return citizen.get("/v1/me/disclosures", query_string=query)


def test_pages_lead_from_the_newest_to_the_oldest_and_end(site, agency, anna):
    site.consented(agency)
    for _ in range(5):
        assert agency.ask(asked(attributes=NAME)).status_code == 200
        site.clock.move(milliseconds=1)
    everything = [one["id"] for one in page(anna).json["disclosures"]]
    assert len(set(everything)) == 5
    found, cursor = [], {}
    for _ in range(3):
        answer = page(anna, limit=2, **cursor).json
        found += [one["id"] for one in answer["disclosures"]]
        cursor = {"cursor": answer["next"]}
    assert found == everything
    assert answer["next"] is None


def test_somebody_elses_cursor_shows_only_ones_own(site, agency, anna):
    site.consented(agency)
    site.consented(agency, BEN)
    for who in (ANNA, BEN, ANNA, BEN):
        agency.ask(asked(who.id, attributes=NAME))
        site.clock.move(milliseconds=1)
    own = {one["id"] for one in page(anna).json["disclosures"]}
    cursor = page(site.citizen(BEN), limit=1).json["next"]
    shown = {one["id"] for one in page(anna, cursor=cursor).json["disclosures"]}
    assert shown
    assert shown <= own


@pytest.mark.parametrize("cursor", FORGED, ids=lambda text: ascii(text)[:24])
def test_a_forged_cursor_is_a_fault_of_the_caller(lasting, cursor):
    answer = page(lasting.citizen(), cursor=cursor)
    assert answer.status_code == 422, answer.text
    assert answer.content_type == "application/problem+json"
    assert [one["parameter"] for one in answer.json["errors"]] == ["cursor"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "", "x", "9" * 5000, "0x10", "true"])
def test_a_page_has_one_to_a_hundred_lines(lasting, limit):
    answer = page(lasting.citizen(), limit=limit)
    assert answer.status_code == 422, answer.text
    assert [one["parameter"] for one in answer.json["errors"]] == ["limit"]


@pytest.mark.parametrize("cursor", [f"0.{UUID}", f"99999999999999.{UUID}"])
def test_a_cursor_that_is_well_formed_shows_a_page(lasting, cursor):
    assert page(lasting.citizen(), cursor=cursor).status_code == 200
