"""The names of one log: its first one, and ``<first>/2``, ``<first>/3`` … after restores. Pure.

A restored database continues the same tree under the next name (docs/adr/0020). Its keys bear the name of the log
(C2SP tlog-checkpoint), so the same key has another verifier key under each name.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

from crypto.note import ED25519, NoteVerifier, make_vkey
from exchange.audit.journal import key_name
from exchange.audit.rows import OriginRow

_is_generation = re.compile(r"/([1-9][0-9]{0,8})", re.ASCII).fullmatch
FIRST: Final = 1


def name_of(first: str, generation: int) -> str:
    """The name of a generation."""
    return first if generation == FIRST else f"{first}/{generation}"


def generation_of(origin: str, first: str) -> int | None:
    """Which generation bears a name; None: it is another log's."""
    if origin == first:
        return FIRST
    match = _is_generation(origin.removeprefix(first)) if origin.startswith(first) else None
    return int(match[1]) if match is not None and int(match[1]) > FIRST else None


def name_at(names: Sequence[OriginRow], size: int) -> str | None:
    """The name that a checkpoint of ``size`` entries bears; None: no name is known."""
    bearing = [row for row in names if row.first_size < size]
    return bearing[-1].origin if bearing else None


def verifiers(
    publics: Sequence[bytes], first: str, *, of_journal: bool = False
) -> Callable[[str], Sequence[NoteVerifier]]:
    """What verifies notes under the names of one log.

    Args:
        publics: its public keys, Ed25519, raw.
        first: its first name.
        of_journal: of the notes in its journal, not of checkpoints.

    Returns:
        A function from a name of the log to verifiers; none for a name that is another log's.
    """

    def of(origin: str) -> Sequence[NoteVerifier]:
        if generation_of(origin, first) is None:
            return ()
        name = key_name(origin) if of_journal else origin
        return [NoteVerifier.parse(make_vkey(name, ED25519, public)) for public in publics]

    return of
