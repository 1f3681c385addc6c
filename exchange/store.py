"""The statements of the main job: one read that gathers all a decision stands on, and the writes of a release.

The read is one statement and one round trip: every row repeats the parties, the agreement, the person and the
consent, and carries one sealed value with the key that sealed it. Instants stay integers here: this runs once per
request and is measured (docs/benchmarks.md, B2). Plain statements, made once; no ORM.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Connection,
    LargeBinary,
    Row,
    Select,
    String,
    Uuid,
    and_,
    bindparam,
    func,
    insert,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from consent.tables import consent
from exchange.tables import (
    access_token,
    agency,
    agreement,
    attribute_request,
    attribute_value,
    catalogue,
    client,
    disclosure,
    form_use,
    idempotency,
    pseudonym,
    subject,
    subject_identifier,
    subject_key,
)

PSEUDONYM_SCHEME = "sub"
IN_FORCE = ("GIVEN", "PAUSED")


def _ground(which_agreement: Any, which_subject: Any) -> Select[Any]:
    """All that a decision stands on, for one agreement and one person, found in different ways."""
    return (
        select(
            access_token.c.status.label("token_state"),
            type_coerce(access_token.c.expires_at, BigInteger).label("token_expires_at"),
            client.c.id.label("client_id"),
            client.c.agency,
            client.c.jwks,
            client.c.status.label("client_status"),
            client.c.version.label("client_version"),
            agency.c.status.label("agency_status"),
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
        .outerjoin(agreement, and_(which_agreement, agreement.c.consumer == client.c.agency))
        .outerjoin(subject, which_subject)
        .outerjoin(
            consent,
            and_(
                consent.c.subject_ref == subject.c.ref,
                consent.c.agreement_id == agreement.c.id,
                consent.c.status.in_(IN_FORCE),
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
                attribute_value.c.attribute.in_(bindparam("attributes", expanding=True, type_=String)),
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
        .where(access_token.c.digest == bindparam("token_digest", type_=LargeBinary))
    )


_BY_IDENTIFIER = _ground(
    agreement.c.code == bindparam("agreement"),
    subject.c.ref
    == select(subject_identifier.c.subject_ref)
    .where(subject_identifier.c.bidx == bindparam("bidx", type_=LargeBinary))
    .where(subject_identifier.c.index_version == bindparam("index_version"))
    .scalar_subquery(),
)
_BY_PSEUDONYM = _ground(
    agreement.c.code == bindparam("agreement"),
    subject.c.ref
    == select(pseudonym.c.subject_ref)
    .where(pseudonym.c.agency == client.c.agency)
    .where(pseudonym.c.value == bindparam("pseudonym"))
    .correlate(client)
    .scalar_subquery(),
)
_BY_REQUEST = _ground(
    agreement.c.id == bindparam("agreement_id", type_=Uuid),
    subject.c.ref == bindparam("subject_ref", type_=Uuid),
)


def read_ground_by_identifier(
    connection: Connection,
    *,
    token_digest: bytes,
    agreement: str,
    bidx: bytes,
    index_version: int,
    attributes: Sequence[str],
    key_digest: bytes,
) -> Sequence[Row[Any]]:
    """Rows of the read; none when the token is unknown."""
    return connection.execute(
        _BY_IDENTIFIER,
        {
            "token_digest": token_digest,
            "agreement": agreement,
            "bidx": bidx,
            "index_version": index_version,
            "attributes": attributes,
            "key_digest": key_digest,
        },
    ).all()


def read_ground_by_pseudonym(
    connection: Connection,
    *,
    token_digest: bytes,
    agreement: str,
    pseudonym: str,
    attributes: Sequence[str],
    key_digest: bytes,
) -> Sequence[Row[Any]]:
    """As by identifier, for a person named by the caller's own pairwise pseudonym."""
    return connection.execute(
        _BY_PSEUDONYM,
        {
            "token_digest": token_digest,
            "agreement": agreement,
            "pseudonym": pseudonym,
            "attributes": attributes,
            "key_digest": key_digest,
        },
    ).all()


def read_ground_by_request(
    connection: Connection,
    *,
    token_digest: bytes,
    agreement_id: UUID,
    subject_ref: UUID,
    attributes: Sequence[str],
) -> Sequence[Row[Any]]:
    """As by identifier, for a request that was stored earlier."""
    return connection.execute(
        _BY_REQUEST,
        {
            "token_digest": token_digest,
            "agreement_id": agreement_id,
            "subject_ref": subject_ref,
            "attributes": attributes,
            "key_digest": b"",
        },
    ).all()


_LOCK_PARTIES = (
    select(
        subject.c.status.label("subject_status"),
        subject.c.version.label("subject_version"),
        client.c.status.label("client_status"),
        client.c.version.label("client_version"),
        agency.c.status.label("agency_status"),
        agency.c.version.label("agency_version"),
        agreement.c.version.label("agreement_version"),
        access_token.c.status.label("token_state"),
    )
    .select_from(client)
    .join(agency, agency.c.code == client.c.agency)
    .join(agreement, agreement.c.id == bindparam("agreement_id", type_=Uuid))
    .join(subject, subject.c.ref == bindparam("subject_ref", type_=Uuid))
    .join(access_token, access_token.c.digest == bindparam("token_digest", type_=LargeBinary))
    .where(client.c.id == bindparam("client_id"))
    .with_for_update(read=True)
)


def lock_parties(
    connection: Connection, *, subject_ref: UUID, client_id: str, agreement_id: UUID, token_digest: bytes
) -> Row[Any] | None:
    """Share-lock subject, client, agency, agreement and token until commit, and read what they are now.

    Whatever ends a permission updates one of these rows (or the consent's), so it waits for us, or we see its effect.
    """
    return connection.execute(
        _LOCK_PARTIES,
        {
            "subject_ref": subject_ref,
            "client_id": client_id,
            "agreement_id": agreement_id,
            "token_digest": token_digest,
        },
    ).one_or_none()


_INSERT_REQUEST = insert(attribute_request)
_INSERT_DISCLOSURE = insert(disclosure)


def insert_request(connection: Connection, row: dict[str, Any]) -> None:
    """Store a request."""
    connection.execute(_INSERT_REQUEST, row)


def insert_disclosure(connection: Connection, row: dict[str, Any]) -> None:
    """Store a disclosure. The unique request id makes a second one of the same request impossible."""
    connection.execute(_INSERT_DISCLOSURE, row)


_IDEMPOTENT_COLUMNS = ("client_id", "key_digest")
_TAKE_KEY = {
    "sqlite": sqlite_insert(idempotency)
    .on_conflict_do_nothing(index_elements=_IDEMPOTENT_COLUMNS)
    .execution_options(preserve_rowcount=True),
    "postgresql": postgresql_insert(idempotency)
    .on_conflict_do_nothing(index_elements=_IDEMPOTENT_COLUMNS)
    .execution_options(preserve_rowcount=True),
}
_KEEP_PSEUDONYM = {
    "sqlite": sqlite_insert(pseudonym).on_conflict_do_nothing(),
    "postgresql": postgresql_insert(pseudonym).on_conflict_do_nothing(),
}


def take_idempotency_key(connection: Connection, row: dict[str, Any]) -> bool:
    """Bind the key to this request; False when it is bound already (invariant 9: one atomic insert)."""
    return connection.execute(_TAKE_KEY[connection.dialect.name], row).rowcount == 1


def keep_pseudonym(connection: Connection, *, agency: str, value: str, subject_ref: UUID) -> None:
    """Remember a pseudonym that goes out, so that the agency can name the person by it."""
    connection.execute(
        _KEEP_PSEUDONYM[connection.dialect.name], {"agency": agency, "value": value, "subject_ref": subject_ref}
    )


def count_form_use(
    connection: Connection, *, subject_ref: UUID, agency: str, attribute: str, form: str, period: str, limit: int
) -> bool:
    """Count one answer in a weaker form; False when the limit of the period is reached (decision 16)."""
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(form_use).values(
        subject_ref=subject_ref, agency=agency, attribute=attribute, form=form, period=period, uses=1
    )
    statement = statement.on_conflict_do_update(
        index_elements=["subject_ref", "agency", "attribute", "form", "period"],
        set_={"uses": form_use.c.uses + 1},
        where=form_use.c.uses < limit,
    ).execution_options(preserve_rowcount=True)
    return connection.execute(statement).rowcount == 1


def form_uses(connection: Connection, *, subject_ref: UUID, agency: str, period: str) -> dict[tuple[str, str], int]:
    """How often each weaker form was answered to this agency in the period."""
    rows = connection.execute(
        select(form_use.c.attribute, form_use.c.form, form_use.c.uses)
        .where(form_use.c.subject_ref == subject_ref)
        .where(form_use.c.agency == agency)
        .where(form_use.c.period == period)
    )
    return {(row.attribute, row.form): row.uses for row in rows}


def find_request(connection: Connection, request_id: UUID, *, client_id: str | None = None, lock: bool = False) -> Any:
    """A request's row or None; only this client's, when one is given (a non-party sees nothing, invariant 6)."""
    statement = select(*attribute_request.c).where(attribute_request.c.id == request_id)
    if client_id is not None:
        statement = statement.where(attribute_request.c.client_id == client_id)
    if lock:
        statement = statement.with_for_update()
    return connection.execute(statement).one_or_none()


def settle_request(
    connection: Connection, request_id: UUID, *, status: str, expected: Sequence[str], values: dict[str, Any]
) -> bool:
    """Move a request on if it still stands where it stood (compare-and-swap)."""
    statement = (
        update(attribute_request)
        .where(attribute_request.c.id == request_id)
        .where(attribute_request.c.status.in_(expected))
        .values(status=status, **values)
    )
    return connection.execute(statement).rowcount == 1


def find_disclosure(connection: Connection, request_id: UUID) -> Row[Any] | None:
    """The disclosure of a request."""
    return connection.execute(select(*disclosure.c).where(disclosure.c.request_id == request_id)).one_or_none()


def newest_disclosure_under(connection: Connection, consent_id: UUID) -> UUID | None:
    """The id of the last disclosure that used a consent."""
    return connection.execute(
        select(disclosure.c.id)
        .where(disclosure.c.consent_id == consent_id)
        .order_by(disclosure.c.at.desc(), disclosure.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()


def acknowledge_disclosure(connection: Connection, disclosure_id: UUID, at: Any) -> bool:
    """Note that the agency holds the answer; False when it was noted before."""
    statement = (
        update(disclosure)
        .where(disclosure.c.id == disclosure_id)
        .where(disclosure.c.acknowledged_at.is_(None))
        .values(acknowledged_at=at)
    )
    return connection.execute(statement).rowcount == 1


def consent_status(connection: Connection, consent_id: UUID) -> Row[*tuple[Any, ...]] | None:
    """Status, version and window of a consent."""
    return connection.execute(
        select(consent.c.status, consent.c.version, consent.c.valid_until).where(consent.c.id == consent_id)
    ).one_or_none()


def subject_has_key(connection: Connection, subject_ref: UUID) -> bool:
    """Whether facts about this person can (still) be sealed for them."""
    return (
        connection.execute(select(subject_key.c.kid).where(subject_key.c.subject_ref == subject_ref).limit(1)).first()
        is not None
    )
