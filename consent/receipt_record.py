"""The record inside a receipt: ISO/IEC TS 27560 fields, filled from the folded events and from what stands around them.

Profile ``record-eu-gdpr`` of the DPV guide. Departures: record ids are UUIDv7, and ``status``, ``sequence``, ``event``,
``event_digest`` and ``audit_entry`` are our own: they tell which state is the newest and lead to the audit log.
The person stands in it by a pseudonym that the caller passes; officers, clerks and the clock by the operator's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from consent.dpv import CONSENT_TYPE, RECORD_SCHEMA, RIGHTS, STATUS, event_state
from consent.events import ConsentEvent, EventType
from consent.instants import from_millis, to_millis, whole_millis
from consent.lifecycle import fold
from consent.model import ActorKind, ConsentRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """An organisation that the receipt names. ``role`` and ``type`` are DPV terms (``dpv:DataController`` …)."""

    id: str
    name: str
    address: str
    contact: str
    role: str
    type: str = "dpv:GovernmentalOrganisation"
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataItem:
    """An attribute in a form, in words; ``sensitive`` by the catalogue, ``special``: GDPR art. 9."""

    name: str
    form: str
    title: str
    sensitive: bool
    special: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingDetails:
    """What the agreement, the catalogue and the register of agencies say about a consent: all that its events do not.

    Attributes:
        controller: the agency that receives the data; ``sources``: the agencies that hold it; ``operator``: who runs
            the exchange; ``authority``: where to complain; ``recipients``: third parties, often none.
        items: every attribute and form of the record's scope.
        purpose_type: a DPV purpose, such as ``dpv:ServiceAccessDetermination``.
        retention: ISO 8601 duration for which the controller keeps the data.
        jurisdiction, storage_locations, processing_locations: ISO 3166 codes.
        withdrawal_url, rights_url: where the person withdraws, and exercises the other rights.
    """

    controller: Party
    sources: tuple[Party, ...]
    operator: Party
    authority: Party
    items: tuple[DataItem, ...]
    purpose_title: str
    purpose_type: str
    notice_url: str
    service: str
    jurisdiction: str
    storage_locations: tuple[str, ...]
    processing_locations: tuple[str, ...]
    geographic_restrictions: tuple[str, ...]
    retention: str
    withdrawal_url: str
    rights_url: str
    recipients: tuple[Party, ...] = ()
    codes_of_conduct: tuple[str, ...] = ()
    impact_assessment: str | None = None


def build_record(
    events: Sequence[ConsentEvent], details: ProcessingDetails, *, pii_principal_id: str, now: datetime
) -> dict[str, Any]:
    """The record of one consent at ``now``.

    Raises:
        InconsistentConsentError: the events do not fold.
        ValueError: an attribute of the scope is not described.
    """
    record = fold(events, now)
    return {
        "@type": "dpv:ConsentRecord",
        "schema_version": RECORD_SCHEMA,
        "record_id": str(record.id),
        "record_version": record.version,
        "pii_principal_id": pii_principal_id,
        "status": record.status.value,
        "state": _state(record),
        "processing": [_processing(record, details)],
        "parties": _parties(details),
        "events": [
            _event(event, fold(events[: event.seq], event.at), details, pii_principal_id)
            for event in events
            if event.at <= whole_millis(now)
        ],
        **_present(replaces=_text(record.replaces), replaced_by=_text(record.replaced_by)),
    }


def _processing(record: ConsentRecord, details: ProcessingDetails) -> dict[str, Any]:
    terms, manner = record.terms, record.manner
    notice, language = terms.notice_version, terms.language
    if manner is not None and manner.notice_version is not None and manner.language is not None:
        notice, language = manner.notice_version, manner.language  # what was shown goes before what was planned
    return {
        "@type": "dpv:Process",
        "privacy_notice": {"@type": "dpv:ConsentNotice", "version": notice, "url": details.notice_url},
        "language": language,
        "purposes": [
            {
                "purpose": terms.purpose,
                "purpose_type": details.purpose_type,
                "description": details.purpose_title,
            }
        ],
        "lawful_basis": terms.legal_basis.gdpr_iri,
        "pii_information": _items(record, details),
        "pii_controllers": [details.controller.id],
        "data_sources": [party.id for party in details.sources],
        "collection_method": "dpv:Retrieve",  # from the agencies that hold it, not from the person
        "processing_method": "dpv:Disclose",
        "storage_locations": [
            {"@type": "dpv:StorageLocation", "jurisdiction": place} for place in details.storage_locations
        ],
        "retention_period": details.retention,
        "processing_locations": list(details.processing_locations),
        "geographic_restrictions": list(details.geographic_restrictions),
        "service": details.service,
        "jurisdiction": details.jurisdiction,
        "recipient_third_parties": [details.controller.id, *(party.id for party in details.recipients)],
        "withdrawal_method": {"@type": "dpv:WithdrawConsent", "exercised_at": details.withdrawal_url},
        "privacy_rights": [{"@id": right, "exercised_at": details.rights_url} for right in RIGHTS],
        "authority_party": details.authority.id,
        **_present(
            codes_of_conduct=list(details.codes_of_conduct) or None, impact_assessment=details.impact_assessment
        ),
    }


def _items(record: ConsentRecord, details: ProcessingDetails) -> list[dict[str, Any]]:
    described = {(item.name, item.form): item for item in details.items}
    if missing := record.scope.keys - described.keys():
        raise ValueError(f"no description of {sorted(missing)}")
    return [
        {
            "@type": "dpv:SpecialCategoryPersonalData"
            if described[one.key].special
            else ("dpv:SensitivePersonalData" if described[one.key].sensitive else "dpv:PersonalData"),
            "pii_type": described[one.key].title,
            "pii_attribute_id": one.name,
            "pii_form": one.form,
            "pii_optional": not one.required,
            "necessity": "dpv:Required" if one.required else "dpv:Optional",
            "sensitive_pii_category": described[one.key].sensitive,
            "special_pii_category": described[one.key].special,
        }
        for one in record.scope
    ]


def _parties(details: ProcessingDetails) -> list[dict[str, Any]]:
    named = (details.controller, *details.sources, details.operator, details.authority)
    parties: dict[str, Party] = {}
    for party in (*named, *details.recipients):
        parties.setdefault(party.id, party)
    return [
        {
            "@type": "dpv:Organisation",
            "party_id": party.id,
            "party_name": party.name,
            "party_address": party.address,
            "party_contact": party.contact,
            "party_role": party.role,
            "party_type": party.type,
            **_present(party_url=party.url),
        }
        for party in parties.values()
    ]


def _event(event: ConsentEvent, after: ConsentRecord, details: ProcessingDetails, principal: str) -> dict[str, Any]:
    manner = event.content.manner
    actor = event.actor
    represented = actor.kind is ActorKind.REPRESENTATIVE
    named = represented or actor.kind is ActorKind.AGENCY  # an agency acts under its code, which is its party id
    entity = principal if actor.kind is ActorKind.SUBJECT else actor.ref if named else details.operator.id
    return {
        "sequence": event.seq,
        "event": event.type.value,
        "event_time": rfc3339(event.at),
        "validity_duration": _validity(event, after),
        "entity_id": entity,
        "event_type": CONSENT_TYPE[after.terms.legal_basis],
        "event_state": event_state(event.type, renewed=after.replaces is not None),
        "event_digest": event.digest,
        "audit_entry": str(event.entry_id),
        **_present(
            indication_method=manner and manner.method.value,
            language=manner and manner.language,
            notice_version=manner and manner.notice_version,
            paper_scan_sha256=manner and manner.paper and manner.paper.scan_sha256,
            mandate=actor.mandate,
            on_behalf_of=principal if represented else None,
            reason=event.content.reason,
        ),
    }


def _validity(event: ConsentEvent, after: ConsentRecord) -> dict[str, Any]:
    """For how long the event holds: a question until its deadline, a permission for its window, an end for good."""
    if after.status.is_ended:
        return {"@type": "dpv:EndlessDuration", "valid_from": rfc3339(event.at)}
    begins = after.valid_from if event.type is EventType.GIVEN else event.at
    until = {"valid_from": rfc3339(begins), "valid_until": rfc3339(after.valid_until)}
    if after.uses is None:
        return {"@type": "dpv:UntilTimeDuration", **until}
    return {"@type": "dpv:FixedOccurrencesDuration", **until, "uses": after.uses}


def _state(record: ConsentRecord) -> str:
    renewed = record.status.may_process and record.replaces is not None
    return "dpv:RenewedConsentGiven" if renewed else STATUS[record.status]


def rfc3339(moment: datetime) -> str:
    """A moment as the receipt writes it: UTC, milliseconds."""
    return from_millis(to_millis(moment)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
