"""The small values: what they refuse, and which words of DPV they stand for."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from consent.instants import from_millis, to_millis, whole_millis
from consent.model import Actor, ActorKind, ConsentStatus, LegalBasis, Manner, Method, PaperRecord
from consent.scope import AttributeScope
from tests.unit.consent.examples import DAY, NOW, PAPER, TERMS


def test_terms_keep_whole_milliseconds():
    cut = replace(TERMS, valid_from=NOW + timedelta(microseconds=999))
    assert cut.valid_from == NOW
    assert cut == TERMS


@pytest.mark.parametrize(
    "changes",
    [
        {"valid_until": NOW},
        {"valid_from": datetime(2026, 3, 2)},  # noqa: DTZ001  # the fault that is tried
        {"valid_from": NOW.astimezone(timezone(timedelta(hours=1)))},
        {"uses": 0},
        {"agreement_revision": 0},
        {"scope": AttributeScope.of([])},
        {"consumer": ""},
        {"consumer": "x" * 65},
        {"consumer": "two words"},
        {"purpose": ""},
        {"notice_version": "é"},
        {"language": "english, please"},
        {"legal_basis": LegalBasis.LEGAL_OBLIGATION},
        {"legal_basis": LegalBasis.PUBLIC_TASK},
    ],
)
def test_terms_that_nobody_can_be_asked(changes):
    with pytest.raises(ValueError):
        replace(TERMS, **changes)


def test_by_law_nobody_is_asked():
    assert [basis for basis in LegalBasis if basis.asks_subject] == [LegalBasis.CONSENT, LegalBasis.EXPLICIT_CONSENT]


def test_legal_bases_have_their_terms():
    gdpr = "https://w3id.org/dpv/legal/eu/gdpr#"
    assert {basis: (basis.dpv_iri.split("#")[1], basis.gdpr_iri) for basis in LegalBasis} == {
        LegalBasis.CONSENT: ("Consent", gdpr + "A6-1-a"),
        LegalBasis.EXPLICIT_CONSENT: ("Consent", gdpr + "A6-1-a-explicit-consent"),
        LegalBasis.LEGAL_OBLIGATION: ("LegalObligation", gdpr + "A6-1-c"),
        LegalBasis.PUBLIC_TASK: ("PublicInterest", gdpr + "A6-1-e"),
    }


@pytest.mark.parametrize("ref", ["", "anna@example.org", "Anna Rossi", "x" * 129, "ü", "a\n"])
def test_an_actor_is_a_reference_and_no_name_or_address(ref):
    with pytest.raises(ValueError) as refusal:
        Actor(kind=ActorKind.SUBJECT, ref=ref)
    assert "Anna" not in str(refusal.value)


def test_only_a_representative_names_a_mandate():
    assert Actor(kind=ActorKind.REPRESENTATIVE, ref="parent", mandate="m-1").mandate == "m-1"
    with pytest.raises(ValueError, match="mandate"):
        Actor(kind=ActorKind.REPRESENTATIVE, ref="parent")
    for kind in set(ActorKind) - {ActorKind.REPRESENTATIVE}:
        with pytest.raises(ValueError, match="mandate"):
            Actor(kind=kind, ref="somebody", mandate="m-1")


def test_paper_takes_two_people_and_a_scan():
    assert PAPER.is_informed
    with pytest.raises(ValueError, match="two different people"):
        PaperRecord(clerk="clerk-1", second="clerk-1", scan_sha256="ab" * 32)
    with pytest.raises(ValueError, match="64"):
        PaperRecord(clerk="clerk-1", second="clerk-2", scan_sha256="AB" * 32)
    with pytest.raises(ValueError, match="paper record"):
        Manner(method=Method.PAPER)
    with pytest.raises(ValueError, match="paper record"):
        Manner(method=Method.PORTAL, paper=PAPER.paper)


def test_a_manner_says_whether_the_person_was_informed():
    assert not Manner(method=Method.API).is_informed
    assert not Manner(method=Method.API, language="en").is_informed
    assert not Manner(method=Method.API, notice_version="1").is_informed
    assert Manner(method=Method.API, language="fr-BE", notice_version="1").is_informed
    with pytest.raises(ValueError):
        Manner(method=Method.API, notice_version="")
    with pytest.raises(ValueError):
        Manner(method=Method.API, language="English")


def test_moments():
    assert from_millis(to_millis(NOW)) == NOW
    assert whole_millis(NOW + timedelta(microseconds=999)) == NOW
    before = datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
    assert to_millis(before) == -1
    assert from_millis(-1) == before
    assert whole_millis(NOW + DAY).tzinfo is UTC


def test_statuses_fit_their_column():
    assert all(len(status) <= 16 for status in ConsentStatus)
