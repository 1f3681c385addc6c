"""People's data keys: made, found, unwrapped, forgotten.

The key *row* is selected in every transaction that opens something; only the unwrapping is cached. So an erased
person's fields stop opening with the commit that deletes the row, in every process, without any message between them
(invariant 11).
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

from crypto.envelope import KeyEncryptionKey, KeyWrapper, unwrap_kek
from crypto.fields import DataKey, FieldAddress
from exchange.errors import DatabaseError, SubjectErasedError
from exchange.tables import kek, subject_key

_CACHED_KEYS = 10_000
_INSERT_KEY = insert(subject_key)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A row of ``subject_key``."""

    subject_ref: UUID
    kid: bytes
    commitment: bytes
    epoch: int
    wrapped: bytes = field(repr=False)


class Keyring:
    """Unwraps data keys under the KEK of their epoch.

    Args:
        wrapper: holder of the root key.
        installation_id: bound into every sealed field.
    """

    def __init__(self, wrapper: KeyWrapper, *, installation_id: UUID) -> None:
        self._wrapper = wrapper
        self._installation_id = installation_id
        self._keks: dict[int, tuple[bytes, KeyEncryptionKey]] = {}
        self._cache: OrderedDict[tuple[UUID, bytes], DataKey] = OrderedDict()
        self._lock = threading.Lock()

    def address(self, table: str, column: str, *, subject_ref: UUID, record_id: UUID, version: int) -> FieldAddress:
        """The place that a field is bound to (decision 6)."""
        return FieldAddress(
            installation=self._installation_id,
            table=table,
            column=column,
            subject_ref=subject_ref,
            record_id=record_id,
            version=version,
        )

    def open(self, connection: Connection, row: KeyRow) -> DataKey:
        """The data key of a row that was selected in this transaction.

        Raises:
            DecryptionError: the row was altered, or is another person's.
        """
        slot = (row.subject_ref, row.kid)
        with self._lock:
            cached = self._cache.get(slot)
            if cached is not None:
                self._cache.move_to_end(slot)
        if cached is not None and cached.commitment == row.commitment:
            return cached
        key = self._kek(connection, row.epoch).unwrap_data_key(
            row.wrapped, subject_ref=row.subject_ref, commitment=row.commitment
        )
        with self._lock:
            self._cache[slot] = key
            if len(self._cache) > _CACHED_KEYS:
                self._cache.popitem(last=False)
        return key

    def load(self, connection: Connection, subject_ref: UUID, *, kid: bytes | None = None) -> DataKey:
        """The person's newest key, or the one that sealed a field.

        Raises:
            SubjectErasedError: there is none (any more).
        """
        statement = select(
            subject_key.c.subject_ref,
            subject_key.c.kid,
            subject_key.c.commitment,
            subject_key.c.epoch,
            subject_key.c.wrapped,
        ).where(subject_key.c.subject_ref == subject_ref)
        if kid is not None:
            statement = statement.where(subject_key.c.kid == kid)
        row = connection.execute(statement.order_by(subject_key.c.created_at.desc()).limit(1)).one_or_none()
        if row is None:
            raise SubjectErasedError(f"no key for subject {subject_ref}")
        return self.open(connection, KeyRow(**row._asdict()))

    def load_all(self, connection: Connection, refs: Collection[UUID]) -> dict[tuple[UUID, bytes], DataKey]:
        """All keys of some owners, by owner and kid, in one statement; of an erased one there is none."""
        key = subject_key.c
        rows = connection.execute(
            select(key.subject_ref, key.kid, key.commitment, key.epoch, key.wrapped).where(key.subject_ref.in_(refs))
        )
        return {(row.subject_ref, row.kid): self.open(connection, KeyRow(**row._asdict())) for row in rows.fetchall()}

    def create(self, connection: Connection, subject_ref: UUID, now: datetime) -> DataKey:
        """Make and store a key; see :meth:`create_many`."""
        return self.create_many(connection, [subject_ref], now)[subject_ref]

    def create_many(self, connection: Connection, refs: Sequence[UUID], now: datetime) -> dict[UUID, DataKey]:
        """Make and store keys. The KEK row stays locked until commit: no epoch is destroyed under a new key."""
        active = connection.execute(
            select(kek.c.epoch)
            .where(kek.c.status == "ACTIVE")
            .order_by(kek.c.epoch.desc())
            .limit(1)
            .with_for_update(read=True)
        ).scalar_one_or_none()
        if active is None:
            raise DatabaseError("no key-encryption key is active; run `cdx init`")
        opened = self._kek(connection, active)
        keys = {ref: DataKey.generate() for ref in refs}
        rows = [
            {
                "subject_ref": ref,
                "kid": key.kid,
                "commitment": key.commitment,
                "epoch": active,
                "wrapped": opened.wrap_data_key(key, subject_ref=ref),
                "created_at": now,
            }
            for ref, key in keys.items()
        ]
        connection.execute(_INSERT_KEY, rows)
        return keys

    def forget(self, subject_ref: UUID) -> None:
        """Drop unwrapped keys of an erased person from this process's memory."""
        with self._lock:
            for slot in [slot for slot in self._cache if slot[0] == subject_ref]:
                del self._cache[slot]

    def _kek(self, connection: Connection, epoch: int) -> KeyEncryptionKey:
        known = self._keks.get(epoch)
        if known is not None:
            return known[1]
        row = connection.execute(select(kek.c.wrapped, kek.c.status).where(kek.c.epoch == epoch)).one_or_none()
        if row is None or row.status == "DESTROYED":
            raise SubjectErasedError(f"key epoch {epoch} was destroyed")
        opened = unwrap_kek(self._wrapper, row.wrapped, epoch)
        self._keks[epoch] = (row.wrapped, opened)
        return opened
