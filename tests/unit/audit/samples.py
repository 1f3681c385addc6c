"""Entries for tests: valid ones, with everything fixed that can be."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from crypto.ids import new_id
from exchange.audit.entry import PreparedEntry, prepare
from exchange.events import Event, EventType, Outcome

NOW = datetime(2026, 3, 2, 9, 30, 0, 123000, tzinfo=UTC)
OPERATOR = UUID("0195587a-0000-7000-8000-00000000000f")
SUBJECT = UUID("0195587a-0000-7000-8000-0000000000aa")
ENTRY = UUID("0195587a-1111-7222-8333-444444444444")
REQUEST = UUID("0195587a-5555-7666-8777-888888888888")


def an_event(**changes: object) -> Event:
    """A disclosure with two facts."""
    values: dict[str, object] = {
        "type": EventType.ATTRIBUTE_DISCLOSED,
        "org": "tax",
        "outcome": Outcome.PERMIT,
        "purpose": "benefit.eligibility",
        "request": REQUEST,
        "subject_ref": SUBJECT,
        "facts": {"consent": "yes", "officer": "Zoë"},
    }
    return Event(**(values | changes))  # type: ignore[arg-type]  # a test may try anything


def an_entry(now: datetime = NOW, *, facts: Mapping[str, str] | None = None, **changes: object) -> PreparedEntry:
    """A prepared entry with an id of its own."""
    if facts is not None:
        changes["facts"] = facts
    return prepare(an_event(**changes), entry_id=new_id(now), now=now, operator_ref=OPERATOR)
