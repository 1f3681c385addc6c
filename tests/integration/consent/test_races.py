"""Several at once, each with a connection of its own: invariant 5 holds, the withdrawal wins, no use is taken twice."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
import sqlalchemy as sa

from consent import store
from consent.errors import ConsentConflictError, ConsentError, IllegalTransitionError
from consent.model import ConsentStatus as S
from consent.rebuild import rebuild
from consent.tables import consent
from tests.unit.consent.examples import (
    AGENCY,
    AGREEMENT,
    MANNER,
    REQUIRED,
    SUBJECT,
    SUBJECT_REF,
    TERMS,
    ask,
    give,
    given,
    ledger,
)

ROUNDS = 12


def done(database, work):
    """What comes of a piece of work in a transaction of its own: its result, or the ledger's refusal."""
    with database.write() as connection:
        try:
            result = work(connection)
        except ConsentError as refusal:
            connection.rollback()
            return refusal
        connection.commit()
        return result


def at_once(database, *works):
    start = threading.Barrier(len(works))

    def run(work):
        start.wait()
        return done(database, work)

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def in_force(database):
    with database.read() as connection:
        assert rebuild(connection) == []
        rows = connection.execute(sa.select(consent.c.id).where(consent.c.status.in_(("GIVEN", "PAUSED")))).scalars()
        return rows.all()


def statuses(database, *ids):
    with database.read() as connection:
        return [ledger(connection).record(one).status for one in ids]


def withdraw(one):
    return lambda connection: ledger(connection).withdraw(one, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)


def giving(one):
    return lambda connection: give(connection, one)


def renewal(one):
    return lambda connection: ledger(connection).renew(
        one, subject_ref=SUBJECT_REF, terms=TERMS, selection=REQUIRED, manner=MANNER, actor=SUBJECT
    )


@pytest.mark.invariant(5)
def test_two_givings_at_once_leave_one_in_force(database):
    for _ in range(ROUNDS):
        first, second = done(database, ask), done(database, ask)
        results = at_once(database, giving(first), giving(second))
        # They meet at the lock: the later one supersedes the earlier one.
        assert [result for result in results if isinstance(result, ConsentError)] == []
        assert sorted(statuses(database, first, second)) == [S.GIVEN, S.SUPERSEDED]
        assert len(in_force(database)) == 1


@pytest.mark.invariant(5)
def test_many_givings_at_once(database):
    asked = [done(database, ask) for _ in range(8)]
    at_once(database, *map(giving, asked))
    assert len(in_force(database)) == 1
    assert sorted(statuses(database, *asked)) == [S.GIVEN] + [S.SUPERSEDED] * 7


def test_one_request_is_given_once(database):
    for _ in range(ROUNDS):
        asked = done(database, ask)
        results = at_once(database, giving(asked), giving(asked))
        assert sorted(type(result).__name__ for result in results) == ["IllegalTransitionError", "list"]


def test_giving_against_refusing(database):
    for _ in range(ROUNDS):
        asked = done(database, ask)
        results = at_once(
            database,
            giving(asked),
            lambda connection, one=asked: ledger(connection).refuse(
                one, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT
            ),
        )
        assert sum(isinstance(result, IllegalTransitionError) for result in results) == 1


@pytest.mark.invariant(5)
def test_giving_another_against_withdrawing_the_first(database):
    for _ in range(ROUNDS):
        first, second = done(database, given), done(database, ask)
        gave, withdrew = at_once(database, giving(second), withdraw(first))
        assert not isinstance(gave, ConsentError)
        ended = statuses(database, first)[0]
        assert ended is (S.SUPERSEDED if isinstance(withdrew, IllegalTransitionError) else S.WITHDRAWN)
        assert in_force(database) == [second]


@pytest.mark.invariant(2)
def test_an_acknowledged_withdrawal_is_never_renewed(database):
    for _ in range(ROUNDS):
        first = done(database, given)
        renewed, withdrew = at_once(database, renewal(first), withdraw(first))
        # Exactly one of them found the record in force.
        assert isinstance(renewed, IllegalTransitionError) is not isinstance(withdrew, IllegalTransitionError)
        assert len(in_force(database)) == (1 if isinstance(withdrew, ConsentError) else 0)
        for left in in_force(database):
            done(database, withdraw(left))


@pytest.mark.invariant(5)
def test_two_renewals_at_once(database):
    for _ in range(ROUNDS):
        first = done(database, given)
        results = at_once(database, renewal(first), renewal(first))
        assert all(isinstance(result, list | IllegalTransitionError | ConsentConflictError) for result in results)
        assert any(isinstance(result, list) for result in results)
        assert len(in_force(database)) == 1


@pytest.mark.invariant(5)
def test_a_renewal_against_a_giving_does_not_deadlock(database):
    for _ in range(2 * ROUNDS):
        # The one in force has the greater id: whoever locked it first would meet the other head-on.
        asked, permitted = sorted((done(database, ask), done(database, ask)))
        done(database, giving(permitted))
        results = at_once(database, renewal(permitted), giving(asked))
        assert isinstance(results[1], list | ConsentConflictError)
        assert isinstance(results[0], list | IllegalTransitionError | ConsentConflictError)
        assert len(in_force(database)) == 1


def test_the_end_of_the_agreement_against_a_giving(database):
    for _ in range(ROUNDS):
        first, second = done(database, given), done(database, ask)
        at_once(
            database,
            giving(second),
            lambda connection: ledger(connection).terminate(AGREEMENT, actor=AGENCY, reason="agreement-ended"),
        )
        assert in_force(database) == []
        assert statuses(database, first)[0] in (S.TERMINATED, S.SUPERSEDED)


@pytest.mark.invariant(2)
def test_no_use_after_an_acknowledged_withdrawal(database):
    for _ in range(ROUNDS):
        one = done(database, given)
        acknowledged = threading.Event()
        late = []

        def withdrawing(one=one, acknowledged=acknowledged):
            result = done(database, withdraw(one))
            acknowledged.set()
            return result

        def using(one=one, acknowledged=acknowledged, late=late):
            for _ in range(20):
                was_acknowledged = acknowledged.is_set()
                taken, _ = done(database, lambda connection: ledger(connection).use(one, version=2))
                if taken is not None and was_acknowledged:
                    late.append(taken)

        with ThreadPoolExecutor(3) as pool:
            for future in [pool.submit(using), pool.submit(withdrawing), pool.submit(using)]:
                future.result()
        assert late == []
        assert statuses(database, one) == [S.WITHDRAWN]


def test_uses_are_taken_exactly_as_often_as_given(database):
    one = done(database, lambda connection: given(connection, uses=5))
    works = [lambda connection: ledger(connection).use(one, version=2)] * 9
    results = at_once(database, *works)
    taken = [use for use, _ in results if use is not None]
    assert sorted(use.uses_left for use in taken) == [0, 1, 2, 3, 4]
    assert sum(len(events) for _, events in results) == 1
    assert statuses(database, one) == [S.USED_UP]


@pytest.mark.invariant(5)
def test_one_that_came_into_force_unseen_is_a_conflict(database, monkeypatch):
    unseen, asked = done(database, given), done(database, ask)
    look = store.lock_open
    # As if it had been committed after the rows to lock were chosen.
    monkeypatch.setattr(store, "lock_open", lambda *args, **there: [r for r in look(*args, **there) if r.id != unseen])
    assert isinstance(done(database, giving(asked)), ConsentConflictError)
    assert in_force(database) == [unseen]
    assert statuses(database, asked) == [S.REQUESTED]


def test_a_request_with_a_known_id_is_made_once(database):
    one = uuid4()

    def asking(connection):
        return ledger(connection).request(TERMS, deadline=TERMS.valid_until, actor=AGENCY, consent_id=one)

    assert len(done(database, asking)) == 1
    with pytest.raises(sa.exc.IntegrityError):
        done(database, asking)
