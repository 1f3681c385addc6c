"""What a citizen takes home: the ISO/IEC TS 27560 receipt, filled from agreement, catalogue and agencies."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent import store as consent_store
from consent.errors import UnknownConsentError
from consent.events import ConsentEvent
from consent.receipt import build_receipt, sign_receipt
from consent.receipt_record import DataItem, Party, ProcessingDetails
from crypto import canonical
from crypto.ids import new_id
from exchange import access, citizen_store
from exchange.catalogue_model import Catalogue
from exchange.ground import agreement_by_id
from exchange.model import Citizen, Organisation

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedReceipt:
    """The receipt as JSON-LD, and the same as a compact JWS."""

    receipt: dict[str, Any]
    signed: str


def receipt(exchange: "Exchange", citizen: Citizen, consent_id: UUID, now: datetime) -> SignedReceipt:
    """The receipt of one of this person's consents, as it stands now.

    Raises:
        UnknownConsentError: no such consent of this person.
    """
    access.admit_citizen(exchange, citizen, now)
    with exchange.database.read() as connection:
        row = consent_store.find(connection, consent_id)
        if row is None or row.subject_ref != citizen.subject_ref:
            raise UnknownConsentError(f"no consent {consent_id}")
        events = consent_store.events_of(connection, consent_id)
        details = _details(exchange, connection, events, row.agreement_id)
    body = build_receipt(
        events,
        details,
        receipt_id=new_id(now),
        # Pairwise with the receiving agency: the receipt may be shown to it, and to nobody else's advantage.
        pii_principal_id=exchange.pseudonyms.derive(agency=row.consumer, subject_ref=citizen.subject_ref),
        now=now,
    )
    return SignedReceipt(receipt=body, signed=sign_receipt(body, key=exchange.answer_signer, issuer=exchange.issuer))


def _details(
    exchange: "Exchange", connection: Connection, events: tuple[ConsentEvent, ...], agreement_id: UUID
) -> ProcessingDetails:
    terms = events[0].content.terms
    assert terms is not None  # a record begins with its request
    catalogue = exchange.catalogue(connection)
    agreement = agreement_by_id(connection, agreement_id)
    agencies = {row.code: row for row in citizen_store.agencies(connection)}
    consumer = _party(agencies[terms.consumer], "dpv:DataController")
    providers = sorted({catalogue.attribute(one.name).provider for one in terms.scope})
    purpose = catalogue.purpose(terms.purpose)
    profile = canonical.decode(agencies[terms.consumer].profile.encode())
    jurisdiction = profile.get("jurisdiction", "XX")
    return ProcessingDetails(
        controller=consumer,
        sources=tuple(_party(agencies[code], "dpv:DataSource") for code in providers),
        operator=_own_party(exchange.settings.operator, "dpv:DataProcessor"),
        authority=_own_party(exchange.settings.authority, "dpv:DataProtectionAuthority"),
        items=tuple(_item(catalogue, one.name, one.form) for one in terms.scope),
        purpose_title=purpose.label,
        purpose_type=f"dpv:{purpose.dpv.rpartition('#')[2]}",  # the receipt's context knows the prefix
        notice_url=f"{exchange.issuer}/notices/{agreement.code}/{terms.notice_version}",
        service=agreement.code,
        jurisdiction=jurisdiction,
        storage_locations=(jurisdiction,),
        processing_locations=(jurisdiction,),
        geographic_restrictions=(jurisdiction,),
        retention=f"P{agreement.retention_days}D",
        withdrawal_url=f"{exchange.issuer}/v1/me/consents/{events[0].consent_id}/withdraw",
        rights_url=exchange.settings.authority.url,
    )


def _party(row: Row[Any], role: str) -> Party:
    profile = canonical.decode(row.profile.encode())
    return Party(
        id=row.code,
        name=row.name,
        address=profile["address"],
        contact=profile["contact"],
        role=role,
        url=profile.get("url"),
    )


def _own_party(organisation: Organisation, role: str) -> Party:
    return Party(
        id=organisation.id,
        name=organisation.name,
        address=organisation.address,
        contact=organisation.contact,
        role=role,
        url=organisation.url,
    )


def _item(catalogue: Catalogue, name: str, form: str) -> DataItem:
    attribute = catalogue.attribute(name)
    classification = catalogue.classifications[attribute.classification]
    return DataItem(
        name=name,
        form=form,
        title=attribute.label,
        sensitive=classification.rank >= 3,
        special=classification.explicit_consent,
    )
