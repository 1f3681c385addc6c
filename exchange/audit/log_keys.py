"""Which keys verify which checkpoint: those that were given, and those that the log itself tells of.

A checkpoint is good under a key that was given from outside, whatever its size. A key that only the log tells of
(``key.verifier_added``) counts for checkpoints that cover that entry, up to the one that covers its end
(``key.verifier_retired``). This is for *old* checkpoints, of keys that were rotated out: the newest one must bear a key
that was given. It stands over every entry, so the entries that tell of keys are as certain as it is. Were a told key
enough for it, whoever can write the database could let the sequencer take in an entry about a key of their own, and
then sign another end of the log with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crypto.checkpoint import NoteVerifier
from exchange.audit.entry import Entry
from exchange.events import EventType

_LOG = "log"


@dataclass(slots=True, kw_only=True)
class LogKeys:
    """Collects while the entries are read in order.

    Attributes:
        given: keys from outside.
    """

    given: Sequence[NoteVerifier]
    _told: dict[str, tuple[NoteVerifier, int]] = field(default_factory=dict)  # by vkey: and the entry's place
    _ended: dict[str, int] = field(default_factory=dict)

    def take(self, seq: int, entry: Entry) -> None:
        """Look at the next entry.

        Raises:
            MalformedError: it tells of a key that is none.
        """
        if entry.detail.get("use") != _LOG:
            return
        key = entry.detail.get("key", "")
        if entry.type == EventType.VERIFIER_KEY_ADDED:
            self._told.setdefault(key, (NoteVerifier.parse(key), seq))
        elif entry.type == EventType.VERIFIER_KEY_RETIRED:
            self._ended.setdefault(key, seq)

    def verifiers(self, size: int) -> list[NoteVerifier]:
        """The keys for a checkpoint over ``size`` entries."""
        given = {verifier.vkey: verifier for verifier in self.given}
        told = {
            vkey: verifier
            for vkey, (verifier, place) in self._told.items()
            if place < size <= self._ended.get(vkey, size)
        }
        return list((told | given).values())
