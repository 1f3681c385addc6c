"""An agreement as officers write it: from YAML to the canonical body that is approved, and on to a value. No SQL.

What is approved is the SHA-256 of the body, so the body is everything that the agreement says. Days are UTC and begin
at midnight; ``valid_until`` is exclusive.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from consent.model import LegalBasis
from crypto import canonical
from crypto.errors import MalformedError
from exchange.agreement_model import Agreement, AgreementLine, Notice, is_duration
from exchange.catalogue_model import Catalogue
from exchange.documents import Document, DocumentFaultsError, Path_, read_document
from exchange.errors import AgreementError, UnknownAttributeError
from exchange.forms import parse_form
from exchange.model import AgencyCode, AgreementStatus

SCHEMA: Final = "agreement.schema.json"
MAX_BODY: Final = 1_048_576  # bytes
COOLING_OFF_DAYS: Final = 30
FORM_LIMIT: Final = 4


class AgreementRow(Protocol):
    """A row of the table ``agreement``."""

    @property
    def id(self) -> UUID:
        """Agreement id."""

    @property
    def revision(self) -> int:
        """The revision whose body it is."""

    @property
    def version(self) -> int:
        """Bumped by whatever changes what it permits."""

    @property
    def status(self) -> str:
        """An AgreementStatus."""

    @property
    def body(self) -> bytes:
        """Canonical JSON."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the body."""


def parse_agreement(yaml_text: str) -> bytes:
    """Check an agreement's text by itself; what it says about the catalogue is checked when it is proposed.

    Returns:
        Its body: canonical JSON.

    Raises:
        AgreementError: every fault with its place, one per line.
    """
    return body_of(read_agreement(yaml_text))


def read_agreement(yaml_text: str) -> Document:
    """The document, free of faults that show without a catalogue.

    Raises:
        AgreementError: every fault with its place, one per line.
    """
    try:
        document = read_document(yaml_text, SCHEMA)
        _check(document)
        document.refuse_faults()
    except DocumentFaultsError as exc:
        raise AgreementError(f"the agreement is not valid:\n{exc}") from None
    return document


def body_of(document: Document) -> bytes:
    """The canonical body of a document.

    Raises:
        AgreementError: it has a text that cannot be stored.
    """
    try:
        return canonical.encode(document.body)
    except MalformedError as exc:
        raise AgreementError(f"the agreement cannot be stored: {exc}") from exc


def _check(document: Document) -> None:
    body = document.body
    seen: set[tuple[str, str]] = set()
    for index, line in enumerate(body["lines"]):
        key = (line["name"], line["form"])
        if key in seen:
            document.fault(("lines", index), f"{line['name']} stands twice in this form")
        seen.add(key)
        try:
            parse_form(line["form"])
        except UnknownAttributeError as exc:
            document.fault(("lines", index, "form"), str(exc))
    days: dict[str, date] = {}
    for name in ("valid_from", "valid_until"):
        try:
            days[name] = date.fromisoformat(body[name])
        except ValueError:
            document.fault((name,), "the calendar has no such day")
    if len(days) == 2 and days["valid_from"] >= days["valid_until"]:
        document.fault(("valid_until",), "not after valid_from")
    if not is_duration(body["max_duration"]):
        document.fault(("max_duration",), "expected an ISO 8601 duration such as P6M or P30D")
    asks = LegalBasis(body["legal_basis"]).asks_subject
    if not asks and "law" not in body:
        # Nobody is asked, so the people who are told must be able to read by what law.
        document.fault((), "law missing: by which law")
    if asks and "law" in body:
        document.fault(("law",), "with consent no law is named")


def catalogue_faults(agreement: Agreement, catalogue: Catalogue) -> Iterator[tuple[Path_, str]]:
    """Where and how an agreement asks for more than the catalogue admits."""
    purpose = catalogue.purposes.get(agreement.purpose)
    if purpose is None:
        yield ("purpose",), "not in the catalogue"
    else:
        if agreement.legal_basis not in purpose.legal_bases:
            yield ("legal_basis",), f"the purpose {purpose.code} does not admit it"
        if agreement.retention_days > purpose.retention_days:
            yield ("retention_days",), f"the purpose {purpose.code} admits at most {purpose.retention_days}"
    for index, line in enumerate(agreement.lines):
        attribute = catalogue.attributes.get(line.name)
        if attribute is None:
            yield ("lines", index, "name"), f"{line.name} is not in the catalogue"
            continue
        if not attribute.admits(parse_form(line.form)):
            yield ("lines", index, "form"), f"{line.name} is not to be had in this form"
        classification = catalogue.classifications[attribute.classification]
        if classification.explicit_consent and agreement.legal_basis is LegalBasis.CONSENT:
            yield ("lines", index, "name"), f"{line.name} needs explicit_consent: it is {classification.code}"


def agreement_from_body(
    body: bytes,
    *,
    agreement_id: UUID,
    revision: int,
    version: int,
    status: AgreementStatus,
) -> Agreement:
    """The value of a body that ``parse_agreement`` made.

    Raises:
        AgreementError: it did not.
    """
    try:
        content = canonical.decode(body, max_bytes=MAX_BODY)
        return Agreement(
            id=agreement_id,
            code=content["code"],
            consumer=AgencyCode(content["consumer"]),
            purpose=content["purpose"],
            legal_basis=LegalBasis(content["legal_basis"]),
            law=content.get("law"),
            lines=tuple(AgreementLine(**line) for line in content["lines"]),
            revision=revision,
            version=version,
            status=status,
            valid_from=_midnight(content["valid_from"]),
            valid_until=_midnight(content["valid_until"]),
            max_duration=content["max_duration"],
            max_uses=content.get("max_uses"),
            retention_days=content["retention_days"],
            cooling_off_days=content.get("cooling_off_days", COOLING_OFF_DAYS),
            form_limit=content.get("form_limit", FORM_LIMIT),
            notice=_notice(content["notice"]),
            digest=hashlib.sha256(body).hexdigest(),
        )
    except (MalformedError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise AgreementError(f"the stored agreement {agreement_id}, revision {revision}, is damaged") from exc


def agreement_from_row(row: AgreementRow) -> Agreement:
    """The agreement of a row of the table.

    Raises:
        AgreementError: the body is not the one that was approved.
    """
    agreement = agreement_from_body(
        row.body, agreement_id=row.id, revision=row.revision, version=row.version, status=AgreementStatus(row.status)
    )
    if agreement.digest != row.digest:
        raise AgreementError(f"the stored agreement {row.id} is not what its digest says")
    return agreement


def _notice(content: dict[str, Any]) -> Notice:
    return Notice(
        version=content["version"],
        texts=MappingProxyType(
            {language: MappingProxyType(dict(texts)) for language, texts in content["texts"].items()}
        ),
    )


def _midnight(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
