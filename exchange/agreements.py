"""Agreements between an agency and the exchange: proposed by one person, approved by another, ended by one.

A wording is never changed: each proposal is a new revision, and an approval names the digest of what was read. Who
asks, for what purpose and on which legal basis stays the same through all revisions, since a consent to an earlier one
still holds for what it lists; to change those, end the agreement and propose another.
"""

import unicodedata
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from consent.ledger import ConsentLedger
from consent.model import BROKER
from consent.store import lock_open_of_agreement
from crypto.ids import new_id
from exchange import agreements_store as store
from exchange.agreement_document import (
    agreement_from_body,
    agreement_from_row,
    body_of,
    catalogue_faults,
    parse_agreement,
    read_agreement,
)
from exchange.agreement_model import Agreement, AgreementLine, Notice
from exchange.agreements_store import Revision
from exchange.consent_entries import record_consent_events
from exchange.documents import DocumentFaultsError
from exchange.errors import AgreementError, SubjectErasedError, UnknownAgreementError
from exchange.events import Event, EventType
from exchange.model import AgreementStatus
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange

__all__ = [
    "Agreement",
    "AgreementLine",
    "Notice",
    "Revision",
    "agreement_from_row",
    "approve",
    "end",
    "find_agreement",
    "list_agreements",
    "list_revisions",
    "parse_agreement",
    "propose",
]

_AT_ONCE: Final = 500  # consents that are ended in one transaction
_FIXED: Final = ("consumer", "purpose", "legal_basis")


def find_agreement(connection: Connection, code: str) -> Agreement:
    """The agreement of that code, in the revision in force (or proposed, while none is).

    Raises:
        UnknownAgreementError: there is none.
    """
    row = store.find(connection, code)
    if row is None:
        raise UnknownAgreementError("no such agreement")
    return agreement_from_row(row)


def list_agreements(
    connection: Connection, *, consumer: str | None = None, after: str | None = None, limit: int = 100
) -> list[Agreement]:
    """Agreements in the order of their codes, of one consumer or of all; ``after``: the last code already seen."""
    return [agreement_from_row(row) for row in store.list_rows(connection, consumer=consumer, after=after, limit=limit)]


def list_revisions(connection: Connection, code: str) -> tuple[Revision, ...]:
    """Every wording of an agreement, oldest first, with who proposed and approved it.

    Raises:
        UnknownAgreementError: there is no such agreement.
    """
    return store.revisions(connection, find_agreement(connection, code).id)


def propose(exchange: "Exchange", yaml_text: str, *, by: str, now: datetime) -> Agreement:
    """Propose a new agreement, or a new revision of one. It permits nothing until somebody else approves it.

    Args:
        exchange: the exchange.
        yaml_text: the agreement.
        by: reference of the person who proposes, from a user-bound token.
        now: aware UTC.

    Returns:
        The agreement as proposed; its ``revision`` and ``digest`` are what an approval must name.

    Raises:
        AgreementError: every fault with its place; or the agreement has ended, or would change its parties or ground.
    """
    _check_person(by)
    document = read_agreement(yaml_text)
    body = body_of(document)
    proposed = agreement_from_body(
        body, agreement_id=new_id(now), revision=1, version=1, status=AgreementStatus.PROPOSED
    )
    with exchange.unit_of_work(now) as uow:
        for path, what in catalogue_faults(proposed, exchange.catalogue(uow.connection)):
            document.fault(path, what)
        if not store.agency_exists(uow.connection, proposed.consumer):
            document.fault(("consumer",), "no such agency is registered")
        row = store.lock(uow.connection, proposed.code)
        current = None if row is None else agreement_from_row(row)
        if current is not None:
            for name in _FIXED:
                if getattr(current, name) != getattr(proposed, name):
                    document.fault((name,), "stays the same through all revisions; propose another agreement")
        try:
            document.refuse_faults()
        except DocumentFaultsError as exc:
            raise AgreementError(f"the agreement is not valid:\n{exc}") from None
        proposed = _take_proposal(uow, proposed, body, current)
        store.insert_revision(uow.connection, proposed, body, proposed_by=by, now=now)
        uow.record(_event(EventType.AGREEMENT_PROPOSED, proposed, by))
        uow.commit()
    return proposed


def _take_proposal(uow: UnitOfWork, proposed: Agreement, body: bytes, current: Agreement | None) -> Agreement:
    if current is None:
        try:
            store.insert_agreement(uow.connection, proposed, body)
        except IntegrityError as exc:
            raise AgreementError(f"{proposed.code} was proposed at the same moment; propose again") from exc
        return proposed
    if current.status is AgreementStatus.ENDED:
        raise AgreementError(f"{current.code} has ended; propose another agreement")
    newest = store.newest_revision(uow.connection, current.id)
    proposed = replace(proposed, id=current.id, revision=newest + 1, version=current.version)
    if current.status is AgreementStatus.PROPOSED:
        # Nothing is in force yet, so the row shows the newest proposal.
        proposed = replace(proposed, version=current.version + 1)
        store.update_agreement(uow.connection, proposed, body)
    return proposed


def approve(exchange: "Exchange", code: str, *, revision: int, digest: str, by: str, now: datetime) -> Agreement:
    """Put a proposed revision in force. Consents to an earlier one go on holding for what they list.

    Args:
        exchange: the exchange.
        code: agreement code.
        revision: the proposed revision.
        digest: SHA-256 (hex) of the body that was read: nobody approves what they have not seen.
        by: reference of the person who approves: not the one who proposed.
        now: aware UTC.

    Raises:
        UnknownAgreementError: no such agreement or revision.
        AgreementError: another digest, the same person, already approved, overtaken, or ended; or the catalogue no
            longer admits what it says.
    """
    _check_person(by)
    with exchange.unit_of_work(now) as uow:
        row = store.lock(uow.connection, code)
        wording = None if row is None else store.revision(uow.connection, row.id, revision)
        if row is None or wording is None:
            raise UnknownAgreementError("no such agreement or revision")
        current = agreement_from_row(row)
        approved = agreement_from_body(
            wording.body,
            agreement_id=current.id,
            revision=revision,
            version=current.version + 1,
            status=AgreementStatus.IN_FORCE,
        )
        if wording.digest != digest or approved.digest != digest:
            raise AgreementError(f"{code}: the digest is not that of revision {revision}")
        if _same_person(wording.proposed_by, by):
            raise AgreementError(f"{code}: who proposes a revision cannot approve it")
        if current.status is AgreementStatus.ENDED:
            raise AgreementError(f"{code} has ended")
        if wording.approved_by is not None:
            raise AgreementError(f"{code}: revision {revision} is already approved")
        if current.status is AgreementStatus.IN_FORCE and revision < current.revision:
            raise AgreementError(f"{code}: revision {current.revision} is in force and newer")
        faults = [
            f"{'.'.join(map(str, path))}: {what}"
            for path, what in catalogue_faults(approved, exchange.catalogue(uow.connection))
        ]
        if faults:
            raise AgreementError("the catalogue does not admit it any more:\n" + "\n".join(faults))
        store.mark_approved(uow.connection, current.id, revision, by=by, now=now)
        store.update_agreement(uow.connection, approved, wording.body)
        uow.record(_event(EventType.AGREEMENT_APPROVED, approved, by))
        uow.commit()
    return approved


def end(exchange: "Exchange", code: str, *, by: str, now: datetime) -> int:
    """End an agreement, and every consent under it that has not ended yet.

    The first commit ends the agreement itself: nothing is disclosed under it from then on. Its consents follow in
    portions; after a crash, calling again goes on where it stopped.

    Returns:
        How many consents were ended.

    Raises:
        UnknownAgreementError: there is none.
    """
    _check_person(by)
    total = 0
    while True:
        with exchange.unit_of_work(now) as uow:
            row = store.lock(uow.connection, code)
            if row is None:
                raise UnknownAgreementError("no such agreement")
            agreement = agreement_from_row(row)
            if agreement.status is not AgreementStatus.ENDED:
                ended = replace(agreement, status=AgreementStatus.ENDED, version=agreement.version + 1)
                store.mark_ended(uow.connection, ended.id, version=ended.version, now=now)
                uow.record(_event(EventType.AGREEMENT_ENDED, ended, by))
            portion = _end_consents(exchange, uow, agreement)
            uow.commit()
        if not portion:
            return total
        total += portion


def _end_consents(exchange: "Exchange", uow: UnitOfWork, agreement: Agreement) -> int:
    now = uow.now
    rows = lock_open_of_agreement(uow.connection, agreement.id, limit=_AT_ONCE)
    ledger = ConsentLedger(uow.connection, now=now, new_entry_id=lambda: new_id(now))
    events = ledger.terminate(agreement.id, actor=BROKER, reason="agreement_ended", limit=_AT_ONCE)
    for row in rows:
        sealed_by = None
        try:
            uow.use_key(row.subject_ref, exchange.keyring.load(uow.connection, row.subject_ref))
        except SubjectErasedError:
            # A question about nobody has no key of its own; its rows are written all the same (invariant 6).
            sealed_by = exchange.installation.operator_ref
        record_consent_events(
            uow,
            [event for event in events if event.consent_id == row.id],
            subject_ref=row.subject_ref,
            org=row.consumer,
            purpose=row.purpose,
            sealed_by=sealed_by,
        )
    return len(rows)


def _event(kind: EventType, agreement: Agreement, by: str) -> Event:
    """The agreement's terms are public; who acted is a person, so a fact that only the operator's key opens."""
    return Event(
        type=kind,
        org=agreement.consumer,
        purpose=agreement.purpose,
        detail={
            "agreement": agreement.code,
            "revision": str(agreement.revision),
            "digest": agreement.digest,
            "legal_basis": agreement.legal_basis.value,
        },
        facts={"by": by},
    )


def _check_person(by: str) -> None:
    if not by.strip() or len(by) > 128:
        raise AgreementError("expected a reference of 1 to 128 characters of the person who acts")


def _same_person(one: str, other: str) -> bool:
    """Whether two references are one person's: neither case nor spaces make a second person."""
    return _folded(one) == _folded(other)


def _folded(reference: str) -> str:
    return "".join(unicodedata.normalize("NFKC", reference).casefold().split())
