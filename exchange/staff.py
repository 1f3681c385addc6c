"""Officers and staff: known by organisation and staff id, each with a key of their own (decision 3).

A member of staff is a row of ``subject`` in state STAFF, found by the blind index like a person, under a scheme that no
request and no record can name: to everything that is about people, staff is nobody. Facts about what they did are
sealed under their key, and erased with it; they have no history of their own.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from sqlalchemy import Connection

from crypto import canonical
from crypto.ids import random_bytes
from exchange import subjects_store as store
from exchange.changes import changes_of, restore_changes
from exchange.errors import ExchangeError
from exchange.events import Concerned, Event, EventType
from exchange.model import SubjectName, SubjectStatus
from exchange.store import hold_person
from exchange.subjects import SubjectMovedError, identifier_row

if TYPE_CHECKING:
    from exchange.context import Exchange
    from exchange.uow import UnitOfWork

SCHEME: Final = "cdx/staff"
"""The slash keeps it apart: neither a request nor a record can spell it (``exchange.records``, ``api.v1``)."""
MAX_ID: Final = 256
_ATTEMPTS: Final = 3


class InvalidStaffError(ExchangeError):
    """A staff id or a role is not what it must be."""

    code = "invalid-staff"


def find(connection: Connection, exchange: "Exchange", org: str, staff_id: str) -> UUID | None:
    """The member of staff; None: nobody who ever acted here, or erased since."""
    bidx = _index_of(exchange, org, staff_id)
    return store.find_by_index(connection, index_version=exchange.blind_index.version, bidxs=[bidx]).get(bidx)


def find_or_create(uow: "UnitOfWork", exchange: "Exchange", org: str, staff_id: str) -> UUID:
    """The member of staff, with a key; held until commit, so that an erasure waits.

    Take staff before people: whoever locks both does it in this order.

    Args:
        uow: the caller commits.
        exchange: the parts.
        org: code of the organisation.
        staff_id: its own, pseudonymous; compared exactly.

    Raises:
        InvalidStaffError: no id of staff.
        SubjectMovedError: created and erased by others again and again; roll back.
    """
    check_line(staff_id, "a staff id")
    for _ in range(_ATTEMPTS):
        ref = find(uow.connection, exchange, org, staff_id) or _create(uow, exchange, org, staff_id)
        if ref is not None and hold_person(uow.connection, ref):
            return ref
    raise SubjectMovedError("a member of staff was created or erased by others at the same time")


def check_line(text: str, what: str) -> None:
    """Refuse what is not one printable line of at most 256 characters.

    Raises:
        InvalidStaffError: it is not.
    """
    if not 0 < len(text) <= MAX_ID or not text.isprintable() or not text.strip():
        raise InvalidStaffError(f"{what} is 1 to {MAX_ID} printable characters")


def _create(uow: "UnitOfWork", exchange: "Exchange", org: str, staff_id: str) -> UUID | None:
    """Create; None: somebody else just did. A savepoint undoes what was written until that was found out."""
    ref = UUID(bytes=random_bytes(16), version=4)
    name = SubjectName(scheme=SCHEME, id=_name(org, staff_id))
    changed = changes_of(uow.connection)
    with uow.connection.begin_nested() as savepoint:
        store.insert_subjects(uow.connection, [ref], status=SubjectStatus.STAFF.value, now=uow.now)
        key = exchange.keyring.create(uow.connection, ref, uow.now)
        row = identifier_row(exchange, ref, key, _index_of(exchange, org, staff_id), name, uow.now)
        if not store.insert_identifiers(uow.connection, [row]):
            savepoint.rollback()
            restore_changes(uow.connection, changed)
            return None
    uow.use_key(ref, key)
    identifiers = canonical.encode({str(row["id"]): f"1:{sha256(row['ct']).hexdigest()}"}).decode()
    uow.record(
        Event(
            type=EventType.STAFF_CREATED,
            org=org,
            also=(Concerned(owner_ref=ref, facts={"identifiers": identifiers}, has_history=False),),
        )
    )
    return ref


def _index_of(exchange: "Exchange", org: str, staff_id: str) -> bytes:
    # Not normalised as national identifiers are: to its organisation "a-1" may be somebody else than "A1".
    return exchange.blind_index.compute(SCHEME, _name(org, staff_id))


def _name(org: str, staff_id: str) -> str:
    return f"{org}/{staff_id}"  # no code of an organisation has a slash, so two never meet
