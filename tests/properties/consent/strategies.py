"""Histories of one consent that could have happened."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from consent.events import EventType
from consent.lifecycle import RESULT, TRANSITIONS, replay
from consent.model import ActorKind
from consent.scope import AttributeScope, ScopedAttribute
from tests.unit.consent.examples import ACTORS, CONTENTS, DAY, DEADLINE, NOW, event

MOMENTS = st.integers(-DAY // timedelta(milliseconds=1), 200 * DAY // timedelta(milliseconds=1)).map(
    lambda millis: NOW + timedelta(milliseconds=millis)
)
NAMES = st.sampled_from(["income", "residence", "birth_date", "family_size"])
FORMS = st.sampled_from(["value", "at_least", "equals"])


@st.composite
def scopes(draw, *, min_size=0):
    keys = draw(st.sets(st.tuples(NAMES, FORMS), min_size=min_size, max_size=8))
    return AttributeScope.of(ScopedAttribute(name=n, form=f, required=draw(st.booleans())) for n, f in keys)


@st.composite
def histories(draw, *, max_size=8):
    """Events in order; each step one that the lifecycle allows, at most as late as the clock lets it happen."""
    events = [event(EventType.REQUESTED, 1)]
    while len(events) < draw(st.integers(1, max_size)):
        record = replay(events)
        steps = sorted(kind for status, kind in TRANSITIONS if status is record.status)
        if not steps:
            break
        kind = draw(st.sampled_from(steps))
        at = record.as_of + timedelta(milliseconds=draw(st.integers(0, 5 * DAY // timedelta(milliseconds=1))))
        if kind in (EventType.EXPIRED, EventType.LAPSED):
            at = max(at, record.valid_until)
        elif not record.status.is_ended and at >= record.valid_until:
            break
        allowed = TRANSITIONS[record.status, kind] - (
            {ActorKind.BROKER} if kind is EventType.RESUMED and record.paused_by is not ActorKind.BROKER else set()
        )
        content = CONTENTS[kind]
        if kind is EventType.GIVEN:
            content = replace(content, valid_from=at, valid_until=at + draw(st.integers(1, 90)) * DAY)
        actor = ACTORS[draw(st.sampled_from(sorted(allowed)))]
        events.append(event(kind, len(events) + 1, at=at, actor=actor, content=content))
    assert RESULT[events[-1].type] is replay(events).status
    assert events[0].content.deadline == DEADLINE
    return events
