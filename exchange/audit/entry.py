"""An entry of the audit log: its exact bytes, its salted commitments, and the openings that are kept apart from it.

The entry itself says in public what kind of thing happened, when, for which agency and purpose, and how it ended.
Every fact about a person stands in it only as a salted commitment (``exchange.audit.commitments``); salts, names and
values are sealed under that person's key elsewhere: erasing the key erases the facts, and every proof still holds.

Canonical JSON (``crypto.canonical``), members in this order; a name, once used, never changes its meaning:

    d     further public members (text → text), left out when there are none; ``sealings`` is our own: how many sets
          of openings the entry has, when it is more than one
    id    UUIDv7 of the entry
    n     16 random bytes: hides the leaf hash of an entry that could be guessed
    org   agency code, "cdx" or "subject"
    out   outcome
    pur   purpose code, left out when there is none
    req   id of the attribute request, left out when there is none
    sd    commitments and decoys in ascending order, 8, 16, 24 … of them: neither place nor number tells anything
    ts    milliseconds since 1970
    typ   type of the event
    v     1

No function here touches a database: the offline verifier stands on this module.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from operator import lt
from typing import Any, Final, NamedTuple
from uuid import UUID

from crypto import canonical
from crypto.encoding import b64u_decode
from crypto.errors import MalformedError
from exchange.audit.commitments import SLOTS, commit, from_millis, to_millis
from exchange.errors import AuditError
from exchange.events import Event

__all__ = [
    "MAX_BODY",
    "MAX_SEALINGS",
    "Entry",
    "PreparedEntry",
    "Sealing",
    "decode_entry",
    "from_millis",
    "match_entry",
    "prepare",
    "to_millis",
]

MAX_BODY: Final = 4096
"""The longest entry in bytes. C2SP tlog-tiles would allow 65,535."""
MAX_DETAILS: Final = 16
MAX_SEALINGS: Final = 16
"""How many owners the facts of one entry may have."""
SEALINGS: Final = "sealings"

# Pieces of the expression below; ``entry_batch`` is built of the same. ``+`` after a length: what follows is no such
# letter, so that trying shorter ones would be in vain.
_UUID7 = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ORG = "[a-z0-9][a-z0-9._-]{0,63}+"
PURPOSE = "[a-z0-9][a-z0-9._-]{0,127}+"
WORD = "[a-z][a-z_]{0,31}+"
TYPE = rf"{WORD}\.{WORD}"
_HASH = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"  # 32 bytes as base64url: the last letter carries four bits
NONCE = "[A-Za-z0-9_-]{21}[AQgw]"
TIME = "[1-9][0-9]{11,14}+"  # milliseconds: no entry is older than 1973

# One expression for the whole entry: what it matches is canonical JSON with these members and no other (members of
# ``d`` aside, whose order and escapes only a decoder can judge).
_ENTRY = re.compile(
    r'\{(?:"d":(?P<d>\{[^{}]+\}),)?'
    rf'"id":"(?P<id>{_UUID7})","n":"{NONCE}","org":"(?P<org>{ORG})","out":"(?P<out>{WORD})"'
    rf'(?:,"pur":"(?P<pur>{PURPOSE})")?(?:,"req":"(?P<req>{_UUID})")?'
    rf',"sd":\["(?P<sd>{_HASH}(?:","{_HASH})*)"\],"ts":(?P<ts>{TIME}),"typ":"(?P<typ>{TYPE})","v":1\}}'.encode()
)

_is_org = re.compile(ORG).fullmatch
_is_purpose = re.compile(PURPOSE).fullmatch
_is_detail_name = re.compile("[a-z][a-z0-9_]{0,31}").fullmatch
_is_detail_text = re.compile(r"[^\x00-\x1f\x7f{}]{1,512}").fullmatch
_COUNTS = {str(count): count for count in range(2, MAX_SEALINGS + 1)}


class Sealing(NamedTuple):
    """One set of openings of an entry.

    Attributes:
        owner_ref: under whose key it is to be sealed.
        subject_ref: whose history the entry is a line of; None: nobody's.
        visible_from: hidden from them until then.
        openings: plaintext, see ``exchange.audit.commitments``. Never empty: whether there are facts does not show.
    """

    owner_ref: UUID
    subject_ref: UUID | None
    visible_from: datetime | None
    openings: bytes

    def __repr__(self) -> str:
        return f"Sealing(owner_ref={self.owner_ref}, subject_ref={self.subject_ref}, <redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedEntry:
    """An entry that is ready for the outbox, and what opens it.

    Attributes:
        id: entry id.
        body: the exact bytes of the entry.
        leaf_hash: its RFC 6962 leaf hash.
        accepted_at: the ``now`` of the unit of work.
        type, org: as they stand in the body.
        sealings: at least one; the first is that of the person concerned, or of the operator.
    """

    id: UUID
    body: bytes
    leaf_hash: bytes
    accepted_at: datetime
    type: str
    org: str
    sealings: tuple[Sealing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The public members of an entry."""

    id: UUID
    at: datetime
    type: str
    org: str
    outcome: str
    purpose: str | None
    request: UUID | None
    detail: Mapping[str, str]
    commitments: tuple[bytes, ...] = field(repr=False)
    leaf_hash: bytes = field(repr=False)

    @property
    def sealings(self) -> int:
        """How many sets of openings it was accepted with."""
        return _COUNTS.get(self.detail.get(SEALINGS, ""), 1)


def prepare(
    event: Event, *, entry_id: UUID, now: datetime, operator_ref: UUID, sealed_by: UUID | None = None
) -> PreparedEntry:
    """Make the entry of an event. Everything is checked here: no accepted entry can stop a round of the sequencer.

    On the path of every request: one call for randomness, no JSON encoder where no free text stands.

    Args:
        event: what happened.
        entry_id: a UUIDv7.
        now: the one time of the unit of work.
        operator_ref: owner of facts about nobody.
        sealed_by: whose key seals the facts when it is not that of the person concerned: an unknown person has none.

    Raises:
        AuditError: a member that an entry cannot carry, or too much of it.
    """
    if entry_id.int >> 76 & 15 != 7 or entry_id.int >> 62 & 3 != 2:  # RFC 9562 §5.7: version and variant
        raise AuditError(f"an entry id is a UUIDv7, got {entry_id}")
    if not _is_org(event.org):
        raise AuditError("an event's org is an agency code of at most 64 characters")
    if event.purpose is not None and not _is_purpose(event.purpose):
        raise AuditError("an event's purpose is a purpose code of at most 128 characters")
    millis = to_millis(now)
    identifier = str(entry_id)
    detail = f'"d":{_detail(event)},' if event.detail or event.also else ""
    purpose = f',"pur":"{event.purpose}"' if event.purpose is not None else ""
    request = f',"req":"{event.request}"' if event.request is not None else ""
    facts, also = event.facts, event.also
    nonce, commitments, opened = commit(facts, facts.values()) if not also else commit(*_joined(event))
    body = (
        f'{{{detail}"id":"{identifier}","n":"{nonce}","org":"{event.org}","out":"{event.outcome.value}"{purpose}{request}'
        f',"sd":["{commitments}"],"ts":{millis},"typ":"{event.type.value}","v":1}}'
    ).encode()
    if len(body) > MAX_BODY:
        raise AuditError(f"an entry has at most {MAX_BODY} bytes, got {len(body)}")
    leaf_hash = sha256(b"\x00" + body).digest()
    subject = event.subject_ref
    # To the one end come the facts of the person concerned, then those of others.
    end = b'],"leaf":"' + leaf_hash.hex().encode() + b'"'
    first = Sealing(
        sealed_by or subject or operator_ref,
        subject,
        event.visible_from,
        _openings(opened[: len(facts)], end, subject, event.visible_from),
    )
    return PreparedEntry(
        id=entry_id,
        body=body,
        leaf_hash=leaf_hash,
        accepted_at=now,
        type=event.type.value,
        org=event.org,
        sealings=(first,) if not also else (first, *_others(event, first.owner_ref, opened, end)),
    )


def _openings(members: list[str], end: bytes, subject: UUID | None, visible_from: datetime | None) -> bytes:
    if subject is None:
        if visible_from is not None:
            raise AuditError("only a line of somebody's history can be hidden")
        return b'{"facts":[' + ",".join(members).encode() + end + b"}"
    hidden = f',"visible_from":{to_millis(visible_from)}' if visible_from is not None else ""
    return b'{"facts":[' + ",".join(members).encode() + end + f',"subject":"{subject}"{hidden}}}'.encode()


def _joined(event: Event) -> tuple[list[str], list[str]]:
    """Names and values of all facts of all owners."""
    if len(event.also) >= MAX_SEALINGS:
        raise AuditError(f"an entry concerns at most {MAX_SEALINGS} owners of facts")
    every = (event.facts, *(one.facts for one in event.also))
    return [name for facts in every for name in facts], [value for facts in every for value in facts.values()]


def _others(event: Event, first_owner: UUID, opened: list[str], end: bytes) -> Iterator[Sealing]:
    owners = {first_owner}
    start = len(event.facts)
    for one in event.also:
        if one.owner_ref in owners:
            raise AuditError("an owner has one set of openings in an entry")
        owners.add(one.owner_ref)
        subject = one.owner_ref if one.has_history else None
        members = opened[start : start + len(one.facts)]
        start += len(members)
        yield Sealing(one.owner_ref, subject, one.visible_from, _openings(members, end, subject, one.visible_from))


def decode_entry(body: bytes) -> Entry:
    """Read an entry. Strict: exactly what :func:`prepare` can write is accepted, and nothing else.

    Raises:
        MalformedError: any deviation; the message names the place.
    """
    match = match_entry(body)
    found = {name: value.decode("utf-8") for name, value in match.groupdict().items() if value is not None}
    return Entry(
        id=UUID(found["id"]),
        at=from_millis(int(found["ts"])),
        type=found["typ"],
        org=found["org"],
        outcome=found["out"],
        purpose=found.get("pur"),
        request=UUID(found["req"]) if "req" in found else None,
        detail=canonical.decode(match["d"]) if "d" in found else {},
        commitments=tuple(b64u_decode(text) for text in found["sd"].split('","')),
        leaf_hash=sha256(b"\x00" + body).digest(),
    )


def match_entry(body: bytes) -> re.Match[bytes]:
    """Check the form of an entry without building anything: the fast half of :func:`decode_entry`.

    Raises:
        MalformedError: any deviation.
    """
    match = _ENTRY.fullmatch(body)
    if match is None or len(body) > MAX_BODY:
        raise MalformedError("not an entry: an unknown, missing, misplaced or misspelt member, or too long")
    slots = match["sd"].split(b'","')
    if len(slots) % SLOTS or not all(map(lt, slots, slots[1:])):
        raise MalformedError(f"the commitments of an entry ascend, and their number is a multiple of {SLOTS}")
    if match["d"] is not None:
        _check_detail(canonical.decode(match["d"]))
    return match


def _detail(event: Event) -> str:
    detail = dict(event.detail)
    if SEALINGS in detail:
        raise AuditError(f"the detail {SEALINGS} is counted here")
    if event.also:
        detail[SEALINGS] = str(1 + len(event.also))
    try:
        _check_detail(detail)
        return canonical.encode(detail).decode()
    except MalformedError as exc:
        raise AuditError(str(exc)) from exc


def _check_detail(detail: Mapping[str, Any]) -> None:
    if not 0 < len(detail) <= MAX_DETAILS:
        raise MalformedError(f"an entry has at most {MAX_DETAILS} details")
    for name, text in detail.items():
        if not _is_detail_name(name):
            raise MalformedError("the name of a detail is a short word of small letters")
        if not isinstance(text, str) or not _is_detail_text(text):
            raise MalformedError(
                f"the detail {name} is text of 1 to 512 characters without control characters or braces"
            )
    if SEALINGS in detail and detail[SEALINGS] not in _COUNTS:
        raise MalformedError(f"the detail {SEALINGS} is a number from 2 to {MAX_SEALINGS}")
