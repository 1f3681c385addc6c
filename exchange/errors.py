"""Errors of the exchange. Expected refusals are values (``policy.Deny``); these are misuse, faults of others, or ours.

Messages name ids, codes and member names, never a personal value. ``api.problems`` maps each to one HTTP problem.
"""

from typing import ClassVar


class ExchangeError(Exception):
    """Root of all errors of this package."""

    code: ClassVar[str] = "exchange-error"


class UnknownAgencyError(ExchangeError):
    """No such agency is registered."""

    code = "unknown-agency"


class UnknownAttributeError(ExchangeError):
    """The catalogue knows no such attribute, or not in this form."""

    code = "unknown-attribute"


class UnknownPurposeError(ExchangeError):
    """The catalogue knows no such purpose."""

    code = "unknown-purpose"


class UnknownAgreementError(ExchangeError):
    """No such agreement between the caller and the exchange (also when it belongs to somebody else)."""

    code = "unknown-agreement"


class AgreementNotInForceError(ExchangeError):
    """The agreement exists but is not approved, not yet valid, expired, or ended."""

    code = "agreement-not-in-force"


class OutsideAgreementError(ExchangeError):
    """The request asks for something that its agreement does not contain."""

    code = "outside-agreement"


class UnknownRequestError(ExchangeError):
    """No such request of this caller (also when it belongs to somebody else)."""

    code = "unknown-request"


class RequestNotReadyError(ExchangeError):
    """There is no answer to collect yet, or no longer."""

    code = "request-not-ready"


class IdempotencyConflictError(ExchangeError):
    """The idempotency key was already used with another body."""

    code = "idempotency-conflict"


class ReplayedError(ExchangeError):
    """A single-use value (assertion, proof, code) was presented again."""

    code = "replayed"


class AccessRefusedError(ExchangeError):
    """The token is unknown, expired or revoked, or its client or agency is not in force."""

    code = "access-refused"


class UnknownSubjectError(ExchangeError):
    """No such person. Never shown to an agency: an unknown person looks like a silent one."""

    code = "unknown-subject"


class SubjectErasedError(ExchangeError):
    """The person's keys are gone."""

    code = "subject-erased"


class NoticeError(ExchangeError):
    """A decision names a notice version or language that was not offered with the request."""

    code = "unknown-notice"


class CatalogueError(ExchangeError):
    """A catalogue file is not valid; the message lists each fault with its place."""

    code = "invalid-catalogue"


class AgreementError(ExchangeError):
    """An agreement document is not valid, or the same person proposes and approves it."""

    code = "invalid-agreement"


class ProviderError(ExchangeError):
    """A provider's live endpoint did not give a usable answer; ``provider`` is its agency code, once known."""

    code = "provider-error"

    def __init__(self, message: str, *, provider: str | None = None) -> None:
        super().__init__(message)
        self.provider = provider


class ProviderUnavailableError(ProviderError):
    """Down, too slow, or its circuit is open."""

    code = "provider-unavailable"


class ProviderProtocolError(ProviderError):
    """The provider's answer is malformed, wrongly signed, or answers something else."""

    code = "provider-protocol"


class AuditError(ExchangeError):
    """The audit log cannot take an entry: nothing is done without one."""

    code = "audit-error"


class UnauditedChangeError(AuditError):
    """A transaction changed state and recorded no event. A programming error, and refused."""

    code = "unaudited-change"


class AuditUnavailableError(AuditError):
    """The sequencer is too far behind; releases wait."""

    code = "audit-unavailable"


class InconsistentLogError(AuditError):
    """The stored log contradicts itself. Fatal: the sequencer stops and signs nothing."""

    code = "inconsistent-log"


class OldDatabaseError(AuditError):
    """The database is older than its own log: restored, and not yet brought up to what is known of the time since."""

    code = "old-database"


class RestoreError(AuditError):
    """A database cannot be continued as restored: it need not be, or what is known of the time since is not enough."""

    code = "restore-error"


class JournalError(AuditError):
    """The journal beside the database is missing, was altered, or cannot be read."""

    code = "journal-error"


class UnknownEntryError(AuditError):
    """The log holds no such entry or tree size (yet)."""

    code = "unknown-entry"


class WitnessError(ExchangeError):
    """What a witness remembers is missing or is not its own, or a key cannot be that of a log."""

    code = "witness-error"


class DatabaseError(ExchangeError):
    """The database refused: disk full, read-only, or gone. Nothing was committed."""

    code = "database-error"


class ContentionError(ExchangeError):
    """What a decision stood on changed again and again while it was carried out. Nothing was done; try again."""

    code = "contention"
