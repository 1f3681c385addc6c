"""What holds of every history, at every time (invariant 4)."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from consent.errors import ConsentError, InconsistentConsentError, ScopeError
from consent.events import EventType
from consent.lifecycle import apply, fold, replay
from consent.model import ConsentStatus as S
from consent.scope import AttributeScope
from tests.properties.consent.strategies import MOMENTS, histories, scopes
from tests.unit.consent.examples import ACTORS, CONTENTS, NOW, event

MILLI = timedelta(milliseconds=1)


@given(histories(), MOMENTS)
def test_the_future_does_not_change_the_past(events, at):
    assume(at >= NOW)
    so_far = [one for one in events if one.at <= at]
    assert fold(events, at) == fold(so_far, at)


@given(histories(), MOMENTS, MOMENTS)
def test_an_end_is_final(events, one, other):
    earlier, later = sorted((one, other))
    assume(earlier >= NOW)
    before, after = fold(events, earlier), fold(events, later)
    if before.status.is_ended:
        assert after.status in (before.status, S.INVALIDATED)
        assert after.ended_at == before.ended_at
        assert not after.may_process


@given(histories(), MOMENTS)
def test_data_flows_only_within_what_was_given(events, at):
    assume(at >= NOW)
    record = fold(events, at)
    if record.may_process:
        giving = next(one for one in events if one.type is EventType.GIVEN)
        assert record.status is S.GIVEN
        assert giving.at <= at
        assert giving.content.valid_from <= at < giving.content.valid_until
        assert record.scope == giving.content.scope
    assert record.scope.is_subset_of(record.terms.scope)
    assert record.status is fold(events, at, uses_taken=9).status


@given(histories(), MOMENTS)
def test_the_clock_may_be_written_down_whenever(events, at):
    record = replay(events)
    assume(at >= max(record.as_of, NOW))
    now = fold(events, at)
    if now.status is not record.status:
        written = [*events, event(EventType(now.status.value), record.version + 1, at=at)]
        assert replace(fold(written, at), version=record.version) == now
        later = at + timedelta(days=400)
        assert replace(fold(written, later), version=record.version) == fold(events, later)


@given(histories(max_size=6), st.data())
def test_no_event_can_be_dropped_doubled_or_swapped(events, data):
    assume(len(events) > 1)
    place = data.draw(st.integers(0, len(events) - 2))
    for spoiled in (
        events[:place] + events[place + 1 :],
        [*events[: place + 1], events[place], *events[place + 1 :]],
        [*events[:place], events[place + 1], events[place], *events[place + 2 :]],
    ):
        with pytest.raises(InconsistentConsentError):
            replay(spoiled)


@given(histories(), st.sampled_from(EventType), st.sampled_from(sorted(ACTORS)), MOMENTS)
def test_after_an_end_only_an_officer_adds_and_only_an_invalidation(events, kind, actor, at):
    record = replay(events)
    assume(record.status.is_ended)
    step = event(kind, record.version + 1, at=max(at, record.as_of), actor=ACTORS[actor], content=CONTENTS[kind])
    allowed = kind is EventType.INVALIDATED and actor == "officer" and record.status is not S.INVALIDATED
    if allowed:
        assert apply(record, step).status is S.INVALIDATED
    else:
        with pytest.raises(ConsentError):
            apply(record, step)


@given(scopes(), st.sets(st.tuples(st.sampled_from(["income", "residence"]), st.sampled_from(["value", "at_least"]))))
def test_a_scope_only_narrows(asked, selection):
    must = {one.key for one in asked if one.required}
    if selection and must <= selection <= asked.keys:
        chosen = asked.narrow(selection)
        assert chosen.keys == selection
        assert chosen.is_subset_of(asked)
        assert set(chosen) <= set(asked)
        assert chosen.narrow(selection) == chosen
    else:
        with pytest.raises(ScopeError):
            asked.narrow(selection)


@given(scopes(), scopes(), scopes())
def test_subsets(one, other, third):
    assert one.is_subset_of(one)
    assert one.is_subset_of(other) == all(other.covers(name, form) for name, form in one.keys)
    if one.is_subset_of(other) and other.is_subset_of(third):
        assert one.is_subset_of(third)
    assert AttributeScope.of([]).is_subset_of(one)
