"""The ledger on a real database: each way a consent changes, who may do it, and what is refused without a trace."""

from dataclasses import replace
from uuid import uuid4

import pytest

from consent import store
from consent.errors import IllegalTransitionError, ScopeError, UnknownConsentError
from consent.model import ActorKind, LegalBasis
from consent.model import ConsentStatus as S
from consent.rebuild import rebuild
from tests.unit.consent.examples import (
    ACTORS,
    AGENCY,
    AGREEMENT,
    BROKER,
    DAY,
    DEADLINE,
    MANNER,
    NOW,
    OFFICER,
    PAPER,
    REQUIRED,
    SCOPE,
    SUBJECT,
    SUBJECT_REF,
    TERMS,
    ask,
    give,
    given,
    kinds,
    ledger,
    terms,
)

STRANGER = uuid4()


@pytest.fixture(autouse=True)
def projection_agrees_afterwards(connection):
    yield
    assert rebuild(connection) == []


def status(connection, consent_id, at=NOW):
    return ledger(connection, at).record(consent_id).status


def test_asked_and_given_in_part(connection):
    consent_id = ask(connection, uses=5)
    asked = ledger(connection).record(consent_id)
    assert (asked.status, asked.scope, asked.valid_until) == (S.REQUESTED, SCOPE, DEADLINE)
    appended = give(
        connection, consent_id, at=NOW + DAY, valid_until=NOW + 30 * DAY, uses=2, manner=PAPER,
        actor=ACTORS[ActorKind.REPRESENTATIVE],
    )  # fmt: skip
    assert kinds(appended) == ["GIVEN"]
    record = ledger(connection, NOW + DAY).record(consent_id, subject_ref=SUBJECT_REF)
    assert (record.status, record.version, record.uses_left) == (S.GIVEN, 2, 2)
    assert record.scope == SCOPE.narrow(REQUIRED)
    assert (record.valid_from, record.valid_until) == (NOW + DAY, NOW + 30 * DAY)
    assert (record.decided_by, record.manner) == (ACTORS[ActorKind.REPRESENTATIVE], PAPER)
    assert store.events_of(connection, consent_id)[-1] == appended[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"selection": []},
        {"selection": [("residence", "value")]},
        {"selection": [*REQUIRED, ("birth_date", "value")]},
        {"valid_until": TERMS.valid_until + DAY},
        {"valid_until": NOW},
        {"uses": 4},
        {"uses": 0},
    ],
)
def test_a_giving_only_narrows(connection, changes):
    consent_id = ask(connection, uses=3)
    with pytest.raises(ScopeError):
        give(connection, consent_id, **changes)
    assert status(connection, consent_id) is S.REQUESTED


def test_any_number_of_uses_may_be_narrowed_to_one(connection):
    consent_id = ask(connection)
    give(connection, consent_id, uses=1)
    assert ledger(connection).record(consent_id).uses_left == 1


def test_a_decision_names_the_words_that_were_shown(connection):
    consent_id = ask(connection)
    for decide in ("give", "refuse"):
        arguments = {"selection": REQUIRED} if decide == "give" else {}
        with pytest.raises(ValueError, match="language and the notice"):
            getattr(ledger(connection), decide)(
                consent_id,
                subject_ref=SUBJECT_REF,
                manner=replace(MANNER, notice_version=None),
                actor=SUBJECT,
                **arguments,
            )


@pytest.mark.invariant(6)
def test_another_person_gets_the_same_answer_as_for_nothing(connection):
    consent_id = given(connection)
    asked = ask(connection, agreement_id=uuid4())
    book = ledger(connection)
    attempts = {
        "give": lambda one: give(connection, one, subject_ref=STRANGER),
        "refuse": lambda one: book.refuse(one, subject_ref=STRANGER, manner=MANNER, actor=SUBJECT),
        "withdraw": lambda one: book.withdraw(one, subject_ref=STRANGER, manner=MANNER, actor=SUBJECT),
        "pause": lambda one: book.pause(one, subject_ref=STRANGER, actor=SUBJECT),
        "resume": lambda one: book.resume(one, subject_ref=STRANGER, actor=SUBJECT),
        "renew": lambda one: book.renew(
            one, subject_ref=STRANGER, terms=TERMS, selection=REQUIRED, manner=MANNER, actor=SUBJECT
        ),
        "record": lambda one: book.record(one, subject_ref=STRANGER),
        "cancel": lambda one: book.cancel(one, consumer="tax", actor=AGENCY),
    }
    for attempt in attempts.values():
        answers = []
        for one in (consent_id, asked, uuid4()):
            with pytest.raises(UnknownConsentError) as refusal:
                attempt(one)
            answers.append(str(refusal.value).replace(str(one), "…"))
        assert len(set(answers)) == 1


def test_refused_withdrawn_and_the_cooling_off_time(connection):
    book = ledger(connection)
    wanted = {"subject_ref": SUBJECT_REF, "agreement_id": AGREEMENT}
    assert book.last_negative_decision(**wanted) is None
    first = ask(connection)
    assert kinds(book.refuse(first, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)) == ["REFUSED"]
    refused = book.last_negative_decision(**wanted)
    assert (refused.consent_id, refused.type, refused.at) == (first, "REFUSED", NOW)

    second = ask(connection, at=NOW + DAY)
    assert ledger(connection, NOW + DAY).last_negative_decision(**wanted) == refused
    give(connection, second, at=NOW + DAY)
    assert ledger(connection, NOW + DAY).last_negative_decision(**wanted) is None
    later = ledger(connection, NOW + 2 * DAY)
    assert kinds(later.withdraw(second, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)) == ["WITHDRAWN"]
    later.invalidate(second, actor=OFFICER, reason="no-free-choice")
    withdrawn = later.last_negative_decision(**wanted)
    assert (withdrawn.consent_id, withdrawn.type, withdrawn.at) == (second, "WITHDRAWN", NOW + 2 * DAY)
    assert later.last_negative_decision(subject_ref=STRANGER, agreement_id=AGREEMENT) is None


def test_paused_and_resumed(connection):
    consent_id = given(connection)
    book = ledger(connection)
    book.pause(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    assert book.use(consent_id, version=3) == (None, [])
    with pytest.raises(IllegalTransitionError):
        book.resume(consent_id, subject_ref=SUBJECT_REF, actor=BROKER)
    book.resume(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    assert book.use(consent_id, version=4)[0] is not None
    book.pause(consent_id, subject_ref=SUBJECT_REF, actor=BROKER, reason="restore")
    book.resume(consent_id, subject_ref=SUBJECT_REF, actor=BROKER, reason="restore")
    assert status(connection, consent_id) is S.GIVEN


@pytest.mark.invariant(5)
def test_a_second_giving_supersedes_the_first(connection):
    first = given(connection)
    second = ask(connection)
    appended = give(connection, second)
    assert [(event.consent_id, event.type.value) for event in appended] == [(first, "SUPERSEDED"), (second, "GIVEN")]
    assert (appended[0].content.replaced_by, appended[1].content.replaces) == (second, first)
    assert (status(connection, first), status(connection, second)) == (S.SUPERSEDED, S.GIVEN)
    assert store.find(connection, first).replaced_by == second


@pytest.mark.invariant(5)
def test_a_giving_after_the_end_of_the_first_writes_the_expiry_down(connection):
    first = given(connection)
    after = NOW + 200 * DAY
    assert store.find_in_force(connection, subject_ref=SUBJECT_REF, agreement_id=AGREEMENT).id == first
    second = ask(connection, at=after)
    appended = give(connection, second, at=after)
    assert kinds(appended) == ["EXPIRED", "GIVEN"]
    assert appended[1].content.replaces is None
    assert ledger(connection, after).record(first).ended_at == TERMS.valid_until


@pytest.mark.invariant(5)
def test_a_paused_one_is_superseded_too(connection):
    first = given(connection)
    ledger(connection).pause(first, subject_ref=SUBJECT_REF, actor=SUBJECT)
    assert kinds(give(connection, ask(connection))) == ["SUPERSEDED", "GIVEN"]


def test_other_people_and_other_agreements_are_left_alone(connection):
    others = [given(connection, subject_ref=uuid4()), given(connection, agreement_id=uuid4())]
    given(connection)
    assert [status(connection, other) for other in others] == [S.GIVEN, S.GIVEN]


def renewed(connection, consent_id, at=NOW + DAY, **changes):
    wanted = terms(valid_from=at, valid_until=at + 180 * DAY, agreement_revision=4)
    return ledger(connection, at).renew(
        consent_id,
        subject_ref=SUBJECT_REF,
        **{"terms": wanted, "selection": REQUIRED, "manner": MANNER, "actor": SUBJECT, **changes},
    )


def test_a_renewal_is_a_new_record(connection):
    old = given(connection)
    appended = renewed(connection, old)
    new = appended[0].consent_id
    assert [(event.consent_id, event.type.value) for event in appended] == [
        (new, "REQUESTED"),
        (old, "SUPERSEDED"),
        (new, "GIVEN"),
    ]
    record = ledger(connection, NOW + DAY).record(new)
    assert (record.replaces, record.terms.agreement_revision, record.requested_by) == (old, 4, SUBJECT)
    assert store.find(connection, old).agreement_revision == 3


def test_an_expired_and_a_used_up_one_can_be_renewed(connection):
    old = given(connection)
    appended = renewed(connection, old, at=NOW + 181 * DAY)
    assert kinds(appended) == ["EXPIRED", "REQUESTED", "GIVEN"]
    assert appended[-1].content.replaces == old

    spent = given(connection, uses=1, agreement_id=uuid4())
    ledger(connection).use(spent, version=2)
    agreement = store.find(connection, spent).agreement_id
    wanted = terms(agreement_id=agreement, uses=1)
    assert kinds(renewed(connection, spent, at=NOW, terms=wanted)) == ["REQUESTED", "GIVEN"]


def test_a_renewal_of_what_was_ended_by_a_decision_is_refused(connection):
    withdrawn = given(connection)
    ledger(connection).withdraw(withdrawn, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)
    undecided = ask(connection)
    for one in (withdrawn, undecided):
        with pytest.raises(IllegalTransitionError):
            renewed(connection, one)


def test_a_renewal_is_for_the_same_person_and_agreement(connection):
    old = given(connection)
    for wanted in (terms(agreement_id=uuid4()), terms(subject_ref=STRANGER)):
        with pytest.raises(ScopeError):
            renewed(connection, old, at=NOW, terms=wanted)
    assert status(connection, old) is S.GIVEN


def test_cancelled_by_the_asker_only(connection):
    consent_id = ask(connection)
    with pytest.raises(IllegalTransitionError):
        ledger(connection).cancel(consent_id, consumer="housing", actor=SUBJECT)
    assert kinds(ledger(connection).cancel(consent_id, consumer="housing", actor=AGENCY)) == ["CANCELLED"]
    with pytest.raises(IllegalTransitionError, match="from CANCELLED"):
        give(connection, consent_id)


def test_nobody_gives_for_a_person_without_a_mandate(connection):
    consent_id = ask(connection)
    for kind in (ActorKind.AGENCY, ActorKind.OFFICER, ActorKind.BROKER, ActorKind.CLOCK):
        with pytest.raises(IllegalTransitionError):
            give(connection, consent_id, actor=ACTORS[kind])


@pytest.mark.parametrize("kind", [ActorKind.OFFICER, ActorKind.BROKER, ActorKind.CLOCK])
def test_only_agencies_and_people_ask(connection, kind):
    with pytest.raises(IllegalTransitionError):
        ledger(connection).request(TERMS, deadline=DEADLINE, actor=ACTORS[kind])


def test_a_deadline_lies_ahead_and_within_the_window(connection):
    for deadline in (NOW, NOW - DAY, TERMS.valid_until + DAY):
        with pytest.raises(ValueError, match="deadline"):
            ledger(connection).request(TERMS, deadline=deadline, actor=AGENCY)


def test_uses_run_out(connection):
    consent_id = given(connection, uses=2)
    book = ledger(connection)
    taken, events = book.use(consent_id, version=2)
    assert (taken.version, taken.uses_left, events) == (2, 1, [])
    assert book.record(consent_id).uses_left == 1
    assert book.use(consent_id, version=1) == (None, [])
    taken, events = book.use(consent_id, version=2)
    assert (taken.uses_left, kinds(events)) == (0, ["USED_UP"])
    assert book.use(consent_id, version=2) == (None, [])
    assert book.use(consent_id, version=3) == (None, [])
    record = book.record(consent_id)
    assert (record.status, record.uses_left, record.ended_by) == (S.USED_UP, 0, BROKER)


def test_uses_taken_survive_a_pause(connection):
    consent_id = given(connection, uses=3)
    book = ledger(connection)
    book.use(consent_id, version=2)
    book.pause(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    book.resume(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    assert book.record(consent_id).uses_left == 2


def test_any_number_of_uses(connection):
    consent_id = given(connection)
    for _ in range(3):
        taken, events = ledger(connection).use(consent_id, version=2)
        assert (taken.uses_left, events) == (None, [])


def test_no_use_before_the_window(connection):
    consent_id = ask(connection, valid_from=NOW + DAY)
    give(connection, consent_id)
    assert ledger(connection).use(consent_id, version=2) == (None, [])
    assert ledger(connection, NOW + DAY).use(consent_id, version=2)[0] is not None


def test_reasons_are_codes(connection):
    consent_id = given(connection)
    with pytest.raises(ValueError):
        ledger(connection).invalidate(consent_id, actor=OFFICER, reason="Anna did not understand")


def test_a_clock_that_runs_behind_does_not_turn_a_record_back(connection):
    consent_id = given(connection, at=NOW + DAY)
    appended = ledger(connection, NOW).withdraw(consent_id, subject_ref=SUBJECT_REF, manner=MANNER, actor=SUBJECT)
    assert appended[0].at == NOW + DAY
    once = given(connection, uses=1)
    ahead = ledger(connection, NOW + DAY)
    ahead.pause(once, subject_ref=SUBJECT_REF, actor=SUBJECT)
    ahead.resume(once, subject_ref=SUBJECT_REF, actor=SUBJECT)
    _, events = ledger(connection, NOW).use(once, version=4)
    assert (kinds(events), events[0].at) == (["USED_UP"], NOW + DAY)
    assert status(connection, once) is S.USED_UP


def test_a_reader_without_a_lock_sees_one_state(connection, monkeypatch):
    consent_id = given(connection)
    read_before = store.find(connection, consent_id)
    ledger(connection).pause(consent_id, subject_ref=SUBJECT_REF, actor=SUBJECT)
    monkeypatch.setattr(store, "find", lambda *_: read_before)
    record = ledger(connection).record(consent_id)
    assert (record.status, record.version) == (S.GIVEN, 2)


def test_explicit_consent_keeps_its_ground(connection):
    consent_id = given(connection, legal_basis=LegalBasis.EXPLICIT_CONSENT)
    assert store.events_of(connection, consent_id)[-1].content.legal_basis is LegalBasis.EXPLICIT_CONSENT
