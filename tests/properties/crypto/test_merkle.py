"""The fast tree against the recursive definitions of RFC 6962, and forged proofs."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crypto.errors import VerificationError
from crypto.merkle import (
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

hashes = st.binary(min_size=32, max_size=32)
trees = st.lists(st.binary(max_size=3), min_size=1, max_size=130)


class MemoryTree:
    """Complete subtrees by level, as tiles keep them."""

    def __init__(self, leaves):
        self.levels = [[hash_leaf(leaf) for leaf in leaves]]
        while len(self.levels[-1]) > 1:
            below = self.levels[-1]
            self.levels.append([hash_node(below[i], below[i + 1]) for i in range(0, len(below) - 1, 2)])

    def get_hash(self, level, index):
        return self.levels[level][index]


@given(leaves=trees, data=st.data())
def test_inclusion_proofs_are_those_of_the_standard_and_hold(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = MemoryTree(leaves)
    proof = inclusion_proof(index, len(leaves), tree.get_hash)
    assert proof == oracle.path(index, leaves)
    root = oracle.tree_hash(leaves)
    assert root_from_leaves(tree.levels[0]) == root
    verify_inclusion(index=index, size=len(leaves), leaf_hash=tree.levels[0][index], proof=proof, root=root)


@given(leaves=trees, data=st.data())
def test_consistency_proofs_are_those_of_the_standard_and_hold(leaves, data):
    old_size = data.draw(st.integers(1, len(leaves)))
    proof = consistency_proof(old_size, len(leaves), MemoryTree(leaves).get_hash)
    assert proof == oracle.proof(old_size, leaves)
    verify_consistency(
        old_size=old_size,
        new_size=len(leaves),
        old_root=oracle.tree_hash(leaves[:old_size]),
        new_root=oracle.tree_hash(leaves),
        proof=proof,
    )


def mutated(data, proof):
    """A proof with one fault: a hash changed, dropped, doubled or added, or two swapped."""
    proof = list(proof)
    fault = data.draw(st.sampled_from(["change", "drop", "double", "append", "prepend", "swap"]))
    if not proof or fault in ("append", "prepend"):
        return [*proof, data.draw(hashes)] if fault == "append" or not proof else [data.draw(hashes), *proof]
    position = data.draw(st.integers(0, len(proof) - 1))
    if fault == "change":
        bit = data.draw(st.integers(0, 255))
        changed = bytearray(proof[position])
        changed[bit // 8] ^= 1 << bit % 8
        proof[position] = bytes(changed)
    elif fault == "drop":
        del proof[position]
    elif fault == "double":
        proof.insert(position, proof[position])
    else:
        other = data.draw(st.integers(0, len(proof) - 1))
        proof[position], proof[other] = proof[other], proof[position]
    return proof


@given(leaves=trees, data=st.data())
def test_a_mutated_inclusion_proof_fails(leaves, data):
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = oracle.path(index, leaves)
    forged = mutated(data, proof)
    assume(forged != proof)
    with pytest.raises(VerificationError):
        verify_inclusion(
            index=index,
            size=len(leaves),
            leaf_hash=hash_leaf(leaves[index]),
            proof=forged,
            root=oracle.tree_hash(leaves),
        )


@given(leaves=trees, data=st.data(), leaf=st.binary(max_size=4))
def test_an_inclusion_proof_fails_for_another_leaf(leaves, data, leaf):
    index = data.draw(st.integers(0, len(leaves) - 1))
    assume(leaf != leaves[index])
    with pytest.raises(VerificationError):
        verify_inclusion(
            index=index,
            size=len(leaves),
            leaf_hash=hash_leaf(leaf),
            proof=oracle.path(index, leaves),
            root=oracle.tree_hash(leaves),
        )


@given(count=st.integers(1, 130), data=st.data())
def test_an_inclusion_proof_fails_at_another_index(count, data):
    leaves = [number.to_bytes(2, "big") for number in range(count)]
    index = data.draw(st.integers(0, count - 1))
    claimed = data.draw(st.integers(-1, count + 1))
    assume(claimed != index)
    with pytest.raises(VerificationError):
        verify_inclusion(
            index=claimed,
            size=count,
            leaf_hash=hash_leaf(leaves[index]),
            proof=oracle.path(index, leaves),
            root=oracle.tree_hash(leaves),
        )


@given(leaves=trees, data=st.data())
def test_a_mutated_consistency_proof_fails(leaves, data):
    old_size = data.draw(st.integers(1, len(leaves)))
    proof = oracle.proof(old_size, leaves)
    forged = mutated(data, proof)
    assume(forged != proof)
    with pytest.raises(VerificationError):
        verify_consistency(
            old_size=old_size,
            new_size=len(leaves),
            old_root=oracle.tree_hash(leaves[:old_size]),
            new_root=oracle.tree_hash(leaves),
            proof=forged,
        )


@given(leaves=trees, data=st.data(), leaf=st.binary(max_size=4))
def test_a_rewritten_past_has_no_consistency_proof(leaves, data, leaf):
    old_size = data.draw(st.integers(1, len(leaves)))
    position = data.draw(st.integers(0, old_size - 1))
    assume(leaf != leaves[position])
    rewritten = [*leaves[:position], leaf, *leaves[position + 1 :]]
    for proof in (oracle.proof(old_size, leaves), oracle.proof(old_size, rewritten)):
        with pytest.raises(VerificationError):
            verify_consistency(
                old_size=old_size,
                new_size=len(leaves),
                old_root=oracle.tree_hash(leaves[:old_size]),
                new_root=oracle.tree_hash(rewritten),
                proof=proof,
            )


@given(leaves=st.lists(hashes, max_size=70), cut=st.integers(0, 70))
def test_a_frontier_can_be_stored_at_any_time(leaves, cut):
    whole = Frontier()
    for leaf in leaves:
        whole.append(leaf)
    part = Frontier()
    for leaf in leaves[:cut]:
        part.append(leaf)
    again = Frontier.from_bytes(part.to_bytes())
    for leaf in leaves[cut:]:
        again.append(leaf)
    assert again == whole
    assert again.root() == root_from_leaves(leaves)


@given(
    index=st.integers(-5, 2**64),
    size=st.integers(-5, 2**64),
    leaf_hash=hashes,
    root=hashes,
    proof=st.lists(hashes, max_size=70),
)
def test_random_claims_fail_in_one_way_only(index, size, leaf_hash, root, proof):
    assume(leaf_hash != root)
    with pytest.raises(VerificationError):
        verify_inclusion(index=index, size=size, leaf_hash=leaf_hash, proof=proof, root=root)
    with pytest.raises(VerificationError):
        verify_consistency(old_size=index, new_size=size, old_root=leaf_hash, new_root=root, proof=proof)
