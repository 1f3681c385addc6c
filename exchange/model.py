"""Values of the exchange that carry no behaviour of their own. Pure: no I/O, no SQL.

Words are those of docs/glossary.md: an *agency* asks (consumer) or supplies (provider); a *subject* is the person;
an *attribute* is asked for in a *form* ("value", or something weaker); an *answer* is what one attribute yields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType
from uuid import UUID

from consent.model import Method

AgencyCode = NewType("AgencyCode", str)
SubjectRef = NewType("SubjectRef", UUID)

VALUE_FORM = "value"


class Status(StrEnum):
    """Of an agency or a client."""

    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"


class SubjectStatus(StrEnum):
    """Decision 18. OPERATOR is the one row that owns the key for facts about nobody; STAFF acts for an organisation."""

    ACTIVE = "ACTIVE"
    DECEASED = "DECEASED"
    PROTECTED = "PROTECTED"  # address and whereabouts never disclosed
    ERASED = "ERASED"
    OPERATOR = "OPERATOR"
    STAFF = "STAFF"

    @property
    def is_person(self) -> bool:
        """Whether requests can be about whoever has it. Everybody else is nobody to them."""
        return self not in (SubjectStatus.OPERATOR, SubjectStatus.STAFF)


class AgreementStatus(StrEnum):
    """Of an agreement's current revision."""

    PROPOSED = "PROPOSED"
    IN_FORCE = "IN_FORCE"
    ENDED = "ENDED"


class RequestStatus(StrEnum):
    """As stored. "Ready" is read off the consent, and a lapse off the clock, whatever is stored."""

    TAKEN = "TAKEN"  # durable; a live provider is being called
    WAITING = "WAITING"  # for the citizen
    RELEASED = "RELEASED"
    DENIED = "DENIED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    LAPSED = "LAPSED"  # written down by housekeeping; effective before


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectName:
    """How a caller names a person: a national identifier, or the pairwise pseudonym it has (scheme ``"sub"``)."""

    scheme: str
    id: str = field(repr=False)


GRANTOR = SubjectName(scheme="", id="")
"""Whoever gave the permission that the caller's token stands for. No caller can write an empty scheme."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedAttribute:
    """One line of a request. ``compare_to`` only with the form ``equals``."""

    name: str
    form: str = VALUE_FORM
    required: bool = True
    compare_to: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRequest:
    """What an agency asks, as received and validated in shape (not yet decided)."""

    subject: SubjectName
    agreement: str  # agreement code
    purpose: str
    attributes: tuple[RequestedAttribute, ...]
    acting_officer: str = field(repr=False)
    officer_role: str = field(repr=False)
    case_reference: str = field(repr=False)
    message: str | None = field(default=None, repr=False)  # shown to the citizen


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldValue:
    """What a provider holds of one attribute. ``state``: present | absent | not_applicable | unavailable | empty.

    ``value`` is a string, integer, boolean, or ``{"code", "label"}``; None unless present.
    """

    name: str
    provider: str
    state: str
    value: Any = field(default=None, repr=False)
    last_updated: str | None = None  # ISO date
    valid_until: str | None = None  # ISO date
    assurance: str = "substantial"
    source_class: str = "government"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, by the verified token; whether it is still live is checked where it is used (invariant 13)."""

    token_digest: bytes
    client_id: str
    jkt: str
    scopes: frozenset[str]
    proof_digest: bytes  # single-use digest of the DPoP proof's jti
    proof_expires_at: datetime
    stands_for_person: bool = False  # the token is for one person's permission, whom it names


@dataclass(frozen=True, slots=True, kw_only=True)
class Citizen:
    """A signed-in person, as the verified own token says.

    Without a proof: a session in the browser (``access.SESSION``), held by a cookie, whose forms carry a token.
    """

    subject_ref: UUID
    token_digest: bytes
    jkt: str
    proof_digest: bytes | None = None
    proof_expires_at: datetime | None = None

    @property
    def method(self) -> Method:
        """Through which door this person decides."""
        return Method.PORTAL if self.proof_digest is None else Method.API


@dataclass(frozen=True, slots=True, kw_only=True)
class Agency:
    """An organisation that can ask and supply. ``profile``: address, contact, url, jurisdiction, live endpoint."""

    code: str
    name: str
    status: Status
    version: int
    profile: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A party of the house that is no agency: who runs the exchange, and the authority that people can complain to."""

    id: str
    name: str
    address: str
    contact: str
    url: str
