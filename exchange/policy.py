"""May this be disclosed? One pure function with numbered steps: no I/O, no SQL, no clock of its own.

``decide`` answers with a value: ``Permit``, ``NeedsConsent`` or ``Deny``. Steps 1–6 look at what the caller wrote and
may know; their reasons are the caller's fault and are told exactly. From step 7 on everything is about the person: an
agency gets one coarse answer whatever the reason, and an unknown, deceased or erased person looks like one who does not
answer (invariant 6).

 1. the client's scope
 2. the shape: at least one line, none twice, ``compare_to`` with ``equals`` and only with it
 3. the purpose is in the catalogue
 4. each attribute is in the catalogue, in a form that it admits (``equals`` only where guessing is hopeless)
 5. the agreement is the caller's, that of the permission which the token stands for (if it stands for one), in force,
    for this purpose, on a legal basis that the purpose admits
 6. each line stands in the agreement, in exactly this form
 7. the person can be served at all
 8. by law nobody is asked: steps 9 and 11 are only for consent
 9. a consent is in force; else the person is asked, unless the person said no lately, or the token is for one consent
10. nobody learns the whereabouts of a protected person
11. each line stands in the consent, in exactly this form (invariant 3); optional ones outside are left out
12. no weaker form is answered so often that the answers together would yield the value
13. permitted: what is left
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from consent.model import ConsentStatus
from consent.scope import AttributeScope
from exchange.agreement_model import Agreement
from exchange.catalogue_model import Catalogue
from exchange.errors import UnknownAttributeError
from exchange.forms import FormKind, parse_form
from exchange.model import VALUE_FORM, AttributeRequest, RequestedAttribute, SubjectStatus

REQUEST_SCOPE: Final = "attributes:request"
Lines = tuple[RequestedAttribute, ...]
_SERVED: Final = frozenset({SubjectStatus.ACTIVE, SubjectStatus.PROTECTED})


class DenyReason(StrEnum):
    """Why not. The exact reason is sealed in the audit entry; who else may know it says ``is_callers_fault``."""

    MISSING_SCOPE = "missing_scope"
    EMPTY_REQUEST = "empty_request"
    DUPLICATE_LINE = "duplicate_line"
    COMPARE_TO_MISSING = "compare_to_missing"
    COMPARE_TO_UNEXPECTED = "compare_to_unexpected"
    UNKNOWN_PURPOSE = "unknown_purpose"
    UNKNOWN_ATTRIBUTE = "unknown_attribute"
    UNKNOWN_FORM = "unknown_form"
    EQUALS_NOT_ADMITTED = "equals_not_admitted"
    UNKNOWN_AGREEMENT = "unknown_agreement"
    AGREEMENT_NOT_YOURS = "agreement_not_yours"
    AGREEMENT_NOT_IN_FORCE = "agreement_not_in_force"
    PURPOSE_OUTSIDE_AGREEMENT = "purpose_outside_agreement"
    LEGAL_BASIS_NOT_ADMITTED = "legal_basis_not_admitted"
    OUTSIDE_GRANT = "outside_grant"
    OUTSIDE_AGREEMENT = "outside_agreement"
    PROTECTED_ADDRESS = "protected_address"
    CONSENT_PAUSED = "consent_paused"
    CONSENT_NOT_IN_FORCE = "consent_not_in_force"
    COOLING_OFF = "cooling_off"
    OUTSIDE_CONSENT = "outside_consent"
    FORM_LIMIT = "form_limit"
    NOT_SERVED = "not_served"

    @property
    def is_callers_fault(self) -> bool:
        """Whether the caller is told exactly. False: about the person, and everybody gets the same coarse answer."""
        return self not in _ABOUT_THE_PERSON

    @property
    def outward(self) -> "DenyReason":
        """What a caller at fault is told: a non-party gets the same answer as not-found (invariant 6)."""
        return DenyReason.UNKNOWN_AGREEMENT if self is DenyReason.AGREEMENT_NOT_YOURS else self


_ABOUT_THE_PERSON: Final = frozenset(
    {
        DenyReason.PROTECTED_ADDRESS,
        DenyReason.CONSENT_PAUSED,
        DenyReason.CONSENT_NOT_IN_FORCE,
        DenyReason.COOLING_OFF,
        DenyReason.OUTSIDE_CONSENT,
        DenyReason.FORM_LIMIT,
        DenyReason.NOT_SERVED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectState:
    """The person, as far as a decision needs to know."""

    status: SubjectStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState:
    """The newest consent of the person under this agreement, as its row says; the clock is applied here."""

    id: UUID
    version: int
    status: ConsentStatus
    scope: AttributeScope
    valid_from: datetime
    valid_until: datetime
    uses_left: int | None
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a decision rests on.

    Attributes:
        request: what is asked.
        scopes: the client's, from its token.
        agency: code of the client's agency.
        agreement: the one that the request names, if there is one.
        catalogue: the one in force.
        subject: None: nobody is known under that name.
        consent: the person's newest under this agreement, if any.
        last_negative_at: when the person last refused or withdrew under this agreement; None also if the person asks.
        form_uses: how often each ``(name, form)`` was answered to this agency in this calendar year.
        granted_agreement_id: of the one permission that the token stands for; None: the token is the client's own.
            ``consent`` is that permission then, or nothing.
    """

    request: AttributeRequest
    scopes: frozenset[str]
    agency: str
    agreement: Agreement | None
    catalogue: Catalogue
    subject: SubjectState | None
    consent: ConsentState | None = None
    last_negative_at: datetime | None = None
    form_uses: Mapping[tuple[str, str], int] = field(default_factory=dict)
    granted_agreement_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """``lines`` may go out. ``left_out``: optional ones that may not. Without a consent it is by law."""

    lines: Lines
    left_out: Lines = ()
    consent_id: UUID | None = None
    consent_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsConsent:
    """The person must be asked for ``lines``. Not ``answerable``: nobody is there to answer, and no caller can tell."""

    lines: Lines
    answerable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """No. ``lines``: the ones at fault, where it is about some of them."""

    reason: DenyReason
    lines: Lines = ()


Decision = Permit | NeedsConsent | Deny


def decide(question: Question, now: datetime) -> Decision:
    """Decide, by the steps in the module's docstring.

    Args:
        question: what is asked and what is known.
        now: aware UTC; the one clock reading of the use case.
    """
    lines = question.request.attributes
    # Steps 1 to 6.
    fault = _fault_of_the_caller(question, now)
    if fault is not None:
        return fault
    agreement = question.agreement
    assert agreement is not None  # step 5 has refused the lack of one; this tells the type checker
    # Step 7. Before any other look at the person, and the same whatever the lines are.
    subject = question.subject
    if subject is None or subject.status not in _SERVED:
        if not agreement.legal_basis.asks_subject or question.granted_agreement_id is not None:
            # By law nobody is asked, so nobody can be silent: the one coarse answer. Who gave a permission is known.
            return Deny(reason=DenyReason.NOT_SERVED)
        return NeedsConsent(lines=lines, answerable=False)
    # Step 8.
    consent = None
    if agreement.legal_basis.asks_subject:
        # Step 9.
        standing = _standing_consent(question, agreement, lines, now)
        if not isinstance(standing, ConsentState):
            return standing
        consent = standing
    # Step 10. After the consent: before it, a protected person must look like any other who is asked.
    kept: Lines = lines
    withheld: Lines = ()
    if subject.status is SubjectStatus.PROTECTED:
        kept, withheld = _split(lines, lambda line: not question.catalogue.attribute(line.name).whereabouts)
    if _too_little(kept, withheld):
        return Deny(reason=DenyReason.PROTECTED_ADDRESS, lines=withheld)
    if consent is not None:
        # Step 11.
        granted = consent.scope.keys
        kept, outside = _split(kept, lambda line: (line.name, line.form) in granted)
        if _too_little(kept, outside):
            return Deny(reason=DenyReason.OUTSIDE_CONSENT, lines=outside)
    # Step 12.
    kept, exhausted = _split(kept, lambda line: not _is_exhausted(line, question.form_uses, agreement))
    if _too_little(kept, exhausted):
        return Deny(reason=DenyReason.FORM_LIMIT, lines=exhausted)
    # Step 13.
    permitted = {(line.name, line.form) for line in kept}
    return Permit(
        lines=kept,
        left_out=tuple(line for line in lines if (line.name, line.form) not in permitted),
        consent_id=None if consent is None else consent.id,
        consent_version=None if consent is None else consent.version,
    )


def _split(lines: Lines, may_go: Callable[[RequestedAttribute], bool]) -> tuple[Lines, Lines]:
    """Lines that may go, and those that may not, each in the order of the request."""
    return tuple(line for line in lines if may_go(line)), tuple(line for line in lines if not may_go(line))


def _too_little(kept: Lines, dropped: Lines) -> bool:
    """Whether what is left does not serve the request: nothing, or not all that it requires."""
    return not kept or any(line.required for line in dropped)


def _fault_of_the_caller(question: Question, now: datetime) -> Deny | None:
    request, catalogue = question.request, question.catalogue
    # Step 1.
    if REQUEST_SCOPE not in question.scopes:
        return Deny(reason=DenyReason.MISSING_SCOPE)
    # Step 2.
    misshapen = _fault_of_the_shape(request.attributes)
    if misshapen is not None:
        return misshapen
    # Step 3.
    purpose = catalogue.purposes.get(request.purpose)
    if purpose is None:
        return Deny(reason=DenyReason.UNKNOWN_PURPOSE)
    # Step 4.
    for line in request.attributes:
        reason = _fault_of_the_line(line, catalogue)
        if reason is not None:
            return Deny(reason=reason, lines=(line,))
    # Step 5.
    agreement = question.agreement
    if agreement is None or agreement.code != request.agreement:
        return Deny(reason=DenyReason.UNKNOWN_AGREEMENT)
    if agreement.consumer != question.agency:
        return Deny(reason=DenyReason.AGREEMENT_NOT_YOURS)
    if question.granted_agreement_id not in (None, agreement.id):
        return Deny(reason=DenyReason.OUTSIDE_GRANT)
    if not agreement.is_in_force(now):
        return Deny(reason=DenyReason.AGREEMENT_NOT_IN_FORCE)
    if agreement.purpose != purpose.code:
        return Deny(reason=DenyReason.PURPOSE_OUTSIDE_AGREEMENT)
    if agreement.legal_basis not in purpose.legal_bases:
        return Deny(reason=DenyReason.LEGAL_BASIS_NOT_ADMITTED)
    # Step 6.
    outside = tuple(line for line in request.attributes if (line.name, line.form) not in agreement.keys)
    return Deny(reason=DenyReason.OUTSIDE_AGREEMENT, lines=outside) if outside else None


def _fault_of_the_shape(lines: Lines) -> Deny | None:
    if not lines:
        return Deny(reason=DenyReason.EMPTY_REQUEST)
    seen: set[tuple[str, str]] = set()
    for line in lines:
        if (line.name, line.form) in seen:
            return Deny(reason=DenyReason.DUPLICATE_LINE, lines=(line,))
        seen.add((line.name, line.form))
        if line.form == FormKind.EQUALS and not line.compare_to:
            return Deny(reason=DenyReason.COMPARE_TO_MISSING, lines=(line,))
        if line.form != FormKind.EQUALS and line.compare_to is not None:
            return Deny(reason=DenyReason.COMPARE_TO_UNEXPECTED, lines=(line,))
    return None


def _fault_of_the_line(line: RequestedAttribute, catalogue: Catalogue) -> DenyReason | None:
    attribute = catalogue.attributes.get(line.name)
    if attribute is None:
        return DenyReason.UNKNOWN_ATTRIBUTE
    try:
        form = parse_form(line.form)
    except UnknownAttributeError:
        return DenyReason.UNKNOWN_FORM
    if form.kind is FormKind.EQUALS and not attribute.high_entropy:
        return DenyReason.EQUALS_NOT_ADMITTED
    return None if attribute.admits(form) else DenyReason.UNKNOWN_FORM


def _standing_consent(
    question: Question, agreement: Agreement, lines: Lines, now: datetime
) -> ConsentState | NeedsConsent | Deny:
    """Step 9: the consent in force, or what to do without one."""
    consent = question.consent
    # A permission that has run out by the clock is none, whatever its row still says (invariant 4).
    if consent is not None and now < consent.valid_until and consent.uses_left != 0:
        if consent.status is ConsentStatus.PAUSED:
            return Deny(reason=DenyReason.CONSENT_PAUSED)
        if consent.status is ConsentStatus.GIVEN:
            if now < consent.valid_from or consent.revision > agreement.revision:
                return Deny(reason=DenyReason.CONSENT_NOT_IN_FORCE)
            return consent
    if question.granted_agreement_id is not None:
        # The token lives, so somebody ended the permission since it was read; nobody is asked anew with such a token.
        return Deny(reason=DenyReason.CONSENT_NOT_IN_FORCE)
    negative = question.last_negative_at
    if negative is not None and now < negative + timedelta(days=agreement.cooling_off_days):
        return Deny(reason=DenyReason.COOLING_OFF)
    return NeedsConsent(lines=lines)


def _is_exhausted(line: RequestedAttribute, uses: Mapping[tuple[str, str], int], agreement: Agreement) -> bool:
    return line.form != VALUE_FORM and uses.get((line.name, line.form), 0) >= agreement.form_limit
