"""The end of an agreement: nothing is disclosed after it, and every consent under it ends, crash or not."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
from sqlalchemy import select

from consent.tables import consent
from exchange import agreements
from exchange.agreements import approve, end, find_agreement, propose
from exchange.errors import AgreementError
from exchange.model import AgreementStatus, RequestedAttribute, SubjectName
from exchange.outcomes import Answered, Refused, Waiting
from exchange.policy import DenyReason
from tests.house import ANNA, BEN, COUNTRY, House
from tests.integration.main_job.rows import entries, facts, only, types

HOUSING_TEXT = (COUNTRY / "agreements" / "housing-benefit.yaml").read_text(encoding="utf-8")
NAME = (RequestedAttribute(name="full_name"),)
NOBODY = SubjectName(scheme="national-id", id="VAL-999999-9")


def statuses(house: House):
    with house.exchange.database.read() as connection:
        return sorted(connection.scalars(select(consent.c.status)))


def ended(house: House):
    return end(house.exchange, "housing-benefit", by="officer-c", now=house.clock())


def found(house: House):
    with house.exchange.database.read() as connection:
        return find_agreement(connection, "housing-benefit")


@pytest.mark.invariant(2)
def test_nothing_is_disclosed_after_the_end(house: House, client):
    house.consented(client)
    assert isinstance(house.ask(client, lines=NAME), Answered)
    before = found(house)
    assert ended(house) == 1
    assert (found(house).status, found(house).version) == (AgreementStatus.ENDED, before.version + 1)
    refused = house.ask(client, lines=NAME)
    assert isinstance(refused, Refused)
    assert refused.reason is DenyReason.AGREEMENT_NOT_IN_FORCE


def test_permissions_and_open_questions_end_and_those_about_nobody_too(house: House, client):
    house.consented(client, ANNA)
    assert isinstance(house.ask(client, BEN), Waiting)
    assert isinstance(house.ask(client, NOBODY), Waiting)
    assert statuses(house) == ["GIVEN", "REQUESTED", "REQUESTED"]
    assert ended(house) == 3
    assert statuses(house) == ["TERMINATED"] * 3
    assert facts(house, only(house, "agreement.ended").id) == {"by": "officer-c"}
    terminated = [facts(house, entry.id) for entry in entries(house) if entry.type == "consent.terminated"]
    assert [fact["actor"] for fact in terminated] == ["broker:cdx"] * 3
    assert len({fact["consent"] for fact in terminated}) == 3


def test_consents_under_other_agreements_go_on(house: House, client):
    house.consented(client)
    end(house.exchange, "benefit-review", by="officer-c", now=house.clock())
    assert statuses(house) == ["GIVEN"]
    assert isinstance(house.ask(client, lines=NAME), Answered)


def test_ending_again_changes_nothing(house: House, client):
    house.consented(client)
    ended(house)
    before = types(house), found(house)
    assert ended(house) == 0
    assert (types(house), found(house)) == before


def test_what_has_run_out_is_written_down_as_run_out(house: House, client):
    house.consented(client)
    house.clock.move(days=400)
    ended(house)
    assert statuses(house) == ["EXPIRED"]


class Crash(Exception):
    """The process ends."""


@pytest.mark.parametrize("survived", [1, 2, 3])
def test_after_a_crash_the_end_goes_on_where_it_stopped(house: House, client, monkeypatch, survived):
    monkeypatch.setattr(agreements, "_AT_ONCE", 1)
    house.consented(client, ANNA)
    for who in (BEN, NOBODY):
        house.ask(client, who)
    commits = []

    def crash(connection, prepared, openings):
        if len(commits) == survived:
            raise Crash
        commits.append(prepared)
        house.exchange.append(connection, prepared, openings)

    frail = replace(house.exchange, append=crash)
    # The last portion finds nothing and writes nothing: after three there is no more to crash in.
    with nullcontext() if survived == 3 else pytest.raises(Crash):
        end(frail, "housing-benefit", by="officer-c", now=house.clock())
    # With the first commit the agreement has ended, whatever became of its consents.
    assert found(house).status is AgreementStatus.ENDED
    assert house.ask(client, lines=NAME).reason is DenyReason.AGREEMENT_NOT_IN_FORCE
    assert statuses(house).count("TERMINATED") == survived
    assert ended(house) == 3 - survived
    assert statuses(house) == ["TERMINATED"] * 3
    assert types(house).count("agreement.ended") == 1
    assert types(house).count("consent.terminated") == 3


def test_an_ended_agreement_cannot_be_proposed_or_approved_again(house: House):
    waiting = propose(house.exchange, HOUSING_TEXT, by="officer-a", now=house.clock())
    ended(house)
    with pytest.raises(AgreementError, match="has ended"):
        propose(house.exchange, HOUSING_TEXT, by="officer-a", now=house.clock())
    with pytest.raises(AgreementError, match="has ended"):
        approve(
            house.exchange,
            waiting.code,
            revision=waiting.revision,
            digest=waiting.digest,
            by="officer-b",
            now=house.clock(),
        )


@pytest.mark.invariant(3)
def test_a_consent_to_an_earlier_revision_holds_for_what_both_list(house: House, client):
    house.consented(client)
    narrower = HOUSING_TEXT.replace("  - {name: home_address, form: value, required: true}\n", "").replace(
        "in_range:0-30000", "in_range:0-25000"
    )
    new = propose(house.exchange, narrower, by="officer-a", now=house.clock())
    approve(house.exchange, new.code, revision=2, digest=new.digest, by="officer-b", now=house.clock())
    assert isinstance(house.ask(client, lines=NAME), Answered)
    # No longer agreed, though consented; agreed now, though never consented.
    address = house.ask(client, lines=(RequestedAttribute(name="home_address"),))
    income = house.ask(client, lines=(RequestedAttribute(name="annual_income", form="in_range:0-25000"),))
    assert (address.reason, income.reason) == (DenyReason.OUTSIDE_AGREEMENT, DenyReason.OUTSIDE_CONSENT)
