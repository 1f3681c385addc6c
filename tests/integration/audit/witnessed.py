"""A log with witnesses, real ones and liars, and what becomes of it when a backup is restored."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from flask import Flask, Response, request
from sqlalchemy import func, select

from crypto.checkpoint import Checkpoint, NoteVerifier, format_checkpoint, sign_note
from crypto.merkle import hash_leaf, root_from_leaves
from exchange.audit import cosigned_store, store
from exchange.audit.policy_file import Policy, parse_policy
from exchange.audit.quorum import Quorum
from exchange.audit.rows import CosignedRow
from exchange.audit.tables import audit_cosigned
from exchange.audit.witness_client import clients_of
from exchange.http_client import CallLimits
from tests.integration.audit.small_log import ORIGIN, SIGNER, SmallLog
from tests.integration.providers.parts import serving
from tests.witnesses import RunningWitness, consistency_of, request_body, running_witness

PATIENT = CallLimits(connect_seconds=20.0, read_seconds=20.0, total_seconds=20.0, max_bytes=2**14)


def a_policy(lines: Iterable[str], threshold: int | str = "all") -> Policy:
    """``threshold`` of the witnesses of these policy lines."""
    lines = list(lines)
    names = [line.split()[1] for line in lines]
    return parse_policy("\n".join([*lines, f"group enough {threshold} {' '.join(names)}", "quorum enough"]))


def quorum_of(log: SmallLog, policy: Policy, **changes: Any) -> Quorum:
    """Who asks, as the worker does."""
    values: dict[str, Any] = {
        "policy": policy,
        "clients": clients_of(policy, limits=PATIENT),
        "verifiers": [NoteVerifier.parse(SIGNER.vkey)],
        "origin": ORIGIN,
        "clock": lambda: log.now,
        "every_seconds": 0.01,
    }
    return Quorum(log.database, **(values | changes))


@contextmanager
def real_witnesses(folder: Any, *names: str) -> Iterator[list[RunningWitness]]:
    """Real witnesses that know the log."""
    with ExitStack() as stack:
        yield [stack.enter_context(running_witness(folder / name, SIGNER.vkey, name=name)) for name in names]


@contextmanager
def liar(name: str, vkey: str, reply: Callable[[], Response], *, shows: str | None = None) -> Iterator[str]:
    """Somebody under the key of a witness who answers whatever ``reply`` makes; the line of the policy."""
    app = Flask("liar", static_folder=None)

    @app.post("/add-checkpoint")
    def add() -> Response:
        request.get_data()
        return reply()

    @app.get("/<log>/checkpoint")
    def checkpoint(log: str) -> Response:
        return Response(status=404) if shows is None else Response(shows)

    with serving(app) as url:
        yield f"witness {name} {vkey} {url}"


def leaf_hashes(log: SmallLog) -> list[bytes]:
    """Of all entries that are in the log."""
    with log.database.read() as connection:
        return [hash_leaf(body) for body in store.bodies(connection, 0, 10**6)]


def signed(hashes: list[bytes]) -> str:
    """A checkpoint over leaves, by the log's own key."""
    return sign_note(
        format_checkpoint(Checkpoint(origin=ORIGIN, size=len(hashes), root=root_from_leaves(hashes))), [SIGNER]
    )


def show_future(log: SmallLog, witness: RunningWitness, more: int, *, keep: int | None = None, old: int = 0) -> None:
    """The witness cosigns a log that begins with the first ``keep`` entries of ours and has ``more`` others.

    That is what it has seen when our database is set back to an older state and (with ``more`` later entries) goes on.
    """
    hashes = leaf_hashes(log)[:keep] + [hash_leaf(b"lost %d" % number) for number in range(more)]
    proof = consistency_of(hashes, old) if old else []
    witness.witness.add_checkpoint(request_body(old, proof, signed(hashes)))
    found = witness.witness.store.find(ORIGIN)
    assert found is not None
    assert found.size == len(hashes)


def stored(log: SmallLog) -> CosignedRow | None:
    """The newest cosigned checkpoint."""
    with log.database.read() as connection:
        return cosigned_store.newest(connection)


def rows(log: SmallLog) -> int:
    """How many cosigned checkpoints are stored."""
    with log.database.read() as connection:
        return connection.execute(select(func.count()).select_from(audit_cosigned)).scalar_one()


@contextmanager
def in_background(work: Callable[[threading.Event], None]) -> Iterator[list[BaseException]]:
    """Run until the block ends; gives what it failed with."""
    stop, failures = threading.Event(), list[BaseException]()

    def run() -> None:
        try:
            work(stop)
        except BaseException as exc:  # noqa: BLE001  # told to the test
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield failures
    finally:
        stop.set()
        thread.join()
