"""What a citizen sees: requests that wait for a decision, and consents in force or ended. Reading only."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent import store as consent_store
from consent.ledger import ConsentLedger
from consent.model import ConsentRecord
from consent.rows import ConsentRow
from crypto.ids import new_id
from exchange import access, citizen_store
from exchange.agreement_model import Agreement
from exchange.ground import agreement_by_id
from exchange.model import Citizen
from exchange.situations import details_of

if TYPE_CHECKING:
    from exchange.context import Exchange

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One attribute that is asked for, in words a person reads."""

    name: str
    form: str
    required: bool
    label: str
    classification: str
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRequest:
    """A request that waits for this person's decision."""

    id: UUID
    consent_id: UUID
    agency: str
    agency_name: str
    purpose: str
    purpose_label: str
    lines: tuple[AskedLine, ...]
    officer_role: str
    case_reference: str
    message: str | None
    notice_version: str
    notice: dict[str, Any]  # language → texts
    valid_until: datetime  # the longest a permission would hold
    uses: int | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnConsent:
    """A consent as its person sees it."""

    record: ConsentRow
    status: str
    uses: int
    uses_left: int | None
    last_used_at: datetime | None
    agency_name: str
    agreement: Agreement


def waiting(exchange: "Exchange", citizen: Citizen, now: datetime) -> list[WaitingRequest]:
    """Requests that wait for this person, newest first; lapsed ones are left out."""
    access.admit_citizen(exchange, citizen, now)
    with exchange.database.read() as connection:
        rows = citizen_store.waiting_requests(connection, citizen.subject_ref, _PAGE)
        names = {row.code: row.name for row in citizen_store.agencies(connection)}
        result = []
        for row in rows:
            record = _ledger_record(connection, row.consent_id, now)
            if row.expires_at > now and record.status == "REQUESTED":
                result.append(_waiting_request(exchange, connection, row, record, names))
    return result


def _waiting_request(
    exchange: "Exchange", connection: Connection, row: Row[Any], record: ConsentRecord, names: dict[str, str]
) -> WaitingRequest:
    catalogue = exchange.catalogue(connection)
    agreement = agreement_by_id(connection, row.agreement_id)
    details = details_of(exchange, connection, row)
    lines = []
    for one in record.terms.scope:
        attribute = catalogue.attribute(one.name)
        lines.append(
            AskedLine(
                name=one.name,
                form=one.form,
                required=one.required,
                label=attribute.label,
                classification=attribute.classification,
                provider=names.get(attribute.provider, attribute.provider),
            )
        )
    return WaitingRequest(
        id=row.id,
        consent_id=row.consent_id,
        agency=row.agency,
        agency_name=names.get(row.agency, row.agency),
        purpose=row.purpose,
        purpose_label=catalogue.purpose(row.purpose).label,
        lines=tuple(lines),
        officer_role=details["role"],
        case_reference=details["case"],
        message=details.get("message"),
        notice_version=record.terms.notice_version,
        notice={language: dict(texts) for language, texts in agreement.notice.texts.items()},
        valid_until=record.terms.valid_until,
        uses=record.terms.uses,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


def list_own(exchange: "Exchange", citizen: Citizen, now: datetime) -> list[OwnConsent]:
    """All consents of this person, newest request first, with how often and when last each was used."""
    access.admit_citizen(exchange, citizen, now)
    with exchange.database.read() as connection:
        rows = consent_store.list_for_subject(connection, citizen.subject_ref, limit=_PAGE)
        used = citizen_store.uses_of_consents(connection, citizen.subject_ref, now)
        names = {row.code: row.name for row in citizen_store.agencies(connection)}
        agreements = {row.agreement_id: agreement_by_id(connection, row.agreement_id) for row in rows}
    result = []
    for row in rows:
        uses = used.get(row.id, citizen_store.Uses())
        result.append(
            OwnConsent(
                record=row,
                status=row.status_at(now),
                uses=uses.seen,
                # A use that is hidden from the person must not show as one that is missing.
                uses_left=None if row.uses_left is None else row.uses_left + uses.hidden,
                last_used_at=uses.last_seen_at,
                agency_name=names.get(row.consumer, row.consumer),
                agreement=agreements[row.agreement_id],
            )
        )
    return result


def _ledger_record(connection: Connection, consent_id: UUID, now: datetime) -> ConsentRecord:
    return ConsentLedger(connection, now=now, new_entry_id=lambda: new_id(now)).record(consent_id)
