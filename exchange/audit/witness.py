r"""What a witness does with a checkpoint (C2SP tlog-witness, ``add-checkpoint``): pure rules.

    old <size>\n
    <base64 hash>\n          0 to 63 lines: consistency proof (RFC 6962 §2.1.2) from the old size to the checkpoint's
    \n
    <checkpoint, signed by the log>

A cosignature says: at this time, this is the largest tree of this log that I have seen, and all I saw before is a
beginning of it. So a witness remembers one size and one root of each log, and cosigns only what continues them.
"""

from dataclasses import dataclass
from typing import Final

from crypto.checkpoint import Checkpoint, NoteVerifier, VerifiedNote, parse_checkpoint, read_note, split_note
from crypto.encoding import b64_decode
from crypto.errors import MalformedError, VerificationError
from crypto.merkle import EMPTY_ROOT, HASH_BYTES, MAX_SIZE, verify_consistency
from crypto.note import signature_line, split_lines

MAX_REQUEST_BYTES: Final = 2**18
"""Room for a proof and for many more signatures than the 16 that everybody must accept (C2SP signed-note, Format)."""
MAX_PROOF_LINES: Final = 63
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
_OLD: Final = "old "


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A well-formed request; nothing in it is verified."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLog:
    """A log that the witness is configured with, and the last state of it that it cosigned.

    ``note`` is that checkpoint with its signatures, ``cosigned_at`` its time in seconds since 1970. A log that was
    never cosigned has size 0, the empty tree's root, no note and time 0.
    """

    origin: str
    verifiers: tuple[NoteVerifier, ...]
    size: int = 0
    root: bytes = EMPTY_ROOT
    note: str | None = None
    cosigned_at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosign:
    """The checkpoint continues what was cosigned before: remember it, then sign it.

    ``text`` is what is signed. ``signatures`` are the log's own lines that hold; ``signed_by`` are their keys.
    """

    checkpoint: Checkpoint
    text: str
    signatures: str
    signed_by: tuple[NoteVerifier, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """Proof that a log has two histories: two checkpoints of one size with different roots, both signed by the log."""

    origin: str
    size: int
    root: bytes
    cosigned: str
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Not cosigned: an HTTP status, and a body of its media type.

    ``fork`` is set when the log itself signed it and another root was cosigned at this size.
    """

    status: int
    body: str
    content_type: str = TEXT_TYPE
    fork: Fork | None = None


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Read the body of a request.

    Raises:
        MalformedError: any deviation from the format; names the part.
    """
    if len(body) > MAX_REQUEST_BYTES:
        raise MalformedError(f"a request of more than {MAX_REQUEST_BYTES} bytes")
    try:
        head, separator, note = str(body, "utf-8").partition("\n\n")
    except UnicodeDecodeError:
        raise MalformedError("a request that is not UTF-8") from None
    old, *lines = head.split("\n")
    if not separator or not old.startswith(_OLD):
        raise MalformedError("a request begins with an old size line and has an empty line before the checkpoint")
    if len(lines) > MAX_PROOF_LINES:
        raise MalformedError(f"a consistency proof of more than {MAX_PROOF_LINES} lines")
    # Signature lines are read when they are verified: one that cannot be read is a signature that does not hold.
    text, _ = split_lines(note)
    return AddCheckpoint(
        old_size=_parse_size(old.removeprefix(_OLD)),
        proof=tuple(_parse_hash(line) for line in lines),
        note=note,
        checkpoint=parse_checkpoint(text),
    )


def decide(request: AddCheckpoint, log: KnownLog | None) -> Cosign | Refuse:
    """Decide on a request in the order of the standard; ``log`` is what is known of its origin, None for nothing."""
    new = request.checkpoint
    if log is None:
        return _refuse(404, "unknown log")
    try:
        note = read_note(request.note, log.verifiers)
    except (MalformedError, VerificationError) as exc:
        return _refuse(403, f"invalid signature: {exc}")
    if request.old_size > new.size:
        return _refuse(400, "the old size is larger than the checkpoint's")
    if request.old_size != log.size:
        return Refuse(status=409, body=f"{log.size}\n", content_type=SIZE_TYPE)
    signed_by, signatures = _lines_that_hold(request.note, note, log)
    if new.size == 0 and new.root != EMPTY_ROOT:
        return _refuse(422, "a checkpoint of size 0 has the root of the empty tree")
    if new.size == log.size and new.root != log.root:
        assert log.note is not None  # a size above 0 was cosigned
        fork = Fork(
            origin=new.origin,
            size=new.size,
            root=new.root,
            cosigned=log.note,
            refused=f"{note.text}\n{signatures}",
        )
        return _refuse(422, "another root than the one cosigned at this size: no consistency proof can hold", fork)
    if request.old_size == 0:
        # Everything continues the empty tree, so there is nothing to prove, and nothing that a proof could be.
        if request.proof:
            return _refuse(422, "a consistency proof from the empty tree is empty")
    else:
        try:
            verify_consistency(
                old_size=log.size, new_size=new.size, old_root=log.root, new_root=new.root, proof=request.proof
            )
        except VerificationError as exc:
            return _refuse(422, f"the consistency proof does not hold: {exc}")
    return Cosign(checkpoint=new, text=note.text, signatures=signatures, signed_by=signed_by)


def _refuse(status: int, reason: str, fork: Fork | None = None) -> Refuse:
    return Refuse(status=status, body=f"{reason}\n", fork=fork)


def _lines_that_hold(signed: str, verified: VerifiedNote, log: KnownLog) -> tuple[tuple[NoteVerifier, ...], str]:
    """The log's keys that signed, and one line of each; what strangers signed is left out, and never kept."""
    held = {(signature.name, signature.key_id) for signature in verified.signatures}
    lines: dict[tuple[str, bytes], str] = {}
    for name, signature in split_note(signed)[1]:
        key = (name, signature[:4])
        if key in held:
            lines.setdefault(key, signature_line(name, signature[:4], signature[4:]))
    return tuple(one for one in log.verifiers if (one.name, one.key_id) in held), "".join(lines.values())


def _parse_size(text: str) -> int:
    # One more digit than the largest size has is refused before it is read: long numbers cost time.
    if not text.isascii() or not text.isdigit() or len(text) > 19 or (text[0] == "0" and text != "0"):
        raise MalformedError("the old size is a decimal number without leading zeros")
    size = int(text)
    if size > MAX_SIZE:
        raise MalformedError("the old size is a number of 63 bits")
    return size


def _parse_hash(line: str) -> bytes:
    value = b64_decode(line)
    if len(value) != HASH_BYTES:
        raise MalformedError(f"a line of a consistency proof is the base64 of {HASH_BYTES} bytes")
    return value
