"""Salted commitments to the facts of an entry, and the openings that are sealed apart from it.

    c = SHA-256("cdx/sd/v1" || salt(32) || lp16(name) || lp16(value))

The 32-byte salt hides even a yes or no. Decoys are random bytes, which nobody can tell from a commitment; sorting by
value mixes both, since without the salts the values are random.

Openings are canonical JSON, one set for each owner of facts, sealed under the owner's key:

    {"facts":[{"i":place in sd,"n":name,"s":salt,"v":value}, …],"leaf":hex of the leaf hash,"subject":reference,
    "visible_from":milliseconds since 1970}

``leaf`` ties the opening to the exact entry, so that an entry that was altered before it was sequenced is found later;
``subject`` names whose history the entry stands in, and is left out when it stands in nobody's; ``visible_from`` is
there when that line is hidden until then.
"""

import struct
from binascii import b2a_base64
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from crypto import canonical
from crypto.encoding import b64u_decode, lp16_text
from crypto.errors import MalformedError, VerificationError
from crypto.ids import random_bytes
from exchange.errors import AuditError

if TYPE_CHECKING:
    from exchange.audit.entry import Entry

SLOTS: Final = 8
"""The number of commitments of an entry is a multiple of this."""
MAX_FACTS: Final = 64
MAX_OPENINGS: Final = 2**23

_LABEL = b"cdx/sd/v1"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_millis(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware time, truncated; ``consent.columns`` would bring in a database."""
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(millis: int) -> datetime:
    """The aware UTC time of milliseconds since 1970."""
    return _EPOCH + millis * _MILLISECOND


def commitment(salt: bytes, name: str, value: str) -> bytes:
    """The commitment to one fact.

    Raises:
        MalformedError: text that no length prefix fits.
    """
    return sha256(_LABEL + salt + lp16_text(name) + lp16_text(value)).digest()


def commit(names: Collection[str], values: Collection[str]) -> tuple[str, str, list[str]]:
    """Commit to facts with one call for randomness.

    Args:
        names: of the facts.
        values: as many, in the same order.

    Returns:
        The entry's nonce (22 characters); its commitments and decoys, ascending, joined by ``","``; for each fact its
        member of ``facts`` of the openings, in the given order.

    Raises:
        AuditError: too many facts, or text that cannot be written.
    """
    count = len(names)
    slots = SLOTS if count <= SLOTS else -(-count // SLOTS) * SLOTS
    if count > MAX_FACTS:
        raise AuditError(f"an entry has at most {MAX_FACTS} facts, got {count}")
    # The nonce, then as many salts as there are facts; what is left are the decoys.
    nonce, *blocks = _splitter(slots)(random_bytes(16 + 32 * slots))
    salts, hashes = blocks[:count], blocks[count:]
    try:
        for salt, name, value in zip(salts, names, values, strict=True):
            text = value.encode()
            hashes.append(sha256(_LABEL + salt + _name_prefix(name) + len(text).to_bytes(2, "big") + text).digest())
    except (OverflowError, UnicodeEncodeError, AttributeError, MalformedError):
        # OverflowError: more than 65,535 bytes. The cause is left out, since it would quote the value.
        raise AuditError("a fact is text of at most 65,535 bytes") from None
    # base64url in one pass: filled up with zero bytes to multiples of 3, each block stands at a known place.
    written = (
        b2a_base64(b"\x00".join((nonce + b"\x00", *hashes, *salts, b"")), newline=False).translate(_TO_URL).decode()
    )
    middle = 24 + 44 * slots
    commitments = [written[start : start + 43] for start in range(24, middle, 44)]
    ascending = sorted(commitments)
    opened = [
        f'{{"i":{ascending.index(text)},"n":{encode_basestring(name)}'
        f',"s":"{written[start : start + 43]}","v":{encode_basestring(value)}}}'
        for text, start, name, value in zip(
            commitments[slots - count :], range(middle, middle + 44 * count, 44), names, values, strict=True
        )
    ]
    return written[:22], '","'.join(ascending), opened


@lru_cache
def _splitter(slots: int) -> Callable[[bytes], tuple[bytes, ...]]:
    return struct.Struct("16s" + "32s" * slots).unpack


@lru_cache(maxsize=1024)
def _name_prefix(name: str) -> bytes:
    return lp16_text(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens one commitment of an entry."""

    index: int
    name: str
    salt: bytes = field(repr=False)
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """What one owner's key opens of one entry."""

    leaf_hash: bytes
    subject_ref: UUID | None
    facts: tuple[Opening, ...]
    visible_from: datetime | None = None

    def values(self) -> dict[str, str]:
        """The facts as name → value. Check them first: :func:`check_openings`."""
        return {opening.name: opening.value for opening in self.facts}


def parse_openings(plaintext: bytes) -> Openings:
    """Read openings after unsealing.

    Raises:
        MalformedError: not what :func:`exchange.audit.entry.prepare` writes.
    """
    value = canonical.decode(plaintext, max_bytes=MAX_OPENINGS)
    try:
        if not set(value) <= {"facts", "leaf", "subject", "visible_from"} or type(value["facts"]) is not list:
            raise MalformedError("not the openings of an entry")
        hidden = value.get("visible_from")
        if hidden is not None and (type(hidden) is not int or "subject" not in value):
            raise MalformedError("only a line of a history is hidden, and until a time")
        openings = Openings(
            leaf_hash=bytes.fromhex(value["leaf"]),
            subject_ref=UUID(value["subject"]) if "subject" in value else None,
            facts=tuple(_opening(item) for item in value["facts"]),
            visible_from=None if hidden is None else from_millis(hidden),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise MalformedError("not the openings of an entry") from None
    if len(openings.values()) != len(openings.facts):
        raise MalformedError("two openings of one name")
    return openings


def _opening(item: Any) -> Opening:
    opening = Opening(index=item["i"], name=item["n"], salt=b64u_decode(item["s"]), value=item["v"])
    if (
        len(item) != 4
        or type(opening.index) is not int
        or type(opening.name) is not str
        or type(opening.value) is not str
    ):
        raise MalformedError("not an opening")
    return opening


def check_opening(entry: "Entry", opening: Opening) -> None:
    """Check that an entry committed to a fact.

    Raises:
        VerificationError: it did not, or not at that place.
    """
    if len(opening.salt) != 32 or not 0 <= opening.index < len(entry.commitments):
        raise VerificationError("the opening fits no commitment of the entry")
    if commitment(opening.salt, opening.name, opening.value) != entry.commitments[opening.index]:
        raise VerificationError(f"the fact {opening.name!r} is not what the entry committed to")


def check_openings(entry: "Entry", openings: Openings) -> None:
    """Check that openings belong to exactly this entry, and every fact in them.

    Raises:
        VerificationError: they do not.
    """
    if openings.leaf_hash != entry.leaf_hash:
        raise VerificationError("the openings were sealed for an entry with other bytes")
    if len({opening.index for opening in openings.facts}) != len(openings.facts):
        raise VerificationError("two openings name one commitment")
    for opening in openings.facts:
        check_opening(entry, opening)
