"""What releases are decided upon cannot be changed behind the house's back unnoticed."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, update

from consent.tables import consent
from exchange import agencies, agreements, consents
from exchange.model import Status
from exchange.rules_check import rule_faults
from exchange.tables import agency, agreement, catalogue, client
from tests.house import ANNA, PARKING, House
from tests.house import Client as AgencyClient

FAR = datetime(2099, 1, 1, tzinfo=UTC)


def faults(house: House) -> list[str]:
    with house.exchange.database.read() as connection:
        return list(rule_faults(connection))


def tamper(house: House, statement: Any) -> None:
    """Write past every rule, as somebody with the database password would."""
    with house.exchange.database.write() as connection:
        assert connection.execute(statement).rowcount >= 1
        connection.commit()


def test_a_house_in_use_is_as_the_log_says(house: House, client: AgencyClient):
    house.consented(client, uses=3)
    house.ask(client)
    agencies.set_client_status(house.exchange, house.add_client(PARKING).id, Status.SUSPENDED, house.clock())
    agreements.end(house.exchange, "student-grant", by="officer-a", now=house.clock())
    assert faults(house) == []
    house.integrate()
    assert faults(house) == []


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (update(consent).values(status="GIVEN", ended_at=None), "consent"),
        (update(consent).values(scope='[{"form":"value","name":"annual_income"}]'), "consent"),
        (update(consent).values(uses_left=9), "consent"),
        (update(consent).values(valid_until=FAR), "consent"),
        (update(client).values(jwks='{"keys":[]}'), "client"),
        (update(client).values(scopes="attributes:request admin"), "client"),
        (update(client).values(agency=PARKING), "client"),
        (update(agency).where(agency.c.code == PARKING).values(status="SUSPENDED"), "agency"),
        (update(agency).where(agency.c.code == PARKING).values(profile="{}"), "agency"),
        (update(agreement).where(agreement.c.code == "student-grant").values(status="ENDED"), "agreement"),
        (update(agreement).where(agreement.c.code == "student-grant").values(body=b"{}"), "agreement"),
        (update(catalogue).values(body=b"{}"), "catalogue"),
        (delete(catalogue), "catalogue"),
    ],
)
def test_a_change_behind_the_houses_back_is_found(house: House, client: AgencyClient, statement: Any, named: str):
    decided = house.consented(client, uses=3)
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    tamper(house, statement)
    assert [text for text in faults(house) if text.startswith(f"{named}:")]
