"""RFC 6962 §2.1 as it is written, recursively: slow, and easy to hold against the text."""

from hashlib import sha256


def largest_power_of_two_below(number):
    power = 1
    while power * 2 < number:
        power *= 2
    return power


def tree_hash(leaves):
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = largest_power_of_two_below(len(leaves))
    return sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def path(index, leaves):
    """§2.1.1."""
    if len(leaves) <= 1:
        return []
    k = largest_power_of_two_below(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), tree_hash(leaves[k:])]
    return [*path(index - k, leaves[k:]), tree_hash(leaves[:k])]


def proof(old_size, leaves):
    """§2.1.2."""
    return subproof(old_size, leaves, whole=True)


def subproof(old_size, leaves, *, whole):
    if old_size == len(leaves):
        return [] if whole else [tree_hash(leaves)]
    k = largest_power_of_two_below(len(leaves))
    if old_size <= k:
        return [*subproof(old_size, leaves[:k], whole=whole), tree_hash(leaves[k:])]
    return [*subproof(old_size - k, leaves[k:], whole=False), tree_hash(leaves[:k])]


def get_hash_of(leaves):
    """What a prover asks for: only complete subtrees exist."""

    def get_hash(level, index):
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, "asked for a subtree that is not complete"
        return tree_hash(part)

    return get_hash
