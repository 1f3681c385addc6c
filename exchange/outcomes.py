"""How a request for attributes ends, as values (a refusal is no exception: it is committed like a success)."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from exchange.policy import DenyReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Released: the sealed answer, and the receipt of its audit entry."""

    request_id: UUID
    disclosure_id: UUID
    entry_id: UUID
    jwe: str = field(repr=False)
    receipt: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The citizen decides. An unknown person's request looks just like it, and lapses."""

    request_id: UUID
    expires_at: datetime
    reference: str | None = field(default=None, repr=False)  # for the clerk to hand over; told once


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No. ``reason`` is for the caller only where ``reason.is_callers_fault``."""

    reason: DenyReason
    request_id: UUID | None = None
    lines: tuple[str, ...] = ()  # names of attributes at fault, where the caller wrote them


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """The same call came before: the request that it made. Its state is read, never an answer replayed."""

    request_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A live provider gave no usable answer; the request may be collected again."""

    request_id: UUID
    provider: str
    code: str  # of the provider error


Outcome = Answered | Waiting | Refused | Repeated | Failed
