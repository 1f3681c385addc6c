"""What the code flow leaves behind is held against the log, and belongs to the person."""

import pytest
from sqlalchemy import update

from api.commands.sealed import Opener
from exchange import citizen_views, consent_receipts
from exchange.audit.verify_db import verify_database
from exchange.rules_check import rule_faults
from exchange.tables import authorization_request, client
from tests.house import ANNA, PARKING
from tests.integration.authorization import flow
from tests.integration.authorization.flow import granted, pushed


def faults(house):
    house.integrate()
    vkey = house.services.config.vkey_file.read_text().strip()
    with house.exchange.database.read() as connection:
        opener = Opener(house.exchange, connection)
        report = verify_database(connection, [vkey], unseal=opener.unseal, check_sealed=opener.check)
        return [*report.faults, *rule_faults(connection)]


def change(house, statement):
    with house.exchange.database.write() as connection:
        assert connection.execute(statement).rowcount >= 1
        connection.commit()


def test_a_database_with_grants_verifies_and_one_changed_row_is_found(house, client):
    granted(house, client)
    pushed(house, client)
    assert faults(house) == []
    change(house, update(authorization_request).values(ct=bytes(80)))
    assert any("authorization_request" in one for one in faults(house))


@pytest.mark.parametrize("registration", ["{}", '{"redirect_uris":["https://evil.example/"]}'])
def test_a_redirect_uri_that_somebody_wrote_into_the_database_is_found(house, registration):
    one = house.add_client(PARKING, **flow.CODE_FLOW)
    assert faults(house) == []
    change(house, update(client).where(client.c.id == one.id).values(registration=registration))
    assert any("registration" in one for one in faults(house))


def test_the_person_sees_the_permission_and_gets_a_receipt(house, client):
    result = granted(house, client)
    [own] = citizen_views.list_own(house.exchange, house.citizen(ANNA), house.clock())
    assert (own.record.id, own.status) == (result.consent_id, "GIVEN")
    assert citizen_views.waiting(house.exchange, house.citizen(ANNA), house.clock()) == []
    house.integrate()
    receipt = consent_receipts.receipt(house.exchange, house.citizen(ANNA), result.consent_id, house.clock())
    assert receipt
