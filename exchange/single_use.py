"""What is good once is taken by one atomic insert (invariant 9): assertions, proofs, ID tokens, codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Connection

from crypto.encoding import lp16_text
from exchange import access_store as store


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleUse:
    """A value that is good once. ``expires_at`` lies after the last moment at which the value could be accepted."""

    kind: str
    digest: bytes
    expires_at: datetime


def single_use_digest(kind: str, owner: str, value: str) -> bytes:
    """What is stored of a single-use value: SHA-256 of the three parts, each with its length in front."""
    return sha256(lp16_text(kind) + lp16_text(owner) + lp16_text(value)).digest()


def take_single_use(connection: Connection, digest: bytes, expires_at: datetime, now: datetime) -> bool:
    """Take a single-use value in the caller's transaction.

    Returns:
        True for the first, False for every other. Also False when ``expires_at`` has passed: the row of an earlier use
        may have been purged.
    """
    return expires_at > now and store.insert_single_use(connection, digest, expires_at)


def take_all(connection: Connection, uses: Sequence[SingleUse], now: datetime) -> SingleUse | None:
    """Take several single-use values in the caller's transaction; the first that had been used before, or None.

    Always in the same order, so that two requests with the same values cannot wait for each other.
    """
    for use in sorted(uses, key=lambda use: use.digest):
        if not take_single_use(connection, use.digest, use.expires_at, now):
            return use
    return None
