"""A person decides upon a pushed request: question, decision and code are one commit, and the consent is the grant.

The question is not stored before it is decided: whoever closes the page has decided nothing, and nothing lapses.
The person came by the own free will, so no cooling-off time applies (decision 15).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from consent.events import ConsentEvent
from consent.model import Actor, ActorKind, ConsentTerms, Manner
from consent.scope import AttributeScope, ScopedAttribute
from exchange import access
from exchange.agreement_model import Agreement, add_duration
from exchange.authorization import store
from exchange.authorization.model import CODE_LIFETIME, Completed, Opened, Permission, digest_of, new_secret
from exchange.authorization.pushing import not_admitted, opened
from exchange.consent_entries import record_consent_events
from exchange.consents import hold, ledger_of, person, require_notice
from exchange.errors import AgreementNotInForceError, UnknownRequestError
from exchange.events import Event, EventType
from exchange.model import Citizen
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The words that the person had before them."""

    language: str
    notice_version: str


def allow(
    exchange: "Exchange",
    citizen: Citizen,
    request_id: UUID,
    *,
    selection: Sequence[tuple[str, str]],
    shown: Shown,
    now: datetime,
) -> Completed:
    """Allow all or some of what was pushed, and give the client a code for it.

    Raises:
        UnknownRequestError: no such request waits for a decision (any more).
        AgreementNotInForceError: the agreement no longer admits it.
        NoticeError: other words than those in force.
        ScopeError, ConsentConflictError: as the ledger says.
    """
    access.admit_citizen(exchange, citizen, now)
    code = new_secret()
    with exchange.unit_of_work(now) as uow:
        question = _begin(exchange, uow, citizen, request_id)
        agreement, asked = _ask(exchange, uow, citizen, question, shown)
        given = ledger_of(uow).give(
            asked[0].consent_id,
            subject_ref=citizen.subject_ref,
            selection=selection,
            manner=_manner(citizen, shown),
            actor=person(citizen),
        )
        _record(uow, citizen, agreement, [*asked, *given])
        consent_id = asked[0].consent_id
        store.keep_decision(
            uow.connection,
            request_id,
            consent_id=consent_id,
            code_hash=digest_of(code),
            code_expires_at=now + CODE_LIFETIME,
        )
        uow.record(
            Event(
                type=EventType.AUTHORIZATION_GRANTED,
                org=question.agency,
                purpose=agreement.purpose,
                subject_ref=citizen.subject_ref,
                facts={"consent": str(consent_id), "client": question.client_id},
            )
        )
        # A crash before this line leaves the question open; after it the permission stands, with or without its code.
        uow.commit()
    return _completed(question, code)


def refuse(exchange: "Exchange", citizen: Citizen, request_id: UUID, *, shown: Shown, now: datetime) -> Completed:
    """Say no. The ledger keeps the question and the answer.

    Raises:
        UnknownRequestError, AgreementNotInForceError, NoticeError: as :func:`allow`.
    """
    access.admit_citizen(exchange, citizen, now)
    with exchange.unit_of_work(now) as uow:
        question = _begin(exchange, uow, citizen, request_id)
        agreement, asked = _ask(exchange, uow, citizen, question, shown)
        consent_id = asked[0].consent_id
        refused = ledger_of(uow).refuse(
            consent_id, subject_ref=citizen.subject_ref, manner=_manner(citizen, shown), actor=person(citizen)
        )
        _record(uow, citizen, agreement, [*asked, *refused])
        store.keep_decision(uow.connection, request_id, consent_id=consent_id)
        uow.commit()
    return _completed(question, None)


def leave(exchange: "Exchange", request_id: UUID, now: datetime) -> Completed:
    """Nobody signed in: the request is over, and no person was asked anything.

    Raises:
        UnknownRequestError: as :func:`allow`.
    """
    with exchange.database.write() as connection:
        row = store.find_waiting(connection, now, request_id=request_id)
        if row is None or not store.decide(connection, request_id, now):
            raise UnknownRequestError("this request waits for no decision")
        question = opened(exchange, connection, row)
        connection.commit()
    return _completed(question, None)


def _begin(exchange: "Exchange", uow: UnitOfWork, citizen: Citizen, request_id: UUID) -> Opened:
    """Take the decision: of two tabs one gets it. Then person, client and agency are held until commit."""
    row = store.find_waiting(uow.connection, uow.now, request_id=request_id)
    if row is None or not store.decide(uow.connection, request_id, uow.now):
        raise UnknownRequestError("this request waits for no decision")
    hold(uow, citizen)
    if store.hold_client(uow.connection, row.client_id) is None:
        raise UnknownRequestError("this request waits for no decision")
    return opened(exchange, uow.connection, row)


def _ask(
    exchange: "Exchange", uow: UnitOfWork, citizen: Citizen, question: Opened, shown: Shown
) -> tuple[Agreement, list[ConsentEvent]]:
    """Write the question into the ledger, under the agreement as it is now."""
    permission = question.request.permission
    agreement = store.hold_agreement(uow.connection, permission.agreement)
    client = access.client_for_authentication(uow.connection, question.client_id)
    if agreement is None or client is None:
        raise UnknownRequestError("this request waits for no decision")
    fault = not_admitted(exchange, uow.connection, client, permission, agreement, uow.now)
    if fault is not None:
        raise AgreementNotInForceError(f"agreement {agreement.code} no longer admits this: {fault.text}")
    require_notice(agreement, shown.language, shown.notice_version, offered=agreement.notice.version)
    terms = terms_of(permission, agreement, citizen.subject_ref, language=shown.language, now=uow.now)
    asker = Actor(kind=ActorKind.AGENCY, ref=question.agency)
    return agreement, ledger_of(uow).request(terms, deadline=terms.valid_until, actor=asker)


def terms_of(
    permission: Permission, agreement: Agreement, subject_ref: UUID, *, language: str, now: datetime
) -> ConsentTerms:
    """What the person is asked: as pushed, and never longer or oftener than the agreement admits."""
    valid_until = agreement.longest_until(now)
    if permission.duration is not None:
        valid_until = min(valid_until, add_duration(now, permission.duration))
    return ConsentTerms(
        subject_ref=subject_ref,
        agreement_id=agreement.id,
        agreement_revision=agreement.revision,
        consumer=agreement.consumer,
        purpose=agreement.purpose,
        scope=AttributeScope.of(
            ScopedAttribute(name=line.name, form=line.form, required=line.required) for line in permission.lines
        ),
        valid_from=now,
        valid_until=valid_until,
        uses=agreement.max_uses if permission.uses is None else permission.uses,
        notice_version=agreement.notice.version,
        language=language,
        legal_basis=agreement.legal_basis,
    )


def _record(uow: UnitOfWork, citizen: Citizen, agreement: Agreement, events: Sequence[ConsentEvent]) -> None:
    record_consent_events(
        uow, events, subject_ref=citizen.subject_ref, org=agreement.consumer, purpose=agreement.purpose
    )


def _manner(citizen: Citizen, shown: Shown) -> Manner:
    return Manner(method=citizen.method, language=shown.language, notice_version=shown.notice_version)


def _completed(question: Opened, code: str | None) -> Completed:
    return Completed(redirect_uri=question.request.redirect_uri, state=question.request.state, code=code)
