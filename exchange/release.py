"""The release: prepared before the transaction begins; one commit discloses (architecture.md, flow 4 and 5).

Order inside the transaction, the same wherever a permission can end: single-use values, then share locks on subject,
client, agency and agreement, then the conditional update of the consent. A withdrawal, pause, suspension or erasure
updates one of these rows, so it either waits for this commit or makes the release find changed ground and decide
anew (invariant 2). The disclosure and its entry are in one commit (invariant 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from consent import store as consent_store
from crypto import canonical
from crypto.fields import DataKey, seal_field
from crypto.ids import new_id
from exchange import store
from exchange.answers import Heading, encryption_key, envelopes, seal_answer
from exchange.audit.entry import PreparedEntry, prepare
from exchange.audit.receipts import issue_receipt
from exchange.consent_entries import record_consent_events
from exchange.errors import ReplayedError
from exchange.events import Event, EventType, Outcome
from exchange.ground import Ground
from exchange.model import VALUE_FORM, AttributeRequest, Caller, HeldValue, RequestedAttribute, RequestStatus
from exchange.policy import Permit
from exchange.prepared import Step, affected

if TYPE_CHECKING:
    from exchange.context import Exchange
    from exchange.uow import UnitOfWork


class GroundMovedError(Exception):
    """What was decided upon has changed since it was read. Internal: the use case reads and decides again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A prepared release. Nothing of it is durable or visible yet."""

    request_id: UUID
    disclosure_id: UUID
    entry: PreparedEntry
    pseudonym: str
    kid: str
    jwe: str = field(repr=False)
    receipt: str = field(repr=False)
    attributes: str  # canonical JSON of what goes out: names and forms


def details_of(request: AttributeRequest) -> dict[str, Any]:
    """The members of a request that are sealed at rest."""
    details: dict[str, Any] = {
        "officer": request.acting_officer,
        "role": request.officer_role,
        "case": request.case_reference,
    }
    if request.message is not None:
        details["message"] = request.message
    compare = {line.name: line.compare_to for line in request.attributes if line.compare_to is not None}
    if compare:
        details["compare_to"] = compare
    return details


def prepare_release(
    exchange: "Exchange",
    ground: Ground,
    permit: Permit,
    held: Mapping[str, HeldValue],
    request: AttributeRequest,
    *,
    request_id: UUID,
    caller: Caller,
    now: datetime,
    event_type: EventType = EventType.ATTRIBUTE_DISCLOSED,
    disclosure_id: UUID | None = None,
    today: date | None = None,
) -> Release:
    """Build the entry, its receipt and the sealed answer: all CPU work of a release, outside the transaction."""
    assert ground.agreement is not None  # a permit rests on both
    assert ground.subject_ref is not None
    recipient = encryption_key(ground.client_id, ground.jwks)
    disclosure_id = disclosure_id or new_id(now)
    answer = envelopes(permit.lines, permit.left_out, held, ground.catalogue, today=today or now.date())
    attributes = canonical.encode([{"form": line.form, "name": line.name} for line in permit.lines]).decode()
    kid = recipient.kid or ""
    event = Event(
        type=event_type,
        org=ground.agency,
        outcome=Outcome.PERMIT,
        purpose=request.purpose,
        request=request_id,
        subject_ref=ground.subject_ref,
        facts={
            "attributes": attributes,
            "permission": "law" if permit.consent_id is None else f"{permit.consent_id}:{permit.consent_version}",
            "disclosure": str(disclosure_id),
            "officer": request.acting_officer,
            "role": request.officer_role,
            "case": request.case_reference,
            "client": f"{ground.client_id} {caller.jkt} {kid}",
            "answer": sha256(canonical.encode(answer)).hexdigest(),
        },
    )
    entry = prepare(event, entry_id=new_id(now), now=now, operator_ref=exchange.installation.operator_ref)
    receipt = issue_receipt(
        entry,
        origin=exchange.installation.origin,
        integrate_within=exchange.settings.integrate_within,
        key=exchange.receipt_signer,
    )
    pseudonym = exchange.pseudonyms.derive(agency=ground.agency, subject_ref=ground.subject_ref)
    jwe = seal_answer(
        Heading(
            issuer=exchange.issuer,
            audience=ground.agency,
            pseudonym=pseudonym,
            disclosure_id=disclosure_id,
            request_id=request_id,
            agreement=ground.agreement.code,
            purpose=request.purpose,
            issued_at=now,
            expires_at=now + exchange.settings.answer_lifetime,
        ),
        answer,
        receipt=receipt,
        signer=exchange.answer_signer,
        recipient=recipient,
    )
    return Release(
        request_id=request_id,
        disclosure_id=disclosure_id,
        entry=entry,
        pseudonym=pseudonym,
        kid=kid,
        jwe=jwe,
        receipt=receipt,
        attributes=attributes,
    )


def take_proof(caller: Caller) -> Step:
    """Take the caller's DPoP proof; a second taker gets ReplayedError."""
    return Step(
        statement=store.TAKE_PROOF,
        values={"digest": caller.proof_digest, "expires_at": caller.proof_expires_at},
        check=_taken,
    )


_taken = affected(lambda: ReplayedError("the DPoP proof was used before"))
_unmoved = affected(GroundMovedError)


def hold_ground(ground: Ground, caller: Caller, now: datetime) -> Step:
    """Share-lock everything that was decided upon, if it is still as it was read (invariant 2)."""
    assert ground.agreement is not None  # a permit rests on both
    assert ground.subject_ref is not None
    return Step(
        statement=store.HOLD_GROUND,
        values={
            "subject_ref": ground.subject_ref,
            "agreement_id": ground.agreement.id,
            "the_client": ground.client_id,
            "client_version": ground.client_version,
            "agency_version": ground.agency_version,
            "agreement_version": ground.agreement.version,
            "subject_version": ground.subject_version,
            "token_digest": caller.token_digest,
            "token_now": now,
        },
        check=_still_there,
    )


def _still_there(cursor: Any) -> None:
    if cursor.fetchone() is None:
        raise GroundMovedError


def _took_a_use(cursor: Any) -> None:
    row = cursor.fetchone()
    # The last use is an event of its own; somebody else took the one before it since we read.
    if row is None or row[1] == 0:
        raise GroundMovedError


def release(
    uow: "UnitOfWork",
    ground: Ground,
    permit: Permit,
    prepared: Release,
    *,
    caller: Caller,
    key: DataKey,
) -> None:
    """Plan the writes of a release; the caller commits right after.

    Any check that fails at commit raises GroundMovedError: the ground changed since it was read; read and decide again.
    """
    now, agreement, subject_ref = uow.now, ground.agreement, ground.subject_ref
    assert agreement is not None  # a permit rests on both
    assert subject_ref is not None
    uow.plan(hold_ground(ground, caller, now))
    if permit.consent_id is not None and permit.consent_version is not None:
        if ground.consent is not None and ground.consent.uses_left == 1:
            uow.plan_last(lambda: _use_up(uow, ground, permit, prepared, key))
        else:
            values = {"the_id": permit.consent_id, "the_version": permit.consent_version, "the_time": now}
            uow.plan(Step(statement=store.TAKE_CONSENT_USE, values=values, check=_took_a_use))
    # In one order, so that two requests about one person never wait for each other's counters.
    for line in sorted(permit.lines, key=lambda line: (line.name, line.form)):
        if line.form != VALUE_FORM:
            uow.plan(_form_use(ground, line, now))
    if not ground.pseudonym_known:
        kept = {"agency": ground.agency, "value": prepared.pseudonym, "subject_ref": subject_ref}
        uow.plan(Step(statement=store.KEEP_PSEUDONYM, values=kept))
    uow.plan(Step(statement=store.INSERT_DISCLOSURE, values=_disclosure_row(ground, permit, prepared, caller, now)))
    uow.record_prepared(prepared.entry, key=key)


def _form_use(ground: Ground, line: RequestedAttribute, now: datetime) -> Step:
    assert ground.agreement is not None  # a permit rests on it
    return Step(
        statement=store.COUNT_FORM_USE,
        values={
            "subject_ref": ground.subject_ref,
            "agency": ground.agency,
            "attribute": line.name,
            "form": line.form,
            "period": str(now.year),
            "uses": 1,
            "at_most": ground.agreement.form_limit,
        },
        check=_unmoved,
    )


def _use_up(uow: "UnitOfWork", ground: Ground, permit: Permit, prepared: Release, key: DataKey) -> None:
    """Take the last use and append USED_UP, in the same transaction."""
    assert permit.consent_id is not None  # the caller looked
    assert permit.consent_version is not None
    assert ground.subject_ref is not None
    taken = consent_store.take_use(
        uow.connection, consent_id=permit.consent_id, version=permit.consent_version, now=uow.now
    )
    if taken is None or taken.uses_left != 0:
        raise GroundMovedError
    used_up = consent_store.mark_used_up(
        uow.connection, consent_id=permit.consent_id, version=taken.version, now=uow.now, entry_id=new_id(uow.now)
    )
    uow.use_key(ground.subject_ref, key)
    record_consent_events(
        uow,
        [used_up],
        subject_ref=ground.subject_ref,
        request_id=prepared.request_id,
        org=ground.agency,
        purpose=ground.agreement.purpose if ground.agreement is not None else "",
    )


def _disclosure_row(ground: Ground, permit: Permit, prepared: Release, caller: Caller, now: datetime) -> dict[str, Any]:
    assert ground.agreement is not None  # a permit rests on it
    return {
        "id": prepared.disclosure_id,
        "request_id": prepared.request_id,
        "subject_ref": ground.subject_ref,
        "agency": ground.agency,
        "client_id": ground.client_id,
        "client_version": ground.client_version,
        "jkt": caller.jkt,
        "kid": prepared.kid,
        "agreement_id": ground.agreement.id,
        "agreement_revision": ground.agreement.revision,
        "agreement_version": ground.agreement.version,
        "consent_id": permit.consent_id,
        "consent_version": permit.consent_version,
        "subject_version": ground.subject_version,
        "purpose": ground.agreement.purpose,
        "attributes": prepared.attributes,
        "entry_id": prepared.entry.id,
        "at": now,
    }


def sealed_details(
    exchange: "Exchange", request_id: UUID, owner_ref: UUID, key: DataKey, request: AttributeRequest
) -> bytes:
    """The request's sealed members, bound to the request and the owner of the key."""
    address = exchange.keyring.address(
        "attribute_request", "details", subject_ref=owner_ref, record_id=request_id, version=1
    )
    return seal_field(key, canonical.encode(details_of(request)), address=address, pad_to=64)


def insert_request(
    ground: Ground,
    request: AttributeRequest,
    *,
    request_id: UUID,
    subject_ref: UUID,
    sealed_by: UUID,
    details: bytes,
    status: RequestStatus,
    now: datetime,
    expires_at: datetime,
    consent_id: UUID | None = None,
    reference_hash: bytes | None = None,
) -> Step:
    """Store a request."""
    assert ground.agreement is not None
    lines = [{"form": line.form, "name": line.name, "required": line.required} for line in request.attributes]
    row = {
        "id": request_id,
        "client_id": ground.client_id,
        "agency": ground.agency,
        "subject_ref": subject_ref,
        "agreement_id": ground.agreement.id,
        "agreement_revision": ground.agreement.revision,
        "purpose": request.purpose,
        "attributes": canonical.encode(lines).decode(),
        "status": status.value,
        "consent_id": consent_id,
        "reference_hash": reference_hash,
        "sealed_by": sealed_by,
        "details": details,
        "created_at": now,
        "expires_at": expires_at,
        "settled_at": None if status in (RequestStatus.WAITING, RequestStatus.TAKEN) else now,
    }
    return Step(statement=store.INSERT_REQUEST, values=row)
