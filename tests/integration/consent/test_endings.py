"""How a consent ends without its person: by the clock, with its agreement, by an officer's finding."""

from uuid import uuid4

import pytest

from consent import store
from consent.errors import IllegalTransitionError, UnknownConsentError
from consent.model import ConsentStatus as S
from consent.rebuild import rebuild
from tests.unit.consent.examples import (
    AGENCY,
    BROKER,
    DAY,
    DEADLINE,
    MANNER,
    NOW,
    OFFICER,
    SUBJECT,
    SUBJECT_REF,
    TERMS,
    ask,
    give,
    given,
    kinds,
    ledger,
)

STRANGER = uuid4()


@pytest.fixture(autouse=True)
def projection_agrees_afterwards(connection):
    yield
    assert rebuild(connection) == []


def status(connection, consent_id, at=NOW):
    return ledger(connection, at).record(consent_id).status


def test_the_clock_is_written_down_once(connection):
    asked = ask(connection)
    permitted = given(connection, agreement_id=uuid4())
    early, late = ledger(connection), ledger(connection, NOW + 400 * DAY)
    for one, step in ((asked, "lapse"), (permitted, "expire")):
        with pytest.raises(IllegalTransitionError):
            getattr(early, step)(one)
        assert early.settle(one) == []
    assert store.list_due(connection, NOW) == []
    assert store.list_due(connection, NOW + 400 * DAY) == [asked, permitted]
    with pytest.raises(IllegalTransitionError):
        late.lapse(permitted)
    connection.rollback()


def test_lapse_expire_and_settle(connection):
    asked = ask(connection)
    permitted = given(connection, agreement_id=uuid4())
    settled = given(connection, agreement_id=uuid4())
    late = ledger(connection, NOW + 400 * DAY)
    assert kinds(late.lapse(asked)) == ["LAPSED"]
    assert kinds(late.expire(permitted)) == ["EXPIRED"]
    assert kinds(late.settle(settled)) == ["EXPIRED"]
    assert late.settle(settled) == []
    assert store.list_due(connection, NOW + 400 * DAY) == []
    with pytest.raises(IllegalTransitionError):
        late.expire(permitted)
    assert late.record(permitted).ended_at == TERMS.valid_until
    with pytest.raises(UnknownConsentError):
        late.settle(uuid4())


@pytest.mark.invariant(4)
def test_what_has_run_out_cannot_be_given_used_or_withdrawn(connection):
    asked = ask(connection)
    with pytest.raises(IllegalTransitionError, match="from LAPSED"):
        give(connection, asked, at=DEADLINE)
    connection.rollback()
    permitted = given(connection)
    late = ledger(connection, TERMS.valid_until)
    assert late.record(permitted).status is S.EXPIRED
    assert late.use(permitted, version=2) == (None, [])
    with pytest.raises(IllegalTransitionError, match="from EXPIRED"):
        late.withdraw(permitted, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)
    connection.rollback()


def test_the_end_of_an_agreement_ends_its_records(connection):
    agreement = uuid4()
    asked = ask(connection, agreement_id=agreement, subject_ref=uuid4())
    permitted = given(connection, agreement_id=agreement, subject_ref=uuid4())
    paused = given(connection, agreement_id=agreement)
    ledger(connection).pause(paused, subject_ref=SUBJECT_REF, actor=SUBJECT)
    gone = ask(connection, agreement_id=agreement, subject_ref=uuid4(), deadline=NOW + DAY)
    other = given(connection)
    late = ledger(connection, NOW + 2 * DAY)
    appended = late.terminate(agreement, actor=AGENCY, reason="agreement-ended", limit=3)
    appended += late.terminate(agreement, actor=AGENCY, reason="agreement-ended", limit=3)
    assert {event.consent_id: event.type.value for event in appended} == {
        asked: "TERMINATED",
        permitted: "TERMINATED",
        paused: "TERMINATED",
        gone: "LAPSED",
    }
    assert late.terminate(agreement, actor=AGENCY, reason="agreement-ended") == []
    assert late.record(other).status is S.GIVEN
    assert late.record(asked).reason == "agreement-ended"


def test_the_end_of_a_person_ends_their_records(connection):
    mine = {ask(connection), given(connection, agreement_id=uuid4())}
    other = given(connection, subject_ref=STRANGER)
    appended = ledger(connection).terminate_subject(SUBJECT_REF, actor=BROKER, reason="erased")
    assert {event.consent_id for event in appended} == mine
    assert status(connection, other) is S.GIVEN
    with pytest.raises(IllegalTransitionError):
        ledger(connection).terminate_subject(STRANGER, actor=SUBJECT, reason="erased")


def test_an_officer_invalidates_also_what_has_ended(connection):
    book = ledger(connection)
    permitted = given(connection)
    assert kinds(book.invalidate(permitted, actor=OFFICER, reason="no-free-choice")) == ["INVALIDATED"]
    run_out = given(connection)
    late = ledger(connection, NOW + 400 * DAY)
    assert kinds(late.invalidate(run_out, actor=OFFICER, reason="wrong-notice")) == ["EXPIRED", "INVALIDATED"]
    record = late.record(run_out)
    assert (record.status, record.ended_at, record.reason) == (S.INVALIDATED, TERMS.valid_until, "wrong-notice")
    with pytest.raises(IllegalTransitionError):
        late.invalidate(run_out, actor=OFFICER, reason="again")
    with pytest.raises(IllegalTransitionError):
        book.invalidate(ask(connection), actor=OFFICER, reason="undecided")
