"""Inclusion and consistency proofs out of the stored tiles. Every proof is checked before it is handed out.

A warm proof costs some microseconds and no statement for hashes: full tiles never change, and the cache keeps them with
the hashes between their levels worked out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from crypto import merkle
from crypto.checkpoint import parse_checkpoint, split_note
from crypto.encoding import b64_encode
from crypto.errors import MalformedError, VerificationError
from crypto.merkle import GetHash, hash_leaf, verify_consistency, verify_inclusion
from exchange.audit import log, store
from exchange.audit.policy_file import Policy
from exchange.audit.proof_file import ProofFile, format_proof
from exchange.audit.rows import LeafRow
from exchange.audit.tiles import TileCache, TileHashes
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Several entries, proved to be in the tree of one checkpoint.

    Attributes:
        checkpoint: the signed note; None: the log is empty.
        size: of its tree.
        hashes: for each entry from leaf to root; None for one that is not in that tree yet.
    """

    checkpoint: str | None = field(repr=False)
    size: int
    hashes: tuple[tuple[bytes, ...] | None, ...]


class Prover:
    """Makes proofs for one log; keep one per process. Safe between threads."""

    def __init__(self, *, cached_tiles: int = 1024) -> None:
        """Keep up to ``cached_tiles`` expanded tiles of 16 KiB."""
        self._cache = TileCache(cached_tiles)

    def inclusion(
        self,
        connection: Connection,
        *,
        entry_id: UUID | None = None,
        index: int | None = None,
        size: int | None = None,
        cosigned: Policy | None = None,
    ) -> InclusionProof:
        """Prove that an entry is in the log.

        Args:
            connection: any transaction.
            entry_id, index: which entry: exactly one of the two.
            size: of a published checkpoint; None: the newest.
            cosigned: in place of a size: the newest checkpoint that meets this policy.

        Raises:
            UnknownEntryError: no such entry, not in a tree of that size, or no checkpoint of that size or policy.
            InconsistentLogError: the stored tiles do not lead to the published root.
        """
        leaf = _find(connection, entry_id, index)
        note = _note(connection, size, cosigned)
        # Our own note: its signature was made by the sequencer, and whoever gets the proof checks it.
        checkpoint = parse_checkpoint(split_note(note)[0])
        if leaf.seq >= checkpoint.size:
            until = "" if cosigned is None else "; the witnesses cosign a larger one soon: ask again"
            raise UnknownEntryError(f"entry {leaf.id} is not in the tree of size {checkpoint.size} yet{until}")
        leaf_hash = hash_leaf(leaf.body)
        try:
            hashes = inclusion_proof(connection, leaf.seq, checkpoint.size, cache=self._cache)
            verify_inclusion(
                index=leaf.seq, size=checkpoint.size, leaf_hash=leaf_hash, proof=hashes, root=checkpoint.root
            )
        except VerificationError as exc:
            raise InconsistentLogError(f"the stored tiles do not prove entry {leaf.seq}: {exc}") from exc
        return InclusionProof(
            index=leaf.seq,
            size=checkpoint.size,
            entry=leaf.body,
            leaf_hash=leaf_hash,
            hashes=tuple(hashes),
            checkpoint=note,
        )

    def page(self, connection: Connection, entries: Sequence[tuple[int | None, bytes]]) -> Page:
        """Prove several entries with one look at the log.

        Args:
            connection: any transaction; the entries were read in it before.
            entries: (place in the log, or None while it waits; bytes of the entry).

        Raises:
            InconsistentLogError: the stored tiles do not lead to the published root.
        """
        try:
            note = log.checkpoint_note(connection, None)
        except UnknownEntryError:
            return Page(checkpoint=None, size=0, hashes=(None,) * len(entries))
        checkpoint = parse_checkpoint(split_note(note)[0])
        get_hash = _tile_hashes(connection, checkpoint.size, self._cache)
        proofs: list[tuple[bytes, ...] | None] = []
        for index, body in entries:
            if index is None or index >= checkpoint.size:
                proofs.append(None)
                continue
            try:
                hashes = merkle.inclusion_proof(index, checkpoint.size, get_hash)
                verify_inclusion(
                    index=index, size=checkpoint.size, leaf_hash=hash_leaf(body), proof=hashes, root=checkpoint.root
                )
            except VerificationError as exc:
                raise InconsistentLogError(f"the stored tiles do not prove entry {index}: {exc}") from exc
            proofs.append(tuple(hashes))
        return Page(checkpoint=note, size=checkpoint.size, hashes=tuple(proofs))

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
        old_note, new_note = log.checkpoint_note(connection, old_size), log.checkpoint_note(connection, new_size)
        old, new = parse_checkpoint(split_note(old_note)[0]), parse_checkpoint(split_note(new_note)[0])
        if old.size > new.size:
            raise UnknownEntryError("a log does not shrink: the old size is the larger")
        try:
            hashes = consistency_proof(connection, old.size, new.size, cache=self._cache)
            verify_consistency(old_size=old.size, new_size=new.size, old_root=old.root, new_root=new.root, proof=hashes)
        except VerificationError as exc:
            raise InconsistentLogError(f"the checkpoints {old.size} and {new.size} contradict each other") from exc
        return ConsistencyProof(
            old_size=old.size,
            new_size=new.size,
            hashes=tuple(hashes),
            old_checkpoint=old_note,
            new_checkpoint=new_note,
        )


def inclusion_proof(
    connection: Connection, entry: UUID | int, size: int, *, cache: TileCache | None = None
) -> list[bytes]:
    """The hashes that lead from an entry (by id or index) to the root of the tree of ``size`` entries.

    Raises:
        UnknownEntryError: no such entry, or not in a tree of that size.
        InconsistentLogError: a stored tile is missing or too short.
    """
    index = entry if isinstance(entry, int) else log.leaf(connection, entry).seq
    return _from_tiles(merkle.inclusion_proof, connection, (index, size), cache)


def consistency_proof(
    connection: Connection, old_size: int, new_size: int, *, cache: TileCache | None = None
) -> list[bytes]:
    """The hashes that show that the tree of ``new_size`` entries begins with the tree of ``old_size``.

    Raises:
        UnknownEntryError: sizes that this log does not have, or that no proof exists for.
        InconsistentLogError: a stored tile is missing or too short.
    """
    return _from_tiles(merkle.consistency_proof, connection, (old_size, new_size), cache)


def _from_tiles(
    prove: Callable[[int, int, GetHash], list[bytes]],
    connection: Connection,
    numbers: tuple[int, int],
    cache: TileCache | None,
) -> list[bytes]:
    size = numbers[1]
    if size > log.size(connection):
        raise UnknownEntryError(f"the log has not {size} entries yet")
    try:
        return prove(*numbers, _tile_hashes(connection, size, cache))
    except MalformedError as exc:
        raise UnknownEntryError(str(exc)) from exc


def _tile_hashes(connection: Connection, size: int, cache: TileCache | None) -> TileHashes:
    def read(level: int, n: int, width: int) -> bytes:
        try:
            return log.tile(connection, level, n, width)
        except UnknownEntryError as exc:
            raise InconsistentLogError(str(exc)) from exc

    return TileHashes(size, read, cache)


def _note(connection: Connection, size: int | None, cosigned: Policy | None) -> str:
    if cosigned is not None:
        if size is not None:
            raise MalformedError("a proof is for one tree: of a size, or the newest cosigned one")
        return log.cosigned_checkpoint(connection, cosigned).note
    return log.checkpoint_note(connection, size)


def _find(connection: Connection, entry_id: UUID | None, index: int | None) -> LeafRow:
    if (entry_id is None) == (index is None):
        raise MalformedError("a proof is about one entry, named by its id or by its index")
    if entry_id is not None:
        return log.leaf(connection, entry_id)
    found = store.leaf_at(connection, index or 0)
    if found is None:
        raise UnknownEntryError(f"the log has no entry {index}")
    return found
