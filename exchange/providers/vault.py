"""The vault: attribute values in our own database, each sealed for its person, attribute, row and version.

A sealed field holds canonical JSON, members in alphabetical order:

    assurance      left out when "substantial"
    code, label    of a present value of type code
    last_updated   ISO date, left out when unknown
    source_class   left out when "government"
    state          present | absent | not_applicable | unavailable | empty
    valid_until    ISO date, left out when unknown
    value          of a present value of any other type

Nothing stands beside it in the clear. A person has a row for *every* attribute of a provider that wrote about them, and
what is not held is sealed like a value (decision 8). Padded to a multiple of 128 bytes, so that absence and nearly
every value are equally long. Opening is on the path of every request.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol
from uuid import UUID

from crypto.errors import MalformedError, UnknownKeyError
from crypto.fields import DataKey, FieldContext, RowBinding, row_binding, sealed_kid
from exchange.keyring import Keyring
from exchange.model import HeldValue
from exchange.providers.values import ABSENT, PRESENT

TABLE: Final = "attribute_value"
PAD_TO: Final = 128
_ASSURANCE: Final = "substantial"
_SOURCE_CLASS: Final = "government"
# What was sealed was checked and encoded by us, and the seal holds: the plain decoder reads it.
_decode: Final = json.JSONDecoder().decode
_encode: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class SealedRow(Protocol):
    """A row of ``attribute_value``, in whatever shape the caller read it."""

    @property
    def attribute(self) -> str:
        """Name in the catalogue."""

    @property
    def provider(self) -> str:
        """Code of the agency that wrote it."""

    @property
    def record_id(self) -> UUID:
        """The row's id, bound into the seal."""

    @property
    def version(self) -> int:
        """The row's version, bound into the seal."""

    @property
    def ct(self) -> bytes:
        """The sealed value."""


def seal_value(plaintext: bytes, *, key: DataKey, column: FieldContext, row: RowBinding) -> bytes:
    """Seal what :func:`encode_value` made of one attribute, for one version of its row."""
    return column.seal(key, plaintext, row, pad_to=PAD_TO)


def open_values(
    keyring: Keyring, subject_ref: UUID, rows: Iterable[SealedRow], keys: Mapping[bytes, DataKey]
) -> dict[str, HeldValue]:
    """Open a person's values.

    Args:
        keyring: knows the installation that every value is bound to.
        subject_ref: the person.
        rows: of that person.
        keys: the person's data keys by kid, from rows that were selected in this transaction (invariant 11).

    Raises:
        UnknownKeyError: sealed under a key that is not among ``keys``.
        DecryptionError: altered, or moved from another row, attribute, person or installation.
    """
    anywhere = keyring.address(TABLE, "", subject_ref=subject_ref, record_id=subject_ref, version=1)
    opened = {}
    for row in rows:
        attribute, ct = row.attribute, row.ct
        key = keys.get(sealed_kid(ct))
        if key is None:
            raise UnknownKeyError("a value was sealed under a key that the person has not (any more)")
        binding = row_binding(subject_ref=subject_ref, record_id=row.record_id, version=row.version)
        plaintext = column_of(anywhere.installation, attribute).open(key, ct, binding)
        opened[attribute] = decode_value(plaintext, attribute, row.provider)
    return opened


def absent(name: str, provider: str) -> HeldValue:
    """What is sealed for an attribute of which the provider said nothing."""
    return HeldValue(name=name, provider=provider, state=ABSENT)


def encode_value(held: HeldValue) -> bytes:
    """The plaintext of a sealed value that was checked."""
    members: dict[str, Any] = {"state": held.state}
    if held.state == PRESENT:
        if isinstance(held.value, Mapping):
            members["code"] = held.value["code"]
            members["label"] = held.value["label"]
        else:
            members["value"] = held.value
    if held.last_updated is not None:
        members["last_updated"] = held.last_updated
    if held.valid_until is not None:
        members["valid_until"] = held.valid_until
    if held.assurance != _ASSURANCE:
        members["assurance"] = held.assurance
    if held.source_class != _SOURCE_CLASS:
        members["source_class"] = held.source_class
    # Checked values are text, booleans, small integers and codes: what the canonical encoder would check once more.
    return _encode(members).encode()


def decode_value(plaintext: bytes, attribute: str, provider: str) -> HeldValue:
    """Read the plaintext of a sealed value.

    Raises:
        MalformedError: sealed by something else than this module.
    """
    try:
        members = _decode(plaintext.decode())
        value = members.get("value")
        if value is None and "code" in members:
            value = {"code": members["code"], "label": members["label"]}
        return HeldValue(
            name=attribute,
            provider=provider,
            state=members["state"],
            value=value,
            last_updated=members.get("last_updated"),
            valid_until=members.get("valid_until"),
            assurance=members.get("assurance", _ASSURANCE),
            source_class=members.get("source_class", _SOURCE_CLASS),
        )
    except (ValueError, KeyError, AttributeError):
        raise MalformedError("a sealed value of an unknown form") from None


@lru_cache(maxsize=4096)
def column_of(installation: UUID, attribute: str) -> FieldContext:
    """The place of an attribute's values."""
    return FieldContext(installation=installation, table=TABLE, column=attribute)
