"""Invariant 8: no plaintext personal value in the database, the log, an error, or a repr."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import select

from exchange import consents, disclosures
from exchange.model import RequestedAttribute, SubjectName
from exchange.policy import DenyReason
from tests.house import ANNA, House
from tests.integration.main_job.rows import METADATA

SECRETS = (
    "Anna Example",
    "5 Harbour Street",
    "21500.00",
    "1984-02-29",
    ANNA.id,
    "officer-17",
    "case worker",
    "HB-2026-0042",
)


@pytest.fixture
def busy(house: House, client):
    """A house in which everything has happened once."""
    decided = house.consented(client)
    house.ask(client)
    house.ask(client, lines=(RequestedAttribute(name="birth_date", form="value"),))
    house.ask(client, SubjectName(scheme="national-id", id="VAL-777777-7"))
    disclosures.history(house.exchange, house.citizen(ANNA), cursor=None, limit=5, now=house.clock())
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    assert house.ask(client).reason is DenyReason.COOLING_OFF
    house.integrate()
    return house


@pytest.mark.invariant(8)
def test_no_table_holds_a_personal_value(busy: House):
    wanted = [secret.encode() for secret in SECRETS]
    wanted += [secret.casefold().encode() for secret in SECRETS] + [ANNA.id.replace("-", "").casefold().encode()]
    with busy.exchange.database.read() as connection:
        for metadata in METADATA:
            for table in metadata.sorted_tables:
                for row in connection.execute(select(*table.c)):
                    for column, value in row._asdict().items():
                        seen = value if isinstance(value, bytes) else str(value).encode()
                        assert not [secret for secret in wanted if secret in seen], (table.name, column)


@pytest.mark.invariant(8)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # PostgreSQL's files belong to its server
def test_no_file_of_the_database_holds_a_personal_value(busy: House):
    folder = Path(busy.services.config.database_url.removeprefix("sqlite:///")).parent
    files = [path for path in folder.glob("cdx.db*") if path.is_file()]
    assert files
    for path in files:
        data = path.read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in data], path.name


@pytest.mark.invariant(8)
def test_nothing_that_happens_is_written_to_the_operational_log_with_a_value(house: House, client, caplog):
    with caplog.at_level(logging.DEBUG):
        house.consented(client)
        house.ask(client)
        house.ask(client, agreement="no-such-agreement")
    # The statements that the database library can log at this level carry parameters only when asked to.
    assert not [secret for secret in SECRETS if secret in caplog.text]


@pytest.mark.invariant(8)
def test_the_values_that_carry_personal_data_do_not_show_them(house: House, client):
    waiting = house.ask(client)
    shown = repr((ANNA, waiting, house.exchange, house.services))
    assert not [secret for secret in SECRETS if secret in shown]
