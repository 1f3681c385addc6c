"""What can happen in the house. Each unit of work records events; at commit each becomes one audit entry.

``Event`` has a public part (the skeleton of the leaf: type, agency, role, purpose, request, outcome) and ``facts``:
everything about a person, which the entry holds only as salted commitments, opened by a copy sealed under that
person's key. The table of types, their members and when they are written is docs/audit-events.md; a test keeps both
equal.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

_NOTHING: Mapping[str, str] = MappingProxyType({})


def _nothing() -> Mapping[str, str]:
    return _NOTHING


class EventType(StrEnum):
    """``subject:action`` tags as they stand in the log. A retired tag is never used again."""

    REQUEST_RECEIVED = "request.received"  # a live provider is about to be called: taken, not yet answered
    REQUEST_WAITING = "request.waiting"
    REQUEST_DENIED = "request.denied"
    REQUEST_FAILED = "request.failed"
    REQUEST_LAPSED = "request.lapsed"
    REQUEST_CANCELLED = "request.cancelled"
    ATTRIBUTE_DISCLOSED = "attribute.disclosed"
    ATTRIBUTE_REDELIVERED = "attribute.redelivered"
    DISCLOSURE_ACKNOWLEDGED = "disclosure.acknowledged"
    CONSENT_REQUESTED = "consent.requested"
    CONSENT_GIVEN = "consent.given"
    CONSENT_REFUSED = "consent.refused"
    CONSENT_WITHDRAWN = "consent.withdrawn"
    CONSENT_PAUSED = "consent.paused"
    CONSENT_RESUMED = "consent.resumed"
    CONSENT_EXPIRED = "consent.expired"
    CONSENT_LAPSED = "consent.lapsed"
    CONSENT_CANCELLED = "consent.cancelled"
    CONSENT_USED_UP = "consent.used_up"
    CONSENT_TERMINATED = "consent.terminated"
    CONSENT_INVALIDATED = "consent.invalidated"
    CONSENT_SUPERSEDED = "consent.superseded"
    ACCESS_REPLAYED = "access.replayed"
    ACCESS_REFUSED = "access.refused"  # exchange.refusals: at most once per kind, caller and hour
    AUTHORIZATION_GRANTED = "authorization.granted"  # in the browser: a code was given with the permission
    AUTHORIZATION_REDEEMED = "authorization.redeemed"  # the code became tokens
    AUTHORIZATION_DENIED = "authorization.denied"  # a code that does not hold, or came again
    SUBJECT_CREATED = "subject.created"
    SUBJECT_WRITTEN = "subject.written"
    SUBJECT_STATUS_CHANGED = "subject.status_changed"
    SUBJECT_ERASED = "subject.erased"
    STAFF_CREATED = "staff.created"  # an officer acted for the first time and has a key of their own now
    HISTORY_READ = "history.read"  # the citizen looked at the own history or data
    AUDIT_OPENED = "audit.opened"  # an officer opened an entry
    AUDIT_REFUSED = "audit.refused"  # an officer tried to open one that is not there for them
    INSTALLATION_CREATED = "installation.created"
    CONFIGURATION_CHANGED = "configuration.changed"
    AGENCY_REGISTERED = "agency.registered"
    AGENCY_STATUS_CHANGED = "agency.status_changed"
    CLIENT_REGISTERED = "client.registered"
    CLIENT_STATUS_CHANGED = "client.status_changed"
    CATALOGUE_LOADED = "catalogue.loaded"
    AGREEMENT_PROPOSED = "agreement.proposed"
    AGREEMENT_APPROVED = "agreement.approved"
    AGREEMENT_ENDED = "agreement.ended"
    KEK_CREATED = "key.kek_created"
    VERIFIER_KEY_ADDED = "key.verifier_added"  # log or receipt key; its public part stands in ``detail``
    VERIFIER_KEY_RETIRED = "key.verifier_retired"  # signs no more; what it signed stays good
    LOG_CONTINUED = "log.continued"  # after a restore: the same tree, under the next name


class Outcome(StrEnum):
    """How it ended, as the log says it in public. The exact reason of a refusal is a sealed fact."""

    DONE = "done"
    PERMIT = "permit"
    DENY = "deny"
    WAIT = "wait"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concerned:
    """Somebody whom an event concerns beside its ``subject_ref``, with facts of their own.

    Attributes:
        owner_ref: whose key seals the facts.
        facts: name → value; names may repeat those of others.
        has_history: whether the entry is a line of their own history: of people, not of staff.
        visible_from: hidden from them until then.
    """

    owner_ref: UUID
    facts: Mapping[str, str] = field(default_factory=_nothing, repr=False)
    has_history: bool = True
    visible_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened.

    Attributes:
        type: the tag.
        org: code of the agency that acts or asks; ``"cdx"`` for the exchange itself; ``"subject"`` for the person.
        outcome: public outcome.
        purpose, request: purpose code and request id, where there are any.
        detail: further public members, never about a person (agency codes, digests, verifier keys).
        subject_ref: the person concerned: owner of the key that seals ``facts`` and of the history line; None: nobody.
        facts: name → value, committed to in the leaf and sealed under the key of ``subject_ref`` (or the operator's).
        id: entry id, when it must be known before commit (a receipt names it); made at commit otherwise.
        also: whom else it concerns. How many are concerned stands in the entry, who does not.
        visible_from: hidden from the person concerned until then (GDPR art. 23). An event about an entry inherits it.
    """

    type: EventType
    org: str
    outcome: Outcome = Outcome.DONE
    purpose: str | None = None
    request: UUID | None = None
    detail: Mapping[str, str] = field(default_factory=_nothing)
    subject_ref: UUID | None = None
    facts: Mapping[str, str] = field(default_factory=_nothing)
    id: UUID | None = None
    also: tuple[Concerned, ...] = ()
    visible_from: datetime | None = None
