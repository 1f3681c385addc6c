"""What a citizen decides: allow all or some, refuse, withdraw, pause, resume, renew. Each is one unit of work.

Lock order as everywhere: the subject's row first (shared), then the consent's. A withdrawal that is acknowledged has
committed: no release can use the consent after it (invariant 2).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent import store as consent_store
from consent.errors import ScopeError, UnknownConsentError
from consent.events import ConsentEvent
from consent.ledger import ConsentLedger
from consent.model import Actor, ActorKind, ConsentTerms, Manner
from consent.rows import ConsentRow
from consent.scope import AttributeScope, ScopedAttribute
from crypto.ids import new_id
from exchange import access, citizen_store
from exchange.agreement_model import Agreement
from exchange.consent_entries import record_consent_events
from exchange.errors import AgreementNotInForceError, NoticeError, SubjectErasedError, UnknownRequestError
from exchange.ground import agreement_by_id
from exchange.model import Citizen
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a decision led to."""

    consent_id: UUID
    status: str
    version: int


def allow(
    exchange: "Exchange",
    citizen: Citizen,
    request_id: UUID,
    *,
    selection: Sequence[tuple[str, str]],
    language: str,
    notice_version: str,
    valid_until: datetime | None = None,
    uses: int | None = None,
    now: datetime,
) -> Decided:
    """Allow all or some of what a request asks, for as long as asked or shorter.

    Raises:
        UnknownRequestError: no such request about this person.
        AgreementNotInForceError: the agreement behind it is not (or no longer) in force.
        ScopeError, IllegalTransitionError, ConsentConflictError: as the ledger says.
    """
    access.admit_citizen(exchange, citizen, now)

    def step(ledger: ConsentLedger, row: Row[Any], uow: UnitOfWork) -> list[ConsentEvent]:
        agreement = agreement_by_id(uow.connection, row.agreement_id)
        if not agreement.is_in_force(now):
            raise AgreementNotInForceError(f"agreement {agreement.code} is not in force")
        _check_notice(ledger, row, agreement, language, notice_version)
        return ledger.give(
            row.consent_id,
            subject_ref=citizen.subject_ref,
            selection=selection,
            manner=Manner(method=citizen.method, language=language, notice_version=notice_version),
            actor=person(citizen),
            valid_until=valid_until,
            uses=uses,
        )

    return _decide(exchange, citizen, request_id, step, now)


def refuse(
    exchange: "Exchange", citizen: Citizen, request_id: UUID, *, language: str, notice_version: str, now: datetime
) -> Decided:
    """Say no. No reason is needed; the agency may not ask again for a while (decision 15).

    Raises:
        UnknownRequestError: no such request about this person.
        IllegalTransitionError: it was decided, or has lapsed.
    """
    access.admit_citizen(exchange, citizen, now)

    def step(ledger: ConsentLedger, row: Row[Any], uow: UnitOfWork) -> list[ConsentEvent]:
        _check_notice(ledger, row, agreement_by_id(uow.connection, row.agreement_id), language, notice_version)
        return ledger.refuse(
            row.consent_id,
            subject_ref=citizen.subject_ref,
            manner=Manner(method=citizen.method, language=language, notice_version=notice_version),
            actor=person(citizen),
        )

    return _decide(exchange, citizen, request_id, step, now)


def _check_notice(
    ledger: ConsentLedger, row: Row[Any], agreement: Agreement, language: str, notice_version: str
) -> None:
    """The ledger records what the person was shown, so it must be something that was offered."""
    require_notice(agreement, language, notice_version, offered=ledger.record(row.consent_id).terms.notice_version)


def require_notice(agreement: Agreement, language: str, notice_version: str, *, offered: str) -> None:
    """Refuse words that were not offered (NoticeError)."""
    if notice_version != offered:
        raise NoticeError(f"the notice that was offered is version {offered}")
    if language not in agreement.notice.texts:
        raise NoticeError(f"the notice exists in: {', '.join(sorted(agreement.notice.texts))}")


Step = Callable[[ConsentLedger, Row[Any], UnitOfWork], list[ConsentEvent]]


def _decide(exchange: "Exchange", citizen: Citizen, request_id: UUID, step: Step, now: datetime) -> Decided:
    with exchange.unit_of_work(now) as uow:
        hold(uow, citizen)
        row = citizen_store.request_of_subject(uow.connection, request_id, citizen.subject_ref)
        if row is None or row.consent_id is None or row.status != "WAITING":
            raise UnknownRequestError(f"no request {request_id} waits for a decision")
        events = step(ledger_of(uow), row, uow)
        _record(uow, citizen, events, org=row.agency, purpose=row.purpose, request_id=request_id)
        uow.commit()
    return _decided(events, row.consent_id)


def withdraw(exchange: "Exchange", citizen: Citizen, consent_id: UUID, now: datetime) -> Decided:
    """Take a permission back: at once, for good, without a reason."""
    return _change(
        exchange,
        citizen,
        consent_id,
        lambda ledger: ledger.withdraw(
            consent_id, subject_ref=citizen.subject_ref, manner=Manner(method=citizen.method), actor=person(citizen)
        ),
        now,
    )


def pause(exchange: "Exchange", citizen: Citizen, consent_id: UUID, now: datetime) -> Decided:
    """Stop the flow for a while."""
    return _change(
        exchange,
        citizen,
        consent_id,
        lambda ledger: ledger.pause(
            consent_id, subject_ref=citizen.subject_ref, manner=Manner(method=citizen.method), actor=person(citizen)
        ),
        now,
    )


def resume(exchange: "Exchange", citizen: Citizen, consent_id: UUID, now: datetime) -> Decided:
    """Let data flow again."""
    return _change(
        exchange,
        citizen,
        consent_id,
        lambda ledger: ledger.resume(
            consent_id, subject_ref=citizen.subject_ref, manner=Manner(method=citizen.method), actor=person(citizen)
        ),
        now,
    )


def renew(
    exchange: "Exchange", citizen: Citizen, consent_id: UUID, *, language: str, notice_version: str, now: datetime
) -> Decided:
    """Go on as before, as a new record under the agreement as it is now; the old one is superseded.

    Raises:
        UnknownConsentError: no such consent of this person.
        AgreementNotInForceError: there is nothing to renew it under.
        ScopeError: nothing of what was allowed is part of the agreement any more.
        NoticeError: another notice than the agreement's present one.
    """
    access.admit_citizen(exchange, citizen, now)
    with exchange.unit_of_work(now) as uow:
        hold(uow, citizen)
        row = _own(uow.connection, citizen, consent_id)
        agreement = agreement_by_id(uow.connection, row.agreement_id)
        if not agreement.is_in_force(now):
            raise AgreementNotInForceError(f"agreement {agreement.code} is not in force")
        require_notice(agreement, language, notice_version, offered=agreement.notice.version)
        kept = [line for line in agreement.lines if row.scope.covers(line.name, line.form)]
        if not kept:
            raise ScopeError("nothing of what was allowed is part of the agreement any more")
        old = ledger_of(uow).record(consent_id, subject_ref=citizen.subject_ref)
        limits = [uses for uses in (old.uses, agreement.max_uses) if uses is not None]
        terms = ConsentTerms(
            subject_ref=citizen.subject_ref,
            agreement_id=agreement.id,
            agreement_revision=agreement.revision,
            consumer=agreement.consumer,
            purpose=agreement.purpose,
            scope=AttributeScope.of(
                ScopedAttribute(name=line.name, form=line.form, required=line.required) for line in kept
            ),
            valid_from=now,
            # As before means: no longer and no oftener than the person allowed then.
            valid_until=min(agreement.longest_until(now), now + (old.valid_until - old.valid_from)),
            uses=min(limits) if limits else None,
            notice_version=agreement.notice.version,
            language=language,
            legal_basis=agreement.legal_basis,
        )
        events = ledger_of(uow).renew(
            consent_id,
            subject_ref=citizen.subject_ref,
            terms=terms,
            selection=[(line.name, line.form) for line in kept],
            manner=Manner(method=citizen.method, language=language, notice_version=notice_version),
            actor=person(citizen),
        )
        _record(uow, citizen, events, org=row.consumer, purpose=row.purpose)
        uow.commit()
    return _decided(events, events[-1].consent_id)


def _change(
    exchange: "Exchange",
    citizen: Citizen,
    consent_id: UUID,
    step: Callable[[ConsentLedger], list[ConsentEvent]],
    now: datetime,
) -> Decided:
    access.admit_citizen(exchange, citizen, now)
    with exchange.unit_of_work(now) as uow:
        hold(uow, citizen)
        row = _own(uow.connection, citizen, consent_id)
        events = step(ledger_of(uow))
        _record(uow, citizen, events, org=row.consumer, purpose=row.purpose)
        # Acknowledged only after this commit; whatever commits later sees the new version (invariant 2).
        uow.commit()
    return _decided(events, consent_id)


def _own(connection: Connection, citizen: Citizen, consent_id: UUID) -> ConsentRow:
    row = consent_store.find(connection, consent_id)
    if row is None or row.subject_ref != citizen.subject_ref:
        raise UnknownConsentError(f"no consent {consent_id}")
    return row


def hold(uow: UnitOfWork, citizen: Citizen) -> None:
    """Share-lock the person: an erasure waits for us, or has won."""
    if not citizen_store.hold_subject(uow.connection, citizen.subject_ref):
        raise SubjectErasedError("the person was erased")


def _record(
    uow: UnitOfWork,
    citizen: Citizen,
    events: Sequence[ConsentEvent],
    *,
    org: str,
    purpose: str,
    request_id: UUID | None = None,
) -> None:
    record_consent_events(uow, events, subject_ref=citizen.subject_ref, org=org, purpose=purpose, request_id=request_id)


def ledger_of(uow: UnitOfWork) -> ConsentLedger:
    """The ledger within this unit of work."""
    return ConsentLedger(uow.connection, now=uow.now, new_entry_id=lambda: new_id(uow.now))


def person(citizen: Citizen) -> Actor:
    """The person as the actor of the own decision."""
    return Actor(kind=ActorKind.SUBJECT, ref=str(citizen.subject_ref))


def _decided(events: Sequence[ConsentEvent], consent_id: UUID) -> Decided:
    last = [event for event in events if event.consent_id == consent_id][-1]
    status = "GIVEN" if last.type == "RESUMED" else last.type.value
    return Decided(consent_id=consent_id, status=status, version=last.seq)
