"""A small catalogue, an agreement and a question that is permitted; each test changes what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from consent.model import ConsentStatus, LegalBasis
from consent.scope import AttributeScope, ScopedAttribute
from exchange.agreement_model import Agreement, AgreementLine, Notice
from exchange.catalogue_model import Attribute, Catalogue, Classification, Purpose
from exchange.model import AgreementStatus, AttributeRequest, RequestedAttribute, SubjectName, SubjectStatus
from exchange.policy import ConsentState, Question, SubjectState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CONSENT = UUID("018f0000-0000-7000-8000-00000000c0de")
AGREEMENT = UUID("018f0000-0000-7000-8000-00000000a9ee")


def an_attribute(name="income", **changes):
    given = {
        "label": name,
        "description": name,
        "type": "integer",
        "classification": "personal",
        "provider": "register",
        "forms": frozenset({"value", "exists", "at_least", "in_range"}),
    }
    return Attribute(name=name, **{**given, **changes})


ATTRIBUTES = (
    an_attribute("income"),
    an_attribute("born", type="date", forms=frozenset({"value", "at_least", "partial:year"})),
    an_attribute("address", type="string", forms=frozenset({"value", "partial:city"}), whereabouts=True),
    an_attribute("passport", type="string", forms=frozenset({"equals", "partial:last4"}), high_entropy=True),
    # As if it had been loaded before the rule that equals needs high entropy.
    an_attribute("nickname", type="string", forms=frozenset({"value", "equals"})),
)

CATALOGUE = Catalogue(
    version=1,
    digest="0" * 64,
    attributes=MappingProxyType({attribute.name: attribute for attribute in ATTRIBUTES}),
    purposes=MappingProxyType(
        {
            code: Purpose(
                code=code,
                label=code,
                description=code,
                dpv="https://w3id.org/dpv#ServiceAccessDetermination",
                legal_bases=frozenset({LegalBasis.CONSENT, LegalBasis.PUBLIC_TASK}),
                retention_days=100,
            )
            for code in ("housing", "parking")
        }
    ),
    classifications=MappingProxyType({"personal": Classification(code="personal", label="Personal", rank=1)}),
)

LINES = (
    ("income", "value"),
    ("income", "at_least:30000"),
    ("born", "at_least:18"),
    ("born", "partial:year"),
    ("address", "value"),
    ("address", "partial:city"),
    ("passport", "equals"),
)


def an_agreement(**changes):
    given = {
        "id": AGREEMENT,
        "code": "housing-1",
        "consumer": "housing-office",
        "purpose": "housing",
        "legal_basis": LegalBasis.CONSENT,
        "lines": tuple(AgreementLine(name=name, form=form, required=True) for name, form in LINES),
        "revision": 2,
        "version": 3,
        "status": AgreementStatus.IN_FORCE,
        "valid_from": NOW - timedelta(days=100),
        "valid_until": NOW + timedelta(days=100),
        "max_duration": "P6M",
        "max_uses": None,
        "retention_days": 30,
        "cooling_off_days": 30,
        "form_limit": 4,
        "notice": Notice(version="1", texts={}),
        "digest": "0" * 64,
    }
    return Agreement(**{**given, **changes})


def a_line(name="income", form="at_least:30000", **changes):
    return RequestedAttribute(name=name, form=form, **changes)


def a_scope(*keys):
    return AttributeScope.of(ScopedAttribute(name=name, form=form) for name, form in keys)


def a_consent(**changes):
    given = {
        "id": CONSENT,
        "version": 2,
        "status": ConsentStatus.GIVEN,
        "scope": a_scope(*LINES),
        "valid_from": NOW - timedelta(days=10),
        "valid_until": NOW + timedelta(days=10),
        "uses_left": None,
        "revision": 2,
    }
    return ConsentState(**{**given, **changes})


def a_request(*lines, **changes):
    given = {
        "subject": SubjectName(scheme="national", id="1"),
        "agreement": "housing-1",
        "purpose": "housing",
        "attributes": lines or (a_line(),),
        "acting_officer": "officer-7",
        "officer_role": "clerk",
        "case_reference": "case-9",
    }
    return AttributeRequest(**{**given, **changes})


def a_question(*lines, request=None, **changes):
    given = {
        "request": request or a_request(*lines),
        "scopes": frozenset({"attributes:request"}),
        "agency": "housing-office",
        "agreement": an_agreement(),
        "catalogue": CATALOGUE,
        "subject": SubjectState(status=SubjectStatus.ACTIVE),
        "consent": a_consent(),
    }
    return Question(**{**given, **changes})


def with_attribute(catalogue, attribute):
    return replace(catalogue, attributes=MappingProxyType({**catalogue.attributes, attribute.name: attribute}))
