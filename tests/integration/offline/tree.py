"""Logs as trees of files, made without a database: honest ones, forked ones, cosigned ones; and a server for them."""

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from crypto.checkpoint import Checkpoint, Cosigner, NoteSigner, format_checkpoint, sign_note
from crypto.merkle import EMPTY_ROOT, hash_leaf
from exchange.audit.edge import empty_edge
from exchange.audit.tiles import encode_bundle, entries_path, tile_path, width_at
from tests.unit.audit.samples import an_entry

ORIGIN = "log.example/cdx"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
TIME = 1_772_443_800
WITNESSES = {name: Cosigner(f"{name}.example", bytes([number]) * 32) for number, name in enumerate("abc", start=1)}
BODIES = [an_entry(request=None).body for _ in range(700)]
OTHERS = [an_entry(request=None).body for _ in range(700)]


def policy(*, quorum: str = "two", log: NoteSigner = SIGNER) -> str:
    lines = [f"log {log.vkey}", *(f"witness {name} {one.vkey}" for name, one in WITNESSES.items())]
    return "\n".join([*lines, "group two 2 a b c", f"quorum {quorum}", ""])


@dataclass
class TreeOfFiles:
    """A log in a folder; ``cosign`` maps witnesses to the second at which each says it cosigned."""

    folder: Path
    bodies: list[bytes] = field(default_factory=list)
    signers: tuple[NoteSigner, ...] = (SIGNER,)
    origin: str = ORIGIN

    def grow(self, bodies: list[bytes], **cosign: int) -> "TreeOfFiles":
        self.bodies += bodies
        return self.publish(**cosign)

    def publish(self, size: int | None = None, **cosign: int) -> "TreeOfFiles":
        bodies = self.bodies if size is None else self.bodies[:size]
        edge = empty_edge()
        for tile in edge.extend([hash_leaf(body) for body in bodies]):
            self.write(tile_path(tile.level, tile.n, tile.width), tile.data)
        for n in range(-(-len(bodies) // 256)):
            part = bodies[n * 256 : (n + 1) * 256]
            self.write(entries_path(n, width_at(0, n, len(bodies))), encode_bundle(part))
        root = edge.frontier.root() if bodies else EMPTY_ROOT
        text = format_checkpoint(Checkpoint(origin=self.origin, size=len(bodies), root=root))
        note = sign_note(text, self.signers) + "".join(
            WITNESSES[name].sign(text, time=second) for name, second in cosign.items()
        )
        self.write("checkpoint", note.encode())
        return self

    @property
    def note(self) -> str:
        return (self.folder / "checkpoint").read_text()

    def write(self, path: str, data: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        # At once: a monitor may be reading.
        (self.folder / ".new").write_bytes(data)
        (self.folder / ".new").replace(self.folder / path)

    def flip(self, path: str, position: int = 40) -> None:
        data = bytearray((self.folder / path).read_bytes())
        data[position] ^= 1
        (self.folder / path).write_bytes(bytes(data))


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; ``refused`` maps the beginnings of paths to statuses."""

    refused: dict[str, int] = {}  # noqa: RUF012  # each server makes a class of its own

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        for path, status in self.refused.items():
            if self.path.startswith(path):
                self.send_error(status)
                return
        super().do_GET()


@contextmanager
def served(folder: Path, **refused: int) -> Iterator[str]:
    """A real server for a folder; ``entries=401`` withholds the entries."""
    paths = {"entries": "/tile/entries", "tiles": "/tile/", "checkpoint": "/checkpoint"}
    handler = type("Handler", (_Handler,), {"refused": {paths[name]: status for name, status in refused.items()}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
