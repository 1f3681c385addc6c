"""The release: prepared before the transaction begins; one commit discloses (architecture.md, flow 4 and 5).

Order inside the transaction, the same wherever a permission can end: single-use values, then share locks on subject,
client, agency and agreement, then the conditional update of the consent. A withdrawal, pause, suspension or erasure
updates one of these rows, so it either waits for this commit or makes the release find changed ground and decide
anew (invariant 2). The disclosure and its entry are in one commit (invariant 1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from uuid import UUID

from consent import store as consent_store
from consent.events import ConsentEvent
from crypto import canonical
from crypto.fields import DataKey, seal_field
from crypto.ids import new_id
from exchange import access, store
from exchange.answers import Heading, encryption_key, envelopes, seal_answer
from exchange.audit.entry import PreparedEntry, prepare
from exchange.audit.receipts import issue_receipt
from exchange.consent_entries import record_consent_events
from exchange.errors import ReplayedError
from exchange.events import Event, EventType, Outcome
from exchange.ground import Ground
from exchange.model import VALUE_FORM, AttributeRequest, Caller, HeldValue, RequestStatus, Status
from exchange.policy import Permit

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
) -> Release:
    """Build the entry, its receipt and the sealed answer: all CPU work of a release, outside the transaction."""
    assert ground.agreement is not None  # a permit rests on both
    assert ground.subject_ref is not None
    recipient = encryption_key(ground.client_id, ground.jwks)
    disclosure_id = disclosure_id or new_id(now)
    answer = envelopes(permit.lines, permit.left_out, held, ground.catalogue, today=now.date())
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


def take_proof(uow: "UnitOfWork", caller: Caller) -> None:
    """Take the caller's DPoP proof in this transaction.

    Raises:
        ReplayedError: it was used before.
    """
    if not access.take_single_use(uow.connection, caller.proof_digest, caller.proof_expires_at, uow.now):
        raise ReplayedError("the DPoP proof was used before")


def release(
    uow: "UnitOfWork",
    ground: Ground,
    permit: Permit,
    prepared: Release,
    request: AttributeRequest,
    *,
    caller: Caller,
    key: DataKey,
) -> None:
    """The writes of a release, in the caller's unit of work, which commits right after.

    Raises:
        GroundMovedError: the ground changed since it was read; the caller rolls back, reads and decides again.
    """
    connection, now = uow.connection, uow.now
    agreement, subject_ref = ground.agreement, ground.subject_ref
    assert agreement is not None
    assert subject_ref is not None
    parties = store.lock_parties(
        connection,
        subject_ref=subject_ref,
        client_id=ground.client_id,
        agreement_id=agreement.id,
        token_digest=caller.token_digest,
    )
    unmoved = (
        parties is not None
        and parties.subject_version == ground.subject_version
        and parties.client_version == ground.client_version
        and parties.agency_version == ground.agency_version
        and parties.agreement_version == agreement.version
        and parties.client_status == Status.ACTIVE
        and parties.agency_status == Status.ACTIVE
        and parties.token_state == Status.ACTIVE
    )
    if not unmoved:
        raise GroundMovedError
    used_up: ConsentEvent | None = None
    if permit.consent_id is not None and permit.consent_version is not None:
        taken = consent_store.take_use(
            connection, consent_id=permit.consent_id, version=permit.consent_version, now=now
        )
        if taken is None:
            raise GroundMovedError
        if taken.uses_left == 0:
            used_up = consent_store.mark_used_up(
                connection,
                consent_id=permit.consent_id,
                version=taken.version,
                now=now,
                entry_id=new_id(now),
            )
    period = str(now.year)
    for line in permit.lines:
        if line.form != VALUE_FORM and not store.count_form_use(
            connection,
            subject_ref=subject_ref,
            agency=ground.agency,
            attribute=line.name,
            form=line.form,
            period=period,
            limit=agreement.form_limit,
        ):
            raise GroundMovedError
    if not ground.pseudonym_known:
        store.keep_pseudonym(connection, agency=ground.agency, value=prepared.pseudonym, subject_ref=subject_ref)
    store.insert_disclosure(
        connection,
        {
            "id": prepared.disclosure_id,
            "request_id": prepared.request_id,
            "subject_ref": subject_ref,
            "agency": ground.agency,
            "client_id": ground.client_id,
            "client_version": ground.client_version,
            "jkt": caller.jkt,
            "kid": prepared.kid,
            "agreement_id": agreement.id,
            "agreement_revision": agreement.revision,
            "agreement_version": agreement.version,
            "consent_id": permit.consent_id,
            "consent_version": permit.consent_version,
            "subject_version": ground.subject_version,
            "purpose": request.purpose,
            "attributes": prepared.attributes,
            "entry_id": prepared.entry.id,
            "at": now,
        },
    )
    uow.record_prepared(prepared.entry, key=key)
    if used_up is not None:
        uow.use_key(subject_ref, key)
        record_consent_events(
            uow,
            [used_up],
            subject_ref=subject_ref,
            request_id=prepared.request_id,
            org=ground.agency,
            purpose=request.purpose,
        )


def sealed_details(
    exchange: "Exchange", request_id: UUID, owner_ref: UUID, key: DataKey, request: AttributeRequest
) -> bytes:
    """The request's sealed members, bound to the request and the owner of the key."""
    address = exchange.keyring.address(
        "attribute_request", "details", subject_ref=owner_ref, record_id=request_id, version=1
    )
    return seal_field(key, canonical.encode(details_of(request)), address=address, pad_to=64)


def request_row(
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
) -> dict[str, Any]:
    """The row of a request."""
    assert ground.agreement is not None
    lines = [{"form": line.form, "name": line.name, "required": line.required} for line in request.attributes]
    return {
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
