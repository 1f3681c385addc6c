"""Verify a log, or one proof, offline: from a directory or an address, with nothing but the log's verifier key.

Trusts the key and the arithmetic, and nobody else: not the operator, not the server, not the database. Imports no
database (contract ``verifier`` in setup.cfg), so that anybody can run it.
"""

import os
from typing import Final

from crypto.checkpoint import Checkpoint, NoteVerifier, open_note, parse_checkpoint
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, hash_leaf, verify_inclusion
from exchange.audit.commitments import check_openings, parse_openings
from exchange.audit.entry import decode_entry
from exchange.audit.proof_file import parse_proof
from exchange.audit.replay import Tree, WithheldError, check_tiles, stored_tiles
from exchange.audit.report import Progress, Report, no_progress
from exchange.audit.sources import Source
from exchange.audit.tiles import TILE_WIDTH

SMALL_LOG: Final = 65_536
"""Up to this many entries one process is quicker than starting more."""
MAX_CHECKPOINT: Final = 2**20

_ONE_VIEW = "whether everybody is shown this same history: that needs witnesses, or comparing checkpoints with others"
_SEALED = "the facts behind the commitments: only whoever holds the openings can check those"


def verify_log(
    source: Source,
    vkey: str,
    *,
    state: str | None = None,
    full: bool = True,
    workers: int | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Verify a whole log.

    Args:
        source: where its files are.
        vkey: the log's verifier key, from somebody you trust.
        state: the checkpoint that was saved the last time (``Report.state``).
        full: begin at the first entry; False: at the saved state, whose root then has to be met on the way.
        workers: processes that hash; None: one for a small log, else one per processor.
        progress: called with the number of entries that are done and the total.

    Raises:
        MalformedError: the verifier key, or the saved state, is unusable.
        OSError: the source cannot be read.
    """
    verifier = NoteVerifier.parse(vkey)
    report = Report(subject=f"log {verifier.name}")
    saved = None if state is None else _open_state(state, verifier)
    opened = _read_checkpoint(source, verifier, report)
    if opened is None:
        return report
    checkpoint, note = opened
    report.size = checkpoint.size
    if saved is not None and saved.size > checkpoint.size:
        report.fault(f"the log has shrunk: it had {saved.size} entries, and shows {checkpoint.size} now")
        return report
    first = 0 if full or saved is None else saved.size // TILE_WIDTH
    try:
        _replay(report, source, checkpoint, saved, first, workers or _processes(checkpoint.size), progress)
    except MalformedError as exc:
        report.fault(str(exc))
    report.not_checked.extend((_ONE_VIEW, _SEALED))
    if report.ok:
        report.state = note
    return report


def verify_proof(text: str | bytes, vkey: str, *, entry: bytes | None = None) -> Report:
    """Verify a proof file: that an entry is in the log.

    Args:
        text: the file.
        vkey: the log's verifier key, from somebody you trust.
        entry: the entry's bytes; None: the ones in the file.

    Raises:
        MalformedError: the verifier key is unusable.
    """
    verifier = NoteVerifier.parse(vkey)
    report = Report(subject="proof of inclusion")
    try:
        proof = parse_proof(text)
        body = proof.extra if entry is None else entry
        if body is None:
            raise MalformedError("the file does not hold the entry, and none was given")
        note, names = open_note(proof.checkpoint, [verifier])
        checkpoint = _own(parse_checkpoint(note), verifier)
        verify_inclusion(
            index=proof.index,
            size=checkpoint.size,
            leaf_hash=hash_leaf(body),
            proof=proof.hashes,
            root=checkpoint.root,
        )
        parsed = decode_entry(body)
    except CryptoError as exc:
        report.fault(str(exc))
        return report
    report.size = checkpoint.size
    report.checked.extend(
        (
            f"the checkpoint over {checkpoint.size} entries is signed by {', '.join(names)}",
            f"entry {parsed.id} is number {proof.index} of them",
            f"it says: {parsed.type} by {parsed.org} at {parsed.at:%Y-%m-%d %H:%M:%S} UTC, {parsed.outcome}",
        )
    )
    report.not_checked.extend((_ONE_VIEW, _SEALED))
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


def _read_checkpoint(source: Source, verifier: NoteVerifier, report: Report) -> tuple[Checkpoint, str] | None:
    try:
        data = source.read("checkpoint")
        if data is None or len(data) > MAX_CHECKPOINT:
            raise MalformedError("there is no checkpoint")
        text, names = open_note(data, [verifier])
        checkpoint = _own(parse_checkpoint(text), verifier)
    except CryptoError as exc:
        report.fault(f"checkpoint: {exc}")
        return None
    report.checked.append(f"the checkpoint over {checkpoint.size} entries is signed by {', '.join(names)}")
    return checkpoint, data.decode("utf-8")


def _own(checkpoint: Checkpoint, verifier: NoteVerifier) -> Checkpoint:
    # A log's key bears the name of its origin, so that a key of one log signs nothing for another.
    if checkpoint.origin != verifier.name or checkpoint.extensions:
        raise VerificationError(f"the checkpoint is of the log {checkpoint.origin!r}, not of {verifier.name!r}")
    return checkpoint


def _open_state(state: str, verifier: NoteVerifier) -> Checkpoint:
    try:
        return _own(parse_checkpoint(open_note(state, [verifier])[0]), verifier)
    except VerificationError as exc:
        raise MalformedError(f"the saved state is not a checkpoint of this log: {exc}") from exc


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
        root = _join(report, source, size, saved, first, workers, progress)
        report.checked.append(f"the form and the hash of {size - first * TILE_WIDTH} entries")
    except WithheldError:
        root = _join(report, source, size, saved, first, 0, progress)
        report.not_checked.append("the entries themselves: the source shows them to auditors only")
    if root != checkpoint.root:
        report.fault("the entries do not lead to the root that the checkpoint states")
    else:
        report.checked.append("every hash of the tree, up to the root that the checkpoint states")
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
) -> bytes:
    """Join the tiles; returns the root. ``workers`` 0: take the leaf hashes as they are stored."""
    if size == 0:
        return EMPTY_ROOT
    tree = Tree(source, first, size)
    _meet(report, saved, first, b"", tree)
    tiles = check_tiles(source, first, size, workers=workers) if workers else stored_tiles(source, first, size)
    for tile in tiles:
        for fault in tile.faults:
            report.fault(fault)
        if not tile.hashes:
            raise MalformedError("without these entries the rest cannot be verified")
        _meet(report, saved, tile.n, tile.hashes, tree)
        for fault in tree.add(tile.hashes):
            report.fault(fault)
        progress(min((tile.n + 1) * TILE_WIDTH, size), size)
    for fault in tree.finish():
        report.fault(fault)
    return tree.root()


def _meet(report: Report, saved: Checkpoint | None, n: int, hashes: bytes, tree: Tree) -> None:
    """When the saved state ends in this tile, compare its root."""
    if saved is None or saved.size == 0:
        return
    length = (saved.size - n * TILE_WIDTH) * HASH_BYTES
    ends_here = 0 < length <= len(hashes) or (length == 0 and not hashes)
    if ends_here and tree.root(hashes[:length]) != saved.root:
        report.fault(f"FORK: the first {saved.size} entries are not the ones of the saved state")
