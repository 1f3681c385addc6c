"""The gateway's registry in PostgreSQL: read-only, bound, typed, and stopped when it takes too long."""

from datetime import date

import pytest
import sqlalchemy as sa

from exchange.errors import DatabaseError
from exchange.model import SubjectName
from exchange.providers.mapping import MappingError, RegistryMapping, parse_mapping
from exchange.providers.registry import Registry
from tests.postgres import drop_database, fresh_database

MAPPING = """
mapping: cdx/provider-mapping/v1
provider: pop
exchange: {issuer: "https://exchange.example", jwks: keys.json}
database: {url: "URL", view: registry.cdx_people, timeout_seconds: 1}
subjects:
  national-id: {column: id}
  number: {column: no, type: integer}
closed_until: closed
attributes:
  name: {column: Name, type: string}
  born: {column: born, type: date, last_updated: changed}
  income: {column: income, type: money}
  children: {column: children, type: integer}
  alive: {column: alive, type: boolean}
  civil: {column: civil, type: code, label_column: civil_text}
"""
SETUP = """
CREATE SCHEMA registry;
CREATE TABLE registry.old (id text, no integer, "Name" char(20), born date, changed timestamp, income numeric(12,2),
  children numeric, alive boolean, civil text, civil_text text, closed date, secret text);
INSERT INTO registry.old VALUES
  ('a1', 1, 'Jo', '1990-05-06', '2026-01-31 10:00', 31200.5, 2, true, 'M', 'married', NULL, 's'),
  ('b2', 2, NULL, NULL, NULL, NULL, 2.5, NULL, 'X', NULL, '2999-01-01', 's'),
  ('c3', 3, NULL, NULL, NULL, NULL, 2.5, NULL, 'X', NULL, '2001-01-01', 's');
CREATE VIEW registry.cdx_people AS
  SELECT id, no, "Name", born, changed, income, children, alive, civil, civil_text, closed FROM registry.old
"""
NAMES = ["name", "born", "income", "children", "alive", "civil"]
TODAY = date(2026, 3, 2)


@pytest.fixture
def mapping(tmp_path):
    url = fresh_database()
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in SETUP.split(";"):
            connection.exec_driver_sql(statement)
    yield parse_mapping(MAPPING.replace("URL", url), folder=tmp_path)
    drop_database(url)


@pytest.fixture
def registry(mapping):
    made = Registry(mapping)
    yield made
    made.close()


def ask(registry: Registry, identifier: str, scheme: str = "national-id"):
    lines = registry.answer(SubjectName(scheme=scheme, id=identifier), NAMES, today=TODAY)
    return {line.name: (line.state, line.value or line.until) for line in lines}


def test_every_type_is_read_as_the_driver_gives_it(registry):
    registry.check()
    assert ask(registry, "a1") == {
        "name": ("present", "Jo"),
        "born": ("present", "1990-05-06"),
        "income": ("present", "31200.50"),
        "children": ("present", 2),
        "alive": ("present", True),
        "civil": ("present", {"code": "M", "label": "married"}),
    }
    assert ask(registry, "2", "number") == dict.fromkeys(NAMES, ("closed_until", "2999-01-01"))
    assert ask(registry, "c3") == {
        "name": ("absent", None),
        "born": ("absent", None),
        "income": ("absent", None),
        "children": ("unavailable", None),
        "alive": ("absent", None),
        "civil": ("present", {"code": "X", "label": "X"}),
    }


@pytest.mark.parametrize("identifier", ["x' OR '1'='1", "a1'; DROP TABLE registry.old; --", "\x00", "%", ""])
def test_an_identifier_is_bound_and_never_part_of_a_statement(registry, identifier):
    assert ask(registry, identifier) == dict.fromkeys(NAMES, ("not_held", None))
    assert ask(registry, identifier, "number") == dict.fromkeys(NAMES, ("not_held", None))
    assert ask(registry, "99999999999", "number") == dict.fromkeys(NAMES, ("not_held", None))
    assert ask(registry, "a1")["name"] == ("present", "Jo")


def test_nothing_can_be_written(registry):
    with registry._engine.connect() as connection, pytest.raises(sa.exc.InternalError, match="read-only"):
        connection.exec_driver_sql("DELETE FROM registry.old")


def test_a_view_that_takes_too_long_is_stopped(mapping: RegistryMapping, registry):
    engine = sa.create_engine(mapping.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER VIEW registry.cdx_people RENAME TO fast")
        connection.exec_driver_sql(
            "CREATE VIEW registry.cdx_people AS SELECT * FROM registry.fast, (SELECT 1 FROM pg_sleep(20)) AS sleep"
        )
    with pytest.raises(DatabaseError, match="does not answer"):
        ask(registry, "a1")


def test_a_missing_column_is_told_by_its_name(mapping: RegistryMapping, registry):
    engine = sa.create_engine(mapping.url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql('ALTER VIEW registry.cdx_people RENAME COLUMN "Name" TO name')
    with pytest.raises(MappingError, match="no column Name"):
        registry.check()
