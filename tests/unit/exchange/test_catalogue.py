"""The catalogue's file: the demonstration's is valid, and each fault is found at its place, all at once."""

import re
from pathlib import Path

import pytest

from exchange.catalogue import catalogue_from_body, parse_catalogue
from exchange.errors import CatalogueError, UnknownAttributeError, UnknownPurposeError

COUNTRY = Path(__file__).parents[3] / "demo" / "country"
FILE = (COUNTRY / "catalogue.yaml").read_text(encoding="utf-8")
SMALL = """\
catalogue: cdx/catalogue/v1
classifications:
  personal: {label: Personal, rank: 1}
purposes:
  housing: {label: Rent, description: A, dpv: "https://w3id.org/dpv#Purpose", legal_bases: [consent], retention_days: 9}
attributes:
  income:
    label: Income
    description: What you earn
    type: money
    classification: personal
    provider: tax-office
    forms: [value, at_least]
"""


def faults(text):
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text)
    return str(caught.value).splitlines()[1:]


def test_a_small_catalogue_is_read():
    catalogue = catalogue_from_body(7, parse_catalogue(SMALL))
    income = catalogue.attribute("income")
    assert (catalogue.version, len(catalogue.digest)) == (7, 64)
    assert (income.type, income.provider, income.forms) == ("money", "tax-office", {"value", "at_least"})
    assert (income.high_entropy, income.live, income.whereabouts, income.freshness_days) == (False, False, False, None)
    assert catalogue.purpose("housing").retention_days == 9
    assert catalogue.classifications["personal"].explicit_consent is False


def test_what_the_catalogue_does_not_have_is_unknown():
    catalogue = catalogue_from_body(1, parse_catalogue(SMALL))
    with pytest.raises(UnknownAttributeError):
        catalogue.attribute("blood_type")
    with pytest.raises(UnknownPurposeError):
        catalogue.purpose("gossip")


def test_the_digest_is_of_what_it_says_and_not_of_how_it_is_written():
    body = parse_catalogue(SMALL)
    assert parse_catalogue("# a comment\n" + SMALL.replace("label: Income", 'label: "Income"')) == body
    assert parse_catalogue(SMALL.replace("label: Income", "label: Wages")) != body


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("cdx/catalogue/v1", "cdx/catalogue/v2", "line 1, catalogue: expected cdx/catalogue/v1"),
        ("    label: Income\n", "", "line 7, attributes.income: label missing"),
        ("label: Income", "label: ' '", "line 8, attributes.income.label: blank"),
        ("label: Income", "label:", "line 8, attributes.income.label: expected string"),
        ("type: money", "type: float", "line 10, attributes.income.type: expected one of string, integer, date"),
        ("tion: personal", "tion: secret", "line 11, attributes.income.classification: unknown: secret"),
        ("tax-office", "Tax Office", "line 12, attributes.income.provider: expected the pattern ^[a-z0-9]"),
        ("at_least", "equals", "line 13, attributes.income.forms: equals cannot be answered of a money"),
        ("at_least", "equals", "line 13, attributes.income.forms: equals needs high_entropy: true"),
        ("at_least", "value", "line 13, attributes.income.forms: an item stands twice"),
        ("[value, at_least]", "[]", "line 13, attributes.income.forms: minItems is 1"),
        ("at_least", "'partial:year'", "line 13, attributes.income.forms: partial:year cannot be answered of a money"),
        ("at_least", "at_least:18", "line 13, attributes.income.forms[1]: expected one of value, at_least"),
        ("tax-office", "tax-office\n    secret: 1", "line 7, attributes.income: unknown: secret"),
        ("  income:", "  Income:", "line 7, attributes.Income: expected the pattern"),
        ("rank: 1", "rank: -1", "line 3, classifications.personal.rank: minimum is 0"),
        ("  personal:", "  b: {label: B, rank: 1}\n  personal:", "line 4, classifications.personal.rank: the same as"),
        ("[consent]", "[habit]", "line 5, purposes.housing.legal_bases[0]: expected one of consent, explicit"),
        ("https://w3id.org", "ftp://w3id.org", "line 5, purposes.housing.dpv: expected the pattern ^https://"),
        ("retention_days: 9", "retention_days: true", "line 5, purposes.housing.retention_days: expected integer"),
    ],
)
def test_a_fault_is_found_at_its_place(old, new, fault):
    found = faults(SMALL.replace(old, new, 1))
    assert any(line.startswith(fault) for line in found), found


def test_all_faults_are_listed_at_once_in_the_order_of_the_file():
    text = SMALL.replace("rank: 1", "rank: x").replace("type: money", "type: float").replace("    label: Income\n", "")
    found = faults(text)
    assert len(found) == 3
    assert [int(re.match(r"line (\d+)", line)[1]) for line in found] == [3, 7, 9]


@pytest.mark.parametrize("text", ["", "just text", "[1, 2]", "catalogue: &a cdx", "a: 1\na: 2", "\x00"])
def test_what_is_no_catalogue_at_all_is_refused(text):
    assert faults(text)


def test_a_text_that_cannot_be_stored_is_refused():
    with pytest.raises(CatalogueError):
        parse_catalogue(SMALL.replace("label: Income", 'label: "\\ud800"'))


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"attributes":{"a":{}},"purposes":{}}', b"\xff"])
def test_a_damaged_body_is_refused(body):
    with pytest.raises(CatalogueError):
        catalogue_from_body(1, body)


def test_the_demonstration_country_has_what_it_promises():
    catalogue = catalogue_from_body(1, parse_catalogue(FILE))
    providers = {attribute.provider for attribute in catalogue.attributes.values()}
    live = {attribute.provider for attribute in catalogue.attributes.values() if attribute.live}
    assert len(catalogue.attributes) >= 30
    assert len(catalogue.classifications) == 5
    assert len(catalogue.purposes) == 6
    assert len(providers) == 3
    assert live == {"vehicle-registry"}
    assert {attribute.classification for attribute in catalogue.attributes.values()} == set(catalogue.classifications)
    assert all(purpose.dpv.startswith("https://w3id.org/dpv#") for purpose in catalogue.purposes.values())


def test_every_attribute_that_tells_where_a_person_is_says_so():
    catalogue = catalogue_from_body(1, parse_catalogue(FILE))
    assert {name for name, attribute in catalogue.attributes.items() if attribute.whereabouts} == {
        "home_address",
        "municipality",
        "postal_code",
    }
