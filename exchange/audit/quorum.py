"""Asks the witnesses to cosign the newest checkpoint, and keeps what a quorum gave. Runs beside the sequencer.

Publication never waits for it: it holds no lock while it asks, and what fails is asked again. A crash at any point
leaves what was stored before; the witnesses then merely cosign the same or a larger checkpoint again.

It is also how a log finds out that it was set back. A witness that knows a larger log than ours, or another one, says
so. Its word alone is enough to stop a start, where nothing was signed yet and somebody is at hand. Once we are running
it has to show a checkpoint that our own key signed and that is not in our log: otherwise any one witness could stop us.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from crypto.checkpoint import Checkpoint, NoteVerifier, parse_checkpoint, split_note
from exchange.audit import cosigned_store, store
from exchange.audit.cosigning import Answer, Behind, Cosigned, Merged, Refused, merge, read_shown
from exchange.audit.policy_file import Policy
from exchange.audit.proofs import Prover
from exchange.audit.rows import CheckpointRow, CosignedRow
from exchange.audit.witness_client import WitnessClient
from exchange.database import Database
from exchange.errors import DatabaseError, InconsistentLogError, UnknownEntryError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Heard:
    """What a witness came to: its line, or why there is none. ``doubt``: it says that our history is not its own."""

    client: WitnessClient
    line: str | None = None
    said: str = "cosigned"
    doubt: bool = False


class Quorum:
    """The witnesses of one log. Use one object per process.

    Args:
        database: where the log is.
        policy: the witnesses, and how many make a quorum.
        clients: those that have an address.
        verifiers: the log's own keys.
        origin: the log's name.
        clock: gives the time of each look.
        every_seconds: between two looks.
    """

    def __init__(
        self,
        database: Database,
        *,
        policy: Policy,
        clients: Sequence[WitnessClient],
        verifiers: Sequence[NoteVerifier],
        origin: str,
        clock: Callable[[], datetime],
        every_seconds: float,
    ) -> None:
        self._database = database
        self._policy = policy
        self._clients = tuple(clients)
        self._verifiers = tuple(verifiers)
        self._origin = origin
        self._clock = clock
        self._every = every_seconds
        self._prover = Prover(cached_tiles=64)
        # What each witness cosigned last, as far as we know; one thread per witness writes its own slot.
        self._sizes: dict[str, int] = {}
        self._told: dict[str, str] = {}

    def check_start(self) -> None:
        """Before the first signature: see that no witness knows more of this log, or another one.

        Witnesses that do not answer stop nothing: that is logged, and shows in their missing cosignatures.

        Raises:
            InconsistentLogError: one does. Nothing was signed.
            DatabaseError: the log cannot be read.
        """
        doubts = [heard for heard in self._hear(self._newest()) if heard.doubt]
        if doubts:
            raise InconsistentLogError("; ".join(heard.said for heard in doubts))

    def ask(self) -> Merged | None:
        """Ask all witnesses about the newest checkpoint; what a quorum cosigned is stored. None: the log is empty.

        Raises:
            InconsistentLogError: a witness shows that our own key signed another history.
            DatabaseError: the log cannot be read, or the result not be stored. Asking again is safe.
        """
        # The time before the question: what is stored under it is not younger than it says.
        now, newest = self._clock(), self._newest()
        if newest is None:
            return None
        heard = self._hear(newest)
        for one in heard:
            if one.doubt:
                self._require_unproven(one)
        merged = merge(newest.note, self._policy, [one.line for one in heard if one.line is not None])
        if merged.is_complete:
            with self._database.write() as connection:
                cosigned_store.keep(connection, CosignedRow(size=newest.size, note=merged.note, cosigned_at=now))
                connection.commit()
        self._tell("the quorum", "complete" if merged.is_complete else "not complete", is_good=merged.is_complete)
        return merged

    def run(self, stop: threading.Event) -> None:
        """Ask again and again, also when nothing happened, until ``stop`` is set.

        Raises:
            InconsistentLogError: see :meth:`ask`. The sequencer must stop as well.
        """
        while not stop.is_set():
            try:
                self.ask()
            except DatabaseError as exc:
                self._tell("the database", str(exc), is_good=False)
            else:
                self._tell("the database", "fine", is_good=True)
            stop.wait(self._every)

    def _newest(self) -> CheckpointRow | None:
        with self._database.read() as connection:
            return store.latest_checkpoint(connection)

    def _hear(self, newest: CheckpointRow | None) -> list[_Heard]:
        with ThreadPoolExecutor(max_workers=max(len(self._clients), 1)) as pool:
            heard = list(pool.map(lambda client: self._hear_one(client, newest), self._clients))
        for one in heard:
            self._tell(f"witness {one.client.name}", one.said, is_good=one.line is not None)
        return heard

    def _hear_one(self, client: WitnessClient, newest: CheckpointRow | None) -> _Heard:
        if newest is None:
            # No checkpoint to send: an empty log, or one that was emptied.
            shown = self._shown(client)
            if shown is None or not self._is_foreign(shown):
                return _Heard(client=client, said="shows nothing of this log")
            return self._doubt(client, f"shows size {shown.size}, and the log here is empty")
        try:
            answer = self._submit(client, newest, min(self._sizes.get(client.name, newest.size), newest.size))
            if isinstance(answer, Behind) and answer.size <= newest.size:
                answer = self._submit(client, newest, answer.size)
        except UnknownEntryError as exc:
            return self._doubt(client, f"has cosigned what was never published here ({exc})")
        match answer:
            case Cosigned():
                self._sizes[client.name] = newest.size
                return _Heard(client=client, line=answer.line)
            case Behind():
                # Another sequencer may have published meanwhile: only what is larger than the head of now is news.
                head = self._newest()
                if head is not None and answer.size <= head.size:
                    return _Heard(client=client, said="was asked by another worker at the same time")
                return self._doubt(client, f"has cosigned size {answer.size}, which is beyond the log here")
            case Refused(status=422):
                return self._doubt(client, "has cosigned another history than the one here")
            case Refused():
                return _Heard(client=client, said=f"refused with status {answer.status}: {answer.text}")
            case _:
                return _Heard(client=client, said=f"gives no answer: {answer.reason}")

    def _submit(self, client: WitnessClient, newest: CheckpointRow, old_size: int) -> Answer:
        proof: Sequence[bytes] = ()
        if 0 < old_size < newest.size:
            with self._database.read() as connection:
                made = self._prover.consistency(connection, old_size=old_size, new_size=newest.size)
            proof = made.hashes
        answer = client.add_checkpoint(newest.note, old_size=old_size, proof=proof)
        if isinstance(answer, Behind):
            self._sizes[client.name] = answer.size
        return answer

    def _doubt(self, client: WitnessClient, said: str) -> _Heard:
        told = f"witness {client.name} {said}: restored from a backup? Then run `cdx db restored`"
        return _Heard(client=client, said=told, doubt=True)

    def _require_unproven(self, heard: _Heard) -> None:
        shown = self._shown(heard.client)
        if shown is not None and self._is_foreign(shown):
            raise InconsistentLogError(f"{heard.said}. It shows a checkpoint of size {shown.size}, signed by our key")

    def _shown(self, client: WitnessClient) -> Checkpoint | None:
        note = client.checkpoint_of(self._origin)
        return None if note is None else read_shown(note, self._verifiers, self._origin)

    def _is_foreign(self, shown: Checkpoint) -> bool:
        """Whether a checkpoint of our own key is none that was published here."""
        with self._database.read() as connection:
            row = store.checkpoint_of_size(connection, shown.size)
        return row is None or parse_checkpoint(split_note(row.note)[0]).root != shown.root

    def _tell(self, who: str, what: str, *, is_good: bool) -> None:
        """Log a state when it changes, and not at every look."""
        if self._told.get(who) == what:
            return
        is_first = who not in self._told
        self._told[who] = what
        if not (is_first and is_good):
            _log.log(logging.INFO if is_good else logging.WARNING, "%s: %s", who, what)
