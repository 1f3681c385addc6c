"""Rows of access: clients, issued tokens, and values that are good once. The only SQL of ``exchange.access``.

``LIVE_TOKEN`` and ``LIVE_CITIZEN_TOKEN`` are the one place that says when a token is live (invariant 13). They are
plain Core selects: another statement may add columns to them, lock their rows, or use them as a subquery.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Insert,
    Row,
    and_,
    bindparam,
    delete,
    insert,
    not_,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from consent.tables import consent
from exchange.model import Status, SubjectStatus
from exchange.tables import (
    access_token,
    agency,
    authorization_request,
    client,
    idempotency,
    refresh_token,
    single_use,
    subject,
)

CODE_KEPT = timedelta(hours=1)
"""How long a pushed request and its code stay after the time to decide: a code that comes again must be recognised."""


class TokenStatus(StrEnum):
    """Of an issued token, by itself."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"


_digest = bindparam("token_digest", type_=access_token.c.digest.type)
_now = bindparam("token_now", type_=access_token.c.expires_at.type)


def token_in_force(its_consent: FromClause) -> ColumnElement[bool]:
    """Whether the row of the token ``token_digest`` is in force at ``token_now``, by itself and by its consent.

    Args:
        its_consent: the ``consent`` table, or an alias of it, outer-joined on the token's ``consent_id``.
    """
    # The words of consent.model.ConsentStatus: only what the person has given, in its window, carries a token.
    given = and_(its_consent.c.status == "GIVEN", its_consent.c.valid_from <= _now, its_consent.c.valid_until > _now)
    return and_(
        access_token.c.digest == _digest,
        access_token.c.status == TokenStatus.ACTIVE.value,
        access_token.c.expires_at > _now,
        or_(access_token.c.consent_id.is_(None), given),
    )


PARTIES_IN_FORCE: ColumnElement[bool] = and_(
    client.c.status == Status.ACTIVE.value, agency.c.status == Status.ACTIVE.value
)
"""Whether a token's client and that client's agency are in force."""
_TOKEN_IN_FORCE = token_in_force(consent)

LIVE_TOKEN = (
    select(
        access_token.c.client_id,
        access_token.c.consent_id,
        access_token.c.jkt,
        client.c.agency,
        client.c.version.label("client_version"),
        agency.c.version.label("agency_version"),
    )
    # Inner joins, so that PostgreSQL can lock their rows: ``with_for_update(read=True, of=(client, agency))``.
    .select_from(
        access_token.join(client, client.c.id == access_token.c.client_id)
        .join(agency, agency.c.code == client.c.agency)
        .outerjoin(consent, consent.c.id == access_token.c.consent_id)
    )
    .where(_TOKEN_IN_FORCE, PARTIES_IN_FORCE)
)
"""An agency's live token; parameters ``token_digest`` and ``token_now``. No row: unknown, revoked, expired, or its
client, agency or consent is not in force."""

_MAY_SIGN_IN = (SubjectStatus.ACTIVE.value, SubjectStatus.PROTECTED.value)

LIVE_CITIZEN_TOKEN = (
    select(access_token.c.subject_ref, access_token.c.jkt, subject.c.version.label("subject_version"))
    .select_from(
        access_token.join(subject, subject.c.ref == access_token.c.subject_ref).outerjoin(
            consent, consent.c.id == access_token.c.consent_id
        )
    )
    .where(_TOKEN_IN_FORCE, subject.c.status.in_(_MAY_SIGN_IN))
)
"""A person's live token; parameters as of :data:`LIVE_TOKEN`. No row also for the erased and the deceased."""

ClientRow = Row[str, str, str, str, int, str]

_ANY_CLIENT = (
    select(client.c.id, client.c.agency, client.c.jwks, client.c.scopes, client.c.version, client.c.registration)
    .select_from(client.join(agency, agency.c.code == client.c.agency))
    .where(client.c.id == bindparam("client_id"))
)
_CLIENT = _ANY_CLIENT.where(PARTIES_IN_FORCE)
_SUSPENDED_CLIENT = _ANY_CLIENT.where(not_(PARTIES_IN_FORCE))
_SIGN_IN = select(subject.c.ref).where(subject.c.ref == bindparam("ref"), subject.c.status.in_(_MAY_SIGN_IN))
_INSERT_TOKEN = insert(access_token)
TAKE_SINGLE_USE: Mapping[str, Insert] = {
    # Without the option SQLAlchemy forgets how many rows an INSERT wrote where the driver has closed its cursor.
    "sqlite": sqlite.insert(single_use).on_conflict_do_nothing().execution_options(preserve_rowcount=True),
    "postgresql": postgresql.insert(single_use).on_conflict_do_nothing().execution_options(preserve_rowcount=True),
}
"""By dialect. A concurrent insert of the same digest is waited for, so two can never both be first."""


def insert_single_use(connection: Connection, digest: bytes, expires_at: datetime) -> bool:
    """True for the one that inserts the digest. A concurrent insert is waited for, so two can never both be first."""
    statement = TAKE_SINGLE_USE[connection.dialect.name]
    return connection.execute(statement, {"digest": digest, "expires_at": expires_at}).rowcount == 1


def select_client(connection: Connection, client_id: str) -> ClientRow | None:
    """The client when it and its agency are in force."""
    return connection.execute(_CLIENT, {"client_id": client_id}).one_or_none()


def select_suspended_client(connection: Connection, client_id: str) -> ClientRow | None:
    """The client when it or its agency is not in force."""
    return connection.execute(_SUSPENDED_CLIENT, {"client_id": client_id}).one_or_none()


def subject_may_sign_in(connection: Connection, subject_ref: UUID) -> bool:
    """Whether the person exists and is neither deceased nor erased."""
    return connection.execute(_SIGN_IN, {"ref": subject_ref}).first() is not None


def insert_token(
    connection: Connection,
    *,
    digest: bytes,
    client_id: str | None,
    subject_ref: UUID | None,
    consent_id: UUID | None,
    jkt: str,
    scopes: str,
    issued_at: datetime,
    expires_at: datetime,
) -> None:
    """Store an issued token."""
    connection.execute(
        _INSERT_TOKEN,
        {
            "digest": digest,
            "client_id": client_id,
            "subject_ref": subject_ref,
            "consent_id": consent_id,
            "jkt": jkt,
            "scopes": scopes,
            "status": TokenStatus.ACTIVE.value,
            "issued_at": issued_at,
            "expires_at": expires_at,
        },
    )


def select_live_token(connection: Connection, digest: bytes, now: datetime) -> Row[*tuple[object, ...]] | None:
    """The row of :data:`LIVE_TOKEN`, if there is one."""
    return connection.execute(LIVE_TOKEN, {"token_digest": digest, "token_now": now}).one_or_none()


def select_live_citizen_token(connection: Connection, digest: bytes, now: datetime) -> Row[*tuple[object, ...]] | None:
    """The row of :data:`LIVE_CITIZEN_TOKEN`, if there is one."""
    return connection.execute(LIVE_CITIZEN_TOKEN, {"token_digest": digest, "token_now": now}).one_or_none()


def delete_expired(connection: Connection, before: datetime, *, keys_before: datetime) -> Sequence[int]:
    """Delete what expired before that time, and older idempotency keys; how many rows of each table went."""
    statements = (
        delete(idempotency).where(idempotency.c.created_at < keys_before),
        delete(single_use).where(single_use.c.expires_at < before),
        delete(access_token).where(access_token.c.expires_at < before),
        delete(refresh_token).where(refresh_token.c.expires_at < before),
        # A code is redeemed within a minute of the decision, and its row must be there while it may be replayed.
        delete(authorization_request).where(authorization_request.c.decide_until < before - CODE_KEPT),
    )
    return tuple(connection.execute(statement).rowcount for statement in statements)


def revoke_all(connection: Connection, now: datetime) -> int:
    """Revoke every token, and let every code expire that was not redeemed; how many rows there were."""
    revoked = [
        update(table).where(table.c.status == TokenStatus.ACTIVE.value).values(status=TokenStatus.REVOKED.value)
        for table in (access_token, refresh_token)
    ]
    pushed = authorization_request.c
    codes = (
        update(authorization_request)
        .where(pushed.redeemed_at.is_(None), pushed.code_expires_at > now)
        .values(code_expires_at=now)
    )
    return sum(connection.execute(statement).rowcount for statement in (*revoked, codes))
