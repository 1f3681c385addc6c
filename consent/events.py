"""What the ledger stores: one event per change, as canonical JSON that is never rewritten.

Body (RFC 8785 subset, ``crypto.canonical``; moments in milliseconds since the epoch; an absent member means "none",
for ``uses`` "any number"). Always: ``v`` (1), ``consent``, ``seq``, ``type``, ``at``, ``actor`` {kind, ref, [mandate]}.
Then by type what ``MEMBERS`` lists. A member unknown for its type is refused, and no name is ever used again with
another meaning. The SHA-256 of the body is a fact of the audit entry written in the same transaction.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID

from consent import bodies
from consent.instants import to_millis
from consent.model import Actor, ConsentTerms, LegalBasis, Manner, check_reason
from consent.scope import AttributeScope
from crypto import canonical
from crypto.errors import MalformedError

VERSION = 1


class EventType(StrEnum):
    """Stored tags; a retired one is never used again."""

    REQUESTED = "REQUESTED"
    GIVEN = "GIVEN"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    PAUSED = "PAUSED"
    RESUMED = "RESUMED"
    EXPIRED = "EXPIRED"
    LAPSED = "LAPSED"
    CANCELLED = "CANCELLED"
    USED_UP = "USED_UP"
    TERMINATED = "TERMINATED"
    INVALIDATED = "INVALIDATED"
    SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What an event says beyond its head. Which members a type must, may and must not have stands in ``MEMBERS``.

    Attributes:
        terms, deadline: of a request: what is asked, and until when it can be decided.
        scope, valid_from, valid_until, uses, legal_basis: of a giving: what was given, within the terms.
        manner: door, language and notice version of a decision.
        reason: a code, never free words.
        replaces, replaced_by: the other record of a renewal.
    """

    terms: ConsentTerms | None = None
    deadline: datetime | None = None
    scope: AttributeScope | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    uses: int | None = None
    legal_basis: LegalBasis | None = None
    manner: Manner | None = None
    reason: str | None = None
    replaces: UUID | None = None
    replaced_by: UUID | None = None


_NOTHING: Final = frozenset[str]()
# type: (members that must stand, members that may stand)
MEMBERS: Final[dict[EventType, tuple[frozenset[str], frozenset[str]]]] = {
    EventType.REQUESTED: (frozenset({"terms", "deadline"}), frozenset({"replaces"})),
    EventType.GIVEN: (
        frozenset({"scope", "valid_from", "valid_until", "legal_basis", "manner"}),
        frozenset({"uses", "replaces"}),
    ),
    EventType.REFUSED: (frozenset({"manner"}), frozenset({"reason"})),
    EventType.WITHDRAWN: (frozenset({"manner"}), frozenset({"reason"})),
    EventType.PAUSED: (_NOTHING, frozenset({"manner", "reason"})),
    EventType.RESUMED: (_NOTHING, frozenset({"manner", "reason"})),
    EventType.EXPIRED: (_NOTHING, _NOTHING),
    EventType.LAPSED: (_NOTHING, _NOTHING),
    EventType.CANCELLED: (_NOTHING, frozenset({"reason"})),
    EventType.USED_UP: (_NOTHING, _NOTHING),
    EventType.TERMINATED: (frozenset({"reason"}), _NOTHING),
    EventType.INVALIDATED: (frozenset({"reason"}), _NOTHING),
    EventType.SUPERSEDED: (frozenset({"replaced_by"}), _NOTHING),
}
_HEAD: Final = frozenset({"v", "consent", "seq", "type", "at", "actor"})


def _reason(value: Any) -> str:
    check_reason(value)
    return bodies.text(value)


# member of Content: (to JSON, from JSON)
_FORMS: Final[dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]]] = {
    "terms": (bodies.terms_to_json, bodies.terms_from_json),
    "deadline": (to_millis, bodies.instant),
    "scope": (bodies.scope_to_json, bodies.scope_from_json),
    "valid_from": (to_millis, bodies.instant),
    "valid_until": (to_millis, bodies.instant),
    "uses": (bodies.integer, bodies.integer),
    "legal_basis": (LegalBasis, LegalBasis),
    "manner": (bodies.manner_to_json, bodies.manner_from_json),
    "reason": (_reason, _reason),
    "replaces": (str, UUID),
    "replaced_by": (str, UUID),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """One event of one consent. ``body`` is what is stored and hashed; all but ``entry_id`` is read from it.

    Attributes:
        seq: 1, 2, 3 … without gaps within the consent.
        entry_id: the audit entry of the same transaction; it names the body by digest, so the body cannot name it.
    """

    consent_id: UUID
    seq: int
    type: EventType
    at: datetime
    actor: Actor
    content: Content
    body: bytes
    entry_id: UUID

    @classmethod
    def write(
        cls,
        type: EventType,  # noqa: A002  # the member's name in the body
        *,
        consent_id: UUID,
        seq: int,
        at: datetime,
        actor: Actor,
        content: Content,
        entry_id: UUID,
    ) -> Self:
        """Make a new event and its body.

        Raises:
            ValueError: the content does not fit the type, or has a value out of its range.
        """
        draft = cls(
            consent_id=consent_id, seq=seq, type=type, at=at, actor=actor, content=content, body=b"", entry_id=entry_id
        )
        try:
            return cls.read(draft._encoded(), entry_id=entry_id)
        except MalformedError as exc:
            raise ValueError(f"not a {type} event: {exc.__cause__ or exc}") from exc

    @classmethod
    def read(cls, body: bytes, *, entry_id: UUID) -> Self:
        """Read a stored body.

        Raises:
            MalformedError: not canonical, another version, an unknown or missing member, a value out of its range.
        """
        value = canonical.decode(body)
        try:
            event = cls(
                consent_id=UUID(value["consent"]),
                seq=_counted(value["seq"]),
                type=_checked_type(value["v"], value["type"], value.keys() - _HEAD),
                at=bodies.instant(value["at"]),
                actor=bodies.actor_from_json(value["actor"]),
                content=Content(**{name: _FORMS[name][1](value[name]) for name in value.keys() - _HEAD}),
                body=body,
                entry_id=entry_id,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as exc:
            raise MalformedError("not a consent event") from exc
        # One spelling only: a second spelling of a value, or a member that nobody reads, does not come out again.
        if event._encoded() != body:
            raise MalformedError("not a consent event in canonical form")
        return event

    @property
    def digest(self) -> str:
        """SHA-256 of the body in hexadecimal: the fact ``consent_event`` of the audit entry."""
        return hashlib.sha256(self.body).hexdigest()

    def _encoded(self) -> bytes:
        said = ((name, getattr(self.content, name)) for name in _FORMS)
        return canonical.encode(
            {
                "v": VERSION,
                "consent": str(self.consent_id),
                "seq": self.seq,
                "type": self.type,
                "at": to_millis(self.at),
                "actor": bodies.actor_to_json(self.actor),
                **{name: _FORMS[name][0](value) for name, value in said if value is not None},
            }
        )


def _counted(seq: Any) -> int:
    if bodies.integer(seq) < 1:
        raise ValueError("events are counted from 1")
    return bodies.integer(seq)


def _checked_type(version: Any, tag: Any, members: Iterable[str]) -> EventType:
    if bodies.integer(version) != VERSION:
        raise ValueError(f"expected version {VERSION} of an event's body")
    kind = EventType(tag)
    required, optional = MEMBERS[kind]
    present = frozenset(members)
    if not required <= present <= required | optional:
        raise ValueError(f"needs {sorted(required - present)}, may not have {sorted(present - required - optional)}")
    return kind
