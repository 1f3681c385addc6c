"""Errors of the consent ledger. Messages name ids, statuses and member names, never a personal value.

``api.problems`` maps each to one HTTP problem. After any of them the caller rolls its transaction back.
"""

from typing import ClassVar


class ConsentError(Exception):
    """Root of all errors of this package."""

    code: ClassVar[str] = "consent-error"


class UnknownConsentError(ConsentError):
    """No such consent of this party; also when it belongs to somebody else, so that nobody can probe for it."""

    code = "unknown-consent"


class IllegalTransitionError(ConsentError):
    """The lifecycle has no such step from where the record stands, or not for this kind of actor.

    Attributes:
        from_status: where the record stands now, clock included; None: there is no record yet.
        action: type of the event that was to be appended.
        to_status: where it would have led.
        actor_kind: who tried.
    """

    code = "illegal-consent-transition"

    def __init__(self, *, from_status: str | None, action: str, to_status: str, actor_kind: str) -> None:
        super().__init__(f"no {action} by {actor_kind} from {from_status or 'nothing'} to {to_status}")
        self.from_status = from_status
        self.action = action
        self.to_status = to_status
        self.actor_kind = actor_kind


class ConsentConflictError(ConsentError):
    """Somebody else changed the record, or gave another for the same agreement, at the same time: read it again."""

    code = "consent-conflict"


class ScopeError(ConsentError):
    """A decision takes more than was asked, leaves out a required attribute, or selects nothing."""

    code = "consent-scope"


class InconsistentConsentError(ConsentError):
    """Stored events do not fold, or the projection contradicts them. Nothing is decided upon such a record."""

    code = "inconsistent-consent"
