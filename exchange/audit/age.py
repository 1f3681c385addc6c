"""Whether the database is as young as what is known of it elsewhere: nothing is signed or served on an older one.

A database that was restored from a backup, or a standby that took over without the last transactions, is consistent in
itself. Only somebody who remembers more can tell: here, the checkpoint that the worker keeps beside the journal.
"""

from sqlalchemy import Connection

from crypto.checkpoint import Checkpoint, open_note, parse_checkpoint, split_note
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import verify_consistency
from exchange.audit import store
from exchange.audit.generations import generation_of
from exchange.audit.journal_files import Verifiers
from exchange.audit.proofs import consistency_proof
from exchange.audit.rows import HeadRow
from exchange.errors import ExchangeError, InconsistentLogError, JournalError, OldDatabaseError

_ADVICE = "Was it restored from a backup, or did a standby take over? Serve nothing, and run `cdx db restored`"


def read_checkpoint_note(note: str, verifiers: Verifiers) -> Checkpoint:
    """Verify a checkpoint of this log, under whichever of its names.

    Raises:
        JournalError: it is another log's, or not signed by its keys.
    """
    try:
        unverified = parse_checkpoint(split_note(note)[0])
        known = verifiers(unverified.origin)
        if not known:
            raise MalformedError("it is of another log")
        return parse_checkpoint(open_note(note, known)[0])
    except CryptoError as exc:
        raise JournalError(f"the checkpoint that was kept cannot be used: {exc}") from exc


def refuse_unfinished(connection: Connection, called: str) -> HeadRow:
    """Refuse a database of which a restore was begun and not finished; returns the head.

    Args:
        connection: any transaction.
        called: the log's name as the installation says it: a restore changes it first, and the log itself last.

    Raises:
        InconsistentLogError: there is no log.
        OldDatabaseError: `cdx db restored` was interrupted.
    """
    head, names = store.read_head(connection), store.origins(connection)
    if head is None or not names:
        raise InconsistentLogError("there is no log here; create it once, by hand, with the installation")
    if not called == head.origin == names[-1].origin:
        raise OldDatabaseError("a restore of this database was begun and not finished: run `cdx db restored` again")
    if len(names) > 1 and not 0 < names[-1].first_size < head.size:
        # A restored log begins its next name with an entry, in one commit with the name, and never as an empty tree.
        raise InconsistentLogError(f"the log has the name {head.origin!r}, but no entry under it: somebody wrote that")
    return head


def refuse_older(connection: Connection, head: HeadRow, kept: Checkpoint) -> None:
    """Refuse a database that is older than a checkpoint of its log, or has another history.

    Raises:
        OldDatabaseError: it is.
    """
    names = store.origins(connection)
    if kept.origin != head.origin:
        generation = generation_of(kept.origin, names[0].origin)
        if generation is None or generation > names[-1].generation:
            raise OldDatabaseError(
                f"the log went on under the name {kept.origin!r}, which is not known here. {_ADVICE}"
            )
        return  # the log was continued since: nothing was published under its new name yet
    if not holds(connection, head, kept):
        raise OldDatabaseError(
            f"the database is older than its log, or another one: a checkpoint over {kept.size} entries was published, "
            f"and the database holds {head.size} that do not lead to it. {_ADVICE}"
        )


def holds(connection: Connection, head: HeadRow, kept: Checkpoint) -> bool:
    """Whether the log in the database begins with what a checkpoint stands for."""
    if head.size <= kept.size:
        return (head.size, head.root) == (kept.size, kept.root)
    if kept.size == 0:
        return True
    try:
        proof = consistency_proof(connection, kept.size, head.size)
        verify_consistency(old_size=kept.size, new_size=head.size, old_root=kept.root, new_root=head.root, proof=proof)
    except (VerificationError, ExchangeError):
        return False
    return True
