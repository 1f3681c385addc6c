"""The words of the ledger: status, legal basis, who acts and how, what is asked for, what stands now. Pure.

It must import neither a database nor ``crypto``. How records change stands in ``consent.lifecycle``. Names of statuses
and legal bases follow W3C DPV 2.3; each carries its IRI there and, for legal bases, in the GDPR extension.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from consent.instants import whole_millis
from consent.scope import AttributeScope

DPV = "https://w3id.org/dpv#"
DPV_GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"

_VISIBLE = re.compile(r"[!-~]{1,128}")
_REF = re.compile(r"[!-?A-~]{1,128}")  # visible ASCII without "@": a reference, never an address
_REASON = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class ConsentStatus(StrEnum):
    """Where a record stands. Everything but REQUESTED, GIVEN and PAUSED is an end, and an end is final."""

    REQUESTED = "REQUESTED"
    GIVEN = "GIVEN"
    PAUSED = "PAUSED"
    REFUSED = "REFUSED"
    LAPSED = "LAPSED"  # nobody decided in time
    CANCELLED = "CANCELLED"  # the asker took the question back
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    USED_UP = "USED_UP"
    TERMINATED = "TERMINATED"  # the agreement ended, or the person is no longer served
    INVALIDATED = "INVALIDATED"  # found invalid by an officer; flags past releases too
    SUPERSEDED = "SUPERSEDED"  # replaced by a newer record

    @property
    def is_ended(self) -> bool:
        """Whether nothing but INVALIDATED can follow."""
        return self not in _OPEN

    @property
    def may_process(self) -> bool:
        """Whether data may flow, window and uses permitting."""
        return self is ConsentStatus.GIVEN


_OPEN = frozenset({ConsentStatus.REQUESTED, ConsentStatus.GIVEN, ConsentStatus.PAUSED})


class LegalBasis(StrEnum):
    """On which ground of GDPR art. 6 the data flows. Only the consents are asked for (decision 20)."""

    CONSENT = "consent"
    EXPLICIT_CONSENT = "explicit_consent"  # special categories, art. 9(2)(a)
    LEGAL_OBLIGATION = "legal_obligation"
    PUBLIC_TASK = "public_task"

    @property
    def asks_subject(self) -> bool:
        """Whether the person is asked. By law nobody is: the person is informed, and can object."""
        return self in (LegalBasis.CONSENT, LegalBasis.EXPLICIT_CONSENT)

    @property
    def dpv_iri(self) -> str:
        """The DPV term."""
        return DPV + _BASIS_TERMS[self][0]

    @property
    def gdpr_iri(self) -> str:
        """The article, as a term of the DPV extension for the GDPR."""
        return DPV_GDPR + _BASIS_TERMS[self][1]


_BASIS_TERMS = {
    LegalBasis.CONSENT: ("Consent", "A6-1-a"),
    LegalBasis.EXPLICIT_CONSENT: ("Consent", "A6-1-a-explicit-consent"),
    LegalBasis.LEGAL_OBLIGATION: ("LegalObligation", "A6-1-c"),
    LegalBasis.PUBLIC_TASK: ("PublicInterest", "A6-1-e"),
}


class ActorKind(StrEnum):
    """In which role somebody, or something, acts upon a record."""

    SUBJECT = "subject"
    REPRESENTATIVE = "representative"  # for the subject, under a recorded mandate
    AGENCY = "agency"
    OFFICER = "officer"
    BROKER = "broker"  # the exchange itself
    CLOCK = "clock"


class Method(StrEnum):
    """Through which door a decision came in."""

    PORTAL = "portal"
    API = "api"
    PAPER = "paper"
    JOURNAL = "journal"  # said again by the exchange after a restore: it had come in before


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts: a pseudonymous reference, never a name or an address. A representative names the mandate."""

    kind: ActorKind
    ref: str
    mandate: str | None = None

    def __post_init__(self) -> None:
        for text in (self.ref, self.mandate):
            if text is not None and _REF.fullmatch(text) is None:
                raise ValueError("an actor is named by a reference of visible ASCII without '@'")
        if (self.kind is ActorKind.REPRESENTATIVE) is (self.mandate is None):
            raise ValueError("a representative, and nobody else, names a mandate")


CLOCK = Actor(kind=ActorKind.CLOCK, ref="clock")
BROKER = Actor(kind=ActorKind.BROKER, ref="cdx")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRecord:
    """A decision on paper: the clerk who took it in, a second person, and the scan's SHA-256 in hex (decision 21)."""

    clerk: str
    second: str
    scan_sha256: str

    def __post_init__(self) -> None:
        if _REF.fullmatch(self.clerk) is None or _REF.fullmatch(self.second) is None or self.clerk == self.second:
            raise ValueError("a paper decision names two different people by reference")
        if _SHA256_HEX.fullmatch(self.scan_sha256) is None:
            raise ValueError("the digest of the scan is 64 lower-case hexadecimal digits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a decision was made: the door, and the language and notice version that were shown."""

    method: Method
    language: str | None = None
    notice_version: str | None = None
    paper: PaperRecord | None = None

    def __post_init__(self) -> None:
        if (self.method is Method.PAPER) is (self.paper is None):
            raise ValueError("a decision on paper, and no other, carries its paper record")
        if self.language is not None:
            check_language(self.language)
        if self.notice_version is not None:
            check_visible(self.notice_version, "notice version")

    @property
    def is_informed(self) -> bool:
        """Whether it says which words, in which language, the person had before them."""
        return self.language is not None and self.notice_version is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentTerms:
    """What a person is asked for; fixed when it is asked, whatever happens to the agreement later.

    Attributes:
        consumer: code of the agency that wants the data.
        valid_from, valid_until: aware UTC, whole milliseconds, end exclusive.
        uses: how many disclosures; None: any number within the window.
    """

    subject_ref: UUID
    agreement_id: UUID
    agreement_revision: int
    consumer: str
    purpose: str
    scope: AttributeScope
    valid_from: datetime
    valid_until: datetime
    uses: int | None
    notice_version: str
    language: str
    legal_basis: LegalBasis = LegalBasis.CONSENT

    def __post_init__(self) -> None:
        object.__setattr__(self, "valid_from", whole_millis(self.valid_from))
        object.__setattr__(self, "valid_until", whole_millis(self.valid_until))
        if self.valid_from >= self.valid_until:
            raise ValueError("the window ends before it begins")
        if len(self.scope) == 0:
            raise ValueError("terms ask for at least one attribute")
        if (self.uses is not None and self.uses < 1) or self.agreement_revision < 1:
            raise ValueError("uses and revision are counted from 1")
        if not self.legal_basis.asks_subject:
            raise ValueError("by law nobody is asked: there are no terms to decide upon")
        if len(self.consumer) > 64:
            raise ValueError("an agency code has at most 64 characters")
        for text, what in (
            (self.consumer, "agency code"),
            (self.purpose, "purpose"),
            (self.notice_version, "notice version"),
        ):
            check_visible(text, what)
        check_language(self.language)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentRecord:
    """One consent as it stands at ``as_of``: the fold of its events (``consent.lifecycle.fold``).

    Attributes:
        status: clock included: EXPIRED and LAPSED do not wait for a job.
        version: sequence number of the newest event.
        scope: what was given, else what was asked.
        valid_from, valid_until: of the permission; unless it was given, ``valid_until`` is the deadline to decide.
        uses_left: None: any number. Known only with the number of disclosures made, which is no event.
        ended_at: when it first ended; an expiry ends at ``valid_until``, whenever it was written down.
        decided_at, decided_by, manner: of the giving or refusing.
        ended_by: who ended it; the clock for an expiry or a lapse.
        paused_by: kind of the actor of a pause that still holds.
        replaces, replaced_by: neighbours in a chain of renewals.
    """

    id: UUID
    terms: ConsentTerms
    status: ConsentStatus
    version: int
    scope: AttributeScope
    valid_from: datetime
    valid_until: datetime
    uses: int | None
    uses_left: int | None
    requested_at: datetime
    requested_by: Actor
    as_of: datetime
    decided_at: datetime | None = None
    decided_by: Actor | None = None
    manner: Manner | None = None
    ended_at: datetime | None = None
    ended_by: Actor | None = None
    reason: str | None = None
    paused_by: ActorKind | None = None
    replaces: UUID | None = None
    replaced_by: UUID | None = None

    @property
    def may_process(self) -> bool:
        """Whether data may flow under it at ``as_of``: given, within its window, uses left."""
        return self.status.may_process and self.valid_from <= self.as_of < self.valid_until and self.uses_left != 0


def check_visible(text: str, what: str) -> None:
    """Refuse what is not 1 to 128 characters of visible ASCII (ValueError)."""
    if _VISIBLE.fullmatch(text) is None:
        raise ValueError(f"{what}: expected 1 to 128 characters of visible ASCII")


def check_language(text: str) -> None:
    """Refuse what is not a plain BCP 47 tag (ValueError)."""
    if _LANGUAGE.fullmatch(text) is None:
        raise ValueError("expected a language tag such as 'en' or 'fr-BE'")


def check_reason(text: str) -> None:
    """Refuse what is not a reason *code* (ValueError): free words could hold personal facts, and belong sealed."""
    if _REASON.fullmatch(text) is None:
        raise ValueError("a reason is a code of lower-case letters, digits, '.', '_' and '-'")
