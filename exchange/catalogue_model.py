"""What can be asked for at all: attributes, purposes and classifications, as values. Pure: no I/O, no SQL.

How a catalogue is read from its file, checked and stored stands in ``exchange.catalogue``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

from consent.model import LegalBasis
from exchange.errors import UnknownAttributeError, UnknownPurposeError
from exchange.forms import Form, FormKind
from exchange.model import AgencyCode

ClassificationCode = NewType("ClassificationCode", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """How sensitive. ``rank``: 0 is public. ``explicit_consent``: a consent to it must be explicit (GDPR art. 9)."""

    code: ClassificationCode
    label: str
    rank: int
    explicit_consent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One fact that an agency holds about people.

    Attributes:
        type: ``string``, ``integer``, ``date``, ``boolean``, ``code`` or ``money``.
        provider: the agency that holds it.
        freshness_days: how old a value may be, in days; None: it does not age.
        forms: admitted kinds, parts of ``partial`` one by one.
        high_entropy: too many possible values to guess, so ``equals`` betrays nothing.
        live: fetched from the provider at each request instead of from the vault.
        dpv: term of a personal data category, if there is one.
        whereabouts: tells where the person can be found: never disclosed of a protected person (decision 18).
    """

    name: str
    label: str
    description: str
    type: str
    classification: ClassificationCode
    provider: AgencyCode
    freshness_days: int | None = None
    forms: frozenset[str]
    high_entropy: bool = False
    live: bool = False
    dpv: str | None = None
    whereabouts: bool = False

    def admits(self, form: Form) -> bool:
        """Whether the catalogue allows to ask for this form (decision 16 for ``equals``)."""
        if form.kind is FormKind.EQUALS and not self.high_entropy:
            return False
        return form.admission in self.forms


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What data may be asked for. ``dpv``: IRI of the term; ``retention_days``: the longest a receiver may keep it."""

    code: str
    label: str
    description: str
    dpv: str
    legal_bases: frozenset[LegalBasis]
    retention_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """One version of the catalogue. ``digest`` is the SHA-256 (hex) of its stored body."""

    version: int
    digest: str
    attributes: Mapping[str, Attribute]
    purposes: Mapping[str, Purpose]
    classifications: Mapping[str, Classification]

    def attribute(self, name: str) -> Attribute:
        """The attribute of that name.

        Raises:
            UnknownAttributeError: there is none.
        """
        found = self.attributes.get(name)
        if found is None:
            raise UnknownAttributeError(f"the catalogue (version {self.version}) has no such attribute")
        return found

    def purpose(self, code: str) -> Purpose:
        """The purpose of that code.

        Raises:
            UnknownPurposeError: there is none.
        """
        found = self.purposes.get(code)
        if found is None:
            raise UnknownPurposeError(f"the catalogue (version {self.version}) has no such purpose")
        return found
