"""The writes of the main job, prepared once (``exchange.prepared``), and the few reads around them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Integer, Row, String, Uuid, bindparam, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from consent.store import TAKE_USE
from consent.tables import consent
from exchange.access_store import PARTIES_IN_FORCE, TAKE_SINGLE_USE, token_in_force
from exchange.model import Caller
from exchange.prepared import Prepared
from exchange.tables import (
    access_token,
    agency,
    agreement,
    attribute_request,
    client,
    disclosure,
    form_use,
    idempotency,
    pseudonym,
    subject,
    subject_key,
)

_TOKENS_CONSENT = consent.alias("tokens_consent")

HOLD_GROUND = Prepared(
    select(subject.c.version)
    .select_from(client)
    .join(agency, agency.c.code == client.c.agency)
    .join(agreement, agreement.c.id == bindparam("agreement_id", type_=Uuid))
    .join(subject, subject.c.ref == bindparam("subject_ref", type_=Uuid))
    .join(access_token, access_token.c.client_id == client.c.id)
    .outerjoin(_TOKENS_CONSENT, _TOKENS_CONSENT.c.id == access_token.c.consent_id)
    .where(
        client.c.id == bindparam("the_client", type_=String),
        client.c.version == bindparam("client_version", type_=Integer),
        agency.c.version == bindparam("agency_version", type_=Integer),
        agreement.c.version == bindparam("agreement_version", type_=Integer),
        subject.c.version == bindparam("subject_version", type_=Integer),
        token_in_force(_TOKENS_CONSENT),
        PARTIES_IN_FORCE,
    )
    .with_for_update(read=True, of=(subject, client, agency, agreement, access_token))
)
"""Share-lock subject, client, agency, agreement and token until commit, if they are still what was decided upon.

Whatever ends a permission updates one of these rows (or the consent's), so it waits for us, or we find no row here.
"""
TAKE_PROOF = Prepared(TAKE_SINGLE_USE, columns=("digest", "expires_at"))
TAKE_CONSENT_USE = Prepared(TAKE_USE)
_IDEMPOTENCY_COLUMNS = ("client_id", "key_digest", "body_digest", "request_id", "created_at")
_BOUND_TO = ["client_id", "key_digest"]
TAKE_KEY = Prepared(
    {
        "sqlite": sqlite_insert(idempotency).on_conflict_do_nothing(index_elements=_BOUND_TO),
        "postgresql": postgresql_insert(idempotency).on_conflict_do_nothing(index_elements=_BOUND_TO),
    },
    columns=_IDEMPOTENCY_COLUMNS,
)
"""Bind an idempotency key to a request; nothing written: it is bound already (invariant 9: one atomic insert)."""
KEEP_PSEUDONYM = Prepared(
    {
        "sqlite": sqlite_insert(pseudonym).on_conflict_do_nothing(),
        "postgresql": postgresql_insert(pseudonym).on_conflict_do_nothing(),
    },
    columns=("agency", "value", "subject_ref"),
)
"""Remember a pseudonym that goes out, so that the agency can name the person by it."""
INSERT_REQUEST = Prepared(insert(attribute_request), columns=attribute_request.c.keys())
INSERT_DISCLOSURE = Prepared(
    insert(disclosure), columns=[column.name for column in disclosure.c if column.name != "acknowledged_at"]
)
"""The unique request id makes a second disclosure of the same request impossible."""


def _count_form_use(make: Any) -> Any:
    statement = make(form_use)
    return statement.on_conflict_do_update(
        index_elements=["subject_ref", "agency", "attribute", "form", "period"],
        set_={"uses": form_use.c.uses + 1},
        where=form_use.c.uses < bindparam("at_most", type_=Integer),
    )


COUNT_FORM_USE = Prepared(
    {"sqlite": _count_form_use(sqlite_insert), "postgresql": _count_form_use(postgresql_insert)},
    columns=form_use.c.keys(),
)
"""Count one answer in a weaker form; nothing written: the limit of the period is reached (decision 16)."""


def form_uses(connection: Connection, *, subject_ref: UUID, agency: str, period: str) -> dict[tuple[str, str], int]:
    """How often each weaker form was answered to this agency in the period."""
    rows = connection.execute(
        select(form_use.c.attribute, form_use.c.form, form_use.c.uses)
        .where(form_use.c.subject_ref == subject_ref)
        .where(form_use.c.agency == agency)
        .where(form_use.c.period == period)
    )
    return {(row.attribute, row.form): row.uses for row in rows}


def find_request(connection: Connection, request_id: UUID, *, caller: Caller | None = None, lock: bool = False) -> Any:
    """A request's row or None; only this caller's, when one is given (a non-party sees nothing, invariant 6).

    A caller whose token stands for one permission sees the requests under that permission, and no others.
    """
    statement = select(*attribute_request.c).where(attribute_request.c.id == request_id)
    if caller is not None:
        granted = (
            select(access_token.c.consent_id).where(access_token.c.digest == caller.token_digest).scalar_subquery()
        )
        statement = statement.where(
            attribute_request.c.client_id == caller.client_id,
            or_(granted.is_(None), attribute_request.c.consent_id == granted),
        )
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


_HOLD_PERSON = (
    select(subject.c.ref).where(subject.c.ref == bindparam("subject_ref", type_=Uuid)).with_for_update(read=True)
)


def hold_person(connection: Connection, subject_ref: UUID) -> bool:
    """Share-lock a person until commit; False when there is no key (any more) to seal anything for them."""
    held = connection.execute(_HOLD_PERSON, {"subject_ref": subject_ref}).first() is not None
    return held and subject_has_key(connection, subject_ref)


def subject_has_key(connection: Connection, subject_ref: UUID) -> bool:
    """Whether facts about this person can (still) be sealed for them."""
    return (
        connection.execute(select(subject_key.c.kid).where(subject_key.c.subject_ref == subject_ref).limit(1)).first()
        is not None
    )
