"""Every status × event × actor: what the lifecycle allows, written out once more by hand, and nothing else."""

from datetime import timedelta
from itertools import product

import pytest

from consent.errors import IllegalTransitionError
from consent.events import EventType as E
from consent.lifecycle import apply, at_time, replay
from consent.model import ActorKind
from consent.model import ConsentStatus as S
from tests.unit.consent.examples import ACTORS, DAY, NOW, event, history

# How a record comes to stand in each status.
ROAD = {
    None: [],
    S.REQUESTED: [E.REQUESTED],
    S.GIVEN: [E.REQUESTED, E.GIVEN],
    S.PAUSED: [E.REQUESTED, E.GIVEN, E.PAUSED],
    S.REFUSED: [E.REQUESTED, E.REFUSED],
    S.LAPSED: [E.REQUESTED, E.LAPSED],
    S.CANCELLED: [E.REQUESTED, E.CANCELLED],
    S.WITHDRAWN: [E.REQUESTED, E.GIVEN, E.WITHDRAWN],
    S.EXPIRED: [E.REQUESTED, E.GIVEN, E.EXPIRED],
    S.USED_UP: [E.REQUESTED, E.GIVEN, E.USED_UP],
    S.TERMINATED: [E.REQUESTED, E.GIVEN, E.TERMINATED],
    S.INVALIDATED: [E.REQUESTED, E.GIVEN, E.INVALIDATED],
    S.SUPERSEDED: [E.REQUESTED, E.GIVEN, E.SUPERSEDED],
}
# One line a step: from, event, to, by whom. The clock's own steps are tried in test_fold.py.
ALLOWED = """
-         REQUESTED   REQUESTED   agency subject representative
REQUESTED GIVEN       GIVEN       subject representative
REQUESTED REFUSED     REFUSED     subject representative broker
REQUESTED CANCELLED   CANCELLED   agency
REQUESTED TERMINATED  TERMINATED  agency officer broker
GIVEN     WITHDRAWN   WITHDRAWN   subject representative broker
GIVEN     PAUSED      PAUSED      subject representative broker
GIVEN     SUPERSEDED  SUPERSEDED  subject representative
GIVEN     USED_UP     USED_UP     broker
GIVEN     TERMINATED  TERMINATED  agency officer broker
GIVEN     INVALIDATED INVALIDATED officer
PAUSED    RESUMED     GIVEN       subject representative
PAUSED    WITHDRAWN   WITHDRAWN   subject representative broker
PAUSED    SUPERSEDED  SUPERSEDED  subject representative
PAUSED    TERMINATED  TERMINATED  agency officer broker
PAUSED    INVALIDATED INVALIDATED officer
REFUSED   INVALIDATED INVALIDATED officer
LAPSED    INVALIDATED INVALIDATED officer
CANCELLED INVALIDATED INVALIDATED officer
WITHDRAWN INVALIDATED INVALIDATED officer
EXPIRED   INVALIDATED INVALIDATED officer
USED_UP   INVALIDATED INVALIDATED officer
TERMINATED INVALIDATED INVALIDATED officer
SUPERSEDED INVALIDATED INVALIDATED officer
"""
STEPS = {
    (None if line.split()[0] == "-" else S(line.split()[0]), E(line.split()[1]), ActorKind(actor)): S(line.split()[2])
    for line in ALLOWED.strip().splitlines()
    for actor in line.split()[3:]
}


def record_in(status):
    return replay(history(*ROAD[status])) if status is not None else None


@pytest.mark.parametrize(("status", "kind"), list(product([None, *S], E)))
def test_each_actor_may_do_exactly_what_the_table_says(status, kind):
    record = record_in(status)
    at = NOW if record is None else record.as_of + timedelta(minutes=1)
    for actor_kind, actor in ACTORS.items():
        step = event(kind, 1 if record is None else record.version + 1, at=at, actor=actor)
        wanted = STEPS.get((status, kind, actor_kind))
        if wanted is None:
            with pytest.raises(IllegalTransitionError) as refusal:
                apply(record, step)
            assert refusal.value.from_status == status
            assert refusal.value.action == kind
            assert refusal.value.actor_kind == actor_kind
        else:
            assert apply(record, step).status is wanted


def test_roads_lead_where_they_say():
    for status in S:
        assert record_in(status).status is status


@pytest.mark.invariant(4)
def test_nothing_but_invalidation_follows_an_end():
    ends = [status for status in S if status.is_ended]
    assert len(ends) == 9
    assert {kind for (status, kind, _) in STEPS if status in ends} == {E.INVALIDATED}


def test_only_given_may_process():
    assert [status for status in S if status.may_process] == [S.GIVEN]


def test_the_broker_resumes_only_what_it_paused():
    given = history(E.REQUESTED, E.GIVEN)
    at = NOW + timedelta(hours=3)
    for pauser, resumer, allowed in [
        (ActorKind.BROKER, ActorKind.BROKER, True),
        (ActorKind.SUBJECT, ActorKind.BROKER, False),
        (ActorKind.BROKER, ActorKind.SUBJECT, True),
    ]:
        paused = replay([*given, event(E.PAUSED, 3, at=at, actor=ACTORS[pauser])])
        resume = event(E.RESUMED, 4, at=at, actor=ACTORS[resumer])
        if allowed:
            assert apply(paused, resume).paused_by is None
        else:
            with pytest.raises(IllegalTransitionError):
                apply(paused, resume)


def test_an_ended_record_names_its_end():
    withdrawn = replay(history(E.REQUESTED, E.GIVEN, E.WITHDRAWN))
    assert withdrawn.ended_at == NOW + timedelta(hours=2)
    assert withdrawn.ended_by == ACTORS[ActorKind.SUBJECT]
    found_invalid = apply(withdrawn, event(E.INVALIDATED, 4, at=NOW + DAY))
    assert (found_invalid.ended_at, found_invalid.ended_by) == (withdrawn.ended_at, withdrawn.ended_by)
    assert found_invalid.reason == "no-free-choice"
    assert not at_time(found_invalid, NOW + 2 * DAY).may_process
