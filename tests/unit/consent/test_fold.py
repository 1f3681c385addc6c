"""State is the fold of the events at a time; the clock is read, not waited for; nonsense does not fold."""

from dataclasses import replace
from datetime import timedelta

import pytest

from consent.errors import IllegalTransitionError, InconsistentConsentError
from consent.events import Content
from consent.events import EventType as E
from consent.lifecycle import apply, fold, replay
from consent.model import CLOCK, LegalBasis, Manner, Method
from consent.model import ConsentStatus as S
from consent.scope import AttributeScope, ScopedAttribute
from tests.unit.consent.examples import (
    AGREEMENT,
    BROKER,
    CONTENTS,
    DAY,
    DEADLINE,
    MANNER,
    NOW,
    REQUIRED,
    SCOPE,
    SUBJECT,
    TERMS,
    event,
    history,
)

MILLI = timedelta(milliseconds=1)
UNTIL = NOW + 90 * DAY


@pytest.mark.invariant(4)
def test_a_question_lapses_at_its_deadline_without_a_job():
    asked = history(E.REQUESTED)
    assert fold(asked, DEADLINE - MILLI).status is S.REQUESTED
    lapsed = fold(asked, DEADLINE)
    assert (lapsed.status, lapsed.ended_at, lapsed.ended_by, lapsed.version) == (S.LAPSED, DEADLINE, CLOCK, 1)


@pytest.mark.invariant(4)
@pytest.mark.parametrize("types", [(E.REQUESTED, E.GIVEN), (E.REQUESTED, E.GIVEN, E.PAUSED)])
def test_a_permission_expires_at_its_end_without_a_job(types):
    events = history(*types)
    assert not fold(events, UNTIL - MILLI).status.is_ended
    expired = fold(events, UNTIL)
    assert (expired.status, expired.ended_at) == (S.EXPIRED, UNTIL)


def test_writing_the_expiry_down_changes_nothing_but_the_version():
    events = history(E.REQUESTED, E.GIVEN)
    late = UNTIL + 5 * DAY
    written = [*events, event(E.EXPIRED, 3, at=late)]
    before, after = fold(events, late), fold(written, late)
    assert replace(after, version=2) == before


@pytest.mark.parametrize(
    ("types", "kind", "at"),
    [((E.REQUESTED,), E.LAPSED, DEADLINE - MILLI), ((E.REQUESTED, E.GIVEN), E.EXPIRED, UNTIL - MILLI)],
)
def test_the_clock_cannot_be_early(types, kind, at):
    record = replay(history(*types))
    with pytest.raises(IllegalTransitionError):
        apply(record, event(kind, record.version + 1, at=at))


def test_a_permission_that_has_run_out_cannot_be_withdrawn():
    record = replay(history(E.REQUESTED, E.GIVEN))
    with pytest.raises(IllegalTransitionError, match="from EXPIRED"):
        apply(record, event(E.WITHDRAWN, 3, at=UNTIL))


def test_an_invalidation_does_not_jump_over_an_expiry_nobody_wrote_down():
    record = replay(history(E.REQUESTED, E.GIVEN))
    with pytest.raises(InconsistentConsentError):
        apply(record, event(E.INVALIDATED, 3, at=UNTIL))


def test_state_at_any_time_between_the_events():
    events = history(E.REQUESTED, E.GIVEN, E.PAUSED, E.RESUMED, E.WITHDRAWN)
    hour = timedelta(hours=1)
    seen = [fold(events, NOW + n * hour).status for n in range(5)]
    assert seen == [S.REQUESTED, S.GIVEN, S.PAUSED, S.GIVEN, S.WITHDRAWN]
    assert fold(events, NOW + 4 * hour - MILLI).status is S.GIVEN
    with pytest.raises(InconsistentConsentError):
        fold(events, NOW - MILLI)


def test_uses_left_follows_from_the_disclosures():
    asked = event(E.REQUESTED, 1, content=replace(CONTENTS[E.REQUESTED], terms=replace(TERMS, uses=5)))
    given = event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], uses=3))
    assert fold([asked, given], NOW).uses_left == 3
    assert fold([asked, given], NOW, uses_taken=2).uses_left == 1
    spent = fold([asked, given], NOW, uses_taken=3)
    assert (spent.uses_left, spent.may_process) == (0, False)
    used_up = fold([asked, given, event(E.USED_UP, 3)], NOW, uses_taken=3)
    assert (used_up.status, used_up.uses_left) == (S.USED_UP, 0)


def test_a_permission_that_begins_later_is_given_but_not_in_force():
    events = [event(E.REQUESTED, 1), event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], valid_from=NOW + DAY))]
    assert (fold(events, NOW).status, fold(events, NOW).may_process) == (S.GIVEN, False)
    assert fold(events, NOW + DAY).may_process


def test_what_was_decided_stands_in_the_record():
    record = replay(history(E.REQUESTED, E.GIVEN))
    assert record.scope == SCOPE.narrow(REQUIRED)
    assert (record.decided_by, record.manner) == (SUBJECT, MANNER)
    assert record.decided_at == NOW + timedelta(hours=1)
    assert (record.valid_from, record.valid_until) == (NOW, UNTIL)
    superseded = apply(record, event(E.SUPERSEDED, 3, at=NOW + DAY))
    assert superseded.replaced_by == AGREEMENT


REQUEST, GIVING = CONTENTS[E.REQUESTED], CONTENTS[E.GIVEN]
WIDER = AttributeScope.of([*SCOPE, ScopedAttribute(name="birth_date", form="value")])


@pytest.mark.parametrize(
    ("fault", "content"),
    [
        ("more than was asked", replace(GIVING, scope=WIDER)),
        (
            "a required attribute left out",
            replace(GIVING, scope=AttributeScope(SCOPE.attributes[1:])),
        ),
        (
            "another flag",
            replace(GIVING, scope=AttributeScope.of([ScopedAttribute(name="income", form="at_least", required=False)])),
        ),
        ("longer", replace(GIVING, valid_until=TERMS.valid_until + MILLI)),
        ("earlier", replace(GIVING, valid_from=TERMS.valid_from - MILLI)),
        ("over before it began", replace(GIVING, valid_from=NOW - DAY, valid_until=NOW)),
        ("on another ground", replace(GIVING, legal_basis=LegalBasis.EXPLICIT_CONSENT)),
        ("under unknown words", replace(GIVING, manner=Manner(method=Method.PORTAL))),
    ],
)
def test_a_stored_giving_that_departs_from_the_terms_does_not_fold(fault, content):
    with pytest.raises(InconsistentConsentError):
        replay([event(E.REQUESTED, 1), event(E.GIVEN, 2, content=content)])


def test_a_giving_does_not_begin_after_its_own_end():
    content = replace(GIVING, valid_from=NOW, valid_until=NOW + DAY)
    with pytest.raises(InconsistentConsentError):
        replay([event(E.REQUESTED, 1), event(E.GIVEN, 2, at=NOW + DAY, content=content)])


def test_a_giving_cannot_take_more_uses_than_asked():
    asked = event(E.REQUESTED, 1, content=replace(REQUEST, terms=replace(TERMS, uses=2)))
    for uses in (None, 3):
        with pytest.raises(InconsistentConsentError):
            replay([asked, event(E.GIVEN, 2, content=replace(GIVING, uses=uses))])


@pytest.mark.parametrize(
    ("fault", "events"),
    [
        ("nothing", []),
        ("no request", [event(E.GIVEN, 1)]),
        ("a gap", [event(E.REQUESTED, 1), event(E.GIVEN, 3)]),
        ("twice the same", [event(E.REQUESTED, 1), event(E.GIVEN, 2), event(E.GIVEN, 2)]),
        ("begins at two", [event(E.REQUESTED, 2)]),
        ("back in time", [event(E.REQUESTED, 1), event(E.GIVEN, 2, at=NOW - MILLI)]),
        ("of another consent", [event(E.REQUESTED, 1), event(E.GIVEN, 2, consent_id=AGREEMENT)]),
        ("by nobody who may", [event(E.REQUESTED, 1), event(E.GIVEN, 2, actor=BROKER)]),
        ("late deadline", [event(E.REQUESTED, 1, content=replace(REQUEST, deadline=TERMS.valid_until + MILLI))]),
        ("passed deadline", [event(E.REQUESTED, 1, content=replace(REQUEST, deadline=NOW))]),
        (
            "refused under unknown words",
            [event(E.REQUESTED, 1), event(E.REFUSED, 2, content=Content(manner=Manner(method=Method.API)))],
        ),
    ],
)
def test_histories_that_cannot_have_been_written_do_not_fold(fault, events):
    with pytest.raises(InconsistentConsentError):
        replay(events)
