"""Releases wait for the log and for its witnesses, and go on by themselves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crypto.checkpoint import NoteVerifier
from exchange import consents
from exchange.audit.quorum import Quorum
from exchange.audit.witness_client import clients_of
from exchange.errors import AuditUnavailableError
from exchange.model import RequestedAttribute
from exchange.outcomes import Answered
from tests.house import ANNA, HOUSING
from tests.integration.audit.witnessed import PATIENT, a_policy
from tests.witnesses import running_witness

LIMIT = timedelta(hours=4)
NAME = (RequestedAttribute(name="full_name", form="value"),)


@pytest.fixture
def quorum(house, tmp_path):
    """The house has a witness from now on; it is asked when a test says so."""
    vkey = house.services.config.vkey_file.read_text().strip()
    with running_witness(tmp_path / "witness", vkey, name="authority") as witness:
        policy = a_policy([witness.policy_line])
        settings = replace(house.exchange.settings, witnesses=policy, max_unwitnessed=LIMIT)
        house.services = replace(house.services, exchange=replace(house.exchange, settings=settings))
        yield Quorum(
            house.log.database,
            policy=policy,
            clients=clients_of(policy, limits=PATIENT),
            verifiers=[NoteVerifier.parse(vkey)],
            origin=house.exchange.installation.origin,
            clock=house.clock,
            every_seconds=1,
        )


def test_releases_wait_for_witnesses_and_go_on_when_they_have_cosigned(house, quorum):
    office = house.add_client(HOUSING)
    house.consented(office)
    # A time of grace: the log is new, and nobody was asked yet.
    assert isinstance(house.ask(office, lines=NAME), Answered)
    house.integrate()
    quorum.ask()
    house.clock.move(seconds=LIMIT.total_seconds())
    assert isinstance(house.ask(office, lines=NAME), Answered)
    house.clock.move(milliseconds=1)
    house.clock.move(seconds=1)
    waiting = house.caller(office)
    with pytest.raises(AuditUnavailableError, match="witnesses"):
        house.ask(office, lines=NAME, caller=house.again(waiting))
    # Publication goes on all the while, and so do a person's own rights.
    house.integrate()
    quorum.ask()
    with pytest.raises(AuditUnavailableError):
        house.ask(office, lines=NAME, caller=house.again(waiting))  # looked at once a second
    house.clock.move(seconds=1)
    assert isinstance(house.ask(office, lines=NAME, caller=house.again(waiting)), Answered)


def test_collecting_waits_as_well(house, quorum):
    office = house.add_client(HOUSING)
    request_id = house.ask(office).request_id
    house.allow(ANNA, request_id)
    house.clock.move(seconds=LIMIT.total_seconds() + 1)
    with pytest.raises(AuditUnavailableError, match="witnesses"):
        house.collect(office, request_id)
    quorum.ask()
    house.clock.move(seconds=1)
    assert isinstance(house.collect(office, request_id), Answered)


def test_a_person_withdraws_whatever_the_witnesses_do(house, quorum):
    office = house.add_client(HOUSING)
    decided = house.consented(office)
    house.clock.move(days=2)
    ended = consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    assert ended.status == "WITHDRAWN"


def test_releases_wait_when_an_entry_waits_longer_than_was_promised(house):
    office = house.add_client(HOUSING)
    house.consented(office)
    house.integrate()
    house.clock.before_moving = lambda: None  # the sequencer stands still
    assert isinstance(house.ask(office, lines=NAME), Answered)
    house.clock.move(seconds=60)
    assert isinstance(house.ask(office, lines=NAME), Answered)
    house.clock.move(seconds=1)
    with pytest.raises(AuditUnavailableError, match="longer than was promised"):
        house.ask(office, lines=NAME)
    house.integrate()
    house.clock.move(seconds=1)
    assert isinstance(house.ask(office, lines=NAME), Answered)
