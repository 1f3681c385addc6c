from base64 import b64decode

import pytest

from crypto.errors import MalformedError, VerificationError
from crypto.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    consistency_proof,
    hash_leaf,
    hash_node,
    inclusion_proof,
    root_from_leaves,
    verify_consistency,
    verify_inclusion,
)
from tests.unit.crypto import oracle
from tests.vectors import load

KNOWN = load("rfc6962_known_answers.json")
PROOFS = load("rfc6962_proofs.json")
# Published as valid with roots of twelve bytes ("don't care"): a hash has 32 bytes here, so it is refused.
SHORT_ROOTS = "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json"
LEAVES = [bytes([number]) for number in range(64)]
HASHES = [hash_leaf(leaf) for leaf in LEAVES]


def outcome(check, **arguments):
    try:
        check(**arguments)
    except VerificationError:
        return False
    return True


def decoded(case):
    return [b64decode(value) for value in case["proof"] or []]


def test_the_known_answers_of_the_hasher():
    assert EMPTY_ROOT.hex() == KNOWN["hasher"]["empty_root"]
    assert hash_leaf(b"").hex() == KNOWN["hasher"]["empty_leaf"]
    assert hash_leaf(b"L123456").hex() == KNOWN["hasher"]['leaf("L123456")']
    assert hash_node(b"N123", b"N456").hex() == KNOWN["hasher"]['node("N123","N456")']


def test_the_known_roots():
    leaves = [hash_leaf(bytes.fromhex(leaf)) for leaf in KNOWN["leaf_inputs_hex"]]
    for size, root in enumerate(KNOWN["root_hashes_hex_by_size"]):
        assert root_from_leaves(leaves[:size]).hex() == root


@pytest.mark.parametrize("case", PROOFS["inclusion"], ids=lambda case: case["file"])
def test_the_published_inclusion_proofs(case):
    assert case["wantErr"] is not outcome(
        verify_inclusion,
        index=case["leafIdx"],
        size=case["treeSize"],
        leaf_hash=b64decode(case["leafHash"]),
        proof=decoded(case),
        root=b64decode(case["root"]),
    )


@pytest.mark.parametrize("case", PROOFS["consistency"], ids=lambda case: case["file"])
def test_the_published_consistency_proofs(case):
    assert (case["wantErr"] or case["file"] == SHORT_ROOTS) is not outcome(
        verify_consistency,
        old_size=case["size1"],
        new_size=case["size2"],
        old_root=b64decode(case["root1"] or ""),
        new_root=b64decode(case["root2"] or ""),
        proof=decoded(case),
    )


@pytest.mark.parametrize("size", range(1, 34))
def test_every_inclusion_proof_is_that_of_the_standard(size):
    leaves = LEAVES[:size]
    root = oracle.tree_hash(leaves)
    assert root_from_leaves(HASHES[:size]) == root
    for index in range(size):
        proof = inclusion_proof(index, size, oracle.get_hash_of(leaves))
        assert proof == oracle.path(index, leaves)
        verify_inclusion(index=index, size=size, leaf_hash=HASHES[index], proof=proof, root=root)


@pytest.mark.parametrize("size", range(1, 34))
def test_every_consistency_proof_is_that_of_the_standard(size):
    leaves = LEAVES[:size]
    root = oracle.tree_hash(leaves)
    for old_size in range(1, size + 1):
        proof = consistency_proof(old_size, size, oracle.get_hash_of(leaves))
        assert proof == oracle.proof(old_size, leaves)
        old_root = oracle.tree_hash(leaves[:old_size])
        verify_consistency(old_size=old_size, new_size=size, old_root=old_root, new_root=root, proof=proof)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (5, 5), (-1, 5), (0, MAX_SIZE + 1)])
def test_nothing_proves_a_leaf_outside_the_tree(index, size):
    with pytest.raises(MalformedError):
        inclusion_proof(index, size, oracle.get_hash_of(LEAVES))
    with pytest.raises(VerificationError):
        verify_inclusion(index=index, size=size, leaf_hash=HASHES[0], proof=[], root=HASHES[0])


@pytest.mark.parametrize(("old_size", "new_size"), [(0, 0), (0, 5), (6, 5), (-1, 5), (1, MAX_SIZE + 1)])
def test_nothing_proves_growth_from_an_empty_or_larger_tree(old_size, new_size):
    with pytest.raises(MalformedError):
        consistency_proof(old_size, new_size, oracle.get_hash_of(LEAVES))
    with pytest.raises(VerificationError):
        verify_consistency(
            old_size=old_size, new_size=new_size, old_root=EMPTY_ROOT, new_root=HASHES[0], proof=[HASHES[0]]
        )


@pytest.mark.parametrize("number", [True, 1.0, "1", None])
def test_a_number_is_an_integer(number):
    with pytest.raises(VerificationError):
        verify_inclusion(index=number, size=2, leaf_hash=HASHES[0], proof=[HASHES[0]], root=HASHES[0])
    with pytest.raises(VerificationError):
        verify_inclusion(index=0, size=number, leaf_hash=HASHES[0], proof=[], root=HASHES[0])
    with pytest.raises(VerificationError):
        verify_consistency(old_size=number, new_size=1, old_root=HASHES[0], new_root=HASHES[0], proof=[])


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33), "x" * 32, None])
def test_a_hash_has_32_bytes_wherever_it_stands(wrong):
    root = hash_node(HASHES[0], HASHES[1])
    good = {"index": 0, "size": 2, "leaf_hash": HASHES[0], "proof": [HASHES[1]], "root": root}
    verify_inclusion(**good)
    for change in ({"leaf_hash": wrong}, {"root": wrong}, {"proof": [wrong]}, {"proof": wrong}):
        with pytest.raises(VerificationError):
            verify_inclusion(**{**good, **change})
    growth = {"old_size": 1, "new_size": 2, "old_root": HASHES[0], "new_root": root, "proof": [HASHES[1]]}
    verify_consistency(**growth)
    for change in ({"old_root": wrong}, {"new_root": wrong}, {"proof": [wrong]}, {"proof": wrong}):
        with pytest.raises(VerificationError):
            verify_consistency(**{**growth, **change})


def test_a_long_proof_is_refused_before_it_is_hashed():
    with pytest.raises(VerificationError, match="at most 64"):
        verify_inclusion(index=0, size=2, leaf_hash=HASHES[0], proof=[HASHES[1]] * 65, root=HASHES[0])


def test_a_proof_in_the_largest_tree_ends():
    proof = [HASHES[1]] * 63
    root = HASHES[0]
    for sibling in proof:
        root = hash_node(root, sibling)
    verify_inclusion(index=0, size=MAX_SIZE, leaf_hash=HASHES[0], proof=proof, root=root)


def test_a_leaf_is_never_taken_for_a_node():
    node = hash_node(HASHES[0], HASHES[1])
    assert hash_leaf(HASHES[0] + HASHES[1]) != node
    with pytest.raises(VerificationError):
        verify_inclusion(index=0, size=1, leaf_hash=hash_leaf(b"x"), proof=[], root=node)


def test_trees_of_one_size_are_consistent_only_when_equal():
    same = {"old_size": 3, "new_size": 3, "old_root": HASHES[0], "new_root": HASHES[0], "proof": []}
    verify_consistency(**same)
    for change in ({"new_root": HASHES[1]}, {"proof": [HASHES[0]]}):
        with pytest.raises(VerificationError):
            verify_consistency(**{**same, **change})


def test_the_frontier_grows_like_the_tree():
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for size, leaf_hash in enumerate(HASHES, start=1):
        frontier.append(leaf_hash)
        assert frontier.size == size
        assert frontier.root() == oracle.tree_hash(LEAVES[:size])
        assert len(frontier.hashes) == size.bit_count()
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier


def test_a_copy_of_a_frontier_is_independent():
    frontier = Frontier()
    frontier.append(HASHES[0])
    other = frontier.copy()
    other.append(HASHES[1])
    assert frontier.size == 1
    assert frontier.root() == HASHES[0]
    assert other != frontier
    assert other != "x"
    assert repr(other) == "Frontier(size=2)"
    with pytest.raises(TypeError):
        hash(frontier)


@pytest.mark.parametrize("leaf_hash", [b"", bytes(31), bytes(33)])
def test_a_frontier_takes_hashes_only(leaf_hash):
    with pytest.raises(MalformedError):
        Frontier().append(leaf_hash)
