"""``cdx db restored``: the order of a restore, out of key files, journal and database. Steps: ``exchange.restore``.

    1. look: keys, last known checkpoint, journal, the log in the database. Nothing is changed until all is known.
    2. the installation takes the log's next name         (from this commit on nothing serves or signs)
    3. tokens revoked; the journal played again; consents in force paused
    4. entries tell of the keys under the new name; the public file names them
    5. the log goes on under that name                    (one commit: name, first entry, checkpoint)

A crash anywhere before 5 leaves a database that nothing serves; the same command again does what is left.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from api import log_keys, rotation
from api.errors import ConfigError
from api.keyfiles import key_files, read_keyset
from api.wiring import Services
from consent.store import count_given
from crypto.checkpoint import Checkpoint
from crypto.keyset import Keyset
from exchange import restore
from exchange.audit import continuing, log, store
from exchange.audit.age import read_checkpoint_note
from exchange.audit.continuing import Continuation
from exchange.audit.generations import verifiers
from exchange.audit.journal import Record
from exchange.audit.journal_files import CHECKPOINT, Journal, read_checkpoint, read_journal
from exchange.audit.sequencer import Sequencer
from exchange.durable import replace_file
from exchange.errors import RestoreError
from exchange.restore import Replayed
from exchange.verifier_keys import VerifierKey

AUTO = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the look showed.

    Attributes:
        keys: the log's keyset.
        continuation: how the log goes on.
        journal: None: there is none.
        given: consents that will be paused, if the journal does not end them.
    """

    keys: Keyset
    continuation: Continuation
    journal: Journal | None = field(repr=False)
    records: tuple[Record, ...] = field(repr=False)
    given: int

    def explain(self) -> list[str]:
        """What is known and what is not, as sentences."""
        one, known = self.continuation, self.continuation.known
        lost = known.size - one.size
        lines = [
            f"The database: {one.size} entries of {one.former}, last changed {one.restored_at:%Y-%m-%d %H:%M:%S} UTC.",
            f"The last known checkpoint: {known.size} entries of {known.origin}.",
        ]
        if not one.is_older:
            lines.append("The database holds all of them: as far as is known, nothing was lost.")
        elif lost > 0:
            lines.append(f"At least {lost} entries are lost, with what they told of.")
        else:
            lines.append(
                "The database has another history than that checkpoint: entries are lost, how many is not known."
            )
        lines.append(f"The log goes on as {one.origin}. {self.given} consents are in force and will be paused.")
        if self.journal is None:
            lines.append("There is no journal: withdrawals, erasures and suspensions since the backup are NOT known.")
        else:
            lines.append(f"The journal: {len(self.records)} lines in {len(self.journal.batches)} batches.")
            lines += [f"  {remark}" for remark in self.journal.remarks]
        return lines


@dataclass(slots=True, kw_only=True)
class Done:
    """What was done."""

    origin: str
    tokens: int
    replayed: Replayed
    paused: int

    def explain(self) -> list[str]:
        """As sentences."""
        lines = [f"{self.tokens} tokens and codes were revoked."]
        lines += [f"Done again, {kind}: {count}." for kind, count in sorted(self.replayed.done.items()) if count]
        lines.append(f"In effect already: {self.replayed.before}.")
        lines.append(f"{self.paused} consents are paused: each person resumes with one step.")
        if self.replayed.unmatched:
            lines.append("The database does not know, since it came after the backup:")
            lines += [f"  {text}" for text in self.replayed.unmatched]
        return lines


def look(
    services: Services, *, last_checkpoint: str, journal_dir: Path | None, without_journal: bool, despite_faults: bool
) -> Found:
    """Read and check everything that is needed, and change nothing.

    Args:
        services: the restored installation.
        last_checkpoint: a file with the last known checkpoint, or ``auto``: the one beside the journal.
        journal_dir: the journal's folder; None: the configured one.
        without_journal: go on though there is none.
        despite_faults: go on with what bears our signature in a journal with faults.

    Raises:
        ConfigError: keys, checkpoint or journal are missing.
        JournalError: the checkpoint does not verify.
        RestoreError: the journal has faults, begins after the backup, or nothing is to be done.
        InconsistentLogError: the log in the database contradicts itself.
    """
    folder = journal_dir or services.config.journal_dir
    keys = read_keyset(key_files(services.config, "log"))
    publics = log_keys.publics(keys)
    with services.exchange.database.read() as connection:
        first = log.first_name(connection)
        known = _known(last_checkpoint, folder, publics, first)
        continuation = continuing.plan(connection, known, verifiers(publics, first))
        given = count_given(connection)
    journal = None
    if folder is not None and not without_journal:
        journal = read_journal(folder, verifiers(publics, first, of_journal=True))
        _refuse_faults(journal, continuation, despite_faults=despite_faults)
    elif not without_journal:
        raise ConfigError(["no journal: set CDX_JOURNAL_DIR or name it with --journal; or say --without-journal"])
    records = () if journal is None else tuple(journal.records())
    return Found(keys=keys, continuation=continuation, journal=journal, records=records, given=given)


def carry_out(services: Services, found: Found, *, progress: Callable[[str, int, int], None]) -> Done:
    """Bring the database up to what was found. Nothing else may use it meanwhile.

    Args:
        services: the restored installation.
        found: what :func:`look` found, just now.
        progress: called with what is being done, how much of it came about, and how much there is.

    Raises:
        InconsistentLogError, DatabaseError: what was done is durable, nothing serves; do it again.
    """
    exchange, one = services.exchange, found.continuation
    restore.take_name(exchange, one.origin)
    tokens = restore.revoke_tokens(exchange, services.clock())
    lines = len(restore.in_effect(found.records))
    replayed = restore.replay(
        exchange, found.records, clock=services.clock, progress=lambda count: progress("journal", count, lines)
    )
    paused = restore.pause_all(
        exchange, clock=services.clock, progress=lambda count: progress("consents", count, found.given)
    )
    restore.tell_keys(exchange, _public_keys(services, found.keys, one.origin), services.clock())
    # A crash after this line leaves a file that names the log as it will be called: whoever reads it has to wait.
    rotation.write_vkeys(services, found.keys, one.origin)
    note = _continue(services, found)
    folder = services.config.journal_dir
    if folder is not None:
        # The worker does so too; this is for a second restore before any worker was started.
        replace_file(folder / CHECKPOINT, note.encode())
    return Done(origin=one.origin, tokens=tokens, replayed=replayed, paused=paused)


def _continue(services: Services, found: Found) -> str:
    """The last step, in one commit; returns the first checkpoint under the new name."""
    exchange, one, now = services.exchange, found.continuation, services.clock()
    former = verifiers(log_keys.publics(found.keys), _first(services))(one.former)
    sequencer = Sequencer(
        exchange.database,
        log_keys.signers(found.keys, one.origin),
        origin=one.origin,
        clock=services.clock,
    )

    with exchange.unit_of_work(now) as uow:
        entry = uow.record(one.event())

        def begin_name() -> None:
            sequencer.begin_name(uow.connection, entry.id, former)
            continuing.append_name(uow.connection, one, now)

        # A crash before this line leaves all that was done and no new name: do it again. After it the restore is done.
        uow.commit(after_entries=begin_name)
    with exchange.database.read() as connection:
        newest = store.latest_checkpoint(connection)
    assert newest is not None  # written just now
    return newest.note


def _public_keys(services: Services, log_keyset: Keyset, origin: str) -> list[VerifierKey]:
    """All that verify something now: of keys that were added after the backup the log has forgotten."""
    keysets = {"log": log_keyset, "web": read_keyset(key_files(services.config, "web"))}
    return [
        one.public(key, origin) for one in rotation.ROTATING.values() for key in keysets[one.keyset].all(one.purpose)
    ]


def _first(services: Services) -> str:
    with services.exchange.database.read() as connection:
        return log.first_name(connection)


def _known(last_checkpoint: str, folder: Path | None, publics: list[bytes], first: str) -> Checkpoint:
    if last_checkpoint != AUTO:
        try:
            note: str | None = Path(last_checkpoint).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError([f"{last_checkpoint} cannot be read as a checkpoint: {exc}"]) from exc
    else:
        note = None if folder is None else read_checkpoint(folder)
    if note is None:
        raise ConfigError(["no last known checkpoint: name a file with one (of a verifier, a witness, an export)"])
    return read_checkpoint_note(note, verifiers(publics, first))


def _refuse_faults(journal: Journal, continuation: Continuation, *, despite_faults: bool) -> None:
    faults = list(journal.faults)
    if journal.batches and journal.batches[0].number > 1 and journal.batches[0].at > continuation.restored_at:
        faults.append("the journal begins after the backup: what happened between the two is missing")
    if faults and not despite_faults:
        raise RestoreError(
            "\n".join(["the journal is not whole:", *faults, "--despite-faults takes what bears our signature"])
        )
    journal.remarks += faults
