"""Merkle tree of the log: RFC 6962 §2.1 hashing, with the proof algorithms of RFC 9162 §2.1.3 and §2.1.4.

Provers ask for the hashes of complete subtrees through a function, so that they work on tiles, on memory or on anything
else. Verifiers are strict: hashes of exactly 32 bytes, an index inside the tree, no hash left over, and no consistency
with an empty tree (which would prove nothing).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from crypto.errors import MalformedError, VerificationError

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_SIZE = 2**63 - 1
"""The largest tree: what a signed 64-bit column holds."""

GetHash = Callable[[int, int], bytes]
"""``get_hash(level, index)``: the hash of the complete subtree of 2**level leaves that starts at index * 2**level."""


def hash_leaf(data: bytes) -> bytes:
    """The hash of an entry's bytes (RFC 6962 §2.1)."""
    return sha256(b"\x00" + data).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees (RFC 6962 §2.1)."""
    return sha256(b"\x01" + left + right).digest()


def _fold(subtrees: Sequence[bytes]) -> bytes:
    """Join complete subtrees, the largest first, into the root of the tree that they make up."""
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = hash_node(left, root)
    return root


def _range_root(begin: int, end: int, get_hash: GetHash) -> bytes:
    """The root over leaves ``begin`` up to ``end``; ``begin`` is aligned as the recursion of the RFC leaves it."""
    subtrees = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        subtrees.append(get_hash(level, begin >> level))
        begin += 1 << level
    return _fold(subtrees)


def _split(begin: int, end: int) -> int:
    """The largest power of two below the number of leaves (RFC 6962: k < n <= 2k), as a position."""
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def root_from_leaves(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root of the tree over leaf hashes."""
    frontier = Frontier()
    for leaf_hash in leaf_hashes:
        frontier.append(leaf_hash)
    return frontier.root()


def inclusion_proof(index: int, size: int, get_hash: GetHash) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves (RFC 9162 §2.1.3.1).

    Raises:
        MalformedError: the leaf is not in the tree.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise MalformedError("the leaf is not in the tree")
    proof = []
    begin, end = 0, size
    while end - begin > 1:
        middle = _split(begin, end)
        if index < middle:
            proof.append(_range_root(middle, end, get_hash))
            end = middle
        else:
            proof.append(_range_root(begin, middle, get_hash))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(old_size: int, new_size: int, get_hash: GetHash) -> list[bytes]:
    """The proof that the first ``old_size`` leaves are a prefix of the tree of ``new_size`` (RFC 9162 §2.1.4.1).

    Raises:
        MalformedError: an empty old tree, or one larger than the new.
    """
    if not 0 < old_size <= new_size <= MAX_SIZE:
        raise MalformedError("sizes that no consistency proof exists for")
    proof = []
    begin, end = 0, new_size
    while old_size != end:
        middle = _split(begin, end)
        if old_size <= middle:
            proof.append(_range_root(middle, end, get_hash))
            end = middle
        else:
            proof.append(_range_root(begin, middle, get_hash))
            begin = middle
    if begin:
        # The old tree is not itself a complete subtree of the new one, so its last part has to be named.
        proof.append(_range_root(begin, end, get_hash))
    proof.reverse()
    return proof


def verify_inclusion(*, index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf is in a tree (RFC 9162 §2.1.3.2).

    Raises:
        VerificationError: it is not shown to be.
    """
    _require_numbers(index, size)
    _require_hashes((leaf_hash, root), proof)
    if not 0 <= index < size:
        raise VerificationError("the leaf lies outside the tree")
    result = leaf_hash
    for sibling, is_left in _walk(index, size - 1, proof):
        result = hash_node(sibling, result) if is_left else hash_node(result, sibling)
    if result != root:
        raise VerificationError("the inclusion proof leads to another root")


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that a tree grew by appending only (RFC 9162 §2.1.4.2).

    Raises:
        VerificationError: it is not shown to have.
    """
    _require_numbers(old_size, new_size)
    _require_hashes((old_root, new_root), proof)
    if not 0 < old_size <= new_size:
        raise VerificationError("sizes that no consistency proof exists for")
    if old_size == new_size:
        if proof or old_root != new_root:
            raise VerificationError("two trees of one size differ")
        return
    if not proof:
        raise VerificationError("the consistency proof is too short")
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_result = new_result = path[0]
    for sibling, is_left in _walk(position, last, path[1:]):
        if is_left:
            old_result = hash_node(sibling, old_result)
            new_result = hash_node(sibling, new_result)
        else:
            new_result = hash_node(new_result, sibling)
    if old_result != old_root or new_result != new_root:
        raise VerificationError("the consistency proof leads to another root")


def _walk(position: int, last: int, proof: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Go from a node up to the root beside the last node of each level (the loop of RFC 9162 §2.1.3.2 and §2.1.4.2).

    Yields each sibling and whether it stands at the left.
    """
    for sibling in proof:
        if last == 0:
            raise VerificationError("the proof is too long")
        is_left = bool(position & 1) or position == last
        yield sibling, is_left
        if is_left:
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        position >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("the proof is too short")


def _require_numbers(*numbers: int) -> None:
    # A bool is an int to Python; coming from JSON it is a fault. The bound keeps the work within 63 steps.
    if any(type(number) is not int or number > MAX_SIZE for number in numbers):
        raise VerificationError("an index or a size that is not an integer of 63 bits")


def _require_hashes(named: Iterable[bytes], proof: Sequence[bytes]) -> None:
    if not isinstance(proof, list | tuple) or len(proof) > 64:
        raise VerificationError("a proof is a list of at most 64 hashes")
    if any(not isinstance(value, bytes) or len(value) != HASH_BYTES for value in (*named, *proof)):
        raise VerificationError(f"a hash that has not {HASH_BYTES} bytes")


class Frontier:
    """The right edge of a growing tree: the hashes of its complete subtrees, the largest first. Not thread-safe.

    Serialised: u64be(size) || one hash per one-bit of the size, from the highest bit down.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self) -> None:
        self._hashes: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The hashes of the complete subtrees, the largest first."""
        return tuple(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf at the right.

        Raises:
            MalformedError: not a hash of 32 bytes.
        """
        self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add leaves at the right, in order.

        Raises:
            MalformedError: one is not a hash of 32 bytes; nothing was added.
        """
        if any(len(leaf_hash) != HASH_BYTES for leaf_hash in leaf_hashes):
            raise MalformedError(f"a leaf hash has {HASH_BYTES} bytes")
        hashes = self._hashes
        for size, leaf_hash in enumerate(leaf_hashes, start=self._size):
            node, bits = leaf_hash, size
            # Like adding one to a binary number: each carry joins two subtrees of equal height.
            while bits & 1:
                node = sha256(b"\x01" + hashes.pop() + node).digest()  # hash_node, on the path of every entry
                bits >>= 1
            hashes.append(node)
        self._size += len(leaf_hashes)

    def root(self) -> bytes:
        """The root of the tree as it stands."""
        return _fold(self._hashes) if self._hashes else EMPTY_ROOT

    def copy(self) -> "Frontier":
        """An independent copy, to try something on."""
        other = Frontier()
        other._hashes = self._hashes.copy()
        other._size = self._size
        return other

    def to_bytes(self) -> bytes:
        """Serialise."""
        return self._size.to_bytes(8, "big") + b"".join(self._hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frontier":
        """Read what :meth:`to_bytes` wrote.

        Raises:
            MalformedError: a number of hashes that does not fit the size.
        """
        size = int.from_bytes(data[:8], "big")
        if len(data) != 8 + HASH_BYTES * size.bit_count() or size > MAX_SIZE:
            raise MalformedError("not a serialised frontier")
        frontier = cls()
        frontier._size = size
        frontier._hashes = [data[start : start + HASH_BYTES] for start in range(8, len(data), HASH_BYTES)]
        return frontier

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frontier) and self._size == other._size and self._hashes == other._hashes

    __hash__ = None  # type: ignore[assignment]  # a frontier changes, so it cannot be hashed

    def __repr__(self) -> str:
        return f"Frontier(size={self._size})"
