"""What a person is shown before deciding upon a pushed request. Reading only, and nothing of the person is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from consent import store as consent_store
from exchange import access, citizen_store
from exchange.agreements import find_agreement
from exchange.authorization.deciding import terms_of
from exchange.authorization.pushing import not_admitted, opened
from exchange.authorization.store import find_waiting
from exchange.errors import AgreementNotInForceError, UnknownRequestError
from exchange.model import Citizen

if TYPE_CHECKING:
    from exchange.context import Exchange


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFact:
    """One line, in words that a person reads."""

    name: str
    form: str
    required: bool
    label: str
    description: str
    holder: str  # name of the agency that holds it
    special: bool  # specially protected (GDPR art. 9)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedPermission:
    """Everything that a person needs to know to decide. ``notice``: language → texts of the agreement."""

    request_id: UUID
    agency_name: str
    purpose_label: str
    purpose_description: str
    facts: tuple[AskedFact, ...]
    message: str | None = field(repr=False)
    notice_version: str
    notice: Mapping[str, Mapping[str, str]]
    valid_until: datetime
    uses: int | None
    retention_days: int
    replaces: bool  # a permission under the same agreement would end
    decide_until: datetime
    redirect_uri: str


def asked_permission(exchange: "Exchange", citizen: Citizen, request_id: UUID, now: datetime) -> AskedPermission:
    """The question behind a pushed request.

    Raises:
        AccessRefusedError: the session has ended.
        UnknownRequestError: nothing waits for a decision there.
        AgreementNotInForceError: the agreement no longer admits it.
    """
    access.admit_citizen(exchange, citizen, now)
    with exchange.database.read() as connection:
        row = find_waiting(connection, now, request_id=request_id)
        if row is None:
            raise UnknownRequestError("this request waits for no decision")
        question = opened(exchange, connection, row)
        permission = question.request.permission
        client = access.client_for_authentication(connection, question.client_id)
        agreement = find_agreement(connection, permission.agreement)
        if client is None or not_admitted(exchange, connection, client, permission, agreement, now) is not None:
            raise AgreementNotInForceError(f"agreement {agreement.code} no longer admits this")
        catalogue = exchange.catalogue(connection)
        names = {agency.code: agency.name for agency in citizen_store.agencies(connection)}
        standing = consent_store.find_in_force(connection, subject_ref=citizen.subject_ref, agreement_id=agreement.id)
    facts = []
    for line in permission.lines:
        attribute = catalogue.attribute(line.name)
        facts.append(
            AskedFact(
                name=line.name,
                form=line.form,
                required=line.required,
                label=attribute.label,
                description=attribute.description,
                holder=names.get(attribute.provider, attribute.provider),
                special=catalogue.classifications[attribute.classification].explicit_consent,
            )
        )
    purpose = catalogue.purpose(permission.purpose)
    language = next(iter(agreement.notice.texts))
    terms = terms_of(permission, agreement, citizen.subject_ref, language=language, now=now)
    return AskedPermission(
        request_id=request_id,
        agency_name=question.agency_name,
        purpose_label=purpose.label,
        purpose_description=purpose.description,
        facts=tuple(facts),
        message=permission.message,
        notice_version=agreement.notice.version,
        notice=agreement.notice.texts,
        valid_until=terms.valid_until,
        uses=terms.uses,
        retention_days=agreement.retention_days,
        replaces=standing is not None and now < standing.valid_until,
        decide_until=question.decide_until,
        redirect_uri=question.request.redirect_uri,
    )
