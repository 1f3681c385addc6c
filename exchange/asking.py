"""A request before anything is released: what the decision rests on, asking the citizen, refusing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection

from consent import store as consent_store
from consent.ledger import ConsentLedger
from consent.model import Actor, ActorKind, ConsentTerms
from consent.scope import AttributeScope, ScopedAttribute
from crypto import canonical
from crypto.fields import DataKey
from crypto.ids import new_id, random_bytes
from exchange import store
from exchange.consent_entries import record_consent_events
from exchange.events import Event, EventType, Outcome
from exchange.ground import Ground
from exchange.model import VALUE_FORM, AttributeRequest, Caller, HeldValue, RequestStatus
from exchange.outcomes import Refused, Waiting
from exchange.policy import Decision, Deny, NeedsConsent, Permit, Question
from exchange.prepared import Step, affected
from exchange.providers.vault import open_values
from exchange.reference import new_reference, reference_hash
from exchange.release import GroundMovedError, insert_request, sealed_details, take_proof

if TYPE_CHECKING:
    from exchange.context import Exchange
    from exchange.uow import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What a new request takes once: its idempotency key."""

    key_digest: bytes
    body_digest: bytes

    def take(self, client_id: str, request_id: UUID, now: datetime) -> Step:
        """Bind the key to the request; GroundMovedError when somebody else just did."""
        row = {
            "client_id": client_id,
            "key_digest": self.key_digest,
            "body_digest": self.body_digest,
            "request_id": request_id,
            "created_at": now,
        }
        return Step(statement=store.TAKE_KEY, values=row, check=_bound)


_bound = affected(GroundMovedError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Values opened from the vault, and the key to seal what is written about this person."""

    held: dict[str, HeldValue]
    key: DataKey


def question(
    connection: Connection, ground: Ground, request: AttributeRequest, scopes: frozenset[str], now: datetime
) -> Question:
    """Everything the decision rests on; what is rarely needed is read only then."""
    last_negative_at = None
    uses: dict[tuple[str, str], int] = {}
    if ground.subject_ref is not None and ground.agreement is not None:
        if ground.consent is None:
            negative = consent_store.last_negative_decision(
                connection, subject_ref=ground.subject_ref, agreement_id=ground.agreement.id
            )
            last_negative_at = None if negative is None else negative.at
        if any(line.form != VALUE_FORM for line in request.attributes):
            uses = store.form_uses(
                connection, subject_ref=ground.subject_ref, agency=ground.agency, period=str(now.year)
            )
    return Question(
        request=request,
        scopes=scopes,
        agency=ground.agency,
        agreement=ground.agreement,
        catalogue=ground.catalogue,
        subject=ground.subject,
        consent=ground.consent,
        last_negative_at=last_negative_at,
        form_uses=uses,
        granted_agreement_id=ground.granted_agreement_id,
    )


def open_vault(exchange: "Exchange", connection: Connection, ground: Ground, decision: Decision) -> Opened | None:
    """Open what a permit lets out, in the reading that selected the key rows (invariant 11)."""
    if not isinstance(decision, Permit) or ground.subject_ref is None:
        return None
    permitted = {line.name for line in decision.lines}
    values = [value for value in ground.values if value.attribute in permitted]
    if values:
        key = exchange.keyring.open(connection, values[0].key)
    else:
        key = exchange.keyring.load(connection, ground.subject_ref)
    keys = {value.key.kid: exchange.keyring.open(connection, value.key) for value in values}
    return Opened(held=open_values(exchange.keyring, ground.subject_ref, values, keys), key=key)


def ask(
    exchange: "Exchange",
    caller: Caller,
    ground: Ground,
    needs: NeedsConsent,
    request: AttributeRequest,
    taking: Taking,
    now: datetime,
) -> Waiting:
    """Store the request and the question to the citizen, in one transaction."""
    agreement = ground.agreement
    assert agreement is not None  # policy step 5
    request_id, consent_id = new_id(now), new_id(now)
    valid_until = agreement.longest_until(now)
    expires_at = min(now + exchange.settings.request_lifetime, valid_until)
    reference = new_reference()
    with exchange.unit_of_work(now) as uow:
        uow.plan(take_proof(caller), taking.take(ground.client_id, request_id, now))
        if needs.answerable:
            subject_ref, sealed_by = _whom(exchange, uow, ground)
        else:
            subject_ref, sealed_by = nobody(exchange)
        terms = ConsentTerms(
            subject_ref=subject_ref,
            agreement_id=agreement.id,
            agreement_revision=agreement.revision,
            consumer=ground.agency,
            purpose=request.purpose,
            scope=AttributeScope.of(
                ScopedAttribute(name=line.name, form=line.form, required=line.required) for line in needs.lines
            ),
            valid_from=now,
            valid_until=valid_until,
            uses=agreement.max_uses,
            notice_version=agreement.notice.version,
            language=next(iter(agreement.notice.texts)),
            legal_basis=agreement.legal_basis,
        )
        key = exchange.keyring.load(uow.connection, sealed_by)
        uow.use_key(sealed_by, key)
        events = ConsentLedger(uow.connection, now=now, new_entry_id=lambda: new_id(now)).request(
            terms, deadline=expires_at, actor=Actor(kind=ActorKind.AGENCY, ref=ground.agency), consent_id=consent_id
        )
        uow.plan(
            insert_request(
                ground,
                request,
                request_id=request_id,
                subject_ref=subject_ref,
                sealed_by=sealed_by,
                details=sealed_details(exchange, request_id, sealed_by, key, request),
                status=RequestStatus.WAITING,
                now=now,
                expires_at=expires_at,
                consent_id=consent_id,
                reference_hash=reference_hash(exchange, reference),
            )
        )
        record_consent_events(
            uow,
            events,
            subject_ref=subject_ref,
            org=ground.agency,
            purpose=request.purpose,
            request_id=request_id,
            sealed_by=sealed_by,
        )
        uow.record(
            Event(
                type=EventType.REQUEST_WAITING,
                org=ground.agency,
                outcome=Outcome.WAIT,
                purpose=request.purpose,
                request=request_id,
                subject_ref=subject_ref,
                facts=attempt_facts(caller, request),
            ),
            sealed_by=sealed_by,
        )
        uow.commit()
    return Waiting(request_id=request_id, expires_at=expires_at, reference=reference)


def refuse(
    exchange: "Exchange",
    caller: Caller,
    ground: Ground,
    deny: Deny,
    request: AttributeRequest,
    taking: Taking,
    now: datetime,
) -> Refused:
    """Commit a refusal. The caller's own faults stand in public; what is about the person is a sealed fact."""
    request_id = new_id(now)
    exact = deny.reason.is_callers_fault
    with exchange.unit_of_work(now) as uow:
        uow.plan(take_proof(caller))
        subject_ref, sealed_by = _whom(exchange, uow, ground)
        if not exact:
            key = exchange.keyring.load(uow.connection, sealed_by)
            uow.use_key(sealed_by, key)
            uow.plan(
                taking.take(ground.client_id, request_id, now),
                insert_request(
                    ground,
                    request,
                    request_id=request_id,
                    subject_ref=subject_ref,
                    sealed_by=sealed_by,
                    details=sealed_details(exchange, request_id, sealed_by, key, request),
                    status=RequestStatus.DENIED,
                    now=now,
                    expires_at=now,
                ),
            )
        record_denial(
            uow, caller, ground, deny, request, request_id=request_id, subject_ref=subject_ref, sealed_by=sealed_by
        )
        uow.commit()
    lines = tuple(line.name for line in deny.lines) if exact else ()
    return Refused(request_id=None if exact else request_id, reason=deny.reason, lines=lines)


def _whom(exchange: "Exchange", uow: "UnitOfWork", ground: Ground) -> tuple[UUID, UUID]:
    """Whom a request is filed under, and whose key seals it: the person, if there is one who has a key.

    Nobody known: a fresh reference that leads to nobody, so that the same rows are written for both (invariant 6).
    """
    # Held until commit: an erasure waits and then finds these rows, or has won and the key is gone (invariant 11).
    if ground.subject_ref is not None and store.hold_person(uow.connection, ground.subject_ref):
        return ground.subject_ref, ground.subject_ref
    return nobody(exchange)


def nobody(exchange: "Exchange") -> tuple[UUID, UUID]:
    """A reference that leads to nobody, and the operator, whose key seals what is filed under it."""
    return UUID(bytes=random_bytes(16), version=4), exchange.installation.operator_ref


def owner_now(exchange: "Exchange", uow: "UnitOfWork", stored: Any) -> tuple[UUID | None, UUID]:
    """Whose history an entry about a stored request stands in, and whose key seals it, as things are now.

    Holds the person first: the order of locks of every permission. Erased since: nobody's history, the operator's key.
    """
    store.hold_person(uow.connection, stored.subject_ref)
    if store.subject_has_key(uow.connection, stored.sealed_by):
        return stored.subject_ref, stored.sealed_by
    return None, exchange.installation.operator_ref


def record_denial(
    uow: "UnitOfWork",
    caller: Caller,
    ground: Ground,
    deny: Deny,
    request: AttributeRequest,
    *,
    request_id: UUID,
    subject_ref: UUID | None,
    sealed_by: UUID,
) -> None:
    """The audit entry of a refusal, in the person's own history where there is a person."""
    exact = deny.reason.is_callers_fault
    facts = attempt_facts(caller, request)
    uow.record(
        Event(
            type=EventType.REQUEST_DENIED,
            org=ground.agency,
            outcome=Outcome.DENY,
            purpose=request.purpose if request.purpose in ground.catalogue.purposes else None,
            request=request_id,
            detail={"reason": deny.reason.value} if exact else {},
            subject_ref=subject_ref,
            facts=facts if exact else {**facts, "reason": deny.reason.value},
        ),
        sealed_by=sealed_by,
    )


def attempt_facts(caller: Caller, request: AttributeRequest) -> dict[str, str]:
    """What an attempt says about person and staff: sealed facts of its entry."""
    return {
        "attributes": line_list(request),
        "officer": request.acting_officer,
        "role": request.officer_role,
        "case": request.case_reference,
        "client": f"{caller.client_id} {caller.jkt}",
    }


def line_list(request: AttributeRequest) -> str:
    """Names and forms as canonical JSON; at most as many as a fact can carry."""
    lines: Sequence[dict[str, str]] = [{"form": line.form, "name": line.name} for line in request.attributes]
    return canonical.encode(list(lines)).decode()
