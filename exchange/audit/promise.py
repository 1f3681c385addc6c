"""Hold the operator to an entry receipt: is the entry that was promised in the log, and if not, must it be by now?

Offline, from a directory or an address, with public keys only. Hashes are enough, which everybody may read: the leaf
hashes of the whole tree are joined up to the root that is signed, so that "not among them" is a proof too.

Our checkpoints bear no time. That one is from after the promised time is shown by witnesses alone: without a policy
that asks for them, a missing entry is told as missing, and not as a broken promise.
"""

from collections.abc import Mapping
from typing import Any, Final

from crypto import canonical
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.jose import PublicKey, verify_jws
from crypto.jwk import load_public_jwk
from crypto.merkle import HASH_BYTES
from exchange.audit.entry import to_millis
from exchange.audit.receipts import RECEIPT_TYPE, EntryReceipt, read_receipt
from exchange.audit.replay import Tree, stored_tiles
from exchange.audit.report import Progress, Report, no_progress
from exchange.audit.sources import Source
from exchange.audit.tiles import TILE_WIDTH
from exchange.audit.trust import Seen, Trust, moment
from exchange.audit.verify import read_checkpoint

MAX_JWKS: Final = 2**18


def verify_promise(
    source: Source, trust: Trust, token: str, jwks: str | bytes, *, progress: Progress = no_progress
) -> Report:
    """Check what became of a receipt.

    Args:
        source: the log.
        trust: the log's verifier keys, and witnesses, from somebody you trust.
        token: the receipt, as it stood in the answer.
        jwks: the public keys of receipts, as a JWK set (the exchange serves it at ``/oauth/jwks``; keep it with the
            receipt: a broken promise is proved with the key of that time).
        progress: called with the number of entries that are done and the total.

    Raises:
        OSError: the source cannot be read.
    """
    report = Report(subject="promise of an entry")
    try:
        receipt = read_receipt(verify_jws(token, key=_resolver(jwks), typ=RECEIPT_TYPE))
        if receipt.origin not in {verifier.name for verifier in trust.logs}:
            raise VerificationError(f"the receipt is of the log {receipt.origin!r}; trusted is {trust.names!r}")
    except CryptoError as exc:
        report.fault(f"receipt: {exc}")
        return report
    report.checked.append(f"the receipt of entry {receipt.id} is signed; it promises the log {receipt.origin}")
    seen = read_checkpoint(source, trust, report)
    if seen is None:
        return report
    try:
        place = _find(source, seen, receipt.leaf_hash, progress)
    except MalformedError as exc:
        report.fault(str(exc))
        return report
    report.checked.append("every leaf hash, up to the root that the checkpoint states")
    if place is not None:
        report.checked.append(f"the promise is kept: the entry is number {place} of the log")
    else:
        _missing(report, receipt, seen)
    return report


def _missing(report: Report, receipt: EntryReceipt, seen: Seen) -> None:
    due = to_millis(receipt.integrate_by)
    if seen.quorum_at is not None and seen.quorum_at * 1000 > due:
        report.fault(
            f"BROKEN PROMISE: entry {receipt.id} had to be in the log by {moment(due // 1000)}, and witnesses saw the "
            f"log without it at {moment(seen.quorum_at)}. Keep the receipt, the keys and this copy of the log"
        )
        return
    report.fault(f"entry {receipt.id} is not among the {seen.checkpoint.size} entries of this checkpoint")
    report.not_checked.append(
        f"whether it had to be: it is due at {moment(due // 1000)}, and "
        + (
            "no witness says when this checkpoint was made: use a policy with witnesses"
            if seen.quorum_at is None
            else f"the witnesses saw this checkpoint at {moment(seen.quorum_at)}, before that"
        )
    )


def _find(source: Source, seen: Seen, leaf_hash: bytes, progress: Progress) -> int | None:
    """The place of a leaf in the tree of a checkpoint.

    Raises:
        MalformedError: the source's hashes do not lead to the checkpoint's root.
    """
    size = seen.checkpoint.size
    if size == 0:
        return None
    tree = Tree(source, 0, size)
    place = None
    for tile in stored_tiles(source, 0, size):
        for fault in tree.add(tile.hashes):
            raise MalformedError(fault)
        at = _position(tile.hashes, leaf_hash)
        if at is not None and place is None:
            place = tile.n * TILE_WIDTH + at
        progress(min((tile.n + 1) * TILE_WIDTH, size), size)
    if tree.root() != seen.checkpoint.root:
        raise MalformedError("the leaf hashes do not lead to the root that the checkpoint states")
    return place


def _position(hashes: bytes, leaf_hash: bytes) -> int | None:
    at = hashes.find(leaf_hash)
    while at >= 0 and at % HASH_BYTES:  # across two hashes
        at = hashes.find(leaf_hash, at + 1)
    return None if at < 0 else at // HASH_BYTES


def _resolver(jwks: str | bytes) -> Any:
    document = canonical.load_json(jwks, max_bytes=MAX_JWKS)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise MalformedError("the file of keys is not a JWK set")

    def find(header: Mapping[str, Any]) -> PublicKey:
        for jwk in keys:
            if isinstance(jwk, dict) and jwk.get("kid") == header.get("kid") and jwk.get("kty") == "OKP":
                return load_public_jwk(jwk, use="sig")
        raise VerificationError("the receipt is signed with a key that is not in the file of keys")

    return find
