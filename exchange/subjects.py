"""People: found by blind index or pseudonym, created with a key of their own, written about by who holds the fact.

All in bulk, since an import is many writes: :func:`write_records` is the one way in which a value enters the vault.
Everything is checked before anything is written, and a fault names record, attribute and rule, never a value.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from sqlalchemy import Connection

from crypto import canonical
from crypto.blind_index import normalise
from crypto.fields import DataKey, FieldContext, row_binding
from crypto.ids import new_id, random_bytes
from exchange import subjects_store as store
from exchange.catalogue_model import Catalogue
from exchange.errors import ExchangeError, SubjectErasedError, UnknownAgencyError, UnknownSubjectError
from exchange.events import Event, EventType
from exchange.model import HeldValue, SubjectName, SubjectStatus
from exchange.providers.vault import absent, column_of, encode_value, seal_value
from exchange.records import PSEUDONYM_SCHEME, InvalidRecordError, SubjectRecord, fault_in_name, faults_in
from exchange.uow import UnitOfWork

if TYPE_CHECKING:
    from exchange.context import Exchange

__all__ = [
    "PSEUDONYM_SCHEME",
    "Found",
    "InvalidRecordError",
    "SubjectMovedError",
    "SubjectRecord",
    "Written",
    "create",
    "faults_in",
    "find",
    "identifier_row",
    "index_of",
    "look_up",
    "set_status",
    "write_records",
    "write_values",
]

OWN: Final = "cdx"  # the exchange itself, as an audit entry names it
_IDENTIFIERS: Final = "subject_identifier"
_ATTEMPTS: Final = 3
_DIGESTS_AT_ONCE: Final = 400  # each at most 150 bytes, of 65,535
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode  # of names and digests: canonical
_CHANGEABLE: Final = frozenset({SubjectStatus.ACTIVE, SubjectStatus.DECEASED, SubjectStatus.PROTECTED})


class SubjectMovedError(ExchangeError):
    """The same person was created or erased at the same moment; roll back, and do it again."""

    code = "subject-moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: how many people were new, and how many were written about, new ones included."""

    created: int
    written: int


def index_of(exchange: "Exchange", name: SubjectName) -> bytes:
    """The blind index value of a national identifier.

    Raises:
        MalformedError: nothing is left of it after normalising, or it is too long.
    """
    return exchange.blind_index.compute(name.scheme, normalise(name.id))


def find(connection: Connection, exchange: "Exchange", name: SubjectName, agency: str) -> UUID | None:
    """The person whom ``agency`` means; None: nobody that we know.

    Raises:
        MalformedError: the identifier has no normal form.
    """
    if name.scheme == PSEUDONYM_SCHEME:
        return store.find_by_pseudonym(connection, agency=agency, pseudonyms=[name.id]).get(name.id)
    bidx = index_of(exchange, name)
    return store.find_by_index(connection, index_version=exchange.blind_index.version, bidxs=[bidx]).get(bidx)


def create(uow: UnitOfWork, exchange: "Exchange", identifiers: Sequence[SubjectName], *, org: str = OWN) -> UUID:
    """Create one person with a key and sealed identifiers.

    Args:
        uow: the unit of work; the caller commits.
        exchange: the parts.
        identifiers: at least one, national ones only.
        org: who says that the person exists.

    Raises:
        InvalidRecordError: no identifier, or one that cannot be filed.
        SubjectMovedError: an identifier is taken.
    """
    faults = list(filter(None, map(fault_in_name, identifiers)))
    if faults or not identifiers or any(name.scheme == PSEUDONYM_SCHEME for name in identifiers):
        raise InvalidRecordError("; ".join(faults) or "a new person is named by a national identifier")
    filed = [(index_of(exchange, name), name) for name in identifiers]
    return _create(uow, exchange, [filed], org=org)[0]


def write_values(exchange: "Exchange", provider: str, records: Sequence[SubjectRecord], now: datetime) -> Written:
    """Write what a provider holds of some people, all or nothing. People whom we do not know yet are created.

    Raises:
        InvalidRecordError: any fault in any record; nothing was written.
        UnknownAgencyError: the provider is not registered, or suspended.
        UnknownSubjectError: a pseudonym that we never gave to this provider.
        SubjectErasedError: erased while this was under way.
    """
    for _ in range(_ATTEMPTS):
        try:
            with exchange.unit_of_work(now) as uow:
                catalogue = exchange.catalogue(uow.connection)
                faults = [
                    f"record {number}: {fault}"
                    for number, record in enumerate(records, 1)
                    for fault in faults_in(record, catalogue, provider)
                ]
                if faults:
                    raise InvalidRecordError("; ".join(faults))
                written = write_records(uow, exchange, catalogue, provider, records)
                uow.commit()
                return written
        except SubjectMovedError:
            continue
    raise SubjectErasedError("a person was created or erased by others again and again while this was written")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Whom records are about, by their place: known people, strangers (by index value), and unknown pseudonyms."""

    known: Mapping[int, UUID]
    strangers: Mapping[int, bytes]
    unknown: frozenset[int]


def look_up(connection: Connection, exchange: "Exchange", provider: str, records: Sequence[SubjectRecord]) -> Found:
    """Find out whom checked records are about, in two statements."""
    bidxs: dict[int, bytes] = {}
    pseudonyms: dict[int, str] = {}
    for place, record in enumerate(records):
        if record.subject.scheme == PSEUDONYM_SCHEME:
            pseudonyms[place] = record.subject.id
        else:
            bidxs[place] = index_of(exchange, record.subject)
    version = exchange.blind_index.version
    filed = store.find_by_index(connection, index_version=version, bidxs=list(bidxs.values())) if bidxs else {}
    named = (
        store.find_by_pseudonym(connection, agency=provider, pseudonyms=list(pseudonyms.values())) if pseudonyms else {}
    )
    known = {place: filed[bidx] for place, bidx in bidxs.items() if bidx in filed}
    return Found(
        known=known | {place: named[value] for place, value in pseudonyms.items() if value in named},
        strangers={place: bidx for place, bidx in bidxs.items() if bidx not in filed},
        unknown=frozenset(place for place, value in pseudonyms.items() if value not in named),
    )


def write_records(
    uow: UnitOfWork,
    exchange: "Exchange",
    catalogue: Catalogue,
    provider: str,
    records: Sequence[SubjectRecord],
) -> Written:
    """Write checked records in the caller's unit of work, one ``subject.written`` event for each person.

    Raises:
        InvalidRecordError: two records name the same person.
        UnknownAgencyError: the provider is not registered, or suspended.
        UnknownSubjectError: a pseudonym that we never gave to this provider.
        SubjectMovedError: somebody else created or erased one of them just now; roll back and try again.
    """
    connection = uow.connection
    if not store.provider_is_in_force(connection, provider):
        raise UnknownAgencyError("the provider is not registered, or suspended")
    found = look_up(connection, exchange, provider, records)
    if found.unknown:
        raise UnknownSubjectError("a pseudonym that was never given to this provider")
    people = dict(found.known)
    if len(set(people.values())) < len(people) or len(set(found.strangers.values())) < len(found.strangers):
        raise InvalidRecordError("two records name the same person")
    locked = store.lock(connection, list(people.values()))
    if any(locked[ref] == SubjectStatus.ERASED for ref in people.values()):
        raise SubjectMovedError("erased since it was found")
    keys = _load_keys(uow, exchange, list(people.values()))
    # In the order of the index: two that create the same people wait for each other, and never in a circle.
    order = sorted(found.strangers, key=found.strangers.__getitem__)
    filed = [[(found.strangers[place], records[place].subject)] for place in order]
    created = _create(uow, exchange, filed, org=provider, keys=keys)
    people |= dict(zip(order, created, strict=True))
    about = [(ref, keys[ref], records[place].values) for place, ref in people.items()]
    _write(uow, exchange, catalogue, provider, about)
    return Written(created=len(created), written=len(people))


def set_status(
    exchange: "Exchange", subject_ref: UUID, status: SubjectStatus, now: datetime, *, org: str = OWN
) -> bool:
    """Note that a person has died, must be protected, or neither (decision 18). Erasing is ``erasure.erase``.

    Returns:
        False when they had that status already.

    Raises:
        UnknownSubjectError: there is no such person.
        SubjectErasedError: there is no such person any more.
        ValueError: a status that is not set this way.
    """
    if status not in _CHANGEABLE:
        raise ValueError(f"{status} is not set this way")
    with exchange.unit_of_work(now) as uow:
        before = store.lock_for_erasure(uow.connection, subject_ref)
        if before is None or not SubjectStatus(before).is_person:
            raise UnknownSubjectError(f"no subject {subject_ref}")
        if before == SubjectStatus.ERASED:
            raise SubjectErasedError(f"subject {subject_ref} was erased")
        if before == status:
            return False
        store.set_status(uow.connection, subject_ref, status.value)
        facts = {"from": before, "to": status.value}
        uow.record(Event(type=EventType.SUBJECT_STATUS_CHANGED, org=org, subject_ref=subject_ref, facts=facts))
        uow.commit()
    return True


def _load_keys(uow: UnitOfWork, exchange: "Exchange", refs: Sequence[UUID]) -> dict[UUID, DataKey]:
    rows = store.newest_keys(uow.connection, refs) if refs else {}
    keys = {ref: exchange.keyring.open(uow.connection, row) for ref, row in rows.items()}
    if len(keys) < len(refs):
        raise SubjectErasedError("a person without a key")
    for ref, key in keys.items():
        uow.use_key(ref, key)
    return keys


def _create(
    uow: UnitOfWork,
    exchange: "Exchange",
    people: Sequence[Sequence[tuple[bytes, SubjectName]]],
    *,
    org: str,
    keys: dict[UUID, DataKey] | None = None,
) -> list[UUID]:
    """Create people from their filed identifiers; their keys go into ``keys``."""
    if not people:
        return []
    # Random, no UUIDv7: a request about nobody names such a reference too, and must not look different (invariant 6).
    refs = [UUID(bytes=random_bytes(16), version=4) for _ in people]
    store.insert_subjects(uow.connection, refs, status=SubjectStatus.ACTIVE.value, now=uow.now)
    new_keys = exchange.keyring.create_many(uow.connection, refs, uow.now)
    rows, events = [], []
    for ref, identifiers in zip(refs, people, strict=True):
        key = new_keys[ref]
        uow.use_key(ref, key)
        if keys is not None:
            keys[ref] = key
        sealed = {}
        for bidx, name in identifiers:
            row = identifier_row(exchange, ref, key, bidx, name, uow.now)
            rows.append(row)
            sealed[str(row["id"])] = _digest(1, row["ct"])
        facts = {"identifiers": canonical.encode(sealed).decode()}
        events.append(Event(type=EventType.SUBJECT_CREATED, org=org, subject_ref=ref, facts=facts))
    if not store.insert_identifiers(uow.connection, rows):
        raise SubjectMovedError("an identifier that was filed just now")
    for event in events:
        uow.record(event)
    return refs


def identifier_row(
    exchange: "Exchange", ref: UUID, key: DataKey, bidx: bytes, name: SubjectName, now: datetime
) -> dict[str, Any]:
    """A row of ``subject_identifier``: the identifier sealed under the person's key, filed under its index value."""
    column = FieldContext(installation=exchange.installation.id, table=_IDENTIFIERS, column="ct")
    record_id = new_id(now)
    row = row_binding(subject_ref=ref, record_id=record_id, version=1)
    return {
        "bidx": bidx,
        "index_version": exchange.blind_index.version,
        "id": record_id,
        "subject_ref": ref,
        "version": 1,
        "ct": column.seal(key, canonical.encode({"id": name.id, "scheme": name.scheme}), row, pad_to=64),
    }


def _write(
    uow: UnitOfWork,
    exchange: "Exchange",
    catalogue: Catalogue,
    provider: str,
    people: Sequence[tuple[UUID, DataKey, tuple[HeldValue, ...]]],
) -> None:
    """Seal and store values; each person has a row for every attribute of the provider afterwards (decision 8)."""
    record_set = [name for name, one in catalogue.attributes.items() if one.provider == provider and not one.live]
    columns = {name: column_of(exchange.installation.id, name) for name in record_set}
    nothing = encode_value(absent("", provider))
    present = store.held_rows(uow.connection, [ref for ref, _, _ in people], record_set)
    new, changed, events = [], [], []
    for ref, key, values in people:
        said = {held.name: encode_value(held) for held in values}
        digests = {}
        # Rows that begin together share an id: person, id, attribute and version still name one value only.
        first = new_id(uow.now)
        beginning = row_binding(subject_ref=ref, record_id=first, version=1)
        for name in record_set:
            row = present.get((ref, name))
            plaintext = said.get(name)
            if plaintext is None:
                if row is not None:
                    continue  # not spoken of: stays as it is
                plaintext = nothing
            record_id, version = (first, 1) if row is None else (row[0], row[1] + 1)
            binding = beginning if row is None else row_binding(subject_ref=ref, record_id=record_id, version=version)
            ct = seal_value(plaintext, key=key, column=columns[name], row=binding)
            digests[name] = _digest(version, ct)
            written = {"provider": provider, "version": version, "ct": ct, "written_at": uow.now}
            if row is None:
                new.append({"subject_ref": ref, "attribute": name, "id": record_id, **written})
            else:
                changed.append({"of": ref, "named": name, **written})
        events += [
            Event(type=EventType.SUBJECT_WRITTEN, org=provider, subject_ref=ref, facts={"values": _encode(part)})
            for part in _parts(digests)
        ]
    store.insert_values(uow.connection, new)
    store.update_values(uow.connection, changed)
    for event in events:
        uow.record(event)


def _parts(digests: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """One part, unless there are more attributes than the fact of one entry can hold."""
    names = list(digests)
    for start in range(0, len(names), _DIGESTS_AT_ONCE):
        yield {name: digests[name] for name in names[start : start + _DIGESTS_AT_ONCE]}


def _digest(version: int, ct: bytes) -> str:
    return f"{version}:{sha256(ct).hexdigest()}"
