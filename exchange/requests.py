"""The main job: an agency asks for attributes of a person (architecture.md, "How one request flows").

``submit`` decides and, where it may, releases at once; ``collect`` does the same for a request that waited. Both
read, decide (a pure function), prepare, and then write in one transaction; when the ground moved in between, they
start over. With a live provider there are two transactions with the call between them: the first makes proof,
idempotency key and ``request.received`` durable.
"""

from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from crypto.ids import new_id
from exchange import access, refusals, store
from exchange.asking import Opened, Taking, ask, open_vault, question, refuse
from exchange.errors import (
    AccessRefusedError,
    ContentionError,
    IdempotencyConflictError,
    ReplayedError,
    RequestNotReadyError,
)
from exchange.ground import Ground, read_for
from exchange.model import AttributeRequest, Caller, RequestStatus
from exchange.outcomes import Answered, Outcome, Repeated, Waiting
from exchange.policy import Deny, DenyReason, NeedsConsent, Permit, decide
from exchange.release import GroundMovedError, insert_request, prepare_release, release, sealed_details, take_proof
from exchange.settling import answered, refuse_stored, release_stored
from exchange.situations import COLLECTABLE, Situation, needs_provider, situation_of
from exchange.with_provider import answer_with_provider, mark_taken, received, send_again

if TYPE_CHECKING:
    from exchange.context import Exchange


def submit(
    exchange: "Exchange",
    caller: Caller,
    request: AttributeRequest,
    *,
    idempotency_key: str,
    body_digest: bytes,
    now: datetime,
) -> Outcome:
    """Ask for attributes.

    Args:
        exchange: the exchange.
        caller: who asks; whether the token is still live is checked here.
        request: what is asked.
        idempotency_key: the same key with the same body has one effect, however often it comes.
        body_digest: SHA-256 of the body.
        now: the time of the request.

    Raises:
        AccessRefusedError: the token is not live. Audited where client or agency is suspended.
        ReplayedError: the DPoP proof was used before. Audited.
        IdempotencyConflictError: the key was used with another body. Audited.
        ContentionError: the ground kept moving.
        AuditUnavailableError: the log is behind; nothing is released for the time being.
    """
    taking = Taking(key_digest=sha256(idempotency_key.encode()).digest(), body_digest=body_digest)
    for _ in range(exchange.settings.attempts):
        try:
            with exchange.database.read() as connection:
                exchange.pressure.check(connection, now)
                ground = read_for(exchange, connection, caller, request, taking.key_digest, now)
                if ground.earlier is not None:
                    break
                decision = decide(question(connection, ground, request, caller.scopes, now), now)
                opened = open_vault(exchange, connection, ground, decision)
        except AccessRefusedError:
            refusals.record_suspended(exchange, caller.client_id, now)
            raise
        try:
            match decision:
                case Permit() if needs_provider(ground, decision):
                    request_id = _take_for_provider(exchange, caller, ground, decision, request, taking, now)
                    return answer_with_provider(exchange, caller, request_id, now)
                case Permit():
                    return _release_at_once(exchange, caller, ground, decision, opened, request, taking, now)
                case NeedsConsent():
                    return ask(exchange, caller, ground, decision, request, taking, now)
                case Deny():
                    return refuse(exchange, caller, ground, decision, request, taking, now)
        except GroundMovedError:
            continue
        except ReplayedError:
            access.record_replayed_proof(exchange, caller, org=ground.agency, now=now)
            raise
    else:
        raise ContentionError("what the request rests on kept changing; nothing was done")
    access.admit(exchange, caller, now)
    assert ground.earlier is not None  # the loop was left for it
    request_id, earlier_digest = ground.earlier
    if earlier_digest != body_digest:
        refusals.record_key_conflict(exchange, caller, ground.agency, request_id, now)
        raise IdempotencyConflictError("this Idempotency-Key was used with another body")
    return Repeated(request_id=request_id)


def collect(exchange: "Exchange", caller: Caller, request_id: UUID, now: datetime) -> Outcome:
    """Collect the answer of a request that waited, or once more one that was just released.

    Raises:
        AccessRefusedError, ReplayedError: as :func:`submit`.
        UnknownRequestError: no such request of this client. Audited.
        RequestNotReadyError: it ended without an answer, or (audited) the answer can no longer be sent again.
        ContentionError: the ground kept moving.
    """
    live = access.admit(exchange, caller, now)
    for _ in range(exchange.settings.attempts):
        with refusals.unknown_requests_recorded(exchange, caller, live.agency, request_id, now):
            situation = situation_of(exchange, caller, request_id, now)
        try:
            if situation.stored.status == RequestStatus.RELEASED:
                return _send_again(exchange, caller, situation, now)
            if situation.stored.status not in COLLECTABLE:
                raise RequestNotReadyError(f"request {request_id} ended without an answer")
            if now >= situation.stored.expires_at:
                raise RequestNotReadyError(f"request {request_id} has lapsed")
            if situation.was_refused:
                # The person said no to this very question, whatever was allowed elsewhere since.
                deny = Deny(reason=DenyReason.CONSENT_NOT_IN_FORCE)
                return refuse_stored(exchange, caller, situation, deny, now)
            match situation.decision:
                case NeedsConsent():
                    return Waiting(request_id=request_id, expires_at=situation.stored.expires_at)
                case Deny():
                    return refuse_stored(exchange, caller, situation, situation.decision, now)
                case Permit() as permit if needs_provider(situation.ground, permit):
                    mark_taken(exchange, caller, situation, now)
                    return answer_with_provider(exchange, caller, request_id, now)
                case Permit() as permit:
                    return release_stored(exchange, caller, situation, permit, situation.opened, now)
        except GroundMovedError:
            continue
    raise ContentionError("what the request rests on kept changing; nothing was done")


def _send_again(exchange: "Exchange", caller: Caller, situation: Situation, now: datetime) -> Outcome:
    try:
        return send_again(exchange, caller, situation, now)
    except RequestNotReadyError:
        refusals.record_redelivery(exchange, caller, situation.ground.agency, situation.stored, now)
        raise


def _release_at_once(
    exchange: "Exchange",
    caller: Caller,
    ground: Ground,
    permit: Permit,
    opened: Opened | None,
    request: AttributeRequest,
    taking: Taking,
    now: datetime,
) -> Answered:
    assert opened is not None  # a permit was opened
    assert ground.subject_ref is not None
    request_id = new_id(now)
    prepared = prepare_release(
        exchange, ground, permit, opened.held, request, request_id=request_id, caller=caller, now=now
    )
    details = sealed_details(exchange, request_id, ground.subject_ref, opened.key, request)
    stored = insert_request(
        ground,
        request,
        request_id=request_id,
        subject_ref=ground.subject_ref,
        sealed_by=ground.subject_ref,
        details=details,
        status=RequestStatus.RELEASED,
        now=now,
        expires_at=now,
        consent_id=permit.consent_id,
    )
    with exchange.unit_of_work(now) as uow:
        uow.plan(take_proof(caller), taking.take(ground.client_id, request_id, now), stored)
        release(uow, ground, permit, prepared, caller=caller, key=opened.key)
        # A crash before this commit discloses nothing; after it the entry is durable and the answer may leave.
        uow.commit()
    return answered(prepared)


def _take_for_provider(
    exchange: "Exchange",
    caller: Caller,
    ground: Ground,
    permit: Permit,
    request: AttributeRequest,
    taking: Taking,
    now: datetime,
) -> UUID:
    """The first transaction: nothing is asked of a provider that is not on record here."""
    assert ground.subject_ref is not None  # a permit is about somebody
    request_id = new_id(now)
    with exchange.unit_of_work(now) as uow:
        uow.plan(take_proof(caller), taking.take(ground.client_id, request_id, now))
        if not store.hold_person(uow.connection, ground.subject_ref):
            raise GroundMovedError
        key = exchange.keyring.load(uow.connection, ground.subject_ref)
        uow.use_key(ground.subject_ref, key)
        uow.plan(
            insert_request(
                ground,
                request,
                request_id=request_id,
                subject_ref=ground.subject_ref,
                sealed_by=ground.subject_ref,
                details=sealed_details(exchange, request_id, ground.subject_ref, key, request),
                status=RequestStatus.TAKEN,
                now=now,
                expires_at=now + exchange.settings.request_lifetime,
                consent_id=permit.consent_id,
            )
        )
        uow.record(received(caller, ground.agency, request, request_id, ground.subject_ref))
        # A crash after this commit leaves a request that says "taken": its collection asks the provider again.
        uow.commit()
    return request_id
