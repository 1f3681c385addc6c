"""The one read of the main job: all that a decision stands on, in one statement and one round trip.

Every row repeats the parties, the agreement, the person and the consent, and carries one sealed value with the key
that sealed it. Instants stay integers here: this runs once per request and is measured (docs/benchmarks.md, B2).
Liveness of the token is part of the statement (invariant 13): no row means that nobody who may ask is asking.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    func,
    literal,
    or_,
    select,
    type_coerce,
)

from consent.tables import consent
from exchange.access_store import PARTIES_IN_FORCE, token_in_force
from exchange.prepared import Prepared
from exchange.tables import (
    access_token,
    agency,
    agreement,
    attribute_value,
    catalogue,
    client,
    idempotency,
    pseudonym,
    subject,
    subject_identifier,
    subject_key,
)

PSEUDONYM_SCHEME = "sub"
IN_FORCE = ("GIVEN", "PAUSED")
_TOKENS_CONSENT = consent.alias("tokens_consent")  # the one that the token hangs on, beside the one that is asked for


def _ground(which_agreement: Any, which_subject: Any, width: int) -> Select[Any]:
    """All that a decision stands on, for one agreement and one person, found in different ways."""
    return (
        select(
            access_token.c.jkt,
            _TOKENS_CONSENT.c.agreement_id.label("granted_agreement_id"),
            client.c.id.label("client_id"),
            client.c.agency,
            client.c.jwks,
            client.c.version.label("client_version"),
            agency.c.version.label("agency_version"),
            agreement.c.id.label("agreement_id"),
            agreement.c.version.label("agreement_version"),
            subject.c.ref.label("subject_ref"),
            subject.c.status.label("subject_status"),
            subject.c.version.label("subject_version"),
            consent.c.id.label("consent_id"),
            consent.c.version.label("consent_version"),
            consent.c.status.label("consent_status"),
            consent.c.scope.label("consent_scope"),
            consent.c.uses_left.label("consent_uses_left"),
            consent.c.agreement_revision.label("consent_revision"),
            type_coerce(consent.c.valid_from, BigInteger).label("consent_valid_from"),
            type_coerce(consent.c.valid_until, BigInteger).label("consent_valid_until"),
            pseudonym.c.value.label("known_pseudonym"),
            select(func.max(catalogue.c.version)).scalar_subquery().label("catalogue_version"),
            idempotency.c.request_id.label("earlier_request_id"),
            idempotency.c.body_digest.label("earlier_body_digest"),
            attribute_value.c.attribute,
            attribute_value.c.id.label("value_id"),
            attribute_value.c.provider,
            attribute_value.c.version.label("value_version"),
            attribute_value.c.ct,
            subject_key.c.kid,
            subject_key.c.commitment,
            subject_key.c.epoch,
            subject_key.c.wrapped,
        )
        .select_from(access_token)
        .join(client, client.c.id == access_token.c.client_id)
        .join(agency, agency.c.code == client.c.agency)
        .outerjoin(_TOKENS_CONSENT, _TOKENS_CONSENT.c.id == access_token.c.consent_id)
        .outerjoin(agreement, and_(which_agreement, agreement.c.consumer == client.c.agency))
        .outerjoin(subject, which_subject)
        .outerjoin(
            consent,
            and_(
                consent.c.subject_ref == subject.c.ref,
                consent.c.agreement_id == agreement.c.id,
                consent.c.status.in_([literal(status) for status in IN_FORCE]),
                # A token that stands for one permission uses that one only.
                or_(access_token.c.consent_id.is_(None), consent.c.id == access_token.c.consent_id),
            ),
        )
        .outerjoin(pseudonym, and_(pseudonym.c.subject_ref == subject.c.ref, pseudonym.c.agency == client.c.agency))
        .outerjoin(
            idempotency,
            and_(
                idempotency.c.client_id == client.c.id,
                idempotency.c.key_digest == bindparam("key_digest", type_=LargeBinary),
            ),
        )
        .outerjoin(
            attribute_value,
            and_(
                attribute_value.c.subject_ref == subject.c.ref,
                attribute_value.c.attribute.in_([bindparam(name, type_=String) for name in _attributes(width)]),
            ),
        )
        .outerjoin(
            subject_key,
            and_(
                subject_key.c.subject_ref == attribute_value.c.subject_ref,
                # The kid stands at a fixed place of every sealed field; SQL counts from 1.
                subject_key.c.kid == func.substr(attribute_value.c.ct, 3, 16, type_=LargeBinary),
            ),
        )
        .where(token_in_force(_TOKENS_CONSENT), PARTIES_IN_FORCE)
    )


_BY_CODE = agreement.c.code == bindparam("agreement")
_WAYS: Final = {
    "identifier": (
        _BY_CODE,
        subject.c.ref
        == select(subject_identifier.c.subject_ref)
        .where(subject_identifier.c.bidx == bindparam("bidx", type_=LargeBinary))
        .where(subject_identifier.c.index_version == bindparam("index_version"))
        .scalar_subquery(),
    ),
    "pseudonym": (
        _BY_CODE,
        subject.c.ref
        == select(pseudonym.c.subject_ref)
        .where(pseudonym.c.agency == client.c.agency)
        .where(pseudonym.c.value == bindparam("pseudonym"))
        .correlate(client)
        .scalar_subquery(),
    ),
    "token": (_BY_CODE, subject.c.ref == _TOKENS_CONSENT.c.subject_ref),
    "request": (
        agreement.c.id == bindparam("agreement_id", type_=Uuid),
        subject.c.ref == bindparam("subject_ref", type_=Uuid),
    ),
}


@lru_cache(maxsize=64)
def _statement(way: str, width: int) -> Prepared:
    return Prepared(_ground(*_WAYS[way], width))


def _attributes(width: int) -> list[str]:
    return [f"attribute_{number}" for number in range(width)]


def _read(connection: Connection, way: str, attributes: Sequence[str], values: Mapping[str, Any]) -> Sequence[Any]:
    # A few statements, each for a number of names, serve all requests: what is left over repeats the first name.
    width = 1 << (max(len(attributes), 1) - 1).bit_length()
    filled = (*attributes, *[attributes[0] if attributes else ""] * (width - len(attributes)))
    return _statement(way, width).fetch(connection, {**values, **dict(zip(_attributes(width), filled, strict=True))})


def read_ground_by_identifier(
    connection: Connection,
    *,
    token_digest: bytes,
    now: datetime,
    agreement: str,
    bidx: bytes,
    index_version: int,
    attributes: Sequence[str],
    key_digest: bytes,
) -> Sequence[Any]:
    """Rows of the read; none when the token is unknown."""
    return _read(
        connection,
        "identifier",
        attributes,
        {
            "token_digest": token_digest,
            "token_now": now,
            "agreement": agreement,
            "bidx": bidx,
            "index_version": index_version,
            "key_digest": key_digest,
        },
    )


def read_ground_by_pseudonym(
    connection: Connection,
    *,
    token_digest: bytes,
    now: datetime,
    agreement: str,
    pseudonym: str,
    attributes: Sequence[str],
    key_digest: bytes,
) -> Sequence[Any]:
    """As by identifier, for a person named by the caller's own pairwise pseudonym."""
    return _read(
        connection,
        "pseudonym",
        attributes,
        {
            "token_digest": token_digest,
            "token_now": now,
            "agreement": agreement,
            "pseudonym": pseudonym,
            "key_digest": key_digest,
        },
    )


def read_ground_by_token(
    connection: Connection,
    *,
    token_digest: bytes,
    now: datetime,
    agreement: str,
    attributes: Sequence[str],
    key_digest: bytes,
) -> Sequence[Any]:
    """As by identifier, for the person whose permission the token stands for."""
    return _read(
        connection,
        "token",
        attributes,
        {
            "token_digest": token_digest,
            "token_now": now,
            "agreement": agreement,
            "key_digest": key_digest,
        },
    )


def read_ground_by_request(
    connection: Connection,
    *,
    token_digest: bytes,
    now: datetime,
    agreement_id: UUID,
    subject_ref: UUID,
    attributes: Sequence[str],
) -> Sequence[Any]:
    """As by identifier, for a request that was stored earlier."""
    return _read(
        connection,
        "request",
        attributes,
        {
            "token_digest": token_digest,
            "token_now": now,
            "agreement_id": agreement_id,
            "subject_ref": subject_ref,
            "key_digest": b"",
        },
    )
