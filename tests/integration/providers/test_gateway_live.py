"""The exchange asks, the gateway answers from an old registry: both real, on a real port."""

import sqlite3
from datetime import UTC, datetime

import pytest

from exchange.errors import ProviderProtocolError, ProviderUnavailableError
from exchange.model import SubjectName
from exchange.providers.gateway import Gateway, dry_run
from exchange.providers.mapping import MappingError, load_mapping
from exchange.providers.registry import Registry
from tests.integration.providers.parts import MAPPING, TYPES, fetch, live, make_provider, serving

NAMES = [name for name in TYPES if name != "unmapped"]


def who(number: int) -> SubjectName:
    return SubjectName(scheme="national-id", id=f"VAL-{number}")


def test_values_of_every_type_arrive_as_the_catalogue_types_them(provider):
    with serving(provider.app()) as url:
        held = fetch(live(provider).of(provider.agency(url)), *NAMES)
    assert {name: one.value for name, one in held.items()} == {
        "vehicle_count": 2,
        "vehicle_plate": "VAL 42",
        "vehicle_class": {"code": "A", "label": "small"},
        "vehicle_first_registration": "2019-11-05",
        "disabled_parking_badge": True,
        "vehicle_tax": "120.50",
    }
    assert (held["vehicle_count"].last_updated, held["vehicle_count"].assurance) == ("2026-01-31", "high")
    assert held["vehicle_tax"].valid_until == "2026-12-31"
    assert {one.provider for one in held.values()} == {"vehicle-registry"}


@pytest.mark.parametrize(
    ("number", "states"),
    [
        (2, ["absent", "not_applicable", "present", "unavailable", "unavailable", "unavailable"]),
        (3, ["unavailable"] * 6),  # closed until a day to come
        (4, ["present"] * 6),  # closed until a day that is past
        (5, ["unavailable"] * 6),  # closed until nobody knows when
        (6, ["unavailable"] * 6),  # two rows fit: ambiguous
        (7, ["absent"] * 6),  # not held
    ],
)
def test_what_is_not_a_value_has_its_state(provider, number, states):
    with serving(provider.app()) as url:
        held = fetch(live(provider).of(provider.agency(url)), *NAMES, who=who(number))
    assert [held[name].state for name in NAMES] == states
    assert all(one.value is None for one in held.values() if one.state != "present")


def test_the_three_states_that_only_a_registry_knows_travel_as_such(provider):
    registry = Registry(provider.mapping)
    today = datetime.now(UTC).date()
    assert {line.state for line in registry.answer(who(7), NAMES, today=today)} == {"not_held"}
    assert {line.state for line in registry.answer(who(6), NAMES, today=today)} == {"ambiguous"}
    assert {(line.state, line.until) for line in registry.answer(who(3), NAMES, today=today)} == {
        ("closed_until", "2999-01-01")
    }
    (line,) = registry.answer(who(1), ["unmapped"], today=today)
    assert line.state == "not_held"
    registry.close()


@pytest.mark.parametrize(
    ("scheme", "identifier", "count"),
    [
        ("national-id", "val 1", 2),
        ("customer", "1001", 2),
        ("customer", "01001", 2),
        ("customer", "1001 OR 1=1", None),
        ("customer", "9" * 30, None),
        ("national-id", "x' OR '1'='1", None),
        ("national-id", "%", None),
        ("national-id", "--", None),
        ("passport", "val1", None),
    ],
)
def test_people_are_found_by_bound_values_only(provider, scheme, identifier, count):
    with serving(provider.app()) as url:
        name = SubjectName(scheme=scheme, id=identifier)
        held = fetch(live(provider).of(provider.agency(url)), who=name)["vehicle_count"]
    assert (held.state, held.value) == (("absent", None) if count is None else ("present", count))


def test_the_registry_cannot_be_written_through_the_gateway(provider):
    registry = Registry(provider.mapping)
    with registry._engine.connect() as connection, pytest.raises(Exception, match="readonly"):
        connection.exec_driver_sql("DELETE FROM old_people")
    registry.close()


def test_an_attribute_that_is_not_mapped_is_not_read_though_the_view_has_it(provider):
    with serving(provider.app()) as url:
        held = fetch(live(provider).of(provider.agency(url)), "unmapped")
    assert held["unmapped"].state == "absent"


def test_a_purpose_that_the_provider_does_not_admit_is_refused(tmp_path):
    text = MAPPING.replace("  jwks: exchange-jwks.json", "  jwks: exchange-jwks.json\n  purposes: [tax_control]")
    provider = make_provider(tmp_path, text)
    with serving(provider.app()) as url:
        client = live(provider).of(provider.agency(url))
        with pytest.raises(ProviderProtocolError, match="403"):
            fetch(client)
        assert fetch(client, purpose="tax_control")["vehicle_count"].value == 2


def test_a_registry_that_is_gone_or_too_slow_is_unavailable(provider, tmp_path):
    with serving(provider.app()) as url:
        client = live(provider, read_seconds=4.0, total_seconds=5.0).of(provider.agency(url))
        assert fetch(client)["vehicle_count"].value == 2
        registry = sqlite3.connect(tmp_path / "registry.db")
        registry.execute("DROP VIEW people")
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)"
        registry.execute(
            "CREATE VIEW people AS SELECT pid AS person_id, customer_no, cars, changed, plate, class, first_reg, badge,"
            f" tax, tax_until, closed_on FROM old_people WHERE ({endless} SELECT count(*) FROM n) > 0"
        )
        registry.commit()
        with pytest.raises(ProviderUnavailableError, match="503"):
            fetch(client)
        registry.execute("DROP VIEW people")
        registry.commit()
        registry.close()
        with pytest.raises(ProviderUnavailableError, match="503"):
            fetch(client)


def test_a_dry_run_shows_shapes_and_states_and_no_value(provider):
    rows = dry_run(provider.mapping, limit=3, now=datetime.now(UTC))
    assert len(rows) == 3
    assert rows[0].subject == {"national-id": "v***", "customer": "1***"}
    assert rows[0].answers["vehicle_plate"] == "V***"
    assert rows[0].answers["vehicle_count"] == "***"
    assert rows[1].answers["vehicle_count"] == "absent"
    assert rows[2].answers["vehicle_plate"] == "closed until 2999-01-01"
    assert not any(text in repr(rows) for text in ("VAL 42", "1001", "val1", "2019", "120.5", "small"))


def test_a_mapping_that_does_not_fit_the_registry_is_told_before_serving(provider, tmp_path):
    (tmp_path / "mapping.yaml").write_text(
        MAPPING.replace("column: cars", "column: Cars2").replace("column: plate", "column: number_plate")
    )
    gateway = Gateway(load_mapping(tmp_path / "mapping.yaml"), provider.keys, replay_file=tmp_path / "r.db")
    with pytest.raises(MappingError) as caught:
        gateway.check()
    assert "no column Cars2" in str(caught.value)
    assert "no column number_plate" in str(caught.value)
    gateway.close()
    Gateway(provider.mapping, provider.keys, replay_file=tmp_path / "r.db").check()
