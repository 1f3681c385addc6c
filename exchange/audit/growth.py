"""That a log only grew, shown by its own tiles; or that it forked, shown by them too. Pure but for ``read``."""

from dataclasses import dataclass

from crypto.checkpoint import Checkpoint
from crypto.errors import VerificationError
from crypto.merkle import Frontier, inclusion_proof, verify_inclusion
from exchange.audit.tiles import ReadTile, TileHashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Two trees under one name.

    Attributes:
        leaf_hash: of the last entry of the older checkpoint in the newer tree; None: both have one size.
        path: its proof of inclusion there.
    """

    leaf_hash: bytes | None = None
    path: tuple[bytes, ...] = ()


def compare(read: ReadTile, old: Checkpoint | None, new: Checkpoint) -> Fork | None:
    """Compare two checkpoints whose signatures hold, the older of which is not the larger.

    Shows, too, that the tiles lead to the root of the new one: what is read is trusted with nothing.

    Returns:
        None: the new tree begins with the old one.

    Raises:
        MalformedError: a tile is missing or too short.
        VerificationError: the tiles do not lead to the root of the new checkpoint, so that they show nothing.
    """
    if new.size == 0 or (old is not None and old.size == new.size):
        return Fork() if old is not None and old.root != new.root else None
    hashes = TileHashes(new.size, read)
    # The last entry of the old tree: the hashes at the left of its way to the new root make up the old root.
    index = (new.size if old is None or old.size == 0 else old.size) - 1
    leaf_hash, path = hashes(0, index), inclusion_proof(index, new.size, hashes)
    try:
        verify_inclusion(index=index, size=new.size, leaf_hash=leaf_hash, proof=path, root=new.root)
    except VerificationError:
        raise VerificationError("the tiles do not lead to the root that the checkpoint states") from None
    if old is None or old.size == 0:
        return None
    lefts, position = [], 0
    for height in range(index.bit_length() - 1, -1, -1):
        if index >> height & 1:
            lefts.append(hashes(height, position >> height))
            position += 1 << height
    if not set(lefts) <= set(path):
        raise VerificationError("the tiles changed while they were read")
    before = Frontier.from_bytes(index.to_bytes(8, "big") + b"".join(lefts))
    before.append(leaf_hash)
    return None if before.root() == old.root else Fork(leaf_hash=leaf_hash, path=tuple(path))
