"""Inclusion and consistency proofs out of the stored tiles. Every proof is checked before it is handed out.

A warm proof costs some microseconds and no statement for hashes: full tiles never change, and the cache keeps them with the hashes
between their levels worked out.
"""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from crypto.checkpoint import parse_checkpoint, split_note
from crypto.encoding import b64_encode
from crypto.errors import MalformedError, VerificationError
from crypto.merkle import consistency_proof, hash_leaf, inclusion_proof, verify_consistency, verify_inclusion
from exchange.audit import log, store
from exchange.audit.proof_file import ProofFile, format_proof
from exchange.audit.rows import LeafRow
from exchange.audit.tiles import ReadTile, TileCache, TileHashes
from exchange.errors import InconsistentLogError, UnknownEntryError


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That an entry is in the tree of a published checkpoint."""

    index: int
    size: int
    entry: bytes = field(repr=False)
    leaf_hash: bytes
    hashes: tuple[bytes, ...]
    checkpoint: str = field(repr=False)

    def to_text(self, *, with_entry: bool = True) -> str:
        """As a proof file; with the entry in it, the file alone can be checked."""
        extra = self.entry if with_entry else None
        return format_proof(ProofFile(index=self.index, hashes=self.hashes, checkpoint=self.checkpoint, extra=extra))

    def to_json(self) -> dict[str, Any]:
        """As members of a JSON answer; hashes in base64 as in proof files."""
        return {
            "index": self.index,
            "size": self.size,
            "leaf_hash": b64_encode(self.leaf_hash),
            "hashes": [b64_encode(value) for value in self.hashes],
            "checkpoint": self.checkpoint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the log only grew between two published checkpoints."""

    old_size: int
    new_size: int
    hashes: tuple[bytes, ...]
    old_checkpoint: str = field(repr=False)
    new_checkpoint: str = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """As members of a JSON answer."""
        return {
            "from": self.old_size,
            "to": self.new_size,
            "hashes": [b64_encode(value) for value in self.hashes],
            "old_checkpoint": self.old_checkpoint,
            "new_checkpoint": self.new_checkpoint,
        }


class Prover:
    """Makes proofs for one log; keep one per process. Safe between threads."""

    def __init__(self, *, cached_tiles: int = 1024) -> None:
        """Keep up to ``cached_tiles`` expanded tiles of 16 KiB."""
        self._cache = TileCache(cached_tiles)

    def inclusion(
        self, connection: Connection, *, entry_id: UUID | None = None, index: int | None = None, size: int | None = None
    ) -> InclusionProof:
        """Prove that an entry is in the log.

        Args:
            connection: any transaction.
            entry_id, index: which entry: exactly one of the two.
            size: of a published checkpoint; None: the newest.

        Raises:
            UnknownEntryError: no such entry, not in a tree of that size, or no checkpoint of that size.
            InconsistentLogError: the stored tiles do not lead to the published root.
        """
        leaf = _find(connection, entry_id, index)
        note = log.latest_checkpoint(connection).note if size is None else log.checkpoint_of(connection, size).note
        # Our own note: its signature was made by the sequencer, and whoever gets the proof checks it.
        checkpoint = parse_checkpoint(split_note(note)[0])
        if leaf.seq >= checkpoint.size:
            raise UnknownEntryError(f"entry {leaf.id} is not in the tree of size {checkpoint.size} yet")
        leaf_hash = hash_leaf(leaf.body)
        try:
            hashes = inclusion_proof(leaf.seq, checkpoint.size, self._hashes(connection, checkpoint.size))
            verify_inclusion(
                index=leaf.seq, size=checkpoint.size, leaf_hash=leaf_hash, proof=hashes, root=checkpoint.root
            )
        except (MalformedError, VerificationError) as exc:
            raise InconsistentLogError(f"the stored tiles do not prove entry {leaf.seq}: {exc}") from exc
        return InclusionProof(
            index=leaf.seq,
            size=checkpoint.size,
            entry=leaf.body,
            leaf_hash=leaf_hash,
            hashes=tuple(hashes),
            checkpoint=note,
        )

    def consistency(self, connection: Connection, *, old_size: int, new_size: int | None = None) -> ConsistencyProof:
        """Prove that nothing was changed or taken out between two checkpoints.

        Args:
            connection: any transaction.
            old_size: of a published checkpoint.
            new_size: likewise; None: the newest.

        Raises:
            UnknownEntryError: no checkpoint of that size, or the old one is the larger.
            InconsistentLogError: the stored tiles do not lead from one root to the other.
        """
        old_note = log.checkpoint_of(connection, old_size).note
        if new_size is None:
            new_note = log.latest_checkpoint(connection).note
        else:
            new_note = log.checkpoint_of(connection, new_size).note
        old, new = parse_checkpoint(split_note(old_note)[0]), parse_checkpoint(split_note(new_note)[0])
        if old.size > new.size:
            raise UnknownEntryError("a log does not shrink: the old size is the larger")
        try:
            hashes = consistency_proof(old.size, new.size, self._hashes(connection, new.size))
            verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, proof=hashes)
        except (MalformedError, VerificationError) as exc:
            raise InconsistentLogError(f"the checkpoints {old.size} and {new.size} contradict each other") from exc
        return ConsistencyProof(
            old_size=old.size,
            new_size=new.size,
            hashes=tuple(hashes),
            old_checkpoint=old_note,
            new_checkpoint=new_note,
        )

    def _hashes(self, connection: Connection, size: int) -> TileHashes:
        def read(level: int, n: int, width: int) -> bytes:
            try:
                return log.tile(connection, level, n, width)
            except UnknownEntryError as exc:
                raise InconsistentLogError(str(exc)) from exc

        read_tile: ReadTile = read
        return TileHashes(size, read_tile, self._cache)


def _find(connection: Connection, entry_id: UUID | None, index: int | None) -> LeafRow:
    if (entry_id is None) == (index is None):
        raise MalformedError("a proof is about one entry, named by its id or by its index")
    if entry_id is not None:
        return log.leaf(connection, entry_id)
    found = store.leaf_at(connection, index or 0)
    if found is None:
        raise UnknownEntryError(f"the log has no entry {index}")
    return found
