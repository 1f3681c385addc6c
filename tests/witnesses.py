"""A real witness for tests: made as an operator makes it, served over real HTTP on a free port. And logs to show it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from werkzeug.serving import make_server

from api.witness_app import create_witness_app
from api.witness_folder import make_witness, open_witness
from crypto.checkpoint import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, sign_note
from crypto.encoding import b64_encode
from crypto.merkle import consistency_proof, hash_leaf, root_from_leaves
from exchange.audit.witnessing import Witness


@dataclass(frozen=True, kw_only=True)
class RunningWitness:
    """A witness that answers at ``url`` (no slash at its end), whose lines ``vkey`` verifies."""

    url: str
    vkey: str
    witness: Witness

    @property
    def policy_line(self) -> str:
        """Its line of a trust policy."""
        return f"witness {self.witness.name} {self.vkey} {self.url}"


@contextmanager
def running_witness(folder: Path, *log_vkeys: str, name: str = "witness.example") -> Iterator[RunningWitness]:
    """Serve a witness that trusts these keys of logs. It is made in ``folder``, or goes on if it is there already."""
    if not folder.exists():
        make_witness(folder, name)
    witness = open_witness(folder)
    for vkey in log_vkeys:
        witness.store.add_key(NoteVerifier.parse(vkey))
    server = make_server("127.0.0.1", 0, create_witness_app(witness), threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield RunningWitness(url=f"http://127.0.0.1:{server.server_port}", vkey=witness.vkey, witness=witness)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        witness.store.close()


class TinyLog:
    """A log in memory that signs what is asked of it; with ``forked_at`` it has another history from that leaf on."""

    def __init__(self, *signers: NoteSigner, forked_at: int | None = None) -> None:
        self.signers = signers
        self.origin = signers[0].name
        self._forked_at = forked_at

    def leaves(self, size: int) -> list[bytes]:
        """The hashes of the first ``size`` leaves."""
        forked_at = size if self._forked_at is None else self._forked_at
        return [hash_leaf(b"%d%s" % (number, b" again" * (number >= forked_at))) for number in range(size)]

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` leaves."""
        return root_from_leaves(self.leaves(size))

    def note(self, size: int, *extensions: str, root: bytes | None = None) -> str:
        """A signed checkpoint."""
        checkpoint = Checkpoint(origin=self.origin, size=size, root=root or self.root(size), extensions=extensions)
        return sign_note(format_checkpoint(checkpoint), self.signers)

    def proof(self, old: int, new: int) -> list[bytes]:
        """That the first ``old`` leaves are a beginning of the first ``new``."""
        return consistency_of(self.leaves(new), old) if 0 < old < new else []

    def request(self, old: int, new: int, *extensions: str) -> bytes:
        """The body of an ``add-checkpoint`` request."""
        return request_body(old, self.proof(old, new), self.note(new, *extensions))


def consistency_of(leaf_hashes: list[bytes], old: int) -> list[bytes]:
    """The consistency proof from the first ``old`` leaves to all of them."""

    def get_hash(level: int, index: int) -> bytes:
        return root_from_leaves(leaf_hashes[index << level : (index + 1) << level])

    return consistency_proof(old, len(leaf_hashes), get_hash)


def request_body(old: int | str, proof: Iterable[bytes], note: str) -> bytes:
    """The body of an ``add-checkpoint`` request (C2SP tlog-witness)."""
    lines = "".join(f"{b64_encode(one)}\n" for one in proof)
    return f"old {old}\n{lines}\n{note}".encode()
