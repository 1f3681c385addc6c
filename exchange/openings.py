"""Opening an entry: an officer sees its sealed facts, with a stated reason, and never without a trace.

The opening is an entry of its own, ``audit.opened``, in the history of everybody whose facts were opened; it is durable
before anything is shown. An attempt that opens nothing is an entry too, ``audit.refused``. An entry about an entry
inherits until when it is hidden from whom (decision 4), however long the chain.

Whose officers may open what: an organisation's those entries that bear its name, the exchange's own all of them. For
everybody else an entry that exists is like one that does not. What the exchange keeps from an asking organisation stays
kept from its officers too, or an opening would tell what the answer did not (invariant 6).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from crypto.errors import CryptoError
from crypto.fields import DataKey, open_field, sealed_kid
from exchange import staff
from exchange import subjects_store as store
from exchange.audit import history_store
from exchange.audit.commitments import Openings, check_openings, parse_openings
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.proofs import InclusionProof
from exchange.errors import ExchangeError, UnknownEntryError
from exchange.events import Concerned, Event, EventType, Outcome
from exchange.model import SubjectStatus
from exchange.staff import check_line

if TYPE_CHECKING:
    from exchange.context import Exchange
    from exchange.uow import UnitOfWork

OWN: Final = "cdx"
REASON_CHARACTERS: Final = range(10, 501)
OPENED_ENTRY: Final = "entry"
"""The public detail of ``audit.opened`` that names the entry that was opened."""
_ABOUT_PEOPLE: Final = ("request.", "consent.", "attribute.", "disclosure.")
_AT_ONCE: Final = 8  # owners in one entry, so that facts and bytes stay far below what an entry holds
_KEPT: Final[Mapping[str, str]] = {EventType.REQUEST_DENIED.value: "reason"} | {
    kind.value: "actor" for kind in EventType if kind.value.startswith("consent.")
}


class OpeningError(ExchangeError):
    """An entry cannot be opened as asked: the reason or who asks is not what it must be."""

    code = "invalid-opening"


@dataclass(frozen=True, slots=True, kw_only=True)
class Officer:
    """Who opens. ``id`` is the organisation's own pseudonymous staff id; ``via`` the client and key that said so."""

    org: str
    id: str = field(repr=False)
    role: str = field(repr=False)
    via: str

    def may_open(self, entry: Entry) -> bool:
        """Whether the entry is one for this officer's organisation."""
        return self.org in (OWN, entry.org)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedFact:
    """A fact; ``value`` is None where it is kept from the officer's organisation."""

    name: str
    value: str | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedOwner:
    """One owner's facts of an entry.

    Attributes:
        role: ``person`` | ``staff`` | ``operator``; None where nothing tells (any more).
        state: ``opened``; ``erased``: there are no openings any more, as after an erasure (whether it was one is for
            ``cdx log verify-db`` to say); ``damaged``: what is stored does not open, or not as the entry committed to
            it, so nothing of it is shown.
        ref: reference of the person or member of staff. Not for the eyes of an organisation: it would link people
            across organisations, and tell whom nobody knows.
        visible_from: until when the entry is hidden from this person.
    """

    role: str | None
    state: str
    ref: UUID | None = None
    facts: tuple[OpenedFact, ...] = ()
    visible_from: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEntry:
    """An entry with its facts. ``recorded_as``: entries that tell of this opening; no ``proof``: not yet in the log."""

    entry: Entry
    owners: tuple[OpenedOwner, ...]
    recorded_as: tuple[UUID, ...]
    proof: InclusionProof | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the database has for one owner, and for whom the opening is to be recorded."""

    owner_ref: UUID
    status: SubjectStatus
    openings: Openings | None  # None: damaged
    subject_ref: UUID | None
    visible_from: datetime | None


def open_entry(exchange: "Exchange", officer: Officer, entry_id: UUID, reason: str, now: datetime) -> OpenedEntry:
    """Open an entry for an officer. Every call is on record, also one that opens nothing.

    Args:
        exchange: the parts.
        officer: who opens.
        entry_id: which entry, in the log or on its way there.
        reason: why, 10 to 500 characters; sealed for everybody concerned and shown to the people among them.
        now: the time of the call.

    Raises:
        OpeningError, InvalidStaffError: reason, staff id or role are not valid; the one thing that leaves no entry.
        UnknownEntryError: there is no such entry for this officer.
    """
    if len(reason) not in REASON_CHARACTERS or len(reason.strip()) < REASON_CHARACTERS.start:
        raise OpeningError(f"state a reason of {REASON_CHARACTERS.start} to {REASON_CHARACTERS[-1]} characters")
    if not reason.isprintable():
        raise OpeningError("a reason is one line of printable characters")
    check_line(officer.role, "a role")
    told = {
        "officer": officer.id,
        "role": officer.role,
        "reason": reason,
        "entry": str(entry_id),
        "client": officer.via,
    }
    with exchange.unit_of_work(now) as uow:
        # Staff before people, people in the order of their references: see docs/architecture.md.
        officer_ref = staff.find_or_create(uow, exchange, officer.org, officer.id)
        row = history_store.find_entry(uow.connection, entry_id)
        entry = None if row is None else decode_entry(row.body)
        if entry is not None and not officer.may_open(entry):
            entry = None
        if entry is None:
            _record_refusal(uow, officer, officer_ref, told)
            found: list[_Found] = []
            recorded: tuple[UUID, ...] = ()
        else:
            found = _open(exchange, uow.connection, entry)
            recorded = tuple(_record(uow, officer, officer_ref, entry, found, told))
        # A crash before this line leaves no trace and has shown nothing; after it the opening is on record.
        uow.commit()
    if entry is None:
        raise UnknownEntryError(f"entry {entry_id} is not in the log")
    return OpenedEntry(
        entry=entry,
        owners=(
            *(_shown(one, entry, officer) for one in found),
            *(OpenedOwner(role=None, state="erased") for _ in range(entry.sealings - len(found))),
        ),
        recorded_as=recorded,
        proof=_proof(exchange, entry_id),
    )


def unseal(
    exchange: "Exchange", keys: Mapping[tuple[UUID, bytes], DataKey], owner_ref: UUID, entry: Entry, ct: bytes
) -> Openings | None:
    """What one owner's key opens of an entry, checked against its commitments; None: it does not open so."""
    try:
        key = keys[owner_ref, sealed_kid(ct)]
        address = exchange.keyring.address("audit_opening", "ct", subject_ref=owner_ref, record_id=entry.id, version=1)
        openings = parse_openings(open_field(key, ct, address=address))
        check_openings(entry, openings)
    except (CryptoError, KeyError):
        return None
    return openings


def _open(exchange: "Exchange", connection: Connection, entry: Entry) -> list[_Found]:
    """Open what is there. Everybody concerned is held until commit: an erasure waits, or has won and nothing opens."""
    held = store.hold(connection, list(history_store.sealed_openings(connection, entry.id)))
    # Read again under the locks: whoever was erased in between has no row any more.
    sealed = history_store.sealed_openings(connection, entry.id)
    lines = history_store.hidden_until(connection, entry.id)
    keys = exchange.keyring.load_all(connection, list(sealed))
    with_key = {ref for ref, _ in keys}
    found = []
    for owner_ref, ct in sorted(sealed.items()):
        status = SubjectStatus(held.get(owner_ref, SubjectStatus.ERASED))
        openings = unseal(exchange, keys, owner_ref, entry, ct)
        if openings is not None:
            subject_ref = openings.subject_ref
        else:
            subject_ref = owner_ref if status.is_person and owner_ref in with_key else None
        found.append(
            _Found(
                owner_ref=owner_ref,
                status=status,
                openings=openings,
                subject_ref=subject_ref,
                visible_from=_later(
                    None if openings is None else openings.visible_from,
                    None if subject_ref is None else lines.get(subject_ref),
                ),
            )
        )
    return found


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    # The sealed time and the one in the line are the same, unless somebody changed the line to let it show.
    return max(one, other) if one is not None and other is not None else one or other


def _record(
    uow: "UnitOfWork",
    officer: Officer,
    officer_ref: UUID,
    entry: Entry,
    found: Sequence[_Found],
    told: Mapping[str, str],
) -> Iterator[UUID]:
    """One entry, unless very many are concerned. Facts about nobody give nobody a line."""
    # Who is filed under the operator's key comes first: only the first sealing can have another owner than its person.
    concerned = sorted(
        (one for one in found if one.subject_ref is not None or one.status is SubjectStatus.STAFF),
        key=lambda one: one.owner_ref == one.subject_ref or one.subject_ref is None,
    )
    rest = iter([one for one in concerned if one.owner_ref != officer_ref])
    part = list(islice(rest, _AT_ONCE))
    while True:
        yield _record_part(uow, officer, officer_ref, entry, part, told)
        if not (part := list(islice(rest, _AT_ONCE))):
            return


def _record_part(
    uow: "UnitOfWork",
    officer: Officer,
    officer_ref: UUID,
    entry: Entry,
    part: Sequence[_Found],
    told: Mapping[str, str],
) -> UUID:
    first = next((one for one in part if one.subject_ref is not None), None)
    others = [
        Concerned(
            owner_ref=one.owner_ref,
            facts=told,
            has_history=one.subject_ref is not None,
            visible_from=one.visible_from,
        )
        for one in part
        if one is not first
    ]
    event = Event(
        type=EventType.AUDIT_OPENED,
        org=officer.org,
        detail={OPENED_ENTRY: str(entry.id)},
        subject_ref=None if first is None else first.subject_ref,
        facts={} if first is None else told,
        visible_from=None if first is None else first.visible_from,
        also=(*others, Concerned(owner_ref=officer_ref, facts=told, has_history=False)),
    )
    return uow.record(event, sealed_by=None if first is None else first.owner_ref).id


def _record_refusal(uow: "UnitOfWork", officer: Officer, officer_ref: UUID, told: Mapping[str, str]) -> None:
    # What was asked for is a fact and no detail: a caller's own text does not reach the log.
    uow.record(
        Event(
            type=EventType.AUDIT_REFUSED,
            org=officer.org,
            outcome=Outcome.DENY,
            also=(Concerned(owner_ref=officer_ref, facts=told, has_history=False),),
        )
    )


def _shown(one: _Found, entry: Entry, officer: Officer) -> OpenedOwner:
    if one.openings is None:
        return OpenedOwner(role=None, state="damaged", ref=one.owner_ref)
    kept = _KEPT.get(entry.type) if officer.org != OWN else None
    nobodys = "staff" if one.status is SubjectStatus.STAFF else "operator"
    if officer.org != OWN and one.status is not SubjectStatus.STAFF and entry.type.startswith(_ABOUT_PEOPLE):
        # An entry about somebody whom nobody knows, or whom an erasure took, is to look like any other (invariant 6).
        nobodys = "person"
    return OpenedOwner(
        role=nobodys if one.subject_ref is None else "person",
        state="opened",
        ref=one.subject_ref or one.owner_ref,
        facts=tuple(
            OpenedFact(name=fact.name, value=None if fact.name == kept else fact.value) for fact in one.openings.facts
        ),
        visible_from=one.visible_from,
    )


def _proof(exchange: "Exchange", entry_id: UUID) -> InclusionProof | None:
    with exchange.database.read() as connection:
        try:
            return exchange.prover.inclusion(connection, entry_id=entry_id)
        except UnknownEntryError:
            return None
