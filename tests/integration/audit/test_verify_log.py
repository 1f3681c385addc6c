import functools
import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crypto.checkpoint import Checkpoint, NoteSigner, format_checkpoint, sign_note
from crypto.errors import MalformedError
from crypto.merkle import EMPTY_ROOT, root_from_leaves
from exchange.audit import log
from exchange.audit.export import export_log
from exchange.audit.sources import DirectorySource, HTTPSource, open_source
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.errors import UnknownEntryError
from tests.integration.audit.small_log import ORIGIN, SIGNER, TRUST, SmallLog

SIZES = (300, 700)


@pytest.fixture(scope="module")
def two_exports(lasting_database, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One log, exported at 300 and at 700 entries."""
    small_log = SmallLog(lasting_database).create()
    folders = []
    for size in SIZES:
        small_log.append_many(size - len(small_log.accepted))
        small_log.round()
        folders.append(small_log.export(tmp_path_factory.mktemp(f"export{size}")))
    return folders[0], folders[1]


@pytest.fixture
def directory(two_exports: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the larger export, to be spoilt."""
    return Path(shutil.copytree(two_exports[1], tmp_path / "log"))


@pytest.fixture
def state(two_exports: tuple[Path, Path]) -> str:
    """The checkpoint at 300 entries."""
    return (two_exports[0] / "checkpoint").read_text()


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))


def test_an_exported_log_verifies_and_the_report_says_what_that_means(directory):
    seen: list[tuple[int, int]] = []
    report = verify_log(DirectorySource(directory), TRUST, progress=lambda done, total: seen.append((done, total)))
    assert report.ok
    assert report.size == 700
    assert seen == [(256, 700), (512, 700), (700, 700)]
    assert report.state == (directory / "checkpoint").read_text()
    assert report.explain() == [
        f"log {ORIGIN}: verified",
        f"checked:     the checkpoint over 700 entries is signed by {ORIGIN}",
        "checked:     the form and the hash of 700 entries",
        "checked:     every hash of the tree, up to the root that the checkpoint states",
        "not checked: whether everybody is shown this same history: nobody else vouches for it. Give a "
        "policy with witnesses, or compare checkpoints with others",
        "not checked: the facts behind the commitments: only whoever holds the openings can check those",
    ]


def test_an_export_has_the_files_of_the_specification(directory):
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files == {
        "checkpoint",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/188",
        "tile/1/000.p/2",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/188",
    }


def test_several_processes_come_to_the_same_result(directory):
    flip(directory / "tile/0/001", 40)
    reports = [verify_log(DirectorySource(directory), TRUST, workers=workers) for workers in (1, 2)]
    assert reports[0] == reports[1]
    assert not reports[0].ok


@pytest.mark.parametrize("full", [True, False])
def test_a_log_that_grew_agrees_with_the_saved_state(directory, state, full):
    report = verify_log(DirectorySource(directory), TRUST, state=state, full=full)
    assert report.faults == []
    assert "the log as it was with 300 entries is a part of it, unchanged" in report.checked
    assert any(line.startswith("entries before 256") for line in report.not_checked) is not full


@pytest.mark.parametrize("size", [1, 255, 256, 300, 511, 512, 513, 700])
@pytest.mark.parametrize("full", [True, False])
def test_any_earlier_state_agrees(directory, full, size):
    data = b"".join((directory / f"tile/0/{name}").read_bytes() for name in ("000", "001", "002.p/188"))
    root = root_from_leaves(data[start : start + 32] for start in range(0, 32 * size, 32))
    state = sign_note(format_checkpoint(Checkpoint(origin=ORIGIN, size=size, root=root)), [SIGNER])
    assert verify_log(DirectorySource(directory), TRUST, state=state, full=full).faults == []


@pytest.mark.parametrize("size", [1, 255, 256, 300, 512, 700])
@pytest.mark.parametrize("full", [True, False])
def test_a_fork_is_found_wherever_the_saved_state_ended(directory, full, size):
    forked = Checkpoint(origin=ORIGIN, size=size, root=bytes(32))
    state = sign_note(format_checkpoint(forked), [SIGNER])
    report = verify_log(DirectorySource(directory), TRUST, state=state, full=full)
    assert any(fault.startswith("FORK") for fault in report.faults)
    assert report.state is None


def test_a_log_that_shrank_is_found(two_exports):
    state = (two_exports[1] / "checkpoint").read_text()
    report = verify_log(DirectorySource(two_exports[0]), TRUST, state=state)
    assert report.faults == ["the log has shrunk: it had 700 entries, and shows 300 now"]


def drop_last_entry(directory: Path) -> None:
    path = directory / "tile/entries/002.p/188"
    path.write_bytes(path.read_bytes()[:-600])


def swap_bundles(directory: Path) -> None:
    first, second = directory / "tile/entries/000", directory / "tile/entries/001"
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def reformat_entry(directory: Path) -> None:
    """A different spelling of the same JSON, with all hashes made to fit, signed by the log itself."""
    path = directory / "tile/entries/000"
    data = path.read_bytes()
    assert data[2:9] == b'{"id":"'
    path.write_bytes((int.from_bytes(data[:2], "big") + 1).to_bytes(2, "big") + b'{ "id":"' + data[9:])


SPOILT: dict[str, Callable[[Path], None]] = {
    "a byte of an entry": lambda folder: flip(folder / "tile/entries/001", 5000),
    "a length of an entry": lambda folder: flip(folder / "tile/entries/001", 1),
    "a leaf hash": lambda folder: flip(folder / "tile/0/000", 8191),
    "a hash of the partial tile": lambda folder: flip(folder / "tile/0/002.p/188", 0),
    "a hash of level 1": lambda folder: flip(folder / "tile/1/000.p/2", 33),
    "the size in the checkpoint": lambda folder: flip(folder / "checkpoint", len(ORIGIN) + 1),
    "the signature": lambda folder: flip(folder / "checkpoint", -10),
    "a missing checkpoint": lambda folder: (folder / "checkpoint").unlink(),
    "a missing bundle": lambda folder: (folder / "tile/entries/001").unlink(),
    "a missing tile": lambda folder: (folder / "tile/0/001").unlink(),
    "a missing tile of level 1": lambda folder: (folder / "tile/1/000.p/2").unlink(),
    "a tile that is too short": lambda folder: (folder / "tile/0/001").write_bytes(b"short"),
    "an entry too few": drop_last_entry,
    "entries in another order": swap_bundles,
    "an entry in another spelling": reformat_entry,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_spoilt_export_does_not_verify(directory, spoil):
    spoil(directory)
    report = verify_log(DirectorySource(directory), TRUST)
    assert report.faults
    assert report.state is None
    assert report.explain()[0].endswith("NOT VERIFIED")


def test_an_entry_in_another_spelling_is_named(directory):
    reformat_entry(directory)
    report = verify_log(DirectorySource(directory), TRUST)
    assert any(fault.startswith("entry 0 (tile/entries/000): not an entry") for fault in report.faults)


def test_a_key_of_another_log_or_an_unusable_one_is_refused(directory, state):
    stranger = NoteSigner(ORIGIN, bytes(32))
    assert verify_log(DirectorySource(directory), Trust.of(stranger.vkey)).faults == [
        "checkpoint: no signature by a known key"
    ]
    other = NoteSigner("other.example", bytes(32))
    wrong = sign_note((directory / "checkpoint").read_text().split("\n\n")[0] + "\n", [other])
    (directory / "checkpoint").write_text(wrong)
    assert "trusted is 'other.example'" in verify_log(DirectorySource(directory), Trust.of(other.vkey)).faults[0]
    with pytest.raises(MalformedError):
        Trust.of("not a key")
    with pytest.raises(MalformedError, match="saved state"):
        verify_log(DirectorySource(directory), Trust.of(stranger.vkey), state=state)


def test_partial_tiles_may_have_become_full_ones(two_exports, tmp_path):
    """C2SP tlog-tiles: a partial resource may be deleted once the full one is there."""
    mixed = Path(shutil.copytree(two_exports[1], tmp_path / "mixed"))
    shutil.copyfile(two_exports[0] / "checkpoint", mixed / "checkpoint")
    report = verify_log(DirectorySource(mixed), TRUST)
    # Level 1 is not full yet in the larger tree, so only its narrow form is missing.
    assert report.faults == ["tile/1/000.p/1 is missing or has not 1 hashes"]
    assert report.size == 300


def test_a_second_export_adds_what_is_new(small_log, tmp_path):
    with small_log.database.read() as connection, pytest.raises(UnknownEntryError):
        export_log(connection, tmp_path)
    small_log.append_many(300)
    small_log.round()
    with small_log.database.read() as connection:
        assert export_log(connection, tmp_path).files == 6
        first = (tmp_path / "tile/0/000").stat().st_mtime_ns
    small_log.append_many(1)
    small_log.round()
    with small_log.database.read() as connection:
        again = export_log(connection, tmp_path)
    assert (again.size, again.files) == (301, 4)
    assert (tmp_path / "tile/0/000").stat().st_mtime_ns == first
    assert verify_log(DirectorySource(tmp_path), TRUST).ok
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


class Quiet(http.server.SimpleHTTPRequestHandler):
    withheld = ""

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.withheld and self.path.startswith(self.withheld):
            self.send_error(401)
        else:
            super().do_GET()


@pytest.fixture
def serve(directory: Path) -> Iterator[Callable[[str], str]]:
    """Serves the export; some paths only to those who may."""
    servers = []

    def start(withheld: str = "") -> str:
        handler = type("Handler", (Quiet,), {"withheld": withheld})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(directory)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_served_log_verifies_like_a_directory(serve, directory):
    assert verify_log(open_source(serve() + "/"), TRUST) == verify_log(open_source(str(directory)), TRUST)


def test_a_log_whose_entries_are_withheld_is_verified_as_far_as_it_can_be(serve):
    report = verify_log(HTTPSource(serve("/tile/entries/")), TRUST)
    assert report.ok
    assert "the entries themselves: the source shows them to auditors only" in report.not_checked
    assert not any("entries" in line and "form" in line for line in report.checked)


def test_a_withheld_log_is_still_compared_hash_by_hash(serve, directory):
    flip(directory / "tile/0/000", 100)
    assert not verify_log(HTTPSource(serve("/tile/entries/")), TRUST).ok


def test_an_address_that_is_none_is_refused(tmp_path):
    for location in ("ftp://log.example", str(tmp_path / "nothing")):
        with pytest.raises(MalformedError):
            open_source(location)
    with pytest.raises(MalformedError):
        HTTPSource("file:///etc")


def test_the_offline_verifier_loads_no_database(directory):
    program = (
        "import sys; from exchange.audit import trust, verify, sources;"
        "report = verify.verify_log(sources.open_source(sys.argv[1]), trust.Trust.of(sys.argv[2]));"
        "assert report.ok; assert not {'sqlalchemy', 'psycopg', 'flask'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(directory), SIGNER.vkey], check=True, timeout=60)


def test_an_empty_log_verifies(tmp_path):
    empty = Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    (tmp_path / "checkpoint").write_text(sign_note(format_checkpoint(empty), [SIGNER]))
    assert verify_log(DirectorySource(tmp_path), TRUST).ok


def test_the_read_side_gives_what_lies_in_the_export(small_log, tmp_path):
    small_log.append_many(300)
    small_log.round()
    small_log.export(tmp_path)
    with small_log.database.read() as connection:
        assert log.tile(connection, 0, 0, 256) == (tmp_path / "tile/0/000").read_bytes()
        assert log.tile(connection, 0, 1, 5) == (tmp_path / "tile/0/001.p/44").read_bytes()[:160]
        assert log.entries(connection, 1, 44) == (tmp_path / "tile/entries/001.p/44").read_bytes()
        for level, n, width in ((0, 1, 45), (0, 2, 1), (2, 0, 1), (0, 0, 0), (0, 0, 257)):
            with pytest.raises(UnknownEntryError):
                log.tile(connection, level, n, width)
        for n, width in ((1, 45), (2, 1), (0, 0)):
            with pytest.raises(UnknownEntryError):
                log.entries(connection, n, width)
