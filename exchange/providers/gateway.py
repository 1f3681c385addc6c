"""The provider's side: answers signed queries from a read-only view of an old registry (``cdx provider serve``).

A query is answered once, to the exchange that the mapping names, for the purposes that it admits, and only with the
attributes that it maps. What was asked is for the caller to log: :class:`Answered` says it without a personal value.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange.providers.mapping import RegistryMapping
from exchange.providers.protocol import LEEWAY, AnswerLine, KeyFinder, QueryRefusedError, read_query, write_answer
from exchange.providers.registry import Registry
from exchange.providers.replay import ReplayFile
from exchange.providers.values import PRESENT


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKeys:
    """The provider's own keys, and how to find the exchange's."""

    signer: SigningKey
    decryption: EncryptionPrivateKey
    exchange: KeyFinder = field(repr=False)

    def public_jwks(self) -> dict[str, Any]:
        """The public halves, for the agency's profile at the exchange."""
        return {"keys": [self.signer.public_jwk(), self.decryption.public_jwk()]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer to send, and what may be logged about it."""

    body: str = field(repr=False)
    request: UUID
    purpose: str
    states: Mapping[str, str]  # attribute → present, not_held …


class Gateway:
    """Answers queries.

    Args:
        mapping: what is asked where.
        keys: ours and the exchange's.
        replay_file: remembers the queries that were answered.
    """

    def __init__(self, mapping: RegistryMapping, keys: GatewayKeys, *, replay_file: Path) -> None:
        self._mapping = mapping
        self._keys = keys
        self._registry = Registry(mapping)
        self._taken = ReplayFile(replay_file)

    def check(self) -> None:
        """See that the registry is there and fits the mapping; before serving.

        Raises:
            MappingError: the view or columns of it are not there.
            DatabaseError: the registry cannot be reached.
        """
        self._registry.check()

    def answer(self, body: bytes, now: datetime) -> Answered:
        """Answer one query.

        Raises:
            QueryRefusedError: not a valid query of the exchange for us, or one that was answered before.
            DatabaseError: the registry cannot be reached, or takes too long.
        """
        mapping = self._mapping
        query = read_query(
            body,
            issuer=mapping.issuer,
            provider=mapping.provider,
            keys=self._keys.exchange,
            decryption=self._keys.decryption,
            now=now,
        )
        if mapping.purposes is not None and query.purpose not in mapping.purposes:
            raise QueryRefusedError("purpose")
        # Taken before the registry is read: a copy that comes at the same moment finds it taken.
        if not self._taken.take(issuer=query.issuer, jti=query.jti, expires_at=query.expires_at + LEEWAY, now=now):
            raise QueryRefusedError("replayed")
        lines = self._registry.answer(query.subject, query.attributes, today=now.date())
        return Answered(
            body=write_answer(query, lines, signer=self._keys.signer, now=now),
            request=query.request,
            purpose=query.purpose,
            states={line.name: line.state for line in lines},
        )

    def close(self) -> None:
        """Close the registry and the file."""
        self._registry.close()
        self._taken.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedRow:
    """A row as an operator may see it while setting up: shapes and states, no values."""

    subject: Mapping[str, str]
    answers: Mapping[str, str]


def dry_run(mapping: RegistryMapping, *, limit: int, now: datetime) -> list[MaskedRow]:
    """What the first rows of the view would answer, masked.

    Raises:
        MappingError: the view or columns of it are not there.
        DatabaseError: the registry cannot be reached.
    """
    registry = Registry(mapping)
    try:
        registry.check()
        return [
            MaskedRow(
                subject={scheme: mask(identifier) for scheme, identifier in identifiers.items()},
                answers={line.name: _masked(line) for line in lines},
            )
            for identifiers, lines in registry.sample(limit, today=now.date())
        ]
    finally:
        registry.close()


def mask(value: Any) -> str:
    """The first character, and that there is more: enough to see that the right column is read. Not the length."""
    text = str(value)
    return f"{text[0]}***" if len(text) > 2 else "***"


def _masked(line: AnswerLine) -> str:
    if line.state == "closed_until":
        return f"closed until {line.until}"
    if line.state != PRESENT:
        return line.state
    value = line.value["code"] if isinstance(line.value, Mapping) else line.value
    return "***" if isinstance(value, bool | int) else mask(value)
