"""Proof files in the format c2sp.org/tlog-proof@v1: everything needed to check an entry without the log.

    c2sp.org/tlog-proof@v1
    extra <base64>                 our files carry the entry itself here, which the proof then shows to be logged
    index <decimal>
    <base64 hash> …                one a line, from the leaf's sibling to the root's child
    (empty line)
    <checkpoint, verbatim>

Pure; the offline verifier stands on this module.
"""

from dataclasses import dataclass, field
from typing import Final

from crypto.encoding import b64_decode, b64_encode
from crypto.errors import MalformedError
from crypto.merkle import HASH_BYTES, MAX_SIZE

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 2**21
"""The checkpoint may bear many cosignatures."""
MAX_HASHES: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofFile:
    """The parts of a proof file; nothing in it is checked yet."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = field(default=None, repr=False)


def format_proof(proof: ProofFile) -> str:
    """Write a proof file."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {b64_encode(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(b64_encode(value) for value in proof.hashes)
    return "\n".join([*lines, "", proof.checkpoint])


def parse_proof(text: str | bytes) -> ProofFile:
    """Read a proof file.

    Raises:
        MalformedError: any deviation from the format.
    """
    if len(text) > MAX_PROOF_BYTES:
        raise MalformedError(f"a proof file of more than {MAX_PROOF_BYTES} bytes")
    try:
        content = text if isinstance(text, str) else text.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a proof file that is not UTF-8") from None
    head, separator, checkpoint = content.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines.pop(0) != HEADER:
        raise MalformedError(f"a proof file begins with {HEADER!r}, and an empty line stands before the checkpoint")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = b64_decode(lines.pop(0).removeprefix("extra "))
    if not lines or not lines[0].startswith("index "):
        raise MalformedError("a proof file without the index of its entry")
    index = _decimal(lines.pop(0).removeprefix("index "))
    hashes = tuple(b64_decode(line) for line in lines)
    if len(hashes) > MAX_HASHES or any(len(value) != HASH_BYTES for value in hashes):
        raise MalformedError(f"a proof has at most {MAX_HASHES} hashes of {HASH_BYTES} bytes")
    return ProofFile(index=index, hashes=hashes, checkpoint=checkpoint, extra=extra)


def _decimal(text: str) -> int:
    # int() alone would take signs, spaces, underscores and digits of other scripts.
    if not text.isascii() or not text.isdigit() or len(text) > 19 or str(int(text)) != text or int(text) > MAX_SIZE:
        raise MalformedError("an index is a decimal number without leading zeros")
    return int(text)
