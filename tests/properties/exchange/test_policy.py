"""What is permitted lies in the agreement and in the consent, whatever they and the request are (invariant 3)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.model import ConsentStatus, LegalBasis
from consent.scope import AttributeScope, ScopedAttribute
from exchange.agreement_model import AgreementLine
from exchange.model import AgreementStatus, RequestedAttribute, SubjectStatus
from exchange.policy import NeedsConsent, Permit, SubjectState, decide
from tests.unit.exchange.samples import CATALOGUE, NOW, a_consent, a_question, a_request, an_agreement

FORMS = {
    "income": ["value", "exists", "at_least:30000", "at_least:20000", "in_range:0-30000"],
    "born": ["value", "at_least:18", "at_least:21", "partial:year"],
    "address": ["value", "partial:city"],
    "passport": ["equals", "partial:last4"],
}
KEYS = [(name, form) for name, forms in FORMS.items() for form in forms]
# Also what no catalogue admits: a decision must hold against it too.
WILD = [
    *KEYS,
    ("income", "equals"),
    ("income", "partial:year"),
    ("born", "whole"),
    ("blood", "value"),
    ("born", "VALUE"),
]
SCOPES = [frozenset({"attributes:request"})] * 4 + [frozenset(), frozenset({"audit:read"})]
SUBJECTS = [SubjectStatus.ACTIVE] * 4 + list(SubjectStatus)
DAYS = st.integers(-3, 3).map(lambda days: NOW + timedelta(days=days))


def pairs(of=KEYS, **limits):
    return st.lists(st.sampled_from(of), unique=True, **limits)


def lines(keys, required):
    return tuple(
        RequestedAttribute(name=name, form=form, required=needed, compare_to="X" if form == "equals" else None)
        for (name, form), needed in zip(keys, required, strict=False)
    )


def a_scope(keys):
    return AttributeScope.of(ScopedAttribute(name=name, form=form) for name, form in keys)


@st.composite
def questions(draw, *, asked=None, of=KEYS):
    wanted = draw(pairs(of, max_size=6)) if asked is None else asked
    requested = lines(wanted, draw(st.lists(st.booleans(), min_size=len(wanted), max_size=len(wanted))))
    # Half of the time enough of everything, so that many questions are permitted.
    agreed = draw(pairs(KEYS, max_size=len(KEYS)) | st.just(KEYS))
    consented = draw(pairs(KEYS, max_size=len(KEYS)) | st.just(KEYS))
    return a_question(
        request=replace(a_request(), attributes=requested),
        scopes=draw(st.sampled_from(SCOPES)),
        agency=draw(st.sampled_from(["housing-office"] * 5 + ["parking-office"])),
        agreement=draw(
            st.none()
            | st.builds(
                an_agreement,
                lines=st.just(tuple(AgreementLine(name=name, form=form, required=True) for name, form in agreed)),
                legal_basis=st.sampled_from([LegalBasis.CONSENT, LegalBasis.CONSENT, LegalBasis.PUBLIC_TASK]),
                status=st.sampled_from([AgreementStatus.IN_FORCE] * 5 + list(AgreementStatus)),
                form_limit=st.integers(1, 4),
            )
        ),
        subject=draw(st.none() | st.builds(SubjectState, status=st.sampled_from(SUBJECTS))),
        consent=draw(
            st.none()
            | st.builds(
                a_consent,
                scope=st.just(a_scope(consented)),
                status=st.sampled_from([ConsentStatus.GIVEN] * 5 + list(ConsentStatus)),
                valid_from=DAYS,
                valid_until=DAYS,
                uses_left=st.none() | st.integers(0, 3),
                revision=st.integers(1, 3),
            )
        ),
        last_negative_at=draw(st.none() | DAYS),
        form_uses=draw(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 5))),
    )


def keys_of(some):
    return {(line.name, line.form) for line in some}


@pytest.mark.invariant(3)
@given(questions(of=WILD))
def test_what_is_permitted_lies_in_agreement_and_consent_and_scopes(question):
    decision = decide(question, NOW)
    if not isinstance(decision, Permit):
        return
    permitted = keys_of(decision.lines)
    agreement = question.agreement
    assert permitted
    assert permitted <= keys_of(question.request.attributes)
    assert permitted <= {(line.name, line.form) for line in agreement.lines}
    assert "attributes:request" in question.scopes
    assert question.agency == agreement.consumer
    assert agreement.status is AgreementStatus.IN_FORCE
    if agreement.legal_basis.asks_subject:
        consent = question.consent
        assert permitted <= {(one.name, one.form) for one in consent.scope}
        assert consent.status is ConsentStatus.GIVEN
        assert consent.valid_from <= NOW < consent.valid_until
        assert consent.uses_left != 0
        assert (decision.consent_id, decision.consent_version) == (consent.id, consent.version)
    else:
        assert decision.consent_id is None


@pytest.mark.invariant(3)
@given(questions())
def test_the_value_never_goes_out_on_weaker_forms(question):
    if question.consent is None:
        return
    weaker = replace(question.consent, scope=a_scope(key for key in KEYS if key[1] != "value"))
    decision = decide(replace(question, consent=weaker), NOW)
    if isinstance(decision, Permit) and decision.consent_id is not None:
        assert "value" not in {line.form for line in decision.lines}


@pytest.mark.invariant(3)
@given(questions())
def test_a_permit_accounts_for_every_line_and_leaves_out_only_optional_ones(question):
    decision = decide(question, NOW)
    if isinstance(decision, Permit):
        both = decision.lines + decision.left_out
        assert sorted(both, key=repr) == sorted(question.request.attributes, key=repr)
        assert not any(line.required for line in decision.left_out)
        assert decision.lines == tuple(line for line in question.request.attributes if line in decision.lines)


@pytest.mark.invariant(3)
@given(questions(), pairs())
def test_less_consent_never_permits_more(question, kept):
    if question.consent is None or (question.agreement and not question.agreement.legal_basis.asks_subject):
        return
    whole = decide(question, NOW)
    less = replace(question.consent, scope=a_scope(key for key in question.consent.scope.keys if key in kept))
    narrowed = decide(replace(question, consent=less), NOW)
    if isinstance(narrowed, Permit):
        assert isinstance(whole, Permit)
        assert keys_of(narrowed.lines) <= keys_of(whole.lines)


@pytest.mark.invariant(6)
@given(questions(of=WILD))
def test_nobody_and_somebody_silent_are_decided_alike(question):
    silent = replace(
        question,
        subject=SubjectState(status=SubjectStatus.ACTIVE),
        consent=None,
        last_negative_at=None,
    )
    if question.agreement and not question.agreement.legal_basis.asks_subject:
        return  # by law nobody is asked, so nobody is silent
    for nobody in (None, SubjectState(status=SubjectStatus.ERASED), SubjectState(status=SubjectStatus.DECEASED)):
        unknown = decide(replace(question, subject=nobody), NOW)
        known = decide(silent, NOW)
        if isinstance(unknown, NeedsConsent):
            assert isinstance(known, NeedsConsent)
            assert unknown.lines == known.lines
        else:
            assert unknown == known


@given(questions(of=WILD))
def test_a_protected_persons_whereabouts_are_never_permitted(question):
    decision = decide(replace(question, subject=SubjectState(status=SubjectStatus.PROTECTED)), NOW)
    # Who is only asked looks like anybody else who is asked (step 10 comes after the consent).
    if isinstance(decision, Permit):
        assert not any(CATALOGUE.attribute(line.name).whereabouts for line in decision.lines)


@given(questions(of=WILD))
def test_the_same_question_has_the_same_answer(question):
    assert decide(question, NOW) == decide(question, NOW)
