"""A stranger's check of the log: signed checkpoints (C2SP) and inclusion proofs (RFC 6962). Public libraries only."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from demo.story import WrongError, require


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A checkpoint whose signature holds."""

    origin: str
    size: int
    root: bytes


def open_checkpoint(note: str, vkey: str) -> Checkpoint:
    """Check the signature of a checkpoint (a signed note) with the log's public key.

    Raises:
        WrongError: the signature does not hold.
    """
    text, signature = _signature(note, vkey)
    _verify(vkey, signature, text)
    origin, size, root = text.split("\n")[:3]
    return Checkpoint(origin=origin, size=int(size), root=base64.b64decode(root))


def require_cosigned(note: str, vkey: str) -> int:
    """Check the cosignature of a witness (C2SP tlog-cosignature); gives the second since 1970 at which it was made.

    Raises:
        WrongError: the witness has not cosigned this checkpoint.
    """
    text, signature = _signature(note, vkey)
    time = int.from_bytes(signature[:8], "big")
    _verify(vkey, signature[8:], f"cosignature/v1\ntime {time}\n{text}")
    return time


def _signature(note: str, vkey: str) -> tuple[str, bytes]:
    """The text of a note, and the signature of this key under it."""
    name, key_id, _key = vkey.strip().split("+", 2)
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        _dash, signer, value = line.split(" ")
        signature = base64.b64decode(value)
        if signer == name and signature[:4].hex() == key_id:
            return f"{text}\n", signature[4:]
    raise WrongError(f"the checkpoint is not signed by {name}")


def _verify(vkey: str, signature: bytes, message: str) -> None:
    # The first byte of the key says what it signs; the rest is an Ed25519 public key.
    key = base64.b64decode(vkey.strip().split("+", 2)[2])
    try:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(signature, message.encode())
    except InvalidSignature:
        raise WrongError("a signature of the checkpoint does not hold") from None


def hash_leaf(entry: bytes) -> bytes:
    """RFC 6962 §2.1: the hash of an entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def require_included(leaf_hash: bytes, index: int, proof: Sequence[bytes], checkpoint: Checkpoint) -> None:
    """Check that an entry is in the tree of a checkpoint (RFC 9162 §2.1.3.2).

    Raises:
        WrongError: the proof does not lead to the root.
    """
    require(0 <= index < checkpoint.size, "the proof is about an entry that the checkpoint does not cover")
    place, last, found = index, checkpoint.size - 1, leaf_hash
    for sibling in proof:
        require(last > 0, "the proof is too long")
        if place & 1 or place == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        place, last = place >> 1, last >> 1
    require(last == 0 and found == checkpoint.root, "the proof does not lead to the root of the checkpoint")


def require_consistent(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> None:
    """Check that a log only grew between two checkpoints (RFC 9162 §2.1.4.2).

    Raises:
        WrongError: something that was in the log was changed or taken out.
    """
    require(old.origin == new.origin and 0 < old.size <= new.size, "the checkpoints are not of one growing log")
    if old.size == new.size:
        require(old.root == new.root and not proof, "two checkpoints of one size differ")
        return
    place, last, path = old.size - 1, new.size - 1, list(proof)
    while place & 1:
        place, last = place >> 1, last >> 1
    # A power of two is a whole subtree: its root is known and left out of the proof.
    older = newer = old.root if old.size & (old.size - 1) == 0 else path.pop(0)
    for sibling in path:
        require(last > 0, "the proof is too long")
        if place & 1 or place == last:
            older = hashlib.sha256(b"\x01" + sibling + older).digest()
            newer = hashlib.sha256(b"\x01" + sibling + newer).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = hashlib.sha256(b"\x01" + newer + sibling).digest()
        place, last = place >> 1, last >> 1
    require(last == 0 and (older, newer) == (old.root, new.root), "the log was rewritten between the checkpoints")
