"""Copying a log: only what belongs to the signed checkpoint is ever written, and any tool can read the copy."""

import base64
import hashlib
import shutil
import struct

import pytest

from crypto.errors import MalformedError
from exchange.audit.mirror import mirror_log
from exchange.audit.report import Finding
from exchange.audit.sources import DirectorySource, HTTPSource
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from tests.integration.offline.tree import BODIES, OTHERS, SIGNER, TIME, TreeOfFiles, policy, served

TRUST = Trust.of(SIGNER.vkey)


@pytest.fixture
def tree(tmp_path):
    return TreeOfFiles(tmp_path / "log")


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy"


def mirror(tree, copy, trust=TRUST):
    return mirror_log(DirectorySource(tree.folder), trust, copy)


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_by_the_text_of_the_specification(folder):
    """A reader written from C2SP tlog-tiles and RFC 6962 alone: the entries of a tree whose every part fits."""

    def node(left, right):
        return hashlib.sha256(b"\x01" + left + right).digest()

    def root(hashes):
        if len(hashes) == 1:
            return hashes[0]
        middle = 1 << (len(hashes) - 1).bit_length() - 1
        return node(root(hashes[:middle]), root(hashes[middle:]))

    def path(start, number, width):
        groups = []
        while True:
            number, rest = divmod(number, 1000)
            groups.insert(0, f"x{rest:03d}" if groups else f"{rest:03d}")
            if not number:
                return f"{start}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")

    text = (folder / "checkpoint").read_text()
    _origin, size, stated = text.split("\n\n")[0].split("\n")
    entries = []
    for number in range(-(-int(size) // 256)):
        data = (folder / path("tile/entries", number, min(256, int(size) - number * 256))).read_bytes()
        while data:
            (length,) = struct.unpack(">H", data[:2])
            entries.append(data[2 : 2 + length])
            data = data[2 + length :]
    level, hashes = 0, [hashlib.sha256(b"\x00" + entry).digest() for entry in entries]
    assert base64.b64encode(root(hashes)).decode() == stated
    assert len(entries) == int(size)
    while hashes:
        full, partial = divmod(len(hashes), 256)
        above = []
        for number in range(full + bool(partial)):
            part = hashes[number * 256 : (number + 1) * 256]
            assert (folder / path(f"tile/{level}", number, len(part))).read_bytes() == b"".join(part)
            if len(part) == 256:
                above.append(root(part))
        level, hashes = level + 1, above
    return entries


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 700])
def test_a_copy_is_the_same_and_readable_by_others(tree, copy, size):
    tree.grow(BODIES[:size])
    report = mirror(tree, copy)
    assert report.ok, report.explain()
    assert files(copy) == files(tree.folder)
    if size:
        assert read_by_the_text_of_the_specification(copy) == BODIES[:size]
    assert verify_log(DirectorySource(copy), TRUST).ok


def test_a_second_level_of_tiles(tree, copy):
    """65,536 entries and some: tiles of three levels."""
    bodies = [b"%d" % number for number in range(256 * 256 + 300)]
    tree.grow(bodies)
    assert mirror(tree, copy).ok
    assert read_by_the_text_of_the_specification(copy) == bodies
    tree.flip("tile/1/000", 77 * 32)
    (copy / "tile/1/000").unlink()
    assert mirror(tree, copy).faults == ["tile/1/000 is not what the checkpoint leads to"]


def test_a_second_run_adds_what_is_new(tree, copy):
    tree.grow(BODIES[:300])
    mirror(tree, copy)
    first = (copy / "tile/0/000").stat().st_mtime_ns
    tree.grow(BODIES[300:700])
    report = mirror(tree, copy)
    assert report.ok
    assert (copy / "tile/0/000").stat().st_mtime_ns == first
    assert "5 files were written, all others were here" in report.checked
    assert files(copy).items() >= files(tree.folder).items()
    assert not [path for path in copy.rglob(".*") if path.is_file()]


LIES = {
    "an entry": ("tile/entries/001", 5000),
    "a length": ("tile/entries/001", 1),
    "an entry of the partial bundle": ("tile/entries/002.p/188", 50),
    "a leaf hash": ("tile/0/001", 40),
    "a hash of the partial tile": ("tile/0/002.p/188", 40),
    "a hash of level 1": ("tile/1/000.p/2", 3),
    "the signature": ("checkpoint", -10),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_of_a_server_that_lies_nothing_false_is_kept(tree, copy, lie):
    tree.grow(BODIES[:300])
    mirror(tree, copy)
    kept = (copy / "checkpoint").read_text()
    tree.grow(BODIES[300:700])
    honest = files(tree.folder)
    path, position = lie
    tree.flip(path, position % len(honest[path]))
    with served(tree.folder) as address:
        report = mirror_log(HTTPSource(address), TRUST, copy)
    assert report.finding is Finding.UNVERIFIED
    assert (copy / "checkpoint").read_text() == kept
    assert all(honest.get(name, data) == data for name, data in files(copy).items() if name != "checkpoint")
    assert verify_log(DirectorySource(copy), TRUST).ok
    # When it tells the truth again, the copy goes on where it stopped.
    tree.write(path, honest[path])
    assert mirror(tree, copy).ok
    assert read_by_the_text_of_the_specification(copy) == BODIES


@pytest.mark.parametrize("path", [*(path for path, _ in LIES.values() if path != "checkpoint")])
def test_what_is_missing_at_the_source_is_named(tree, copy, path):
    tree.grow(BODIES)
    (tree.folder / path).unlink()
    report = mirror(tree, copy)
    assert report.finding is Finding.UNVERIFIED
    assert not (copy / "checkpoint").exists()


@pytest.mark.parametrize("path", ["tile/0/000", "tile/0/002.p/188", "tile/entries/001", "tile/1/000.p/2"])
def test_what_was_damaged_here_is_fetched_again(tree, copy, path):
    tree.grow(BODIES)
    mirror(tree, copy)
    (copy / path).write_bytes(b"damaged")
    report = mirror(tree, copy)
    assert report.ok
    assert files(copy) == files(tree.folder)
    assert "1 files were written, all others were here" in report.checked


def test_what_was_lost_here_is_not_taken_from_a_liar(tree, copy):
    """The same checkpoint again, so that nothing but the tiles themselves can tell."""
    tree.grow(BODIES)
    mirror(tree, copy)
    (copy / "tile/0/002.p/188").unlink()
    tree.flip("tile/0/002.p/188")
    assert mirror(tree, copy).faults == ["the partial tiles do not lead to the root that the checkpoint states"]
    assert not (copy / "tile/0/002.p/188").exists()


def test_a_fork_is_kept_as_evidence_and_changes_nothing(tree, copy):
    tree.grow(BODIES[:300])
    mirror(tree, copy)
    before = files(copy)
    tree.bodies = [*OTHERS[:1], *BODIES[1:700]]
    tree.publish()
    report = mirror(tree, copy)
    assert report.finding is Finding.FORK
    (evidence,) = set(files(copy)) - set(before)
    assert evidence.startswith("checkpoint.fork-")
    assert before["checkpoint"].decode() in (copy / evidence).read_text()
    assert tree.note in (copy / evidence).read_text()
    assert {name: data for name, data in files(copy).items() if name != evidence} == before


def test_a_shorter_log_changes_nothing(tree, copy):
    tree.grow(BODIES)
    mirror(tree, copy)
    before = files(copy)
    assert mirror(tree.publish(300), copy).finding is Finding.SHRUNK
    assert files(copy) == before


def test_the_copy_of_a_log_whose_entries_are_withheld(tree, copy):
    tree.grow(BODIES)
    with served(tree.folder, entries=401) as address:
        report = mirror_log(HTTPSource(address), TRUST, copy)
    assert report.ok
    assert any("hashes alone" in line for line in report.not_checked)
    assert files(copy) == {name: data for name, data in files(tree.folder).items() if "entries" not in name}
    report = verify_log(DirectorySource(copy), TRUST)
    assert report.ok
    assert any(line.startswith("the entries themselves") for line in report.not_checked)
    # The entries are added when they can be read.
    assert mirror(tree, copy).ok
    assert files(copy) == files(tree.folder)


def test_without_the_quorum_nothing_is_copied(tree, copy):
    tree.grow(BODIES, a=TIME)
    assert not mirror(tree, copy, Trust.of(policy=policy())).ok
    assert not copy.exists()
    assert mirror(tree.publish(a=TIME, b=TIME), copy, Trust.of(policy=policy())).ok


def test_a_folder_with_something_else_in_it(tree, copy):
    tree.grow(BODIES)
    copy.mkdir()
    (copy / "checkpoint").write_bytes(b"\xff")
    with pytest.raises(MalformedError):
        mirror(tree, copy)
    shutil.copyfile(tree.folder / "tile/0/000", copy / "checkpoint")
    with pytest.raises(MalformedError):
        mirror(tree, copy)
