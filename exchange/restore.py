"""Bringing a restored database up to what is known of the time since its backup, before anything is released again.

In this order, each step resumable and harmless to do twice: the installation takes the next name (from here on nothing
serves or signs until the last step); tokens are revoked; the journal is played again, so that nothing withdrawn, erased
or suspended comes back; every consent in force is paused, since nobody knows what the person did after the backup;
last, the log goes on under its next name, with an entry that says so.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import update

from consent import store as consent_store
from consent.errors import UnknownConsentError
from consent.events import ConsentEvent
from consent.ledger import ConsentLedger
from consent.rows import ConsentRow
from crypto.ids import new_id
from exchange import access_store, agencies, agreements, subjects, verifier_keys
from exchange.audit.journal import Record
from exchange.consent_entries import record_consent_events
from exchange.erasure import erase
from exchange.errors import SubjectErasedError, UnknownAgencyError, UnknownAgreementError, UnknownSubjectError
from exchange.events import EventType
from exchange.model import AgreementStatus, Status, SubjectStatus
from exchange.tables import installation as installation_table
from exchange.uow import UnitOfWork
from exchange.verifier_keys import VerifierKey

if TYPE_CHECKING:
    from exchange.context import Exchange

REASON: Final = "restored"
AT_ONCE: Final = 500
"""Consents that are paused in one transaction."""
_NO: Final = frozenset({EventType.CONSENT_REFUSED, EventType.CONSENT_WITHDRAWN})

Progress = Callable[[int], None]
"""Called with the number of things done since the last call."""


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What the journal led to.

    Attributes:
        done: how many things were done again, by kind.
        before: how many were in the database already.
        unmatched: lines about something that the database does not know: it came after the backup.
    """

    done: Counter[str] = field(default_factory=Counter)
    before: int = 0
    unmatched: list[str] = field(default_factory=list)


def take_name(exchange: "Exchange", origin: str) -> None:
    """Call the installation by the log's next name. From this commit on it differs from the head's: nobody serves."""
    with exchange.database.write() as connection:
        connection.execute(update(installation_table).values(origin=origin))
        connection.commit()


def revoke_tokens(exchange: "Exchange", now: datetime) -> int:
    """Revoke every token and every code: which of them were revoked since the backup is not known."""
    with exchange.database.write() as connection:
        count = access_store.revoke_all(connection, now)
        connection.commit()
    return count


def replay(
    exchange: "Exchange", records: Iterable[Record], *, clock: Callable[[], datetime], progress: Progress
) -> Replayed:
    """Do again what the journal tells. A line that is in effect already changes nothing."""
    replayed = Replayed()
    for record in in_effect(records):
        try:
            outcome = _again(exchange, record, clock())
        except (UnknownAgencyError, UnknownAgreementError, UnknownConsentError, UnknownSubjectError):
            name = ", ".join(f"{what} {which}" for what, which in sorted(record.references.items()))
            replayed.unmatched.append(f"{record.kind} of {record.at:%Y-%m-%d %H:%M:%S}: {name}")
        else:
            replayed.done[record.kind.value] += outcome
            replayed.before += not outcome
        progress(1)
    return replayed


def in_effect(records: Iterable[Record]) -> list[Record]:
    """The lines that still count: of what has states, the last one about each; each line once. In order, erasures last.

    Somebody who was suspended and taken up again is not suspended again.
    """
    last: dict[tuple[str, ...], Record] = {}
    for record in records:
        key = (record.kind.value, *sorted(text for name, text in record.references.items() if name != "status"))
        last.pop(key, None)  # to its place in the order of the last word
        last[key] = record
    return sorted(last.values(), key=lambda record: record.kind is EventType.SUBJECT_ERASED)


def pause_all(exchange: "Exchange", *, clock: Callable[[], datetime], progress: Progress) -> int:
    """Pause every consent in force, in portions; each person resumes with one step. How many were paused."""
    total = 0
    while True:
        now = clock()
        with exchange.unit_of_work(now) as uow:
            rows, events = _ledger(uow).pause_given(reason=REASON, limit=AT_ONCE)
            by_consent: dict[UUID, list[ConsentEvent]] = {}
            for event in events:
                by_consent.setdefault(event.consent_id, []).append(event)
            for row in rows:
                _record(exchange, uow, row, by_consent[row.id])
            uow.commit()
        if not rows:
            return total
        total += len(rows)
        progress(len(rows))


def tell_keys(exchange: "Exchange", keys: Iterable[VerifierKey], now: datetime) -> int:
    """Record the public keys that the log does not tell of (yet, or any more); how many."""
    with exchange.unit_of_work(now) as uow:
        told = verifier_keys.told(uow.connection)
        new = [key for key in keys if not told.knows(key)]
        verifier_keys.record_added(uow, new)
        uow.commit()
    return len(new)


def _again(exchange: "Exchange", record: Record, now: datetime) -> bool:
    """Do one thing again; False: it is in effect."""
    named = record.references
    match record.kind:
        case EventType.SUBJECT_ERASED:
            return _erase(exchange, UUID(named["subject"]), now)
        case EventType.SUBJECT_STATUS_CHANGED:
            return _set_subject(exchange, UUID(named["subject"]), SubjectStatus(named["status"]), now)
        case EventType.AGENCY_STATUS_CHANGED:
            if named["status"] != Status.SUSPENDED:
                return False
            return agencies.set_agency_status(exchange, named["agency"], Status.SUSPENDED, now)
        case EventType.CLIENT_STATUS_CHANGED:
            if named["status"] != Status.SUSPENDED:
                return False
            return agencies.set_client_status(exchange, named["client"], Status.SUSPENDED, now)
        case EventType.AGREEMENT_ENDED:
            return _end_agreement(exchange, named["agreement"], now)
        case EventType.VERIFIER_KEY_RETIRED:
            return _retire(exchange, VerifierKey(use=named["use"], key=named["key"]), now)
        case _:
            return _end_consent(exchange, UUID(named["consent"]), was_refused=record.kind in _NO, now=now)


def _end_agreement(exchange: "Exchange", code: str, now: datetime) -> bool:
    with exchange.database.read() as connection:
        was_open = agreements.find_agreement(connection, code).status is not AgreementStatus.ENDED
    # Also of one that has ended: its consents may not have followed yet.
    return agreements.end(exchange, code, by=REASON, now=now) > 0 or was_open


def _end_consent(exchange: "Exchange", consent_id: UUID, *, was_refused: bool, now: datetime) -> bool:
    with exchange.unit_of_work(now) as uow:
        events = _ledger(uow).end_again(consent_id, was_refused=was_refused, reason=REASON)
        row = consent_store.find(uow.connection, consent_id)
        assert row is not None  # the ledger has just found it
        _record(exchange, uow, row, events)
        uow.commit()
    return bool(events)


def _erase(exchange: "Exchange", subject_ref: UUID, now: datetime) -> bool:
    try:
        erase(exchange, subject_ref, now)
    except SubjectErasedError:
        return False
    return True


def _set_subject(exchange: "Exchange", subject_ref: UUID, status: SubjectStatus, now: datetime) -> bool:
    if status not in (SubjectStatus.DECEASED, SubjectStatus.PROTECTED):
        return False  # what protects somebody in the backup stays until somebody lifts it again
    try:
        return subjects.set_status(exchange, subject_ref, status, now)
    except SubjectErasedError:
        return False


def _retire(exchange: "Exchange", key: VerifierKey, now: datetime) -> bool:
    with exchange.unit_of_work(now) as uow:
        told = verifier_keys.told(uow.connection)
        if not told.knows(key) or told.has_retired(key):
            return False
        verifier_keys.record_retired(uow, [key])
        uow.commit()
    return True


def _record(exchange: "Exchange", uow: UnitOfWork, row: ConsentRow, events: Iterable[ConsentEvent]) -> None:
    sealed_by = None
    try:
        uow.use_key(row.subject_ref, exchange.keyring.load(uow.connection, row.subject_ref))
    except SubjectErasedError:
        # A question about nobody has no key of its own; its rows are written all the same (invariant 6).
        sealed_by = exchange.installation.operator_ref
    record_consent_events(
        uow, events, subject_ref=row.subject_ref, org=row.consumer, purpose=row.purpose, sealed_by=sealed_by
    )


def _ledger(uow: UnitOfWork) -> ConsentLedger:
    return ConsentLedger(uow.connection, now=uow.now, new_entry_id=lambda: new_id(uow.now))
