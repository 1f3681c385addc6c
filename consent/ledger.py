"""Every way in which a consent changes: lock, fold, check the step, append. One transaction, the caller's.

Each function returns the events it appended, oldest first; the caller turns each into one audit entry with the event's
``entry_id`` and commits, or rolls everything back when an error was raised. Times are passed in. A record is found only
by its own party: to anybody else it is as unknown as one that never was.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from consent import store
from consent.append import Appender, known
from consent.errors import IllegalTransitionError, ScopeError
from consent.events import ConsentEvent, Content, EventType
from consent.instants import whole_millis
from consent.lifecycle import RESULT, at_time, check_step, replay
from consent.model import BROKER, CLOCK, Actor, ConsentRecord, ConsentStatus, ConsentTerms, Manner, Method
from consent.rows import ConsentRow
from consent.store import NegativeDecision, Taken
from crypto.ids import new_id

_IN_FORCE = frozenset({ConsentStatus.GIVEN, ConsentStatus.PAUSED})
_RENEWABLE = frozenset({ConsentStatus.GIVEN, ConsentStatus.PAUSED, ConsentStatus.EXPIRED, ConsentStatus.USED_UP})


class ConsentLedger:
    """The ledger within one transaction.

    Args:
        connection: of the unit of work; on SQLite it has begun IMMEDIATE.
        now: aware UTC, read once per use case.
        new_entry_id: makes the id of the audit entry that will stand for an event.
    """

    def __init__(self, connection: Connection, *, now: datetime, new_entry_id: Callable[[], UUID]) -> None:
        self._appender = Appender(connection, now=now, new_entry_id=new_entry_id)
        self._connection = connection

    # Reading

    def record(self, consent_id: UUID, *, subject_ref: UUID | None = None) -> ConsentRecord:
        """A record as it stands now, uses included; with ``subject_ref`` only if it is that person's.

        Raises:
            UnknownConsentError: there is none, or it is somebody else's.
        """
        row = known(store.find(self._connection, consent_id), consent_id, subject_ref=subject_ref)
        # Without a lock an event may have come between the two reads: the row says up to where.
        events = store.events_of(self._connection, consent_id)[: row.version]
        return replace(at_time(replay(events), self._appender.now), uses_left=row.uses_left)

    def last_negative_decision(self, *, subject_ref: UUID, agreement_id: UUID) -> NegativeDecision | None:
        """The newest refusal or withdrawal that no later giving overtook, for the cooling-off rule (decision 15)."""
        return store.last_negative_decision(self._connection, subject_ref=subject_ref, agreement_id=agreement_id)

    # The asking agency

    def request(
        self,
        terms: ConsentTerms,
        *,
        deadline: datetime,
        actor: Actor,
        consent_id: UUID | None = None,
        replaces: UUID | None = None,
    ) -> list[ConsentEvent]:
        """Ask: a new record that somebody can decide upon until ``deadline`` (exclusive).

        Raises:
            ValueError: the deadline has passed, or lies after the end of the window that is asked for.
            IllegalTransitionError: this kind of actor does not ask.
        """
        now, deadline = self._appender.now, whole_millis(deadline)
        if not now < deadline <= terms.valid_until:
            raise ValueError("the deadline lies between now and the end of the window that is asked for")
        content = Content(terms=terms, deadline=deadline, replaces=replaces)
        return self._appender.first(consent_id or new_id(now), actor, content)

    def cancel(self, consent_id: UUID, *, consumer: str, actor: Actor, reason: str | None = None) -> list[ConsentEvent]:
        """The agency that asked takes its question back."""
        record, events = self._appender.open(consent_id, consumer=consumer)
        return events + self._appender.step(record, EventType.CANCELLED, actor, Content(reason=reason))

    # The person, or somebody with a mandate

    def give(
        self,
        consent_id: UUID,
        *,
        subject_ref: UUID,
        selection: Iterable[tuple[str, str]],
        manner: Manner,
        actor: Actor,
        valid_until: datetime | None = None,
        uses: int | None = None,
    ) -> list[ConsentEvent]:
        """Allow all or some of what was asked, for as long as asked or shorter, as often as asked or less.

        A permission of the same person for the same agreement that is still in force ends first, in the same
        transaction: EXPIRED when its time had run out, else SUPERSEDED (invariant 5).

        Args:
            selection: the chosen ``(name, form)``, required ones included.
            manner: must name the language and the notice version that were shown.

        Raises:
            UnknownConsentError: no such record of this person.
            ScopeError: more than was asked, a required attribute left out, nothing selected.
            IllegalTransitionError: not (or no longer) waiting for a decision, or not for this actor to decide.
            ConsentConflictError: the race for the same person and agreement was lost.
        """
        rivals = self._lock_with_rivals(consent_id, subject_ref)
        record, events = self._appender.open(consent_id, subject_ref=subject_ref)
        check_step(record.status, EventType.GIVEN, actor.kind)
        content = self._narrowed(record, selection, _informed(manner), valid_until, uses)
        replaced = record.replaces
        for rival in rivals:
            ended = self._give_way(rival, consent_id, actor)
            events += ended
            replaced = rival.id if ended[-1].type is EventType.SUPERSEDED else replaced
        return events + self._appender.step(record, EventType.GIVEN, actor, replace(content, replaces=replaced))

    def renew(
        self,
        consent_id: UUID,
        *,
        subject_ref: UUID,
        terms: ConsentTerms,
        selection: Iterable[tuple[str, str]],
        manner: Manner,
        actor: Actor,
        valid_until: datetime | None = None,
        uses: int | None = None,
    ) -> list[ConsentEvent]:
        """Go on after, or instead of, a permission that runs or has run out: a new record, asked for and given at once.

        The old record is never changed in what it allowed; one that is still in force becomes SUPERSEDED.

        Args:
            terms: of the agreement as it is now, for the same person and the same agreement.

        Raises:
            UnknownConsentError: no such record of this person.
            ScopeError: the terms are of another agreement or person; else as ``give``.
            IllegalTransitionError: the old record was refused, withdrawn, or ended by somebody else.
        """
        self._lock_with_rivals(consent_id, subject_ref)
        old, settled = self._appender.open(consent_id, subject_ref=subject_ref)
        if (terms.subject_ref, terms.agreement_id) != (old.terms.subject_ref, old.terms.agreement_id):
            raise ScopeError("a renewal is for the same person and the same agreement")
        if old.status not in _RENEWABLE:
            check_step(old.status, EventType.SUPERSEDED, actor.kind)
        asked = self.request(terms, deadline=terms.valid_until, actor=actor, replaces=old.id)
        given = self.give(
            asked[0].consent_id,
            subject_ref=subject_ref,
            selection=selection,
            manner=manner,
            actor=actor,
            valid_until=valid_until,
            uses=uses,
        )
        return settled + asked + given

    def refuse(
        self, consent_id: UUID, *, subject_ref: UUID, manner: Manner, actor: Actor, reason: str | None = None
    ) -> list[ConsentEvent]:
        """Say no to what was asked. No reason is needed."""
        record, events = self._appender.open(consent_id, subject_ref=subject_ref)
        content = Content(manner=_informed(manner), reason=reason)
        return events + self._appender.step(record, EventType.REFUSED, actor, content)

    def withdraw(
        self, consent_id: UUID, *, subject_ref: UUID, manner: Manner, actor: Actor, reason: str | None = None
    ) -> list[ConsentEvent]:
        """Take a permission back, for good and at once. No reason is needed."""
        record, events = self._appender.open(consent_id, subject_ref=subject_ref)
        return events + self._appender.step(record, EventType.WITHDRAWN, actor, Content(manner=manner, reason=reason))

    def pause(
        self,
        consent_id: UUID,
        *,
        subject_ref: UUID,
        actor: Actor,
        manner: Manner | None = None,
        reason: str | None = None,
    ) -> list[ConsentEvent]:
        """Stop the flow for a while; the window goes on running."""
        record, events = self._appender.open(consent_id, subject_ref=subject_ref)
        return events + self._appender.step(record, EventType.PAUSED, actor, Content(manner=manner, reason=reason))

    def resume(
        self,
        consent_id: UUID,
        *,
        subject_ref: UUID,
        actor: Actor,
        manner: Manner | None = None,
        reason: str | None = None,
    ) -> list[ConsentEvent]:
        """Let data flow again. The broker may resume only what it paused itself."""
        record, events = self._appender.open(consent_id, subject_ref=subject_ref)
        return events + self._appender.step(record, EventType.RESUMED, actor, Content(manner=manner, reason=reason))

    # The exchange and the clock

    def use(self, consent_id: UUID, *, version: int) -> tuple[Taken | None, list[ConsentEvent]]:
        """Take one use of exactly this version; the last one appends USED_UP. None: not in force, and nothing taken.

        The release path may call ``store.take_use`` and ``store.mark_used_up`` itself, to the same effect.
        """
        taken = store.take_use(self._connection, consent_id=consent_id, version=version, now=self._appender.now)
        if taken is None or taken.uses_left != 0:
            return taken, []
        last = store.mark_used_up(
            self._connection,
            consent_id=consent_id,
            version=taken.version,
            now=self._appender.now,
            entry_id=self._appender.new_entry_id(),
        )
        return taken, [last]

    def settle(self, consent_id: UUID) -> list[ConsentEvent]:
        """Write down what the clock has decided (EXPIRED or LAPSED), if it has and nobody has written it yet."""
        return self._appender.open(consent_id)[1]

    def expire(self, consent_id: UUID) -> list[ConsentEvent]:
        """Append EXPIRED to a permission whose time has run out (IllegalTransitionError: it has not, or has ended)."""
        return self._by_clock(consent_id, EventType.EXPIRED)

    def lapse(self, consent_id: UUID) -> list[ConsentEvent]:
        """Append LAPSED to a question that nobody decided in time (IllegalTransitionError: it has not lapsed)."""
        return self._by_clock(consent_id, EventType.LAPSED)

    def terminate(
        self, agreement_id: UUID, *, actor: Actor, reason: str, limit: int | None = None
    ) -> list[ConsentEvent]:
        """The agreement has ended: so do its records. With ``limit``: so many at once; call until none comes back."""
        rows = store.lock_open_of_agreement(self._connection, agreement_id, limit=limit)
        return self._terminate(rows, actor, reason)

    def terminate_subject(self, subject_ref: UUID, *, actor: Actor, reason: str) -> list[ConsentEvent]:
        """The person is erased, or has died: all records that have not ended do."""
        return self._terminate(store.lock_open_of_subject(self._connection, subject_ref), actor, reason)

    # After a restore

    def end_again(self, consent_id: UUID, *, was_refused: bool, reason: str) -> list[ConsentEvent]:
        """Say an end again that an older database has forgotten. Nothing comes back of a record that has ended.

        Args:
            consent_id: which record.
            was_refused: the person said no, or took it back: so it counts for the cooling-off time.
            reason: code.

        Raises:
            UnknownConsentError: there is none.
        """
        record, events = self._appender.open(consent_id)
        if record.status.is_ended or events:
            return events
        if not was_refused:
            return self._appender.step(record, EventType.TERMINATED, BROKER, Content(reason=reason))
        terms = record.terms
        manner = Manner(method=Method.JOURNAL, language=terms.language, notice_version=terms.notice_version)
        # A question that was allowed and then withdrawn, all after the backup, is answered with the last word: no.
        kind = EventType.REFUSED if record.status is ConsentStatus.REQUESTED else EventType.WITHDRAWN
        return self._appender.step(record, kind, BROKER, Content(manner=manner, reason=reason))

    def pause_given(self, *, reason: str, limit: int) -> tuple[list[ConsentRow], list[ConsentEvent]]:
        """Pause permissions that are in force, as many as ``limit``; call until no row comes back."""
        rows, appended = store.lock_given(self._connection, limit=limit), []
        for row in rows:
            record, events = self._appender.settled(row)
            appended += events or self._appender.step(record, EventType.PAUSED, BROKER, Content(reason=reason))
        return rows, appended

    # The privacy officer

    def invalidate(self, consent_id: UUID, *, actor: Actor, reason: str) -> list[ConsentEvent]:
        """An officer finds that it never was a consent, also after its end: what was released under it is flagged."""
        record, events = self._appender.open(consent_id)
        return events + self._appender.step(record, EventType.INVALIDATED, actor, Content(reason=reason))

    # How

    def _lock_with_rivals(self, consent_id: UUID, subject_ref: UUID) -> list[ConsentRow]:
        """Lock a record and those of the same person and agreement that have not ended; the others that are in force.

        One statement in the order of ids: two that decide at once cannot deadlock; the second sees what the first did.
        """
        row = known(store.find(self._connection, consent_id), consent_id, subject_ref=subject_ref)
        rows = store.lock_open(self._connection, subject_ref=row.subject_ref, agreement_id=row.agreement_id)
        return [rival for rival in rows if rival.id != consent_id and rival.status in _IN_FORCE]

    def _by_clock(self, consent_id: UUID, kind: EventType) -> list[ConsentEvent]:
        record, events = self._appender.open(consent_id)
        if not events or events[0].type is not kind:
            check_step(record.status, kind, CLOCK.kind)
            raise IllegalTransitionError(  # the step exists, but its time has not come
                from_status=record.status, action=kind, to_status=RESULT[kind], actor_kind=CLOCK.kind
            )
        return events

    def _terminate(self, rows: Iterable[ConsentRow], actor: Actor, reason: str) -> list[ConsentEvent]:
        appended: list[ConsentEvent] = []
        for row in rows:
            record, events = self._appender.settled(row)
            appended += events or self._appender.step(record, EventType.TERMINATED, actor, Content(reason=reason))
        return appended

    def _give_way(self, rival: ConsentRow, winner: UUID, actor: Actor) -> list[ConsentEvent]:
        record, events = self._appender.settled(rival)
        return events or self._appender.step(record, EventType.SUPERSEDED, actor, Content(replaced_by=winner))

    def _narrowed(
        self,
        record: ConsentRecord,
        selection: Iterable[tuple[str, str]],
        manner: Manner,
        valid_until: datetime | None,
        uses: int | None,
    ) -> Content:
        terms = record.terms
        scope = terms.scope.narrow(selection)
        begins = max(terms.valid_from, self._appender.now, record.as_of)
        ends = terms.valid_until if valid_until is None else whole_millis(valid_until)
        if not begins < ends <= terms.valid_until:
            raise ScopeError("a permission ends after it begins, and no later than was asked")
        uses = terms.uses if uses is None else uses
        if uses is not None and not 1 <= uses <= (terms.uses or uses):
            raise ScopeError("a permission is for at least one use, and no more than were asked")
        return Content(
            scope=scope, valid_from=begins, valid_until=ends, uses=uses, legal_basis=terms.legal_basis, manner=manner
        )


def _informed(manner: Manner) -> Manner:
    if not manner.is_informed:
        raise ValueError("a decision names the language and the notice version that were shown")
    return manner
