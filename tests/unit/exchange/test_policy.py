"""The decision, step by step: what each step refuses, in which order, and what it lets through."""

from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

import pytest

from consent.model import ConsentStatus, LegalBasis
from exchange.model import AgreementStatus, SubjectStatus
from exchange.policy import Deny, DenyReason, NeedsConsent, Permit, SubjectState, decide
from tests.unit.exchange.samples import (
    CATALOGUE,
    CONSENT,
    LINES,
    NOW,
    a_consent,
    a_line,
    a_question,
    a_request,
    a_scope,
    an_agreement,
)

INCOME = a_line("income", "at_least:30000")
SALARY = a_line("income", "value")
ADDRESS = a_line("address", "value")
BY_LAW = an_agreement(legal_basis=LegalBasis.PUBLIC_TASK, law="Act 1")
PROTECTED = SubjectState(status=SubjectStatus.PROTECTED)
NO_LAW = replace(
    CATALOGUE,
    purposes=MappingProxyType(
        {
            code: replace(purpose, legal_bases=frozenset({LegalBasis.PUBLIC_TASK}))
            for code, purpose in CATALOGUE.purposes.items()
        }
    ),
)


def optional(line):
    return replace(line, required=False)


DENIALS = {
    "a client without the scope": (a_question(scopes=frozenset({"catalogue:read"})), DenyReason.MISSING_SCOPE),
    "a client without any scope": (a_question(scopes=frozenset()), DenyReason.MISSING_SCOPE),
    "no lines at all": (a_question(request=replace(a_request(), attributes=())), DenyReason.EMPTY_REQUEST),
    "a line twice": (a_question(INCOME, INCOME), DenyReason.DUPLICATE_LINE),
    "a line twice, once optional": (a_question(INCOME, optional(INCOME)), DenyReason.DUPLICATE_LINE),
    "two guesses at once": (
        a_question(a_line("passport", "equals", compare_to="A"), a_line("passport", "equals", compare_to="B")),
        DenyReason.DUPLICATE_LINE,
    ),
    "equals with nothing to compare": (a_question(a_line("passport", "equals")), DenyReason.COMPARE_TO_MISSING),
    "equals with an empty text": (
        a_question(a_line("passport", "equals", compare_to="")),
        DenyReason.COMPARE_TO_MISSING,
    ),
    "something to compare without equals": (
        a_question(a_line("income", "value", compare_to="1")),
        DenyReason.COMPARE_TO_UNEXPECTED,
    ),
    "an unknown purpose": (a_question(request=a_request(purpose="gossip")), DenyReason.UNKNOWN_PURPOSE),
    "an unknown attribute": (a_question(a_line("blood_type", "value")), DenyReason.UNKNOWN_ATTRIBUTE),
    "a form that is none": (a_question(a_line("income", "roughly")), DenyReason.UNKNOWN_FORM),
    "a form that the attribute does not have": (a_question(a_line("born", "in_range:1-2")), DenyReason.UNKNOWN_FORM),
    "a part that the attribute does not have": (a_question(a_line("born", "partial:month")), DenyReason.UNKNOWN_FORM),
    "equals where guessing is easy": (
        a_question(a_line("nickname", "equals", compare_to="Bob")),
        DenyReason.EQUALS_NOT_ADMITTED,
    ),
    "no agreement": (a_question(agreement=None), DenyReason.UNKNOWN_AGREEMENT),
    "an agreement of another name": (a_question(agreement=an_agreement(code="other")), DenyReason.UNKNOWN_AGREEMENT),
    "somebody else's agreement": (a_question(agency="parking-office"), DenyReason.AGREEMENT_NOT_YOURS),
    "a proposed agreement": (
        a_question(agreement=an_agreement(status=AgreementStatus.PROPOSED)),
        DenyReason.AGREEMENT_NOT_IN_FORCE,
    ),
    "an ended agreement": (
        a_question(agreement=an_agreement(status=AgreementStatus.ENDED)),
        DenyReason.AGREEMENT_NOT_IN_FORCE,
    ),
    "an agreement that has run out": (
        a_question(agreement=an_agreement(valid_until=NOW)),
        DenyReason.AGREEMENT_NOT_IN_FORCE,
    ),
    "an agreement that has not begun": (
        a_question(agreement=an_agreement(valid_from=NOW + timedelta(milliseconds=1))),
        DenyReason.AGREEMENT_NOT_IN_FORCE,
    ),
    "another purpose than agreed": (
        a_question(request=a_request(purpose="parking")),
        DenyReason.PURPOSE_OUTSIDE_AGREEMENT,
    ),
    "a legal basis that the purpose does not admit": (
        a_question(catalogue=NO_LAW),
        DenyReason.LEGAL_BASIS_NOT_ADMITTED,
    ),
    "another agreement than the token's permission is under": (
        a_question(granted_agreement_id=UUID(int=77)),
        DenyReason.OUTSIDE_GRANT,
    ),
    "a form that was not agreed": (a_question(a_line("income", "at_least:29999")), DenyReason.OUTSIDE_AGREEMENT),
    "an optional line that was not agreed": (
        a_question(SALARY, optional(a_line("income", "exists"))),
        DenyReason.OUTSIDE_AGREEMENT,
    ),
    "the value, agreed only in a weaker form": (
        a_question(a_line("born", "value")),
        DenyReason.OUTSIDE_AGREEMENT,
    ),
    "the address of a protected person": (a_question(ADDRESS, subject=PROTECTED), DenyReason.PROTECTED_ADDRESS),
    "the town of a protected person": (
        a_question(INCOME, a_line("address", "partial:city"), subject=PROTECTED),
        DenyReason.PROTECTED_ADDRESS,
    ),
    "nothing but the address of a protected person, optional": (
        a_question(optional(ADDRESS), subject=PROTECTED),
        DenyReason.PROTECTED_ADDRESS,
    ),
    "the address of a protected person, by law": (
        a_question(ADDRESS, subject=PROTECTED, agreement=BY_LAW, consent=None),
        DenyReason.PROTECTED_ADDRESS,
    ),
    "a paused consent": (a_question(consent=a_consent(status=ConsentStatus.PAUSED)), DenyReason.CONSENT_PAUSED),
    "a consent that has not begun": (
        a_question(consent=a_consent(valid_from=NOW + timedelta(milliseconds=1))),
        DenyReason.CONSENT_NOT_IN_FORCE,
    ),
    "a consent to a revision that is not in force yet": (
        a_question(consent=a_consent(revision=3)),
        DenyReason.CONSENT_NOT_IN_FORCE,
    ),
    "asking again right after a no": (
        a_question(consent=None, last_negative_at=NOW),
        DenyReason.COOLING_OFF,
    ),
    "asking again a moment before the time is over": (
        a_question(consent=None, last_negative_at=NOW - timedelta(days=30) + timedelta(milliseconds=1)),
        DenyReason.COOLING_OFF,
    ),
    "a required line outside the consent": (
        a_question(SALARY, consent=a_consent(scope=a_scope(("income", "at_least:30000")))),
        DenyReason.OUTSIDE_CONSENT,
    ),
    "one of two required lines outside the consent": (
        a_question(INCOME, SALARY, consent=a_consent(scope=a_scope(("income", "at_least:30000")))),
        DenyReason.OUTSIDE_CONSENT,
    ),
    "a weaker form where the value was given": (
        a_question(INCOME, consent=a_consent(scope=a_scope(("income", "value")))),
        DenyReason.OUTSIDE_CONSENT,
    ),
    "nothing left of optional lines": (
        a_question(optional(SALARY), consent=a_consent(scope=a_scope(("born", "at_least:18")))),
        DenyReason.OUTSIDE_CONSENT,
    ),
    "a consent to nothing": (a_question(consent=a_consent(scope=a_scope())), DenyReason.OUTSIDE_CONSENT),
    "a weaker form once too often": (
        a_question(INCOME, form_uses={("income", "at_least:30000"): 4}),
        DenyReason.FORM_LIMIT,
    ),
    "one of two required lines once too often": (
        a_question(INCOME, SALARY, form_uses={("income", "at_least:30000"): 4}),
        DenyReason.FORM_LIMIT,
    ),
    "nobody of that name, by law": (a_question(subject=None, agreement=BY_LAW), DenyReason.NOT_SERVED),
    "a weaker form once too often, by law": (
        a_question(INCOME, agreement=BY_LAW, form_uses={("income", "at_least:30000"): 4}),
        DenyReason.FORM_LIMIT,
    ),
    "only an optional line, once too often": (
        a_question(optional(INCOME), form_uses={("income", "at_least:30000"): 9}),
        DenyReason.FORM_LIMIT,
    ),
}


@pytest.mark.parametrize("case", DENIALS.values(), ids=DENIALS.keys())
def test_denied(case):
    question, reason = case
    decision = decide(question, NOW)
    assert isinstance(decision, Deny)
    assert decision.reason is reason


def test_every_reason_is_reached():
    assert {reason for _, reason in DENIALS.values()} == set(DenyReason)


def test_the_sample_question_is_permitted():
    assert decide(a_question(), NOW) == Permit(lines=(INCOME,), consent_id=CONSENT, consent_version=2)


PERMITS = {
    "the first moment of the consent": a_question(consent=a_consent(valid_from=NOW)),
    "the last moment of the consent": a_question(consent=a_consent(valid_until=NOW + timedelta(milliseconds=1))),
    "the first moment of the agreement": a_question(agreement=an_agreement(valid_from=NOW)),
    "the last moment of the agreement": a_question(agreement=an_agreement(valid_until=NOW + timedelta(milliseconds=1))),
    "the last use": a_question(consent=a_consent(uses_left=1)),
    "a consent to an earlier revision": a_question(consent=a_consent(revision=1)),
    "a consent given after a no": a_question(last_negative_at=NOW - timedelta(days=1)),
    "a weaker form for the last time": a_question(form_uses={("income", "at_least:30000"): 3}),
    "another form used often": a_question(form_uses={("income", "value"): 99, ("born", "at_least:30000"): 99}),
    "a protected person whose address is not asked for": a_question(subject=PROTECTED),
}


@pytest.mark.parametrize("question", PERMITS.values(), ids=PERMITS.keys())
def test_permitted(question):
    assert decide(question, NOW) == Permit(lines=(INCOME,), consent_id=CONSENT, consent_version=2)


def test_the_value_itself_has_no_limit():
    decision = decide(a_question(SALARY, form_uses={("income", "value"): 99}), NOW)
    assert decision == Permit(lines=(SALARY,), consent_id=CONSENT, consent_version=2)


def test_equals_is_permitted_where_guessing_is_hopeless():
    line = a_line("passport", "equals", compare_to="X1234567")
    assert decide(a_question(line), NOW).lines == (line,)


def test_optional_lines_outside_the_consent_are_left_out():
    consent = a_consent(scope=a_scope(("income", "at_least:30000")))
    decision = decide(a_question(INCOME, optional(SALARY), consent=consent), NOW)
    assert decision == Permit(lines=(INCOME,), left_out=(optional(SALARY),), consent_id=CONSENT, consent_version=2)


def test_an_optional_line_asked_too_often_is_left_out():
    decision = decide(a_question(optional(INCOME), SALARY, form_uses={("income", "at_least:30000"): 4}), NOW)
    assert decision == Permit(lines=(SALARY,), left_out=(optional(INCOME),), consent_id=CONSENT, consent_version=2)


def test_a_protected_persons_address_is_left_out_where_it_is_optional():
    decision = decide(a_question(INCOME, optional(ADDRESS), subject=PROTECTED), NOW)
    assert decision == Permit(lines=(INCOME,), left_out=(optional(ADDRESS),), consent_id=CONSENT, consent_version=2)


@pytest.mark.invariant(6)
@pytest.mark.parametrize("lines", [(INCOME, optional(ADDRESS)), (ADDRESS,)], ids=["optional", "required"])
def test_before_a_consent_a_protected_person_looks_like_any_other(lines):
    asked = [decide(a_question(*lines, subject=who, consent=None), NOW) for who in (PROTECTED, a_question().subject)]
    assert asked == [NeedsConsent(lines=lines)] * 2


def test_by_law_nobody_is_asked():
    decision = decide(a_question(agreement=BY_LAW, consent=None, last_negative_at=NOW), NOW)
    assert decision == Permit(lines=(INCOME,))


def test_by_law_a_consent_is_not_used_up():
    assert decide(a_question(agreement=BY_LAW), NOW).consent_id is None


ASKED = {
    "no consent yet": a_question(consent=None),
    "a question still open": a_question(consent=a_consent(status=ConsentStatus.REQUESTED)),
    "given, but run out by the clock": a_question(consent=a_consent(valid_until=NOW)),
    "paused, but run out by the clock": a_question(
        consent=a_consent(status=ConsentStatus.PAUSED, valid_until=NOW - timedelta(days=1))
    ),
    "given, but used up": a_question(consent=a_consent(uses_left=0)),
    "the time after a no is over": a_question(consent=None, last_negative_at=NOW - timedelta(days=30)),
    **{f"ended: {status}": a_question(consent=a_consent(status=status)) for status in ConsentStatus if status.is_ended},
}


@pytest.mark.parametrize("question", ASKED.values(), ids=ASKED.keys())
def test_the_person_is_asked(question):
    assert decide(question, NOW) == NeedsConsent(lines=(INCOME,), answerable=True)


@pytest.mark.invariant(6)
@pytest.mark.parametrize("status", [None, *(s for s in SubjectStatus if s not in ("ACTIVE", "PROTECTED"))])
@pytest.mark.parametrize("agreement", [an_agreement(), BY_LAW], ids=["consent", "law"])
def test_who_cannot_answer_looks_like_one_who_does_not(status, agreement):
    """By law nobody is asked, so that nobody can be silent: there it is the one coarse refusal."""
    subject = None if status is None else SubjectState(status=status)
    question = a_question(
        INCOME,
        ADDRESS,
        subject=subject,
        agreement=agreement,
        # Left-overs of a life that has ended change nothing.
        last_negative_at=NOW,
        form_uses={("income", "at_least:30000"): 99},
    )
    asked = NeedsConsent(lines=(INCOME, ADDRESS), answerable=False)
    assert decide(question, NOW) == (Deny(reason=DenyReason.NOT_SERVED) if agreement is BY_LAW else asked)


@pytest.mark.invariant(6)
@pytest.mark.parametrize("case", DENIALS.values(), ids=DENIALS.keys())
def test_a_fault_of_the_caller_is_told_before_anything_about_the_person_is_looked_at(case):
    question, reason = case
    without_person = replace(question, subject=None, consent=None, last_negative_at=None, form_uses={})
    decision = decide(without_person, NOW)
    if reason.is_callers_fault:
        assert decision == decide(question, NOW)
    elif question.agreement is not None and not question.agreement.legal_basis.asks_subject:
        assert decision == Deny(reason=DenyReason.NOT_SERVED)
    else:
        assert decision == NeedsConsent(lines=question.request.attributes, answerable=False)


@pytest.mark.invariant(6)
def test_a_non_party_is_told_the_same_as_for_no_agreement():
    assert DenyReason.AGREEMENT_NOT_YOURS.outward is DenyReason.UNKNOWN_AGREEMENT
    assert all(reason.outward is reason for reason in DenyReason if reason is not DenyReason.AGREEMENT_NOT_YOURS)


def test_the_person_related_reasons_are_these():
    assert {reason for reason in DenyReason if not reason.is_callers_fault} == {
        DenyReason.PROTECTED_ADDRESS,
        DenyReason.CONSENT_PAUSED,
        DenyReason.CONSENT_NOT_IN_FORCE,
        DenyReason.COOLING_OFF,
        DenyReason.OUTSIDE_CONSENT,
        DenyReason.FORM_LIMIT,
        DenyReason.NOT_SERVED,
    }


def test_a_denial_names_the_lines_at_fault():
    unknown = a_line("income", "exists")
    assert decide(a_question(INCOME, unknown), NOW).lines == (unknown,)


def test_each_sample_line_is_permitted_in_full():
    lines = tuple(
        a_line(name, form, compare_to="X" if form == "equals" else None, required=required)
        for name, form in LINES
        for required in [True]
    )
    assert decide(a_question(*lines), NOW).lines == lines
