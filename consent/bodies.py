"""How the values of the ledger are spelled in an event's body. Pure: Python values to JSON values and back.

Reading may raise KeyError, TypeError, ValueError, AttributeError or OverflowError: ``consent.events`` turns each into
``MalformedError``, and encodes again what was read, so that an unknown member or a second spelling is refused there.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from consent.instants import from_millis, to_millis
from consent.model import Actor, ActorKind, ConsentTerms, LegalBasis, Manner, Method, PaperRecord
from consent.scope import AttributeScope, ScopedAttribute


def integer(value: Any) -> int:
    """An integer, and no boolean."""
    if type(value) is not int:
        raise TypeError("expected an integer")
    return value


def text(value: Any) -> str:
    """A string."""
    if type(value) is not str:
        raise TypeError("expected a string")
    return value


def instant(value: Any) -> datetime:
    """A moment from its milliseconds."""
    return from_millis(integer(value))


def actor_to_json(actor: Actor) -> dict[str, Any]:
    """``{kind, ref, [mandate]}``."""
    return _present(kind=actor.kind, ref=actor.ref, mandate=actor.mandate)


def actor_from_json(value: Any) -> Actor:
    """Inverse of ``actor_to_json``."""
    return Actor(kind=ActorKind(value["kind"]), ref=text(value["ref"]), mandate=value.get("mandate"))


def scope_to_json(scope: AttributeScope) -> list[dict[str, Any]]:
    """``[{form, name, required}]`` by name and form."""
    return [{"form": one.form, "name": one.name, "required": one.required} for one in scope]


def scope_from_json(value: Any) -> AttributeScope:
    """Inverse of ``scope_to_json``."""
    return AttributeScope.of(_attribute(one) for one in value)


def _attribute(value: Any) -> ScopedAttribute:
    if type(value["required"]) is not bool:
        raise TypeError("expected a boolean")
    return ScopedAttribute(name=text(value["name"]), form=text(value["form"]), required=value["required"])


def terms_to_json(terms: ConsentTerms) -> dict[str, Any]:
    """All members of the terms by their names; ``uses`` is absent when any number is allowed."""
    return _present(
        subject_ref=str(terms.subject_ref),
        agreement_id=str(terms.agreement_id),
        agreement_revision=terms.agreement_revision,
        consumer=terms.consumer,
        purpose=terms.purpose,
        scope=scope_to_json(terms.scope),
        valid_from=to_millis(terms.valid_from),
        valid_until=to_millis(terms.valid_until),
        uses=terms.uses,
        notice_version=terms.notice_version,
        language=terms.language,
        legal_basis=terms.legal_basis,
    )


def terms_from_json(value: Any) -> ConsentTerms:
    """Inverse of ``terms_to_json``."""
    return ConsentTerms(
        subject_ref=UUID(value["subject_ref"]),
        agreement_id=UUID(value["agreement_id"]),
        agreement_revision=integer(value["agreement_revision"]),
        consumer=text(value["consumer"]),
        purpose=text(value["purpose"]),
        scope=scope_from_json(value["scope"]),
        valid_from=instant(value["valid_from"]),
        valid_until=instant(value["valid_until"]),
        uses=integer(value["uses"]) if "uses" in value else None,
        notice_version=text(value["notice_version"]),
        language=text(value["language"]),
        legal_basis=LegalBasis(value["legal_basis"]),
    )


def manner_to_json(manner: Manner) -> dict[str, Any]:
    """``{method, [language], [notice_version], [paper: {clerk, scan_sha256, second}]}``."""
    paper = manner.paper
    return _present(
        method=manner.method,
        language=manner.language,
        notice_version=manner.notice_version,
        paper=paper and {"clerk": paper.clerk, "second": paper.second, "scan_sha256": paper.scan_sha256},
    )


def manner_from_json(value: Any) -> Manner:
    """Inverse of ``manner_to_json``."""
    return Manner(
        method=Method(value["method"]),
        language=value.get("language"),
        notice_version=value.get("notice_version"),
        paper=_paper(value["paper"]) if "paper" in value else None,
    )


def _paper(value: Any) -> PaperRecord:
    return PaperRecord(clerk=value["clerk"], second=value["second"], scan_sha256=value["scan_sha256"])


def _present(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
