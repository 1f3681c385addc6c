"""Verify a log, or one proof, offline: from a directory or an address, with nothing but the log's verifier key.

Trusts the key (and witnesses, where a policy names some) and the arithmetic, and nobody else: not the operator, not the
server, not the database. Imports no database (contract ``verifier`` in setup.cfg), so that anybody can run it.
"""

import os
from typing import Final

from crypto.checkpoint import Checkpoint
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, hash_leaf, verify_inclusion
from exchange.audit.commitments import check_openings, parse_openings
from exchange.audit.entry import decode_entry
from exchange.audit.proof_file import parse_proof
from exchange.audit.replay import Tree, WithheldError, check_tiles, stored_tiles
from exchange.audit.report import Finding, Progress, Report, no_progress
from exchange.audit.sources import Source
from exchange.audit.tiles import TILE_WIDTH
from exchange.audit.trust import Seen, Trust

SMALL_LOG: Final = 65_536
"""Up to this many entries one process is quicker than starting more."""

ONE_VIEW: Final = (
    "whether everybody is shown this same history: nobody else vouches for it. Give a policy with witnesses, or "
    "compare checkpoints with others"
)
SEALED: Final = "the facts behind the commitments: only whoever holds the openings can check those"


def verify_log(
    source: Source,
    trust: Trust,
    *,
    state: str | None = None,
    full: bool = True,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Verify a whole log.

    Args:
        source: where its files are.
        trust: the log's verifier keys, and the witnesses that must have cosigned, from somebody you trust.
        state: the checkpoint that was saved the last time (``Report.state``).
        full: begin at the first entry; False: at the saved state, whose root then has to be met on the way.
        workers: processes that hash; None: one for a small log, else one per processor.
        progress: called with the number of entries that are done and the total.

    Raises:
        MalformedError: the saved state is unusable.
        OSError: the source cannot be read.
    """
    report = Report(subject=f"log {trust.names}")
    saved = None if state is None else open_state(state, trust)
    seen = read_checkpoint(source, trust, report)
    if seen is None:
        return report
    checkpoint = seen.checkpoint
    if saved is not None and saved.size > checkpoint.size:
        report.fault(shrunk(saved, checkpoint), Finding.SHRUNK)
        return report
    first = 0 if full or saved is None else saved.size // TILE_WIDTH
    try:
        _replay(report, source, checkpoint, saved, first, workers or _processes(checkpoint.size), progress)
    except MalformedError as exc:
        report.fault(str(exc))
    report.not_checked.extend(unproved(trust))
    if report.ok:
        report.state = seen.note
    return report


def verify_proof(text: str | bytes, trust: Trust, *, entry: bytes | None = None) -> Report:
    """Verify a proof file: that an entry is in the log.

    Args:
        text: the file.
        trust: the log's verifier keys, and the witnesses that must have cosigned, from somebody you trust.
        entry: the entry's bytes; None: the ones in the file.
    """
    report = Report(subject="proof of inclusion")
    try:
        proof = parse_proof(text)
        body = proof.extra if entry is None else entry
        if body is None:
            raise MalformedError("the file does not hold the entry, and none was given")
        seen = trust.open(proof.checkpoint)
        if not seen.has_quorum:
            raise VerificationError(trust.missing(seen))
        verify_inclusion(
            index=proof.index,
            size=seen.checkpoint.size,
            leaf_hash=hash_leaf(body),
            proof=proof.hashes,
            root=seen.checkpoint.root,
        )
        parsed = decode_entry(body)
    except CryptoError as exc:
        report.fault(str(exc))
        return report
    report.size = seen.checkpoint.size
    report.checked.extend(
        (
            *trust.tell(seen),
            f"entry {parsed.id} is number {proof.index} of them",
            f"it says: {parsed.type} by {parsed.org} at {parsed.at:%Y-%m-%d %H:%M:%S} UTC, {parsed.outcome}",
        )
    )
    report.not_checked.extend(unproved(trust))
    return report


def verify_openings(entry: bytes, openings: bytes) -> Report:
    """Verify that opened facts are the ones that an entry committed to.

    Args:
        entry: its bytes; that it is in the log is :func:`verify_proof`'s to show.
        openings: as they came out of the seal.
    """
    report = Report(subject="facts of an entry")
    try:
        parsed, opened = decode_entry(entry), parse_openings(openings)
        check_openings(parsed, opened)
    except CryptoError as exc:
        report.fault(str(exc))
        return report
    report.checked.extend(f"entry {parsed.id} committed to the fact {fact.name!r}" for fact in opened.facts)
    report.not_checked.append("whether the entry is in the log: verify its proof")
    return report


def read_checkpoint(source: Source, trust: Trust, report: Report) -> Seen | None:
    """The checkpoint of a source, with the quorum that it needs; None: the report says what is wrong."""
    try:
        data = source.read("checkpoint")
        if data is None:
            raise MalformedError("there is none")
        seen = trust.open(data)
    except CryptoError as exc:
        report.fault(f"checkpoint: {exc}")
        return None
    report.subject = f"log {seen.checkpoint.origin}"
    report.size = seen.checkpoint.size
    report.checked.extend(trust.tell(seen))
    if not seen.has_quorum:
        report.fault(f"checkpoint: {trust.missing(seen)}")
        return None
    return seen


def open_state(state: str, trust: Trust) -> Checkpoint:
    """A checkpoint that was saved earlier. It needs no quorum: the log's own signature binds the log.

    Raises:
        MalformedError: it is none, or no trusted key of the log signed it.
    """
    try:
        return trust.open(state).checkpoint
    except (MalformedError, VerificationError) as exc:
        raise MalformedError(
            f"the saved state is not a checkpoint of this log: {exc}. If the log's key was rotated since, "
            "give the former key too"
        ) from exc


def shrunk(saved: Checkpoint, shown: Checkpoint) -> str:
    """What it means that a log has fewer entries than before, as a sentence."""
    return f"the log has shrunk: it had {saved.size} entries, and shows {shown.size} now{restored(saved, shown)}"


def restored(saved: Checkpoint, shown: Checkpoint) -> str:
    """What another name of the log adds to such a sentence: nothing, if it has the same name."""
    if saved.origin == shown.origin:
        return ""
    return (
        f", under another name ({shown.origin}): it was restored from an older state. Its entry of the type "
        "log.continued must name the checkpoint that it had reached before"
    )


def unproved(trust: Trust) -> tuple[str, ...]:
    """What no verification of entries and hashes shows."""
    return (SEALED,) if trust.needs_witnesses else (ONE_VIEW, SEALED)


def _processes(size: int) -> int:
    return 1 if size <= SMALL_LOG else os.cpu_count() or 1


def _replay(
    report: Report,
    source: Source,
    checkpoint: Checkpoint,
    saved: Checkpoint | None,
    first: int,
    workers: int,
    progress: Progress,
) -> None:
    size = checkpoint.size
    try:
        root, meets = _join(report, source, size, saved, first, workers, progress)
        report.checked.append(f"the form and the hash of {size - first * TILE_WIDTH} entries")
    except WithheldError:
        root, meets = _join(report, source, size, saved, first, 0, progress)
        report.not_checked.append("the entries themselves: the source shows them to auditors only")
    if root != checkpoint.root:
        report.fault("the entries do not lead to the root that the checkpoint states")
    else:
        report.checked.append("every hash of the tree, up to the root that the checkpoint states")
        if not meets and saved is not None:
            # The log signed both, so this is no damage of the copy at hand.
            what = f"FORK: the first {saved.size} entries are not the ones of the saved state"
            report.fault(what + restored(saved, checkpoint), Finding.FORK)
    if saved is not None and report.ok:
        report.checked.append(f"the log as it was with {saved.size} entries is a part of it, unchanged")
    if first:
        report.not_checked.append(f"entries before {first * TILE_WIDTH}: they were, when the state was saved")


def _join(
    report: Report,
    source: Source,
    size: int,
    saved: Checkpoint | None,
    first: int,
    workers: int,
    progress: Progress,
) -> tuple[bytes, bool]:
    """Join the tiles; returns the root, and whether the saved state was met on the way.

    ``workers`` 0: take the leaf hashes as they are stored.
    """
    if size == 0:
        return EMPTY_ROOT, True
    tree = Tree(source, first, size)
    meets = _meets(saved, first, b"", tree)
    tiles = check_tiles(source, first, size, workers=workers) if workers else stored_tiles(source, first, size)
    for tile in tiles:
        for fault in tile.faults:
            report.fault(fault)
        if not tile.hashes:
            raise MalformedError("without these entries the rest cannot be verified")
        meets = _meets(saved, tile.n, tile.hashes, tree) and meets
        for fault in tree.add(tile.hashes):
            report.fault(fault)
        progress(min((tile.n + 1) * TILE_WIDTH, size), size)
    for fault in tree.finish():
        report.fault(fault)
    return tree.root(), meets


def _meets(saved: Checkpoint | None, n: int, hashes: bytes, tree: Tree) -> bool:
    """When the saved state ends in this tile, compare its root."""
    if saved is None or saved.size == 0:
        return True
    length = (saved.size - n * TILE_WIDTH) * HASH_BYTES
    ends_here = 0 < length <= len(hashes) or (length == 0 and not hashes)
    return not ends_here or tree.root(hashes[:length]) == saved.root
