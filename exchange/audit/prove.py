"""Make the proof that an entry is in a log out of its tiles, without the service that runs it. No database."""

from dataclasses import dataclass, field
from uuid import UUID

from crypto import merkle
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import hash_leaf, verify_inclusion
from exchange.audit.entry import decode_entry
from exchange.audit.proof_file import ProofFile, format_proof
from exchange.audit.replay import WithheldError, read_bundle, read_tile
from exchange.audit.report import Progress, Report, no_progress
from exchange.audit.sources import Source
from exchange.audit.tiles import TILE_WIDTH, TileHashes, width_at
from exchange.audit.trust import Trust
from exchange.audit.verify import read_checkpoint, unproved


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What was found, and the proof file; None: the report says why there is none."""

    report: Report
    text: str | None = field(default=None, repr=False)


def prove_entry(source: Source, trust: Trust, which: UUID | int, *, progress: Progress = no_progress) -> Proved:
    """Prove that an entry is in a log.

    Args:
        source: where its files are.
        trust: the log's verifier keys, and the witnesses that must have cosigned, from somebody you trust.
        which: the index of the entry, or its id; to find an id the entries themselves are read, newest first.
        progress: called with the number of bundles that were searched and their total.

    Raises:
        OSError: the source cannot be read.
    """
    report = Report(subject="proof of inclusion")
    seen = read_checkpoint(source, trust, report)
    report.subject = "proof of inclusion"
    if seen is None:
        return Proved(report=report)
    size = seen.checkpoint.size
    try:
        index = _find(source, which, size, progress) if isinstance(which, UUID) else which
        if not 0 <= index < size:
            raise MalformedError(f"the checkpoint covers the entries 0 to {size - 1}, and no entry {index}")
        hashes = TileHashes(size, lambda level, n, width: read_tile(source, level, n, width))
        leaf_hash, path = hashes(0, index), merkle.inclusion_proof(index, size, hashes)
        verify_inclusion(index=index, size=size, leaf_hash=leaf_hash, proof=path, root=seen.checkpoint.root)
        body = _body(source, index, size)
        if body is not None and hash_leaf(body) != leaf_hash:
            raise VerificationError(f"entry {index} has another hash than the one in its tile")
        entry = None if body is None else decode_entry(body)
    except WithheldError:
        report.fault("the source shows entries to auditors only, so none is found by its id: name the index")
    except CryptoError as exc:
        report.fault(str(exc))
    else:
        report.checked.append(f"the entry with index {index} is in that tree")
        if entry is not None:
            report.checked.append(f"it is {entry.id}: {entry.type} by {entry.org}, {entry.outcome}")
        else:
            report.not_checked.append("what the entry says: the source shows entries to auditors only")
        report.not_checked.extend(unproved(trust))
        proof = ProofFile(index=index, hashes=tuple(path), checkpoint=seen.note, extra=body)
        return Proved(report=report, text=format_proof(proof))
    return Proved(report=report)


def _find(source: Source, entry_id: UUID, size: int, progress: Progress) -> int:
    mark = f'"id":"{entry_id}"'.encode()
    bundles = -(-size // TILE_WIDTH)
    for done, n in enumerate(range(bundles - 1, -1, -1), start=1):
        for position, body in enumerate(read_bundle(source, n, width_at(0, n, size))):
            if mark in body and decode_entry(body).id == entry_id:
                return n * TILE_WIDTH + position
        progress(done, bundles)
    raise MalformedError(f"none of the {size} entries has the id {entry_id}")


def _body(source: Source, index: int, size: int) -> bytes | None:
    n, position = divmod(index, TILE_WIDTH)
    try:
        return read_bundle(source, n, width_at(0, n, size))[position]
    except WithheldError:
        return None
