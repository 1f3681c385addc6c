"""Agencies and clients: registered once, with usable keys; suspended, and at work again."""

import pytest
from sqlalchemy import select

from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange.agencies import (
    RegistrationError,
    find_agency,
    list_agencies,
    register_agency,
    register_client,
    set_agency_status,
    set_client_status,
)
from exchange.errors import AccessRefusedError, UnknownAgencyError
from exchange.model import RequestedAttribute, Status
from exchange.outcomes import Answered
from exchange.tables import client as client_table
from tests.house import HOUSING, House
from tests.integration.main_job.rows import entries, types

PROFILE = {"address": "Here", "contact": "Us", "url": "https://new.example", "jurisdiction": "XV"}
NAME = (RequestedAttribute(name="full_name"),)
SIGNING = SigningKey.generate("s1")
SEALING = EncryptionPrivateKey.generate("e1")
KEYS = [SIGNING.public_jwk(), SEALING.public_jwk()]
LIVE = {"endpoint": "https://live.example/ask", "jwks": {"keys": KEYS}, "scheme": "national-id"}


def register(house: House, client_id="new-client", agency=HOUSING, keys=KEYS, scopes=("attributes:request",)):
    register_client(house.exchange, client_id, agency, {"keys": keys}, scopes, house.clock.move(seconds=1))


def client_row(house: House, client_id):
    with house.exchange.database.read() as connection:
        return connection.execute(select(*client_table.c).where(client_table.c.id == client_id)).one()


def test_an_agency_is_registered_and_found(house: House):
    made = register_agency(
        house.exchange, "new-office", "New office", {**PROFILE, "live": LIVE}, house.clock.move(seconds=1)
    )
    with house.exchange.database.read() as connection:
        assert find_agency(connection, "new-office") == made
        assert made in list_agencies(connection)
    newest = entries(house)[-1]
    assert (newest.type, newest.org, newest.detail["agency"]) == ("agency.registered", "new-office", "new-office")


REFUSED_AGENCIES = [
    ("New Office", "N", PROFILE, "list[0].code"),
    ("x" * 65, "N", PROFILE, "list[0].code"),
    ("new-office", " ", PROFILE, "list[0].name"),
    ("new-office", "N", {}, "address, contact, url, jurisdiction missing"),
    ("new-office", "N", {**PROFILE, "secret": 1}, "unknown: secret"),
    ("new-office", "N", {**PROFILE, "url": "javascript:alert(1)"}, "url"),
    ("new-office", "N", {**PROFILE, "live": {**LIVE, "jwks": {"keys": [KEYS[0], KEYS[0]]}}}, "profile.live"),
    ("new-office", "N", {**PROFILE, "live": {**LIVE, "endpoint": "file:///etc"}}, "endpoint"),
    ("new-office", "N", {**PROFILE, "address": "\ud800"}, "cannot be stored"),
    (HOUSING, "N", PROFILE, "registered already"),
]


def test_agencies_that_are_not_right_are_refused_and_nothing_is_written(house: House):
    before = types(house)
    for code, name, profile, fault in REFUSED_AGENCIES:
        with pytest.raises(RegistrationError) as caught:
            register_agency(house.exchange, code, name, profile, house.clock())
        assert fault in str(caught.value)
    assert types(house) == before


def test_a_client_is_registered(house: House):
    register(house, scopes=["catalogue:read", "attributes:request", "catalogue:read"])
    row = client_row(house, "new-client")
    assert (row.agency, row.scopes, row.status, row.version) == (
        HOUSING,
        "attributes:request catalogue:read",
        "ACTIVE",
        1,
    )
    newest = entries(house)[-1]
    assert (newest.type, newest.org, newest.detail["client"]) == ("client.registered", HOUSING, "new-client")
    assert newest.detail["keys"] == SIGNING.public_key().thumbprint


def test_a_client_that_only_supplies_needs_no_key_for_answers(house: House):
    register(house, agency="tax-authority", keys=KEYS[:1], scopes=["attributes:write"])


REFUSED_CLIENTS = [
    {"client_id": ""},
    {"client_id": "a b"},
    {"client_id": "x" * 129},
    {"client_id": "client\n"},
    {"scopes": []},
    {"scopes": ["me"]},
    {"scopes": ["attributes:request", "me"]},
    {"scopes": ["attributes request"]},
    {"scopes": ["*"]},
    {"keys": []},
    {"keys": KEYS[:1]},
    {"keys": KEYS[1:]},
    {"keys": [*KEYS, EncryptionPrivateKey.generate("e2").public_jwk()]},
    {"keys": [*KEYS, {**SigningKey.generate("s2").public_jwk(), "d": "AAAA"}]},
    {"keys": "none"},
]


def test_clients_that_are_not_right_are_refused_and_nothing_is_written(house: House):
    before = types(house)
    for changes in REFUSED_CLIENTS:
        with pytest.raises(RegistrationError):
            register(house, **changes)
    assert types(house) == before


def test_a_client_needs_its_agency_and_a_name_of_its_own(house: House):
    with pytest.raises(UnknownAgencyError):
        register(house, agency="no-such-office")
    register(house)
    with pytest.raises(RegistrationError, match="registered already"):
        register(house, agency="student-finance")
    assert client_row(house, "new-client").agency == HOUSING


@pytest.mark.invariant(13)
@pytest.mark.parametrize("what", ["agency", "client"])
def test_a_suspended_party_is_refused_until_it_is_taken_up_again(house: House, client, what):
    def switch(status):
        house.clock.move(seconds=1)
        if what == "agency":
            set_agency_status(house.exchange, HOUSING, status, house.clock())
        else:
            set_client_status(house.exchange, client.id, status, house.clock())

    house.consented(client)
    caller = house.caller(client)
    switch(Status.SUSPENDED)
    with pytest.raises(AccessRefusedError):
        house.ask(client, lines=NAME, caller=caller)
    switch(Status.ACTIVE)
    assert isinstance(house.ask(client, lines=NAME, caller=house.again(caller)), Answered)
    changed = [entry for entry in entries(house) if entry.type == f"{what}.status_changed"]
    assert [entry.detail["status"] for entry in changed] == ["SUSPENDED", "ACTIVE"]


def test_each_change_of_status_bumps_the_version_that_a_release_compares(house: House, client):
    for version, status in enumerate((Status.SUSPENDED, Status.ACTIVE), start=2):
        set_agency_status(house.exchange, HOUSING, status, house.clock())
        set_client_status(house.exchange, client.id, status, house.clock())
        with house.exchange.database.read() as connection:
            assert find_agency(connection, HOUSING).version == version
        assert client_row(house, client.id).version == version


def test_a_status_that_stands_already_is_no_event(house: House, client):
    before = types(house)
    set_agency_status(house.exchange, HOUSING, Status.ACTIVE, house.clock())
    set_client_status(house.exchange, client.id, Status.ACTIVE, house.clock())
    assert types(house) == before


def test_who_is_not_registered_has_no_status(house: House):
    with pytest.raises(UnknownAgencyError):
        set_agency_status(house.exchange, "no-such-office", Status.SUSPENDED, house.clock())
    with pytest.raises(UnknownAgencyError):
        set_client_status(house.exchange, "no-such-client", Status.SUSPENDED, house.clock())
    with house.exchange.database.read() as connection, pytest.raises(UnknownAgencyError):
        find_agency(connection, "no-such-office")
