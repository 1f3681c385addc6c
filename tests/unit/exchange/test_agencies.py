"""The list of agencies as a file."""

from pathlib import Path

import pytest

from exchange.agencies import RegistrationError, parse_agencies
from exchange.catalogue import catalogue_from_body, parse_catalogue

COUNTRY = Path(__file__).parents[3] / "demo" / "country"
ONE = """\
agencies: cdx/agencies/v1
list:
  - code: tax-office
    name: Tax office
    profile: {address: Here, contact: Us, url: "https://tax.example", jurisdiction: XV}
"""


def test_agencies_are_read():
    (agency,) = parse_agencies(ONE)
    assert (agency.code, agency.name, agency.profile["jurisdiction"]) == ("tax-office", "Tax office", "XV")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("tax-office", "Tax Office", "line 3, list[0].code: expected the pattern"),
        ("name: Tax office", "name: ''", "line 4, list[0].name: blank"),
        ("https://tax.example", "tax.example", "line 5, list[0].profile.url: expected the pattern"),
        ("address: Here, ", "", "line 5, list[0].profile: address missing"),
        ("jurisdiction: XV", "jurisdiction: XV, secret: 1", "line 5, list[0].profile: unknown: secret"),
        ("jurisdiction: XV", "jurisdiction: XV, live: {}", "line 5, list[0].profile.live: endpoint, jwks missing"),
    ],
)
def test_a_fault_is_found_at_its_place(old, new, fault):
    with pytest.raises(RegistrationError) as caught:
        parse_agencies(ONE.replace(old, new, 1))
    assert any(line.startswith(fault) for line in str(caught.value).splitlines()), str(caught.value)


def test_a_code_stands_once():
    with pytest.raises(RegistrationError, match=r"list\[1\].code: tax-office stands twice"):
        parse_agencies(ONE + ONE.partition("list:\n")[2])


def test_the_demonstrations_providers_and_consumers_are_registered_agencies():
    agencies = {agency.code for agency in parse_agencies((COUNTRY / "agencies.yaml").read_text(encoding="utf-8"))}
    catalogue = catalogue_from_body(1, parse_catalogue((COUNTRY / "catalogue.yaml").read_text(encoding="utf-8")))
    assert {attribute.provider for attribute in catalogue.attributes.values()} <= agencies
    assert len(agencies) == 6
