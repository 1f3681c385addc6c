"""Rows of pushed requests, codes and refresh tokens. The only SQL of this package."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update

from exchange.access_store import PARTIES_IN_FORCE, TokenStatus
from exchange.agreement_document import agreement_from_row
from exchange.agreement_model import Agreement
from exchange.tables import access_token, agency, agreement, authorization_request, client, refresh_token

_request = authorization_request.c


def insert_request(connection: Connection, **values: Any) -> None:
    """Store a pushed request."""
    connection.execute(insert(authorization_request).values(**values))


def find_waiting(
    connection: Connection, now: datetime, *, uri_hash: bytes | None = None, request_id: UUID | None = None
) -> Row[*tuple[Any, ...]] | None:
    """A request that nobody has decided, of a client in force: by its address while that is good, or by its id."""
    statement = (
        select(_request.id, _request.client_id, _request.ct, _request.decide_until, client.c.agency, agency.c.name)
        .select_from(
            authorization_request.join(client, client.c.id == _request.client_id).join(
                agency, agency.c.code == client.c.agency
            )
        )
        .where(_request.decided_at.is_(None), _request.decide_until > now, PARTIES_IN_FORCE)
    )
    if uri_hash is not None:
        statement = statement.where(_request.uri_hash == uri_hash, _request.expires_at > now)
    else:
        statement = statement.where(_request.id == request_id)
    return connection.execute(statement).one_or_none()


def decide(connection: Connection, request_id: UUID, now: datetime) -> bool:
    """True for the one that decides: a second waits for it here, and finds it decided."""
    return (
        connection.execute(
            update(authorization_request)
            .where(_request.id == request_id, _request.decided_at.is_(None), _request.decide_until > now)
            .values(decided_at=now)
        ).rowcount
        == 1
    )


def keep_decision(connection: Connection, request_id: UUID, **values: Any) -> None:
    """Add what the decision led to: consent, and code if there is one."""
    connection.execute(update(authorization_request).where(_request.id == request_id).values(**values))


def lock_code(connection: Connection, code_hash: bytes) -> Row[Any] | None:
    """The request behind a code, locked: whoever redeems the same code waits."""
    statement = select(*_request).where(_request.code_hash == code_hash).with_for_update()
    return connection.execute(statement).one_or_none()


def mark_redeemed(connection: Connection, request_id: UUID, now: datetime) -> bool:
    """True for the one that redeems."""
    return (
        connection.execute(
            update(authorization_request)
            .where(_request.id == request_id, _request.redeemed_at.is_(None))
            .values(redeemed_at=now)
        ).rowcount
        == 1
    )


def hold_client(connection: Connection, client_id: str) -> str | None:
    """Share-lock a client and its agency until commit; the agency's code, None when either is suspended."""
    return connection.execute(
        select(agency.c.code)
        .select_from(client.join(agency, agency.c.code == client.c.agency))
        .where(client.c.id == client_id, PARTIES_IN_FORCE)
        .with_for_update(read=True)
    ).scalar_one_or_none()


def hold_agreement(connection: Connection, code: str) -> Agreement | None:
    """Share-lock an agreement until commit: its end waits for us, or has come."""
    row = connection.execute(
        select(*agreement.c).where(agreement.c.code == code).with_for_update(read=True)
    ).one_or_none()
    return None if row is None else agreement_from_row(row)


def insert_refresh_token(connection: Connection, **values: Any) -> None:
    """Store a refresh token."""
    connection.execute(insert(refresh_token).values(**values, status=TokenStatus.ACTIVE.value))


def find_refresh_token(connection: Connection, digest: bytes, *, client_id: str, now: datetime) -> Row[Any] | None:
    """A client's own refresh token that was not revoked and has not expired; held until commit."""
    return connection.execute(
        select(*refresh_token.c)
        .where(
            refresh_token.c.digest == digest,
            refresh_token.c.client_id == client_id,
            refresh_token.c.status == TokenStatus.ACTIVE.value,
            refresh_token.c.expires_at > now,
        )
        .with_for_update(read=True)
    ).one_or_none()


def revoke_tokens(connection: Connection, consent_id: UUID) -> int:
    """Revoke every token that stands for a consent; how many there were."""
    return sum(
        connection.execute(
            update(table)
            .where(table.c.consent_id == consent_id, table.c.status == TokenStatus.ACTIVE.value)
            .values(status=TokenStatus.REVOKED.value)
        ).rowcount
        for table in (access_token, refresh_token)
    )
