"""Verify the database against the log: audit tables, consent ledger, sealed values. Says which row differs.

Everything that can be recomputed is: the tree from the entries, all tiles, the root at every checkpoint ever published,
the copies beside each entry. With keys also what is sealed: each opening against its entry's commitments, and through
them the histories, the consent events and the values. A row that was changed, deleted, inserted or exchanged is found;
what is not is said too.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sqlalchemy import Connection

from crypto.checkpoint import NoteVerifier, open_note
from crypto.errors import CryptoError, MalformedError
from crypto.merkle import Frontier, hash_leaf
from exchange.audit import check_store, store
from exchange.audit.check_store import Companions
from exchange.audit.continuing import fault_of_name
from exchange.audit.edge import RightEdge, TileWrite, empty_edge, unpack_state
from exchange.audit.entry import Entry, decode_entry
from exchange.audit.generations import name_at
from exchange.audit.log_keys import LogKeys
from exchange.audit.report import Progress, Report, no_progress
from exchange.audit.restart import check_note
from exchange.audit.rows import HeadRow, LeafRow, OutboxRow
from exchange.audit.tiles import TILE_WIDTH, tiles_of
from exchange.audit.verify_facts import Facts, Unseal
from exchange.errors import InconsistentLogError
from exchange.events import EventType

SEALED_TABLES: Final = ("subject_identifier", "attribute_value", "attribute_request", "authorization_request")
"""Tables with sealed columns besides ``audit_opening``, which is opened here anyway."""

_STRETCH: Final = 16 * TILE_WIDTH

CheckSealed = Callable[[str], Iterable[str]]
"""``check_sealed(table)``: a sentence for each row that does not open; asked within the snapshot."""


def verify_database(
    connection: Connection,
    vkeys: Sequence[str],
    *,
    unseal: Unseal | None = None,
    check_sealed: CheckSealed | None = None,
    sealed_tables: Sequence[str] = SEALED_TABLES,
    progress: Progress = no_progress,
) -> Report:
    """Verify everything.

    Args:
        connection: from ``Database.read``, with nothing asked yet.
        vkeys: verifier keys of the log as it is now, from somewhere else than this database. The newest checkpoint must
            bear one of them; earlier keys are those that the entries below it tell of (``exchange.audit.log_keys``).
        unseal: opens ``audit_opening``; None: no keys at hand, so facts are not checked.
        check_sealed: opens the sealed columns of a table; None: likewise.
        sealed_tables: for which tables it is asked.
        progress: called with the number of entries that are done and the total.

    Raises:
        MalformedError: a verifier key is unusable.
    """
    verifiers = [NoteVerifier.parse(vkey) for vkey in vkeys]
    report = Report(subject="database")
    with check_store.snapshot(connection):
        try:
            _verify_audit_tables(report, connection, verifiers, unseal, progress)
            _verify_sealed(report, check_sealed, sealed_tables)
        except (ValueError, TypeError, OverflowError) as exc:
            # The driver's own text may quote the value.
            report.fault(f"a column holds what it cannot hold ({type(exc).__name__}); the rest was not read")
    report.not_checked.append("the exact times at which checkpoints were signed; their order was")
    return report


def _verify_audit_tables(
    report: Report,
    connection: Connection,
    verifiers: Sequence[NoteVerifier],
    unseal: Unseal | None,
    progress: Progress,
) -> None:
    head = store.read_head(connection)
    if head is None:
        report.fault("audit_head: there is no log")
        return
    report.size = head.size
    facts = Facts(report=report, unseal=unseal) if unseal is not None else None
    edge = _replay(report, connection, head, LogKeys(given=verifiers), facts, progress)
    _compare_head(report, connection, head, edge)
    _check_newest(report, connection, verifiers)
    _check_names(report, connection, head)
    _check_waiting(report, connection, facts)
    for table, entry_id in check_store.strangers(connection):
        what = "is in the log already" if table == "audit_outbox" else "does not exist"
        report.fault(f"{table}: entry {entry_id} {what}")
    if facts is not None:
        facts.finish(check_store.sealed_values(connection))
    else:
        report.not_checked.append("sealed openings, histories, consent events and values: no keys were given")


def _verify_sealed(report: Report, check_sealed: CheckSealed | None, tables: Sequence[str]) -> None:
    if check_sealed is None:
        report.not_checked.append(f"whether sealed columns open: {', '.join(tables)}")
        return
    for table in tables:
        for text in check_sealed(table):
            report.fault(f"{table}: {text}")
    report.checked.append(f"every sealed column was opened: {', '.join(tables)}")


def _replay(
    report: Report,
    connection: Connection,
    head: HeadRow,
    keys: LogKeys,
    facts: Facts | None,
    progress: Progress,
) -> RightEdge:
    """Recompute the tree from the leaves, comparing on the way; returns its edge."""
    edge, names = empty_edge(), store.origins(connection)
    count, first, last = check_store.leaf_bounds(connection)
    if count != head.size or (count and (first, last) != (0, count - 1)):
        report.fault(f"audit_leaf: {count} rows from {first} to {last}, must be {head.size} from 0 to {head.size - 1}")
    signed_at = None
    for start in range(0, head.size, _STRETCH):
        end = min(start + _STRETCH, head.size)
        rows = check_store.leaves(connection, start, end)
        entries = {}
        for row in rows:
            entry = _check_leaf(report, row)
            if entry is not None:
                entries[entry.id] = entry
                _take_key(report, keys, row.seq, entry)
        hashes = [hash_leaf(row.body) for row in rows]
        roots = edge.frontier.copy()
        for write in edge.extend(hashes):
            if write.width == TILE_WIDTH:
                _compare_tile(report, connection, write)
        for checkpoint in check_store.checkpoints(connection, start, end):
            _append_up_to(roots, hashes, start, checkpoint.size)
            try:
                name, verifiers = name_at(names, checkpoint.size) or head.origin, keys.verifiers(checkpoint.size)
                if check_note(checkpoint, name, verifiers) != roots.root():
                    report.fault(f"audit_checkpoint: that of size {checkpoint.size} has another root than the entries")
            except InconsistentLogError as exc:
                report.fault(f"audit_checkpoint: {exc}")
            if signed_at is not None and checkpoint.signed_at < signed_at:
                report.fault(f"audit_checkpoint: that of size {checkpoint.size} was signed before the one before it")
            signed_at = checkpoint.signed_at
        if facts is not None:
            facts.check(entries, Companions(connection, (start, end)))
        progress(end, head.size)
    if signed_at is not None and head.updated_at < signed_at:
        report.fault("audit_head: older than the newest checkpoint")
    report.checked.append(f"{count} entries, their columns, and every hash above them")
    return edge


def _take_key(report: Report, keys: LogKeys, seq: int, entry: Entry) -> None:
    try:
        keys.take(seq, entry)
    except MalformedError as exc:
        report.fault(f"audit_leaf: entry {seq} tells of a key of the log that is none: {exc}")


def _check_newest(report: Report, connection: Connection, verifiers: Sequence[NoteVerifier]) -> None:
    newest = store.latest_checkpoint(connection)
    if newest is None:
        return
    try:
        open_note(newest.note, verifiers)
    except CryptoError as exc:
        report.fault(f"audit_checkpoint: the newest one does not bear a key that was given ({exc}); was a key rotated?")


def _check_names(report: Report, connection: Connection, head: HeadRow) -> None:
    names = store.origins(connection)
    if not names or (names[0].generation, names[0].first_size) != (1, 0) or names[-1].origin != head.origin:
        report.fault("audit_origin: the names do not begin with the first one, or do not end with the head's")
    for row in names[1:]:
        leaf = store.leaf_at(connection, row.first_size)
        fault = fault_of_name(row, None if leaf is None else _check_leaf(report, leaf))
        if fault is not None:
            report.fault(fault)
    continued = check_store.public_members(connection, [EventType.LOG_CONTINUED.value])
    if sum(1 for _ in continued) != len(names) - 1:
        report.fault("audit_origin: there are more names, or fewer, than entries that tell of one")
    if len(names) > 1:
        report.checked.append(f"the {len(names)} names that the log has had, and the entries that tell of them")


def _check_leaf(report: Report, row: LeafRow) -> Entry | None:
    try:
        entry = decode_entry(row.body)
    except MalformedError as exc:
        report.fault(f"audit_leaf: entry {row.seq}: {exc}")
        return None
    if (entry.id, entry.type, entry.org, entry.at) != (row.id, row.type, row.org, row.at):
        report.fault(f"audit_leaf: entry {row.seq}: a column differs from the body")
    return entry


def _append_up_to(roots: Frontier, hashes: Sequence[bytes], start: int, size: int) -> None:
    roots.extend(hashes[roots.size - start : size - start])


def _compare_tile(report: Report, connection: Connection, write: TileWrite) -> None:
    tile = store.read_tile(connection, write.level, write.n)
    if tile is None:
        report.fault(f"audit_tile: {write.level}/{write.n} is missing")
    elif tile.data != write.data or tile.width != write.width:
        report.fault(f"audit_tile: {write.level}/{write.n} is not what the entries lead to")


def _compare_head(report: Report, connection: Connection, head: HeadRow, edge: RightEdge) -> None:
    for level, data in enumerate(edge.partial):
        if data:
            n = (edge.size >> (8 * level)) // TILE_WIDTH
            _compare_tile(report, connection, TileWrite(level=level, n=n, old_width=0, data=data))
    expected: dict[int, int] = {}
    for level, _, _ in tiles_of(edge.size):
        expected[level] = expected.get(level, 0) + 1
    if check_store.tile_counts(connection) != expected:
        report.fault("audit_tile: there are more tiles, or fewer, than the entries fill")
    try:
        checkpoints, frontier = unpack_state(head.state)
    except MalformedError as exc:
        report.fault(f"audit_head: {exc}")
        return
    if (head.size, head.root) != (edge.size, edge.frontier.root()) or frontier != edge.frontier:
        report.fault("audit_head: size, root or frontier are not what the entries lead to")
    if check_store.checkpoint_count(connection) != checkpoints:
        report.fault(f"audit_checkpoint: the head counts {checkpoints}, which is not how many there are")
    newest = store.latest_checkpoint(connection)
    if (0 if newest is None else newest.size) != head.size:
        report.fault("audit_checkpoint: the newest one is not of the head's size")
    report.checked.append(f"the head, all tiles, and the signatures and roots of {checkpoints} checkpoints")


def _check_waiting(report: Report, connection: Connection, facts: Facts | None) -> None:
    rows = check_store.outbox_rows(connection)
    entries = {}
    for row in rows:
        entry = _check_outbox(report, row)
        if entry is not None:
            entries[entry.id] = entry
    if facts is not None:
        facts.check(entries, Companions(connection, None))
    report.checked.append(f"{len(rows)} entries that wait in the outbox")


def _check_outbox(report: Report, row: OutboxRow) -> Entry | None:
    try:
        entry = decode_entry(row.body)
    except MalformedError as exc:
        report.fault(f"audit_outbox: entry {row.id}: {exc}")
        return None
    if (entry.id, entry.at) != (row.id, row.accepted_at):
        report.fault(f"audit_outbox: entry {row.id}: a column differs from the body")
    return entry
