"""Entry receipts: a signed promise that an accepted entry will stand in the log by a certain time (decision 2).

JWS, typ ``entry-receipt+jwt``, signed with the receipt key (its public half is an entry of the log). Payload, members
in this order, never reused for another meaning:

    origin        the log's origin
    id            entry id
    leaf_hash     base64url of the RFC 6962 leaf hash: what exactly was promised
    accepted_at   milliseconds since 1970
    integrate_by  milliseconds since 1970

Whoever holds a receipt, and a checkpoint of the log from after ``integrate_by`` that does not include the leaf, holds a
proof that the operator broke its word.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from crypto.encoding import b64u_decode, b64u_encode
from crypto.errors import MalformedError
from crypto.jose import PublicKey, SigningKey, VerifiedJWS, sign_jws, verify_jws
from crypto.merkle import HASH_BYTES
from exchange.audit.entry import PreparedEntry, from_millis, to_millis

RECEIPT_TYPE: Final = "entry-receipt+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReceipt:
    """What a receipt promises."""

    origin: str
    id: UUID
    leaf_hash: bytes
    accepted_at: datetime
    integrate_by: datetime

    def is_overdue(self, now: datetime) -> bool:
        """Whether the entry must be in the log by now."""
        return now > self.integrate_by


def issue_receipt(entry: PreparedEntry, *, origin: str, integrate_within: timedelta, key: SigningKey) -> str:
    """Sign the promise for an entry. Hand it out only after the commit that makes the entry durable."""
    accepted_at = to_millis(entry.accepted_at)
    return sign_jws(
        {
            "origin": origin,
            "id": str(entry.id),
            "leaf_hash": b64u_encode(entry.leaf_hash),
            "accepted_at": accepted_at,
            "integrate_by": accepted_at + integrate_within // timedelta(milliseconds=1),
        },
        key=key,
        typ=RECEIPT_TYPE,
    )


def verify_receipt(token: str, *, key: PublicKey) -> EntryReceipt:
    """Check a receipt's signature and form.

    Raises:
        MalformedError: not a receipt.
        VerificationError: the signature does not hold, or it is a token of another type.
    """
    return read_receipt(verify_jws(token, key=key, typ=RECEIPT_TYPE))


def read_receipt(verified: VerifiedJWS) -> EntryReceipt:
    """The promise in a token whose signature was checked.

    Raises:
        MalformedError: not a receipt.
    """
    claims = verified.claims()
    if set(claims) != {"origin", "id", "leaf_hash", "accepted_at", "integrate_by"}:
        raise MalformedError("not the members of an entry receipt")
    origin = claims["origin"]
    try:
        receipt = EntryReceipt(
            origin=origin,
            id=UUID(claims["id"]),
            leaf_hash=b64u_decode(claims["leaf_hash"]),
            accepted_at=from_millis(_integer(claims["accepted_at"])),
            integrate_by=from_millis(_integer(claims["integrate_by"])),
        )
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise MalformedError("an entry receipt with a member of the wrong kind") from None
    if not isinstance(origin, str) or str(receipt.id) != claims["id"] or len(receipt.leaf_hash) != HASH_BYTES:
        raise MalformedError("an entry receipt with a member of the wrong kind")
    return receipt


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise MalformedError("an entry receipt with a time that is no integer")
    return value
