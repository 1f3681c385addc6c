"""The ledger's words in the W3C Data Privacy Vocabulary, version 2.3: statuses, consent types, and the JSON-LD context.

The context maps the member names of ISO/IEC TS 27560 to DPV properties, as the DPV guide to that standard does. Three
terms of that guide are not in the vocabulary and stand nowhere here: ConsentTerminated (ConsentRevoked is used),
hasProcessingAutomation, and hasLegalName (hasName is used).
"""

from typing import Any, Final

from consent.events import EventType
from consent.model import ConsentStatus, LegalBasis

SCHEMA: Final = "https://w3id.org/dpv/schema/dpv-27560"
RECEIPT_SCHEMA: Final = f"{SCHEMA}#receipt-eu-gdpr"
RECORD_SCHEMA: Final = f"{SCHEMA}#record-eu-gdpr"

STATUS: Final[dict[ConsentStatus, str]] = {
    ConsentStatus.REQUESTED: "dpv:ConsentRequested",
    ConsentStatus.GIVEN: "dpv:ConsentGiven",
    ConsentStatus.PAUSED: "cdx:ConsentPaused",  # DPV knows no pause
    ConsentStatus.REFUSED: "dpv:ConsentRefused",
    ConsentStatus.LAPSED: "dpv:ConsentRequestDeferred",
    ConsentStatus.CANCELLED: "dpv:ConsentRequestDeferred",
    ConsentStatus.WITHDRAWN: "dpv:ConsentWithdrawn",
    ConsentStatus.EXPIRED: "dpv:ConsentExpired",
    ConsentStatus.USED_UP: "dpv:ConsentExpired",
    ConsentStatus.TERMINATED: "dpv:ConsentRevoked",
    ConsentStatus.INVALIDATED: "dpv:ConsentInvalidated",
    ConsentStatus.SUPERSEDED: "dpv:ConsentRevoked",  # with dct:isReplacedBy
}

CONSENT_TYPE: Final[dict[LegalBasis, str]] = {
    LegalBasis.CONSENT: "dpv:ExpressedConsent",
    LegalBasis.EXPLICIT_CONSENT: "dpv:ExplicitlyExpressedConsent",
}

RIGHTS: Final = tuple(f"eu-gdpr:{article}" for article in ("A7-3", "A15", "A16", "A17", "A18", "A20", "A77"))
"""Withdraw, access, rectify, erase, restrict, take along, complain: what the basis "consent" brings with it."""


def event_state(kind: EventType, *, renewed: bool) -> str:
    """The DPV status that an event leads to."""
    if kind is EventType.GIVEN and renewed:
        return "dpv:RenewedConsentGiven"
    return STATUS[ConsentStatus.GIVEN if kind is EventType.RESUMED else ConsentStatus(kind.value)]


def _iri(name: str) -> dict[str, str]:
    return {"@id": name, "@type": "@id"}


def _time(name: str) -> dict[str, str]:
    return {"@id": name, "@type": "xsd:dateTime"}


CONTEXT: Final[dict[str, Any]] = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "cdx": "urn:cdx:receipt:",
    "schema_version": _iri("dct:conformsTo"),
    "receipt_id": "dct:identifier",
    "record_id": "dct:identifier",
    "created": _time("dct:created"),
    "record": "dct:hasPart",
    "pii_principal_id": "dpv:hasDataSubject",
    "replaces": "dct:replaces",
    "replaced_by": "dct:isReplacedBy",
    "record_version": "dct:hasVersion",
    "state": _iri("dpv:hasConsentStatus"),
    "status": "cdx:status",
    "processing": "dpv:hasProcess",
    "privacy_notice": "dpv:hasNotice",
    "language": "dct:language",
    "purposes": "dpv:hasPurpose",
    "purpose": "dct:identifier",
    "purpose_type": _iri("dpv:hasPurpose"),
    "lawful_basis": _iri("dpv:hasLegalBasis"),
    "pii_information": "dpv:hasPersonalData",
    "pii_type": "dct:title",
    "pii_attribute_id": "dct:identifier",
    "pii_form": "cdx:form",
    "pii_optional": "cdx:optional",
    "necessity": _iri("dpv:hasNecessity"),
    "sensitive_pii_category": "cdx:sensitive",
    "special_pii_category": "cdx:special",
    "pii_controllers": "dpv:hasDataController",
    "data_sources": "dpv:hasDataSource",
    "collection_method": "dpv:hasProcessing",
    "processing_method": _iri("dpv:hasProcessing"),
    "storage_locations": "dpv:hasStorageCondition",
    "retention_period": "dpv:hasDuration",
    "processing_locations": "dpv:hasLocation",
    "geographic_restrictions": "dpv:hasRule",
    "service": "dpv:hasService",
    "jurisdiction": "dpv:hasJurisdiction",
    "recipient_third_parties": "dpv:hasRecipient",
    "withdrawal_method": "dpv:hasConsentControl",
    "privacy_rights": _iri("dpv:hasRight"),
    "codes_of_conduct": "dpv:hasOrganisationalMeasure",
    "impact_assessment": "dpv:hasImpactAssessment",
    "authority_party": "dpv:hasAuthority",
    "exercised_at": _iri("dpv:isExercisedAt"),
    "parties": "dpv:hasEntity",
    "party_id": "dpv:hasIdentifier",
    "party_name": "dpv:hasName",
    "party_address": "dpv:hasAddress",
    "party_contact": "dpv:hasContact",
    "party_role": _iri("rdf:type"),
    "party_type": _iri("rdf:type"),
    "party_url": "dpv:hasContact",
    "events": "dpv:hasConsentStatus",
    "event_time": _time("dpv:isIndicatedAtTime"),
    "validity_duration": "dpv:hasDuration",
    "entity_id": "dpv:isIndicatedBy",
    "event_type": _iri("dpv:hasLegalBasis"),
    "event_state": _iri("dpv:hasConsentStatus"),
    "indication_method": "dpv:hasIndicationMethod",
    "valid_from": _time("dct:valid"),
    "valid_until": _time("dct:valid"),
    "notice_version": "cdx:noticeVersion",
    "sequence": "cdx:sequence",
    "event": "cdx:event",
    "event_digest": "cdx:digest",
    "audit_entry": "cdx:entry",
    "uses": "cdx:uses",
    "mandate": "cdx:mandate",
    "on_behalf_of": "cdx:onBehalfOf",
    "reason": "cdx:reason",
    "paper_scan_sha256": "cdx:paperScan",
    "version": "dct:hasVersion",
    "url": _iri("dct:source"),
    "description": "dct:description",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
}
"""Stands in each receipt, so that nobody needs to fetch anything to read it as linked data."""
