"""What the clock ends, written down; and releases that wait for a log that is behind."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from exchange import access, citizen_views, request_states
from exchange.context import Settings
from exchange.errors import AuditUnavailableError
from exchange.housekeeping import settle_due
from exchange.model import RequestedAttribute, SubjectName
from exchange.outcomes import Answered
from exchange.tables import idempotency
from tests.house import ANNA, BEN, House
from tests.integration.main_job.rows import types

NAME = (RequestedAttribute(name="full_name"),)
NOBODY = SubjectName(scheme="national-id", id="VAL-999999-9")


def test_undecided_and_expired_consents_get_their_last_event(house: House, client):
    house.consented(client, valid_until=house.clock() + timedelta(hours=1))
    waiting = [house.ask(client, who) for who in (BEN, NOBODY)]
    assert settle_due(house.exchange, house.clock()) == 0
    house.clock.move(days=15)
    assert settle_due(house.exchange, house.clock()) == 3
    assert settle_due(house.exchange, house.clock()) == 0
    assert types(house).count("consent.expired") == 1
    assert types(house).count("consent.lapsed") == 2
    assert types(house).count("request.lapsed") == 2
    states = [
        request_states.state_of(house.exchange, house.caller(client), one.request_id, house.clock()) for one in waiting
    ]
    assert [one.state for one in states] == ["lapsed", "lapsed"]
    own = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert [one.status for one in own] == ["EXPIRED"]


def test_releases_wait_while_the_log_is_behind_and_go_on_after(house: House, client):
    house.consented(client)
    tight = replace(
        house, services=replace(house.services, exchange=replace(house.exchange, settings=Settings(max_outbox=3)))
    )
    with pytest.raises(AuditUnavailableError):
        tight.ask(client, lines=NAME)
    house.integrate()
    house.clock.move(seconds=1)
    assert isinstance(tight.ask(client, lines=NAME), Answered)


def test_old_idempotency_keys_are_forgotten_and_young_ones_kept(house: House, client):
    house.consented(client)
    house.clock.move(days=6)
    house.ask(client, lines=NAME)
    house.clock.move(days=2)
    with house.exchange.database.write() as connection:
        access.purge(connection, house.clock())
        connection.commit()
    with house.exchange.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(idempotency)).scalar_one() == 1
