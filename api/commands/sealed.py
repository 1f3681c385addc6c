"""Opens what is sealed, for ``cdx log verify-db``: whether it opens, never what it says."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Select, select

from crypto.errors import CryptoError
from crypto.fields import DataKey, open_field, sealed_kid
from exchange.context import Exchange
from exchange.errors import ExchangeError, SubjectErasedError
from exchange.model import SubjectStatus
from exchange.tables import (
    attribute_request,
    attribute_value,
    authorization_request,
    installation,
    subject,
    subject_identifier,
)

# Per table: record id, owner of the key, column it is bound to (None: the attribute's name), version, sealed bytes.
_identifier, _value, _request = subject_identifier.c, attribute_value.c, attribute_request.c
_pushed = authorization_request.c
_SEALED: Final[dict[str, tuple[Select[Any], str | None]]] = {
    "subject_identifier": (
        select(_identifier.id, _identifier.subject_ref, _identifier.version, _identifier.ct),
        "ct",
    ),
    "attribute_value": (
        select(_value.id, _value.subject_ref, _value.version, _value.ct, _value.attribute),
        None,
    ),
    "attribute_request": (
        select(_request.id, _request.sealed_by.label("subject_ref"), _request.details.label("ct")),
        "details",
    ),
    # Nobody is known when it is pushed: the operator's key.
    "authorization_request": (
        select(_pushed.id, select(installation.c.operator_ref).scalar_subquery().label("subject_ref"), _pushed.ct),
        "ct",
    ),
}

_KEYS_KEPT: Final = 10_000


class Opener:
    """Opens sealed columns of one transaction."""

    def __init__(self, exchange: Exchange, connection: Connection) -> None:
        self._exchange = exchange
        self._connection = connection
        # Within one transaction a key that was selected once stays selected. Rows of a person lie together.
        self._key_of = lru_cache(maxsize=_KEYS_KEPT)(self._load_key)

    def unseal(self, owner_ref: UUID, entry_id: UUID, ct: bytes) -> bytes | None:
        """The openings of an entry; None: their owner was erased.

        Raises:
            CryptoError, ExchangeError: they do not open.
        """
        try:
            return self._open("audit_opening", "ct", owner_ref, entry_id, 1, ct)
        except SubjectErasedError:
            # No key: so it must be after an erasure, and never otherwise.
            if self._is_erased(owner_ref):
                return None
            raise

    def check(self, table: str) -> Iterator[str]:
        """A sentence for each row of ``table`` that does not open."""
        statement, column = _SEALED[table]
        for row in self._connection.execute(statement.execution_options(yield_per=1000)):
            version = row.version if "version" in row._fields else 1
            try:
                self._open(table, column or row.attribute, row.subject_ref, row.id, version, row.ct)
            except (CryptoError, ExchangeError):
                if not self._is_erased(row.subject_ref):
                    yield f"row {row.id} does not open"

    def _open(  # the parts of a field's address, in its order
        self, table: str, column: str, owner_ref: UUID, record_id: UUID, version: int, ct: bytes
    ) -> bytes:
        key = self._key_of(owner_ref, sealed_kid(ct))
        address = self._exchange.keyring.address(
            table, column, subject_ref=owner_ref, record_id=record_id, version=version
        )
        return open_field(key, ct, address=address)

    def _load_key(self, owner_ref: UUID, kid: bytes) -> DataKey:
        return self._exchange.keyring.load(self._connection, owner_ref, kid=kid)

    def _is_erased(self, ref: UUID) -> bool:
        status = self._connection.execute(select(subject.c.status).where(subject.c.ref == ref)).scalar()
        return status == SubjectStatus.ERASED.value
