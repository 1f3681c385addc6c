"""An agreement's text: every fault at its place, what it may ask for, and the demonstration's agreements."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import pytest

from consent.model import LegalBasis
from exchange.agencies import parse_agencies
from exchange.agreement_document import agreement_from_body, agreement_from_row, catalogue_faults, parse_agreement
from exchange.agreement_model import add_duration, is_duration
from exchange.catalogue import catalogue_from_body, parse_catalogue
from exchange.errors import AgreementError
from exchange.model import AgreementStatus

COUNTRY = Path(__file__).parents[3] / "demo" / "country"
FILES = sorted((COUNTRY / "agreements").glob("*.yaml"))
CATALOGUE = catalogue_from_body(1, parse_catalogue((COUNTRY / "catalogue.yaml").read_text(encoding="utf-8")))
ID = UUID("018f0000-0000-7000-8000-00000000a9ee")
TEXT = """\
agreement: cdx/agreement/v1
code: housing-1
consumer: housing-benefit-office
purpose: housing_benefit
legal_basis: consent
lines:
  - {name: annual_income, form: "at_least:30000", required: true}
  - {name: full_name, form: value, required: false}
valid_from: 2026-01-01
valid_until: 2027-01-01
max_duration: P6M
retention_days: 30
notice:
  version: "1"
  texts:
    en: {title: Rent, purpose: To help, consequences_of_no: None, other_way: Paper, contact: Office}
"""


def the_agreement(text=TEXT, **changes):
    body = parse_agreement(text)
    made = agreement_from_body(body, agreement_id=ID, revision=1, version=1, status=AgreementStatus.PROPOSED)
    return replace(made, **changes)


def test_an_agreement_is_read_with_its_defaults():
    agreement = the_agreement()
    assert agreement.keys == {("annual_income", "at_least:30000"), ("full_name", "value")}
    assert [line.required for line in agreement.lines] == [True, False]
    assert (agreement.cooling_off_days, agreement.form_limit, agreement.max_uses, agreement.law) == (30, 4, None, None)
    assert (agreement.valid_from, agreement.valid_until) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert agreement.notice.texts["en"]["title"] == "Rent"


def test_what_is_written_counts_over_the_defaults():
    agreement = the_agreement(TEXT + "max_uses: 3\ncooling_off_days: 0\nform_limit: 1\n")
    assert (agreement.cooling_off_days, agreement.form_limit, agreement.max_uses) == (0, 1, 3)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("cdx/agreement/v1", "v1", "line 1, agreement: expected cdx/agreement/v1"),
        ("at_least:30000", "at_least:x", "line 7, lines[0].form: expected a form such as"),
        ("at_least:30000", "in_range:9-1", "line 7, lines[0].form: a range ends above its beginning"),
        ("required: true", "required: 1", "line 7, lines[0].required: expected boolean"),
        (", required: true", "", "line 7, lines[0]: required missing"),
        (
            "full_name, form: value",
            'annual_income, form: "at_least:30000"',
            "line 8, lines[1]: annual_income stands twice",
        ),
        ("2026-01-01", "2026-02-30", "line 9, valid_from: the calendar has no such day"),
        ("2026-01-01", "2026-1-1", "line 9, valid_from: expected the pattern"),
        ("2027-01-01", "2026-01-01", "line 10, valid_until: not after valid_from"),
        ("P6M", "PT6H", "line 11, max_duration: expected an ISO 8601 duration"),
        ("P6M", "P0D", "line 11, max_duration: expected an ISO 8601 duration"),
        ("retention_days: 30", "retention_days: -1", "line 12, retention_days: minimum is 0"),
        ("    en:", "    fr:", "line 15, notice.texts: en missing"),
        ("title: Rent, ", "", "line 16, notice.texts.en: title missing"),
        ("legal_basis: consent", "legal_basis: public_task", "line 1: law missing: by which law"),
        ("legal_basis: consent", "legal_basis: consent\nlaw: Act 1", "line 6, law: with consent no law is named"),
        ("code: housing-1", "code: Housing 1", "line 2, code: expected the pattern"),
    ],
)
def test_a_fault_is_found_at_its_place(old, new, fault):
    with pytest.raises(AgreementError) as caught:
        parse_agreement(TEXT.replace(old, new, 1))
    assert any(line.startswith(fault) for line in str(caught.value).splitlines()), str(caught.value)


def test_all_faults_are_listed_at_once():
    text = TEXT.replace("P6M", "ever").replace("at_least:30000", "all").replace("2027", "2025")
    with pytest.raises(AgreementError) as caught:
        parse_agreement(text)
    assert len(str(caught.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("purpose: housing_benefit", "purpose: gossip", ("purpose",)),
        ("purpose: housing_benefit", "purpose: benefit_review", ("legal_basis",)),
        ("retention_days: 30", "retention_days: 1826", ("retention_days",)),
        ("name: annual_income", "name: shoe_size", ("lines", 0, "name")),
        ("at_least:30000", "equals", ("lines", 0, "form")),
        ("at_least:30000", "partial:year", ("lines", 0, "form")),
        ('name: annual_income, form: "at_least:30000"', "name: disability_status, form: exists", ("lines", 0, "name")),
    ],
)
def test_what_the_catalogue_does_not_admit_is_found(old, new, path):
    agreement = the_agreement(TEXT.replace(old, new, 1))
    assert [found for found, _ in catalogue_faults(agreement, CATALOGUE)] == [path]


def test_specially_protected_facts_need_an_explicit_consent():
    text = TEXT.replace("annual_income", "disability_status").replace("at_least:30000", "exists")
    assert list(catalogue_faults(the_agreement(text), CATALOGUE))
    assert not list(catalogue_faults(the_agreement(text, legal_basis=LegalBasis.EXPLICIT_CONSENT), CATALOGUE))


def row(body, **changes):
    agreement = the_agreement()
    given = {"id": ID, "revision": 2, "version": 5, "status": "IN_FORCE", "body": body, "digest": agreement.digest}
    return SimpleNamespace(**{**given, **changes})


def test_a_row_is_read():
    agreement = agreement_from_row(row(parse_agreement(TEXT)))
    assert (agreement.revision, agreement.version, agreement.status) == (2, 5, AgreementStatus.IN_FORCE)
    assert agreement.is_in_force(datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "body", [b"", b"{}", parse_agreement(TEXT.replace("30000", "1")), parse_agreement(TEXT)[:-1], b'{"code":1}']
)
def test_a_row_whose_body_was_changed_is_refused(body):
    with pytest.raises(AgreementError):
        agreement_from_row(row(body))


@pytest.mark.parametrize(
    ("duration", "start", "end"),
    [
        ("P6M", (2026, 8, 31), (2027, 2, 28)),
        ("P1M", (2028, 1, 31), (2028, 2, 29)),
        ("P1Y", (2028, 2, 29), (2029, 2, 28)),
        ("P12M", (2026, 12, 31), (2027, 12, 31)),
        ("P30D", (2026, 2, 1), (2026, 3, 3)),
        ("P2W", (2026, 2, 20), (2026, 3, 6)),
        ("P1Y2M3D", (2026, 11, 30), (2028, 2, 2)),
    ],
)
def test_a_duration_is_added_in_the_calendar(duration, start, end):
    assert add_duration(datetime(*start, tzinfo=UTC), duration) == datetime(*end, tzinfo=UTC)


NO_DURATIONS = ["", "P", "P0D", "P00M", "6M", "PT1H", "P1DT1H", "P-1D", "P1.5D", "P1M1Y", "P1W1D", "P99999M"]


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration_is_refused(text):
    assert not is_duration(text)
    with pytest.raises(ValueError):
        add_duration(datetime(2026, 1, 1, tzinfo=UTC), text)


@pytest.mark.parametrize("text", ["P999Y", "P9999M", "P99999D"])
def test_a_duration_that_leaves_the_calendar_is_refused(text):
    with pytest.raises(ValueError, match="calendar"):
        add_duration(datetime(9800, 1, 1, tzinfo=UTC), text)


def test_a_consent_ends_with_its_agreement_at_the_latest():
    agreement = the_agreement()
    assert agreement.longest_until(datetime(2026, 2, 1, tzinfo=UTC)) == datetime(2026, 8, 1, tzinfo=UTC)
    assert agreement.longest_until(datetime(2026, 10, 1, tzinfo=UTC)) == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_agreement_of_the_demonstration_is_valid(path):
    agreement = the_agreement(path.read_text(encoding="utf-8"))
    agencies = {agency.code for agency in parse_agencies((COUNTRY / "agencies.yaml").read_text(encoding="utf-8"))}
    assert agreement.code == path.stem
    assert agreement.consumer in agencies
    assert list(catalogue_faults(agreement, CATALOGUE)) == []
    assert set(agreement.notice.texts) == {"en", "fr"}
    assert next(iter(agreement.notice.texts)) == "en"


def test_the_demonstration_asks_for_consent_mostly_and_once_by_law():
    bases = [the_agreement(path.read_text(encoding="utf-8")).legal_basis for path in FILES]
    assert bases.count(LegalBasis.PUBLIC_TASK) == 1
    assert {the_agreement(path.read_text(encoding="utf-8")).purpose for path in FILES} == set(CATALOGUE.purposes)
