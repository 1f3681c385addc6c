"""A ledger on SQLite does what a few lines of plain Python say, whatever is done to it in whatever order."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from consent import store
from consent.errors import ConsentError, IllegalTransitionError, ScopeError, UnknownConsentError
from consent.lifecycle import fold
from consent.model import ActorKind
from consent.rebuild import rebuild
from consent.tables import metadata
from tests.unit.consent.examples import ACTORS, DAY, MANNER, NOW, OFFICER, SCOPE, kinds, ledger, terms

PEOPLE = [uuid4(), uuid4()]
AGREEMENTS = [uuid4(), uuid4()]
KEYS = sorted(SCOPE.keys)
DEADLINE_DAYS, WINDOW_DAYS = 5, 20
PERSON = {ActorKind.SUBJECT, ActorKind.REPRESENTATIVE}
CLOSER = {ActorKind.AGENCY, ActorKind.OFFICER, ActorKind.BROKER}


@dataclass
class Told:
    """What the oracle knows of one record. The clock is applied when it is looked at."""

    person: UUID
    agreement: UUID
    asked_uses: int | None
    window_end: object
    until: object
    state: str = "REQUESTED"
    uses: int | None = None
    chosen: frozenset = frozenset()
    paused_by: ActorKind | None = None
    taken: int = 0
    trail: list = field(default_factory=list)

    def at(self, now):
        if now >= self.until and self.state == "REQUESTED":
            return "LAPSED"
        if now >= self.until and self.state in ("GIVEN", "PAUSED"):
            return "EXPIRED"
        return self.state


class LedgerMachine(RuleBasedStateMachine):
    consents = Bundle("consents")

    def __init__(self):
        super().__init__()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        metadata.create_all(self.engine)
        self.now = NOW
        self.told: dict[UUID, Told] = {}
        self.versions: dict[UUID, int] = {}

    def teardown(self):
        self.engine.dispose()

    def attempt(self, work):
        """Does it in one transaction: the events, or the kind of refusal."""
        with self.engine.connect() as connection:
            try:
                events = work(ledger(connection, self.now))
            except ConsentError as refusal:
                connection.rollback()
                return type(refusal)
            connection.commit()
        for event in events:
            assert event.seq == self.versions.get(event.consent_id, 0) + 1
            self.versions[event.consent_id] = event.seq
        self.now += timedelta(milliseconds=1)  # so that the past is past
        return kinds(events)

    def settled(self, told):
        """The oracle writes the clock down when the ledger must have."""
        state = told.at(self.now)
        if state == told.state:
            return []
        told.state = state
        return [state]

    def step(self, one, kind, allowed, after, work):
        told = self.told[one]
        clock = told.at(self.now)
        if clock in allowed:
            expected = [*self.settled(told), kind]
            assert self.attempt(work) == expected
            told.state = after
        else:
            assert self.attempt(work) is IllegalTransitionError

    @rule(days=st.integers(0, 8), hours=st.integers(0, 23))
    def time_goes_by(self, days, hours):
        self.now += timedelta(days=days, hours=hours)

    @rule(
        target=consents,
        person=st.sampled_from(PEOPLE),
        agreement=st.sampled_from(AGREEMENTS),
        uses=st.none() | st.integers(1, 3),
    )
    def request(self, person, agreement, uses):
        end = self.now + WINDOW_DAYS * DAY
        wanted = terms(subject_ref=person, agreement_id=agreement, uses=uses, valid_from=self.now, valid_until=end)
        made = []

        def asking(book):
            made.extend(book.request(wanted, deadline=self.now + DEADLINE_DAYS * DAY, actor=ACTORS[ActorKind.AGENCY]))
            return made

        assert self.attempt(asking) == ["REQUESTED"]
        one = made[0].consent_id
        self.told[one] = Told(person, agreement, uses, end, self.now + DEADLINE_DAYS * DAY)
        return one

    @rule(
        one=consents,
        who=st.sampled_from([*PEOPLE, None]),
        selection=st.sets(st.sampled_from([*KEYS, ("birth_date", "value")])),
        actor=st.sampled_from(ActorKind),
        days=st.none() | st.integers(1, WINDOW_DAYS + 2),
        uses=st.none() | st.integers(1, 4),
    )
    def give(self, one, who, selection, actor, days, uses):
        told = self.told[one]
        person = who or told.person
        until = None if days is None else self.now + days * DAY
        result = self.attempt(
            lambda book: book.give(
                one,
                subject_ref=person,
                selection=selection,
                manner=MANNER,
                actor=ACTORS[actor],
                valid_until=until,
                uses=uses,
            )
        )
        if person != told.person:
            assert result is UnknownConsentError
        elif told.at(self.now) != "REQUESTED" or actor not in PERSON:
            assert result is IllegalTransitionError
        elif (
            not {("income", "at_least")} <= selection <= set(KEYS)
            or (until or told.window_end) > told.window_end
            or (uses or 0) > (told.asked_uses or 99)
        ):
            assert result is ScopeError
        else:
            expected = []
            for rival in self.told.values():
                if rival.state in ("GIVEN", "PAUSED") and (rival.person, rival.agreement) == (person, told.agreement):
                    expected += self.settled(rival) or ["SUPERSEDED"]
                    rival.state = expected[-1]
            assert result == [*expected, "GIVEN"]
            told.state, told.until = "GIVEN", until or told.window_end
            told.uses, told.chosen = uses or told.asked_uses, frozenset(selection)

    @rule(one=consents, actor=st.sampled_from(ActorKind))
    def refuse(self, one, actor):
        self.step(
            one,
            "REFUSED",
            {"REQUESTED"} if actor in PERSON | {ActorKind.BROKER} else set(),
            "REFUSED",
            lambda book: book.refuse(one, subject_ref=self.told[one].person, manner=MANNER, actor=ACTORS[actor]),
        )

    @rule(one=consents, actor=st.sampled_from(ActorKind))
    def withdraw(self, one, actor):
        self.step(
            one,
            "WITHDRAWN",
            {"GIVEN", "PAUSED"} if actor in PERSON | {ActorKind.BROKER} else set(),
            "WITHDRAWN",
            lambda book: book.withdraw(one, subject_ref=self.told[one].person, manner=MANNER, actor=ACTORS[actor]),
        )

    @rule(one=consents, actor=st.sampled_from(ActorKind))
    def pause(self, one, actor):
        told = self.told[one]
        was_given = told.at(self.now) == "GIVEN"
        self.step(
            one,
            "PAUSED",
            {"GIVEN"} if actor in PERSON | {ActorKind.BROKER} else set(),
            "PAUSED",
            lambda book: book.pause(one, subject_ref=told.person, actor=ACTORS[actor]),
        )
        if was_given and told.state == "PAUSED":
            told.paused_by = actor

    @rule(one=consents, actor=st.sampled_from(ActorKind))
    def resume(self, one, actor):
        told = self.told[one]
        may = actor in PERSON or (actor is ActorKind.BROKER and told.paused_by is ActorKind.BROKER)
        self.step(
            one,
            "RESUMED",
            {"PAUSED"} if may else set(),
            "GIVEN",
            lambda book: book.resume(one, subject_ref=told.person, actor=ACTORS[actor]),
        )

    @rule(one=consents, actor=st.sampled_from(ActorKind))
    def cancel(self, one, actor):
        self.step(
            one,
            "CANCELLED",
            {"REQUESTED"} if actor is ActorKind.AGENCY else set(),
            "CANCELLED",
            lambda book: book.cancel(one, consumer="housing", actor=ACTORS[actor]),
        )

    @rule(one=consents)
    def invalidate(self, one):
        told = self.told[one]
        allowed = {told.at(self.now)} - {"REQUESTED", "INVALIDATED"}
        self.step(
            one,
            "INVALIDATED",
            allowed,
            "INVALIDATED",
            lambda book: book.invalidate(one, actor=OFFICER, reason="no-free-choice"),
        )

    @rule(one=consents)
    def settle(self, one):
        expected = self.settled(self.told[one])
        assert self.attempt(lambda book: book.settle(one)) == expected

    @rule(agreement=st.sampled_from(AGREEMENTS), actor=st.sampled_from(sorted(CLOSER)))
    def terminate(self, agreement, actor):
        expected = []
        for told in self.told.values():
            if told.agreement == agreement and told.state in ("REQUESTED", "GIVEN", "PAUSED"):
                expected += self.settled(told) or ["TERMINATED"]
                told.state = expected[-1]
        result = self.attempt(lambda book: book.terminate(agreement, actor=ACTORS[actor], reason="agreement-ended"))
        assert sorted(result) == sorted(expected)

    @rule(one=consents, stale=st.booleans())
    def use(self, one, stale):
        told = self.told[one]
        with self.engine.begin() as connection:
            version = self.versions[one] - stale
            taken, events = ledger(connection, self.now).use(one, version=version)
        if stale or told.at(self.now) != "GIVEN":
            assert (taken, events) == (None, [])
            return
        told.taken += 1
        left = None if told.uses is None else told.uses - told.taken
        assert (taken.version, taken.uses_left) == (version, left)
        assert kinds(events) == (["USED_UP"] if left == 0 else [])
        if left == 0:
            told.state = "USED_UP"
            self.versions[one] += 1
            self.now += timedelta(milliseconds=1)

    @invariant()
    def the_ledger_says_what_the_oracle_says(self):
        with self.engine.connect() as connection:
            book = ledger(connection, self.now)
            for one, told in self.told.items():
                record = book.record(one, subject_ref=told.person)
                assert record.status == told.at(self.now)
                assert record.version == self.versions[one]
                if told.chosen:
                    assert record.scope.keys == told.chosen
                assert record.scope.is_subset_of(record.terms.scope)
                if record.status in ("GIVEN", "PAUSED"):
                    assert record.uses_left == (None if told.uses is None else told.uses - told.taken)
                in_force = record.status == "GIVEN"
                assert record.may_process is in_force
                assert store.find(connection, one).may_process(self.now) is in_force

    @invariant()
    def what_was_so_stays_so(self):
        """The state at a past time never changes, and nothing follows an end but an invalidation."""
        with self.engine.connect() as connection:
            for one, told in self.told.items():
                events = store.events_of(connection, one)
                for when, status in told.trail:
                    assert fold(events, when).status == status
                just_now = self.now - timedelta(milliseconds=1)
                told.trail = [*told.trail[-5:], (just_now, fold(events, just_now).status)]
                if len(told.trail) > 1 and told.trail[-2][1].is_ended:
                    assert told.trail[-1][1] in (told.trail[-2][1], "INVALIDATED")

    @invariant()
    def at_most_one_is_in_force(self):
        with self.engine.connect() as connection:
            pairs = [(t.person, t.agreement) for t in self.told.values() if t.state in ("GIVEN", "PAUSED")]
            assert len(pairs) == len(set(pairs))
            for person, agreement in {(t.person, t.agreement) for t in self.told.values()}:
                row = store.find_in_force(connection, subject_ref=person, agreement_id=agreement)
                assert (row is not None) is ((person, agreement) in pairs)

    @invariant()
    def the_projection_follows_from_events_and_disclosures(self):
        with self.engine.connect() as connection:
            assert rebuild(connection, uses_taken=lambda ids: {one: self.told[one].taken for one in ids}) == []


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
