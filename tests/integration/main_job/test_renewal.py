"""Renewing: a new record, as before and no more."""

from datetime import timedelta

import pytest

from exchange import citizen_views, consents
from exchange.errors import NoticeError
from exchange.model import RequestedAttribute
from exchange.outcomes import Answered
from tests.house import ANNA, House

NAME = (RequestedAttribute(name="full_name", form="value"),)


def test_a_renewal_is_a_new_record_that_supersedes(house: House, client):
    decided = house.consented(client)
    renewed = consents.renew(
        house.exchange,
        house.citizen(ANNA),
        decided.consent_id,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    assert renewed.consent_id != decided.consent_id
    own = {
        one.record.id: one.status for one in citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    }
    assert own == {decided.consent_id: "SUPERSEDED", renewed.consent_id: "GIVEN"}
    assert isinstance(house.ask(client, lines=NAME), Answered)


def test_a_renewal_allows_no_more_than_the_person_allowed_before(house: House, client):
    decided = house.consented(client, uses=1, valid_until=house.clock() + timedelta(hours=1))
    house.ask(client, lines=NAME)
    renewed = consents.renew(
        house.exchange,
        house.citizen(ANNA),
        decided.consent_id,
        language="en",
        notice_version="2026-1",
        now=house.clock(),
    )
    own = {
        one.record.id: one.record for one in citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    }
    assert own[renewed.consent_id].uses_left == 1
    assert own[renewed.consent_id].valid_until == house.clock() + timedelta(hours=1)


def test_a_renewal_names_the_notice_that_is_offered_now(house: House, client):
    decided = house.consented(client)
    for language, version in (("xx", "2026-1"), ("en", "1999-never")):
        with pytest.raises(NoticeError):
            consents.renew(
                house.exchange,
                house.citizen(ANNA),
                decided.consent_id,
                language=language,
                notice_version=version,
                now=house.clock(),
            )
