"""What a witness remembers: its logs, their keys, and the last checkpoint of each that it cosigned.

A SQLite file of its own (never the exchange's database), WAL with synchronous=FULL. It is made once, by ``create``; a
missing or foreign file is an error and never a new beginning, since a witness that forgot would cosign a second
history. Rows of logs are never deleted, not even when all keys of a log are: the file itself refuses that, and that a
log shrinks.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Connection, delete, exists, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError as SQLError

from crypto.merkle import EMPTY_ROOT
from crypto.note import ED25519, NoteVerifier
from exchange.audit.witness import Cosign, Fork, KnownLog
from exchange.audit.witness_tables import GUARDS, SCHEMA, fork, log, log_key, metadata, witness
from exchange.database import Database
from exchange.errors import DatabaseError, WitnessError


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """What there is to see of a log: its keys, how far it was cosigned and when (seconds since 1970; 0: never)."""

    origin: str
    origin_hash: str
    vkeys: tuple[str, ...]
    size: int
    cosigned_at: int
    forks: int


def origin_hash(origin: str) -> str:
    """The place of a log below the monitoring prefix (C2SP tlog-witness, "Monitor Retrieval Mechanism")."""
    return sha256(origin.encode()).hexdigest()


def create(path: Path, vkey: str) -> None:
    """Make the memory of a new witness. Do it where nobody sees a half: there is no way to repair one.

    Raises:
        WitnessError: there is such a file.
    """
    if path.exists():
        raise WitnessError(f"{path} exists: what a witness remembers is never replaced")
    database = Database(f"sqlite:///{path.absolute()}")
    try:
        with database.write() as connection:
            metadata.create_all(connection)
            for guard in GUARDS:
                connection.exec_driver_sql(guard)
            connection.execute(insert(witness).values(schema=SCHEMA, vkey=vkey))
            connection.commit()
    finally:
        database.dispose()


class WitnessStore:
    """The memory of one witness. Threads and processes may share the file.

    Args:
        path: the file that :func:`create` made.
        vkey: the witness's own verifier key, which the file must be bound to.

    Raises:
        WitnessError: no such file, or that of another witness or version.
        DatabaseError: a database that may lose commits.
    """

    def __init__(self, path: Path, vkey: str) -> None:
        if not path.is_file():
            raise WitnessError(f"{path} is missing: what a witness forgot it must not cosign anew; see the manual")
        self._database = Database(f"sqlite:///{path.absolute()}")
        try:
            self._database.assert_durable()
        except SQLError as exc:
            raise WitnessError(f"{path} is no database") from exc
        try:
            with self._database.read() as connection:
                found = connection.execute(select(witness)).one_or_none()
        except DatabaseError as exc:
            raise WitnessError(f"{path} cannot be read as the memory of a witness") from exc
        if found is None or tuple(found) != (SCHEMA, vkey):
            raise WitnessError(f"{path} is the memory of another witness, or of another version")

    def close(self) -> None:
        """Close the file."""
        self._database.dispose()

    # Logs and their keys

    def add_key(self, verifier: NoteVerifier) -> None:
        """Trust a key for the log whose name it bears; a second one is added beside the first.

        Raises:
            WitnessError: not a key of a log, or one that cannot be told from another key of it.
        """
        if verifier.kind != ED25519:
            raise WitnessError("a log signs with a key of type 1 (Ed25519); this is a key of another type")
        origin = verifier.name
        with self._database.write() as connection:
            for other in _verifiers(connection, origin):
                if other.key_id == verifier.key_id and other != verifier:
                    raise WitnessError("the log has another key with the same key id")
            if not connection.execute(select(log.c.origin).where(log.c.origin == origin)).first():
                connection.execute(
                    insert(log).values(
                        origin=origin, origin_hash=origin_hash(origin), size=0, root=EMPTY_ROOT, cosigned_at=0
                    )
                )
            connection.execute(upsert(log_key).values(origin=origin, vkey=verifier.vkey).on_conflict_do_nothing())
            connection.commit()

    def remove_key(self, verifier: NoteVerifier) -> None:
        """Trust a key no longer, from the commit on. A log without keys is unknown, but what was cosigned is kept.

        Raises:
            WitnessError: the key was not trusted.
        """
        with self._database.write() as connection:
            gone = connection.execute(
                delete(log_key).where(log_key.c.origin == verifier.name, log_key.c.vkey == verifier.vkey)
            )
            if gone.rowcount != 1:
                raise WitnessError("this key is not trusted for any log")
            connection.commit()

    def lines(self) -> list[LogLine]:
        """All logs, those without keys too."""
        with self._database.read() as connection:
            keys: dict[str, list[str]] = {}
            for origin, vkey in connection.execute(select(log_key).order_by(log_key.c.vkey)):
                keys.setdefault(origin, []).append(vkey)
            forks = list(connection.execute(select(fork.c.origin)).scalars())
            return [
                LogLine(
                    origin=row.origin,
                    origin_hash=row.origin_hash,
                    vkeys=tuple(keys.get(row.origin, ())),
                    size=row.size,
                    cosigned_at=row.cosigned_at,
                    forks=forks.count(row.origin),
                )
                for row in connection.execute(select(log).order_by(log.c.origin))
            ]

    # Checkpoints

    def find(self, origin: str) -> KnownLog | None:
        """What is known of a log; None when no key is trusted for it."""
        with self._database.read() as connection:
            verifiers = _verifiers(connection, origin)
            if not verifiers:
                return None
            row = connection.execute(select(log).where(log.c.origin == origin)).one()
        return KnownLog(
            origin=origin,
            verifiers=verifiers,
            size=row.size,
            root=row.root,
            note=row.note,
            cosigned_at=row.cosigned_at,
        )

    def note(self, hashed_origin: str) -> str | None:
        """The last cosigned checkpoint of the log with this hash; None when there is none."""
        with self._database.read() as connection:
            return connection.execute(select(log.c.note).where(log.c.origin_hash == hashed_origin)).scalar()

    def advance(self, before: KnownLog, decision: Cosign, *, note: str, time: int) -> bool:
        """Move a log on, if it is still as it was when that was decided; durable when this returns True.

        One statement compares and sets: of two requests that were decided on the same state one wins, and the other
        changes nothing and returns False. A crash before the commit leaves the former state and no cosignature
        outside; a crash after it leaves the new state, whose cosignature the log can ask for again.
        """
        trusted = exists().where(
            log_key.c.origin == before.origin, log_key.c.vkey.in_([one.vkey for one in decision.signed_by])
        )
        statement = (
            update(log)
            .where(
                log.c.origin == before.origin,
                log.c.size == before.size,
                log.c.root == before.root,
                log.c.cosigned_at == before.cosigned_at,
                trusted,
            )
            .values(size=decision.checkpoint.size, root=decision.checkpoint.root, note=note, cosigned_at=time)
        )
        with self._database.write() as connection:
            if connection.execute(statement).rowcount != 1:
                return False
            connection.commit()
        return True

    def keep_fork(self, proof: Fork, *, time: int) -> None:
        """Keep the proof that a log signed a second history; the same one again is kept once."""
        values = {name: getattr(proof, name) for name in ("origin", "size", "root", "cosigned", "refused")}
        with self._database.write() as connection:
            connection.execute(upsert(fork).values(seen_at=time, **values).on_conflict_do_nothing())
            connection.commit()

    def forks(self, origin: str) -> tuple[Fork, ...]:
        """The proofs against a log, in the order in which they were seen."""
        columns = (fork.c.origin, fork.c.size, fork.c.root, fork.c.cosigned, fork.c.refused)
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).where(fork.c.origin == origin).order_by(fork.c.seen_at))
            return tuple(Fork(**row) for row in rows.mappings())


def _verifiers(connection: Connection, origin: str) -> tuple[NoteVerifier, ...]:
    vkeys: Iterable[str] = connection.execute(
        select(log_key.c.vkey).where(log_key.c.origin == origin).order_by(log_key.c.vkey)
    ).scalars()
    return tuple(NoteVerifier.parse(vkey) for vkey in vkeys)
