"""Access: what is good once, which tokens are live, and letting a verified caller in.

A token proves who asks; whether it still counts is derived at each use from the rows of its client, agency, person and
consent (invariant 13). Whatever is good once is taken by one atomic insert (invariant 9). Nothing here knows HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection

from exchange import access_store as store
from exchange import refusals
from exchange.access_store import LIVE_CITIZEN_TOKEN, LIVE_TOKEN
from exchange.client_registration import ClientRegistration, registration_of
from exchange.errors import AccessRefusedError, ReplayedError
from exchange.events import Event, EventType, Outcome
from exchange.model import Caller, Citizen
from exchange.single_use import SingleUse, single_use_digest, take_all, take_single_use
from exchange.store import hold_person

if TYPE_CHECKING:
    from exchange.context import Exchange

__all__ = [
    "LIVE_CITIZEN_TOKEN",
    "LIVE_TOKEN",
    "PROOF",
    "SESSION",
    "SUBJECT",
    "ClientRecord",
    "LiveClient",
    "NewToken",
    "SingleUse",
    "admit",
    "admit_citizen",
    "client_for_authentication",
    "find_session",
    "issue",
    "issue_token",
    "purge",
    "record_replay",
    "record_replayed_proof",
    "single_use_digest",
    "suspended_client",
    "take_all",
    "take_single_use",
    "token_digest",
]

PROOF = "dpop-proof"
SUBJECT = "subject"
"""Who acts, in the log, when it is the person."""
SESSION = "session"
"""In place of a key's thumbprint: the token of a session in the browser. No thumbprint is that short."""
IDEMPOTENCY_LIFETIME = timedelta(days=7)
"""How long an idempotency key is remembered: far longer than any client retries."""
PURGE_MARGIN = timedelta(minutes=5)
"""How long expired rows stay: the clock of the process that purges may run ahead of one that still accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """A registered client that is in force, and whose agency is."""

    id: str
    agency: str
    jwks: str  # JSON text of its public key set
    scopes: frozenset[str]
    version: int
    registration: ClientRegistration


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveClient:
    """Who a live token stands for, as the rows said in the transaction that admitted it."""

    client_id: str
    client_version: int
    agency: str
    agency_version: int
    consent_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that is about to be issued, to a client or to a person (never both)."""

    jti: str
    jkt: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    client_id: str | None = None
    subject_ref: UUID | None = None
    consent_id: UUID | None = None


def token_digest(jti: str) -> bytes:
    """Primary key of an issued token: the row does not hold what the token holds."""
    return sha256(jti.encode("ascii")).digest()


def client_for_authentication(connection: Connection, client_id: str) -> ClientRecord | None:
    """The client by its id; None when unknown or when it or its agency is suspended."""
    return _client(store.select_client(connection, client_id) if _may_be_an_id(client_id) else None)


def suspended_client(connection: Connection, client_id: str) -> ClientRecord | None:
    """The client by its id when it or its agency is suspended: to know who tries, never to let it in."""
    return _client(store.select_suspended_client(connection, client_id) if _may_be_an_id(client_id) else None)


def _may_be_an_id(client_id: str) -> bool:
    # No client has another kind of id, and PostgreSQL refuses some as text (a NUL) with an error of its own.
    return client_id.isascii() and client_id.isprintable()


def _client(row: store.ClientRow | None) -> ClientRecord | None:
    if row is None:
        return None
    return ClientRecord(
        id=row.id,
        agency=row.agency,
        jwks=row.jwks,
        scopes=frozenset(row.scopes.split()),
        version=row.version,
        registration=registration_of(row.registration),
    )


def issue_token(connection: Connection, token: NewToken) -> None:
    """Store an issued token in the caller's transaction."""
    store.insert_token(
        connection,
        digest=token_digest(token.jti),
        client_id=token.client_id,
        subject_ref=token.subject_ref,
        consent_id=token.consent_id,
        jkt=token.jkt,
        scopes=" ".join(token.scopes),
        issued_at=token.issued_at,
        expires_at=token.expires_at,
    )


def issue(
    exchange: "Exchange", token: NewToken, *, uses: Sequence[SingleUse], org: str, now: datetime
) -> SingleUse | None:
    """Take the single-use values that a token request rests on and store its token: all of it, or nothing.

    Args:
        exchange: the exchange.
        token: the token to store.
        uses: assertion and proof.
        org: who asks, for the audit entry of a replay: an agency code, or ``"subject"``.
        now: the time of the request.

    Returns:
        None when the token is stored; otherwise the value that had been used before. A replay is audited.

    Raises:
        AccessRefusedError: the person may no longer sign in. Audited.
    """
    with exchange.database.write() as connection:
        replayed = take_all(connection, uses, now)
        may = token.subject_ref is None or store.subject_may_sign_in(connection, token.subject_ref)
        if replayed is None and may:
            issue_token(connection, token)
            connection.commit()
            return None
    if replayed is None:
        refusals.record_sign_in(exchange, str(token.subject_ref), refusals.NOT_IN_FORCE, now)
        raise AccessRefusedError("the person may not sign in")
    record_replay(exchange, replayed, org=org, subject_ref=token.subject_ref, client_id=token.client_id, now=now)
    return replayed


def admit(exchange: "Exchange", caller: Caller, now: datetime) -> LiveClient:
    """Let an agency's client in: its token is live, and its proof is taken, durably, before anything is read for it.

    For calls that have no transaction of their own to do this in.

    Raises:
        AccessRefusedError: the token is not live. Audited where client or agency is suspended.
        ReplayedError: the proof was used before. Audited.
    """
    with exchange.database.write() as connection:
        row = store.select_live_token(connection, caller.token_digest, now)
        is_live = row is not None and row.client_id == caller.client_id and row.jkt == caller.jkt
        taken = is_live and take_single_use(connection, caller.proof_digest, caller.proof_expires_at, now)
        if taken:
            connection.commit()
    if row is None or not is_live:
        refusals.record_suspended(exchange, caller.client_id, now)
        raise AccessRefusedError("the access token is not in force")
    if not taken:
        record_replayed_proof(exchange, caller, org=row.agency, now=now)
        raise ReplayedError("the DPoP proof was used before")
    return LiveClient(
        client_id=row.client_id,
        client_version=row.client_version,
        agency=row.agency,
        agency_version=row.agency_version,
        consent_id=row.consent_id,
    )


def admit_citizen(exchange: "Exchange", citizen: Citizen, now: datetime) -> None:
    """Let a person in, as :func:`admit` does a client; a session in the browser has no proof to take.

    Raises:
        AccessRefusedError: the token is not live, or the person may no longer sign in.
        ReplayedError: the proof was used before. Audited in the person's own history.
    """
    with exchange.database.write() as connection:
        row = store.select_live_citizen_token(connection, citizen.token_digest, now)
        if row is None or row.subject_ref != citizen.subject_ref or row.jkt != citizen.jkt:
            raise AccessRefusedError("the access token is not in force")
        if citizen.proof_digest is None or citizen.proof_expires_at is None:
            if row.jkt != SESSION:
                raise AccessRefusedError("an own token counts with its proof only")
            return
        taken = take_single_use(connection, citizen.proof_digest, citizen.proof_expires_at, now)
        if taken:
            connection.commit()
    if not taken:
        record_replayed_proof(exchange, citizen, org=SUBJECT, now=now)
        raise ReplayedError("the DPoP proof was used before")


def find_session(exchange: "Exchange", jti: str, now: datetime) -> Citizen | None:
    """The person whose session in the browser this is, while it lives."""
    digest = token_digest(jti)
    with exchange.database.read() as connection:
        row = store.select_live_citizen_token(connection, digest, now)
    if row is None or row.jkt != SESSION:
        return None
    return Citizen(subject_ref=row.subject_ref, token_digest=digest, jkt=SESSION)


def record_replayed_proof(exchange: "Exchange", caller: Caller | Citizen, *, org: str, now: datetime) -> None:
    """Audit that a live token came with a proof that was used before, after the transaction that found out rolled back.

    Args:
        exchange: the exchange.
        caller: who presented it; a person's replay stands in the person's own history.
        org: agency code, or ``"subject"``.
        now: the time of the request.
    """
    assert caller.proof_digest is not None  # whoever has none replays none
    assert caller.proof_expires_at is not None
    use = SingleUse(kind=PROOF, digest=caller.proof_digest, expires_at=caller.proof_expires_at)
    if isinstance(caller, Citizen):
        record_replay(exchange, use, org=org, subject_ref=caller.subject_ref, now=now)
    else:
        record_replay(exchange, use, org=org, client_id=caller.client_id, now=now)


def purge(connection: Connection, now: datetime) -> int:
    """Delete single-use, token and idempotency rows that no longer matter; how many went. The caller commits."""
    return sum(store.delete_expired(connection, now - PURGE_MARGIN, keys_before=now - IDEMPOTENCY_LIFETIME))


def record_replay(
    exchange: "Exchange",
    use: SingleUse,
    *,
    org: str,
    now: datetime,
    subject_ref: UUID | None = None,
    client_id: str | None = None,
) -> None:
    """Audit a replay (invariant 7), after the transaction that found out rolled back.

    Once per value, or whoever holds a leaked one could fill the log with it.
    """
    detail = {"what": use.kind} | ({"client": client_id} if client_id is not None else {})
    seen = single_use_digest("replay", org, use.digest.hex())
    with exchange.unit_of_work(now) as uow:
        # Held until commit, or gone: an erasure leaves no opening behind it (invariant 11).
        if subject_ref is not None and not hold_person(uow.connection, subject_ref):
            subject_ref = None
        if take_single_use(uow.connection, seen, use.expires_at, now):
            uow.record(
                Event(
                    type=EventType.ACCESS_REPLAYED,
                    org=org,
                    outcome=Outcome.DENY,
                    detail=detail,
                    subject_ref=subject_ref,
                )
            )
            uow.commit()
