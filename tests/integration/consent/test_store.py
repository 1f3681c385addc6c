"""Rows: found by the right people in the right order, moved along only from the version that was read."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from consent import store
from consent.errors import ConsentConflictError, InconsistentConsentError
from consent.events import EventType
from consent.lifecycle import apply, replay
from consent.model import ConsentStatus as S
from consent.rebuild import rebuild
from consent.tables import consent
from tests.unit.consent.examples import (
    AGREEMENT,
    DAY,
    MANNER,
    NOW,
    REQUIRED,
    SCOPE,
    SUBJECT,
    SUBJECT_REF,
    ask,
    event,
    give,
    given,
    ledger,
)

THERE = {"subject_ref": SUBJECT_REF, "agreement_id": AGREEMENT}


def test_the_row_of_what_is_in_force(connection):
    assert store.find_in_force(connection, **THERE) is None
    consent_id = ask(connection, uses=3)
    assert store.find_in_force(connection, **THERE) is None
    give(connection, consent_id)
    row = store.find_in_force(connection, **THERE)
    assert row == store.find(connection, consent_id)
    assert (row.id, row.status, row.version, row.uses_left) == (consent_id, S.GIVEN, 2, 3)
    assert row.scope.keys == SCOPE.narrow(REQUIRED).keys
    assert row.scope.covers("income", "at_least")
    assert not row.scope.covers("income", "value")
    assert row.may_process(NOW)
    assert (row.status_at(row.valid_until), row.may_process(row.valid_until)) == (S.EXPIRED, False)
    assert not row.may_process(NOW - timedelta(milliseconds=1))
    ledger(connection).pause(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    paused = store.find_in_force(connection, **THERE)
    assert (paused.status, paused.may_process(NOW)) == (S.PAUSED, False)
    ledger(connection).withdraw(consent_id, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)
    assert store.find_in_force(connection, **THERE) is None


def test_the_search_for_what_is_in_force_uses_its_partial_index(connection):
    statement = store._FIND_IN_FORCE.params(the_subject=SUBJECT_REF, the_agreement=AGREEMENT)
    text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.name == "sqlite":
        plan = str(connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text).all())
    else:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        plan = str(connection.exec_driver_sql("EXPLAIN " + text).all())
    assert "uq_consent_in_force" in plan


def test_a_persons_consents_newest_first_in_pages(connection):
    made = [ask(connection, at=NOW + n * DAY, agreement_id=uuid4()) for n in range(5)]
    ask(connection, subject_ref=uuid4())
    first = store.list_for_subject(connection, SUBJECT_REF, limit=2)
    assert [row.id for row in first] == [made[4], made[3]]
    rest = store.list_for_subject(connection, SUBJECT_REF, before=(first[-1].requested_at, first[-1].id))
    assert [row.id for row in rest] == [made[2], made[1], made[0]]


def test_pages_do_not_lose_what_was_asked_in_the_same_millisecond(connection):
    made = sorted((ask(connection, agreement_id=uuid4()) for _ in range(4)), reverse=True)
    seen, before = [], None
    while rows := store.list_for_subject(connection, SUBJECT_REF, before=before, limit=1):
        seen += [row.id for row in rows]
        before = (rows[-1].requested_at, rows[-1].id)
    assert seen == made


def test_consents_of_an_agreement_in_pages(connection):
    made = sorted(ask(connection, subject_ref=uuid4()) for _ in range(3))
    ask(connection, agreement_id=uuid4())
    first = store.list_by_agreement(connection, AGREEMENT, limit=2)
    rest = store.list_by_agreement(connection, AGREEMENT, after=first[-1].id)
    assert [row.id for row in [*first, *rest]] == made


def test_an_event_is_written_only_upon_the_version_that_was_read(connection):
    consent_id = given(connection)
    record = replay(store.events_of(connection, consent_id))
    ledger(connection).pause(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    late = event(EventType.WITHDRAWN, 3, consent_id=consent_id)
    with pytest.raises(ConsentConflictError):
        store.write(connection, late, apply(record, late))


@pytest.mark.invariant(5)
def test_the_database_itself_refuses_a_second_in_force(connection):
    given(connection)
    second = ask(connection)
    record = replay(store.events_of(connection, second))
    giving = event(EventType.GIVEN, 2, consent_id=second)
    with pytest.raises(ConsentConflictError):
        store.write(connection, giving, apply(record, giving))
    connection.rollback()


def test_only_the_last_use_can_be_marked(connection):
    consent_id = given(connection, uses=2)
    store.take_use(connection, consent_id=consent_id, version=2, now=NOW)
    for version in (2, 1):
        with pytest.raises(ConsentConflictError):
            store.mark_used_up(connection, consent_id=consent_id, version=version, now=NOW, entry_id=uuid4())


def test_one_entry_stands_for_one_event(connection):
    consent_id = given(connection)
    record = replay(store.events_of(connection, consent_id))
    pause = event(EventType.PAUSED, 3, consent_id=consent_id)
    twice = replace(pause, entry_id=store.events_of(connection, consent_id)[0].entry_id)
    with pytest.raises(sa.exc.IntegrityError):
        store.write(connection, twice, apply(record, pause))
    connection.rollback()


# The projection against its events


def spoil(connection, consent_id, **values):
    connection.execute(sa.update(consent).where(consent.c.id == consent_id).values(**values))


def found(differences):
    return {(one.consent_id, one.column) for one in differences}


@pytest.mark.parametrize(
    "spoiled",
    [
        {"status": "PAUSED"},
        {"status": "EXPIRED"},
        {"version": 7},
        {"scope": '[{"form":"value","name":"income"}]'},
        {"scope": "nonsense"},
        {"valid_until": NOW + 999 * DAY, "ended_at": NOW},
        {"consumer": "tax", "purpose": "other", "agreement_revision": 9},
        {"uses_left": 4},
        {"uses_left": None},
        {"replaced_by": AGREEMENT},
    ],
)
def test_rebuild_finds_and_repairs(connection, spoiled):
    consent_id = given(connection, uses=3)
    bystander = given(connection, subject_ref=uuid4())
    before = store.find(connection, consent_id)
    spoil(connection, consent_id, **spoiled)
    wanted = {(consent_id, column) for column in spoiled}
    assert found(rebuild(connection)) == wanted
    assert found(rebuild(connection, repair=True)) == wanted
    assert rebuild(connection) == []
    assert store.find(connection, consent_id) == before
    assert store.find(connection, bystander).status is S.GIVEN


def test_rebuild_counts_the_uses_when_it_is_told(connection):
    consent_id = given(connection, uses=3)
    unlimited = given(connection, subject_ref=uuid4())
    ledger(connection).use(consent_id, version=2)

    def told(ids):
        return {one: 1 for one in ids if one == consent_id}

    assert rebuild(connection) == []
    assert rebuild(connection, uses_taken=told) == []
    spoil(connection, consent_id, uses_left=3)
    assert rebuild(connection) == []
    assert found(rebuild(connection, uses_taken=told, repair=True)) == {(consent_id, "uses_left")}
    assert store.find(connection, consent_id).uses_left == 2
    assert store.find(connection, unlimited).uses_left is None


def test_rebuild_swaps_two_that_stand_for_each_other(connection):
    first = given(connection)
    second = ask(connection)
    give(connection, second)
    spoil(connection, second, status="SUPERSEDED")
    spoil(connection, first, status="GIVEN")
    rebuild(connection, repair=True)
    assert (store.find(connection, first).status, store.find(connection, second).status) == (S.SUPERSEDED, S.GIVEN)


def test_a_row_without_events_and_one_with_foreign_events_are_reported_and_left(connection):
    consent_id = given(connection)
    values = store.find(connection, consent_id)
    lonely = uuid4()
    row = connection.execute(sa.select(consent).where(consent.c.id == consent_id)).mappings().one()
    connection.execute(sa.insert(consent).values({**row, "id": lonely, "subject_ref": uuid4()}))
    assert [(one.consent_id, one.column) for one in rebuild(connection, repair=True)] == [(lonely, None)]
    with pytest.raises(InconsistentConsentError):
        ledger(connection).withdraw(
            lonely, subject_ref=store.find(connection, lonely).subject_ref, manner=MANNER, actor=SUBJECT
        )
    assert store.find(connection, consent_id) == values


def test_nothing_is_decided_upon_a_row_that_contradicts_its_events(connection):
    consent_id = given(connection)
    spoil(connection, consent_id, status="PAUSED")
    with pytest.raises(InconsistentConsentError):
        ledger(connection).resume(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)


def test_a_stored_event_that_was_altered_is_noticed(connection, database):
    consent_id = given(connection)
    connection.commit()
    drop = "DROP TRIGGER {}" if database.is_sqlite else "DROP TRIGGER {} ON consent_event"
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'consent_event'"
        if database.is_sqlite
        else "SELECT tgname FROM pg_trigger WHERE tgrelid = 'consent_event'::regclass AND NOT tgisinternal"
    )
    for name in connection.exec_driver_sql(names).scalars().all():
        connection.exec_driver_sql(drop.format(name))
    body = store.events_of(connection, consent_id)[1].body
    for fault in (body.replace(b'"seq":2', b'"seq":1'), body[:-1], body.replace(b'"portal"', b'"porter"')):
        connection.execute(
            sa.text("UPDATE consent_event SET body = :body WHERE consent_id = :id AND seq = 2").bindparams(
                sa.bindparam("body", fault, sa.LargeBinary), sa.bindparam("id", consent_id, sa.Uuid)
            )
        )
        with pytest.raises(InconsistentConsentError):
            store.events_of(connection, consent_id)
        assert found(rebuild(connection)) == {(consent_id, None)}
    connection.rollback()
