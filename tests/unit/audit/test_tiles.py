import hashlib

import pytest

from crypto.errors import MalformedError
from crypto.merkle import consistency_proof, inclusion_proof
from exchange.audit.edge import RightEdge, empty_edge, pack_state, partial_levels, unpack_state
from exchange.audit.tiles import (
    TileCache,
    TileHashes,
    complete_root,
    decode_bundle,
    encode_bundle,
    entries_path,
    index_path,
    parse_index_path,
    tile_path,
    tiles_of,
    width_at,
)
from tests.unit.audit import oracle

SIZES = [1, 2, 3, 7, 8, 100, 255, 256, 257, 511, 512, 513, 700, 1024, 1025]
ENTRIES = [str(number).encode() for number in range(1100)]
HASHES = [oracle.leaf(entry) for entry in ENTRIES]


def grown(size: int, *, step: int = 1000) -> tuple[RightEdge, dict[tuple[int, int], bytes]]:
    """An edge of that size, and the tiles that were written on the way."""
    edge, tiles = empty_edge(), {}
    for start in range(0, size, step):
        for write in edge.extend(HASHES[start : min(start + step, size)]):
            old = tiles.get((write.level, write.n), b"")
            assert len(old) == write.old_width * 32
            assert write.data.startswith(old)
            tiles[write.level, write.n] = write.data
    return edge, tiles


def test_the_numbers_of_tiles_are_written_in_groups_of_three():
    assert index_path(0) == "000"
    assert index_path(1234067) == "x001/x234/067"
    assert index_path(1000, 5) == "x001/000.p/5"
    assert tile_path(3, 67, 256) == "tile/3/067"
    assert entries_path(1000, 255) == "tile/entries/x001/000.p/255"


@pytest.mark.parametrize("n", [0, 9, 999, 1000, 123456, 999999, 1000000, 2**40])
@pytest.mark.parametrize("width", [1, 255, 256])
def test_a_path_is_read_as_it_was_written(n, width):
    assert parse_index_path(index_path(n, width)) == (n, width)


OTHER_SPELLINGS = [
    "",
    "0",
    "00",
    "0000",
    "x000/001",
    "001/002",
    "x001/x002",
    "/001",
    "001/",
    "../001",
    "x001/001/",
    "-01",
]
OTHER_SPELLINGS += [
    "001.p/0",
    "001.p/256",
    "001.p/999",
    "001.p/01",
    "001.p",
    "001.p/5\n",
    "\uff10\uff10\uff11",
    "x" * 90,
]


@pytest.mark.parametrize("path", OTHER_SPELLINGS)
def test_another_spelling_of_a_path_is_refused(path):
    with pytest.raises(MalformedError):
        parse_index_path(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_names():
    shape: dict[tuple[int, int], int] = {}
    for level, _, width in tiles_of(70_000):
        shape[level, width] = shape.get((level, width), 0) + 1
    assert shape == {(0, 256): 273, (0, 112): 1, (1, 256): 1, (1, 17): 1, (2, 1): 1}
    assert list(tiles_of(0)) == []
    assert list(tiles_of(256)) == [(0, 0, 256), (1, 0, 1)]


def test_bundles_round_trip_and_refuse_anything_else():
    bodies = [b"", b"a", b"x" * 65_535]
    data = encode_bundle(bodies)
    assert data[:5] == b"\x00\x00\x00\x01a"
    assert decode_bundle(data, 3) == bodies
    for wrong, count in ((data, 2), (data, 4), (data[:-1], 3), (data + b"\x00", 3), (b"", 1)):
        with pytest.raises(MalformedError):
            decode_bundle(wrong, count)


@pytest.mark.parametrize("step", [1, 3, 256, 1000])
@pytest.mark.parametrize("size", SIZES)
def test_the_edge_grows_to_the_oracles_root_in_any_steps(size, step):
    edge, tiles = grown(size, step=step)
    assert edge.frontier.root() == oracle.root(ENTRIES[:size])
    assert edge.size == size
    assert {(level, n): width * 32 for level, n, width in tiles_of(size)} == {
        place: len(data) for place, data in tiles.items()
    }
    rebuilt = RightEdge(edge.frontier.copy(), edge.partial.copy())
    assert len(edge.partial) == partial_levels(size)
    assert rebuilt.extend(HASHES[size : size + 1]) == edge.extend(HASHES[size : size + 1])


@pytest.mark.parametrize("size", SIZES)
def test_proofs_from_tiles_are_the_oracles(size):
    for source in (grown(size)[1], grown(1100)[1]):  # a partial tile is also read from the wider one that it became
        hashes = TileHashes(size, lambda level, n, width, source=source: source[level, n])
        for index in {0, 1, size // 2, size - 1} & set(range(size)):
            assert inclusion_proof(index, size, hashes) == oracle.path(index, ENTRIES[:size])
        for old in {1, size // 2, size - 1, size} & set(range(1, size + 1)):
            assert consistency_proof(old, size, hashes) == oracle.proof(old, ENTRIES[:size])


def test_a_small_cache_forgets_and_still_answers():
    _, tiles = grown(1100)
    cache, reads = TileCache(2), []

    def read(level: int, n: int, width: int) -> bytes:
        reads.append((level, n))
        return tiles[level, n]

    hashes = TileHashes(1100, read, cache)
    assert [hashes(0, index) for index in (0, 300, 600, 0)] == [HASHES[index] for index in (0, 300, 600, 0)]
    assert reads == [(0, 0), (0, 1), (0, 2), (0, 0)]
    with pytest.raises(MalformedError):
        TileHashes(1100, lambda *_: b"short")(0, 0)


@pytest.mark.parametrize(
    ("level", "n", "size", "width"), [(0, 0, 5, 5), (0, 1, 300, 44), (1, 0, 300, 1), (0, 2, 300, 0)]
)
def test_width_of_a_tile(level, n, size, width):
    assert width_at(level, n, size) == width


def test_a_complete_root_is_the_oracles():
    assert complete_root(b"".join(HASHES[:256])) == oracle.root(ENTRIES[:256])
    assert complete_root(HASHES[0]) == HASHES[0]


def test_an_edge_whose_halves_disagree_is_refused():
    edge, _ = grown(300)
    wrong = edge.partial.copy()
    wrong[0] = hashlib.sha256().digest() + wrong[0][32:]
    for partial in (wrong, edge.partial[:1], [*edge.partial, b""], [edge.partial[0][:-32], edge.partial[1]]):
        if partial[-1:] == [b""]:
            assert RightEdge(edge.frontier, partial).size == 300  # an empty level above changes nothing
            continue
        with pytest.raises(MalformedError):
            RightEdge(edge.frontier, partial)


def test_a_copy_of_the_edge_leaves_the_original_alone():
    edge, _ = grown(300)
    copy = edge.copy()
    copy.extend(HASHES[300:600])
    assert edge.frontier.root() == oracle.root(ENTRIES[:300])
    assert RightEdge(edge.frontier, edge.partial).size == 300


def test_the_state_of_the_head_round_trips():
    edge, _ = grown(300)
    assert unpack_state(pack_state(7, edge.frontier)) == (7, edge.frontier)
    for wrong in (b"", bytes(7), pack_state(7, edge.frontier)[:-1], pack_state(7, edge.frontier) + b"\x00"):
        with pytest.raises(MalformedError):
            unpack_state(wrong)
