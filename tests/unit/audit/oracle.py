"""RFC 6962 §2.1 as it is written: recursive and slow, to hold the fast code against."""

import hashlib
from collections.abc import Sequence


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def root(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return leaf(entries[0])
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + root(entries[:k]) + root(entries[k:])).digest()


def path(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if index < k:
        return [*path(index, entries[:k]), root(entries[k:])]
    return [*path(index - k, entries[k:]), root(entries[:k])]


def proof(old: int, entries: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""
    return subproof(old, entries, whole=True)


def subproof(old: int, entries: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old == len(entries):
        return [] if whole else [root(entries)]
    k = split(len(entries))
    if old <= k:
        return [*subproof(old, entries[:k], whole=whole), root(entries[k:])]
    return [*subproof(old - k, entries[k:], whole=False), root(entries[:k])]


def split(count: int) -> int:
    k = 1
    while 2 * k < count:
        k *= 2
    return k
