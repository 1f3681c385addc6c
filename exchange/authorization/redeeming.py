"""A code becomes tokens, once; a refresh token becomes another access token. Both under the lock of the consent.

A token of a person's permission carries the consent's id and nothing else of it: whether it counts is derived from the
consent's row at each use (invariant 13), so nothing here has to end a token when the permission ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent import store as consent_store
from consent.rows import ConsentRow
from crypto.encoding import b64u_encode
from exchange import access
from exchange.access import ClientRecord, NewToken, SingleUse, single_use_digest
from exchange.agreement_model import AgreementLine
from exchange.authorization import store
from exchange.authorization.model import Permission, digest_of, new_secret
from exchange.authorization.pushing import unseal
from exchange.client_registration import REFRESH_TOKEN
from exchange.events import Event, EventType, Outcome
from exchange.ground import agreement_by_id
from exchange.store import hold_person
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange

REUSED = "reused"
_SEEN_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """A code as a client presents it, with what must fit it."""

    code: str = field(repr=False)
    redirect_uri: str | None
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Tokens were stored.

    Attributes:
        token: the access token's row; it lives no longer than the permission.
        pseudonym: the name under which the agency knows the person.
        permission: what the person allowed, as it stands in the consent.
        consent_id: the grant.
        refresh_token: told once; None: the client has none, or has it already.
    """

    token: NewToken
    pseudonym: str = field(repr=False)
    permission: Permission
    consent_id: UUID
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotGranted:
    """No. ``reason`` is for the log and for the client's own developers, in one word or two."""

    reason: str


def redeem(
    exchange: "Exchange",
    client: ClientRecord,
    presented: Presented,
    token: NewToken,
    *,
    uses: Sequence[SingleUse],
    now: datetime,
) -> Granted | NotGranted | SingleUse:
    """Redeem a code (RFC 6749 §4.1.3, RFC 7636 §4.6, RFC 9449 §10).

    Args:
        exchange: the exchange.
        client: who presents it, authenticated.
        presented: the code, and what must fit it.
        token: the access token to store; consent and a shorter life are filled in here.
        uses: assertion and proof.
        now: the time of the request.

    Returns:
        The value that had been used before, if there is one: audited, nothing else happened. A code that comes again
        from its client ends every token that came of it.
    """
    with exchange.unit_of_work(now) as uow:
        replayed = access.take_all(uow.connection, uses, now)
        if replayed is None:
            result = _redeem(exchange, uow, client, presented, token)
            uow.commit()
            return result
    access.record_replay(exchange, replayed, org=client.agency, client_id=client.id, now=now)
    return replayed


def _redeem(
    exchange: "Exchange", uow: UnitOfWork, client: ClientRecord, presented: Presented, token: NewToken
) -> Granted | NotGranted:
    connection, now = uow.connection, uow.now
    row = store.lock_code(connection, digest_of(presented.code))
    if row is None or row.consent_id is None:
        return NotGranted(reason="unknown")
    reason = _fault(exchange, connection, row, client, presented, token.jkt, now)
    known = consent_store.find(connection, row.consent_id)
    assert known is not None  # a code comes with its consent
    # The order of locks: the person, client and agency, then the consent.
    held = hold_person(connection, known.subject_ref)
    if reason is None and (not held or store.hold_client(connection, client.id) is None):
        reason = "not_in_force"
    consent = consent_store.lock(connection, row.consent_id)
    assert consent is not None  # as above
    if reason is None and not consent.may_process(now):
        reason = "not_in_force"
    if reason is not None:
        _deny(uow, row, known, client, reason, about_person=held)
        return NotGranted(reason=reason)
    if not store.mark_redeemed(connection, row.id, now):
        raise AssertionError("a locked code was redeemed by somebody else")
    refresh = None
    if REFRESH_TOKEN in client.registration.grant_types:
        refresh = new_secret()
        store.insert_refresh_token(
            connection,
            digest=digest_of(refresh),
            client_id=client.id,
            consent_id=consent.id,
            jkt=token.jkt,
            scopes=" ".join(token.scopes),
            issued_at=now,
            expires_at=consent.valid_until,
        )
    uow.record(
        Event(
            type=EventType.AUTHORIZATION_REDEEMED,
            org=client.agency,
            purpose=consent.purpose,
            subject_ref=consent.subject_ref,
            facts={"consent": str(consent.id), "client": f"{client.id} {token.jkt}"},
        )
    )
    return _grant(exchange, connection, client, consent, token, refresh)


def _fault(
    exchange: "Exchange",
    connection: Connection,
    row: Row[Any],
    client: ClientRecord,
    presented: Presented,
    jkt: str,
    now: datetime,
) -> str | None:
    """What does not fit a code; None: it holds."""
    if row.client_id != client.id:
        return "another_client"
    if row.redeemed_at is not None:
        return REUSED
    if now >= row.code_expires_at:
        return "expired"
    request = unseal(exchange, connection, row.id, row.ct)
    if presented.redirect_uri != request.redirect_uri:
        return "redirect_uri"
    challenge = b64u_encode(sha256(presented.verifier.encode("ascii")).digest())
    if not compare_digest(challenge, request.code_challenge):
        return "code_verifier"
    if row.jkt is not None and row.jkt != jkt:
        return "key"
    return None


def _deny(
    uow: UnitOfWork, row: Row[Any], consent: ConsentRow, client: ClientRecord, reason: str, *, about_person: bool
) -> None:
    """Audit a code that does not hold, once for each reason (invariant 7); a second use ends what came of the first."""
    if reason == REUSED:
        store.revoke_tokens(uow.connection, row.consent_id)
    seen = single_use_digest("code-denied", f"{client.id} {reason}", row.id.hex)
    if access.take_single_use(uow.connection, seen, uow.now + _SEEN_FOR, uow.now):
        uow.record(
            Event(
                type=EventType.AUTHORIZATION_DENIED,
                org=client.agency,
                outcome=Outcome.DENY,
                purpose=consent.purpose,
                detail={"reason": reason, "client": client.id},
                subject_ref=consent.subject_ref if about_person else None,
                facts={"consent": str(consent.id)},
            )
        )


def refresh(
    exchange: "Exchange",
    client: ClientRecord,
    secret: str,
    token: NewToken,
    *,
    uses: Sequence[SingleUse],
    now: datetime,
) -> Granted | NotGranted | SingleUse:
    """Another access token under the same permission (RFC 6749 §6). The refresh token stays (FAPI 2.0 §5.3.2.1-9).

    Args:
        exchange: the exchange.
        client: who presents it, authenticated.
        secret: the refresh token.
        token: as :func:`redeem`.
        uses: as :func:`redeem`.
        now: the time of the request.
    """
    with exchange.database.write() as connection:
        replayed = access.take_all(connection, uses, now)
        if replayed is None:
            result = _refresh(exchange, connection, client, secret, token, now)
            connection.commit()
            return result
    access.record_replay(exchange, replayed, org=client.agency, client_id=client.id, now=now)
    return replayed


def _refresh(
    exchange: "Exchange", connection: Connection, client: ClientRecord, secret: str, token: NewToken, now: datetime
) -> Granted | NotGranted:
    row = store.find_refresh_token(connection, digest_of(secret), client_id=client.id, now=now)
    if row is None:
        return NotGranted(reason="unknown")
    if row.jkt != token.jkt:
        return NotGranted(reason="key")
    if store.hold_client(connection, client.id) is None:
        return NotGranted(reason="not_in_force")
    consent = consent_store.lock(connection, row.consent_id)
    if consent is None or not consent.may_process(now):
        return NotGranted(reason="not_in_force")
    return _grant(exchange, connection, client, consent, replace(token, scopes=tuple(row.scopes.split())), None)


def _grant(
    exchange: "Exchange",
    connection: Connection,
    client: ClientRecord,
    consent: ConsentRow,
    token: NewToken,
    refresh_token: str | None,
) -> Granted:
    # Whole seconds: what the token says, its row says too.
    ends = min(token.expires_at, consent.valid_until.replace(microsecond=0))
    stored = replace(token, consent_id=consent.id, expires_at=ends)
    access.issue_token(connection, stored)
    agreement = agreement_by_id(connection, consent.agreement_id)
    required = {(line.name, line.form): line.required for line in agreement.lines}
    return Granted(
        token=stored,
        pseudonym=exchange.pseudonyms.derive(agency=client.agency, subject_ref=consent.subject_ref),
        permission=Permission(
            agreement=agreement.code,
            purpose=consent.purpose,
            lines=tuple(
                AgreementLine(name=line.name, form=line.form, required=required.get((line.name, line.form), False))
                for line in consent.scope
            ),
        ),
        consent_id=consent.id,
        refresh_token=refresh_token,
    )
