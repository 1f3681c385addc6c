r"""Checkpoints of the log (C2SP tlog-checkpoint) and what witnesses sign of them (tlog-cosignature, Ed25519).

    <origin>\n<size>\n<base64 root>\n

A checkpoint is the text of a signed note; the note itself is in :mod:`crypto.note`, whose names are offered here too.
"""

from dataclasses import dataclass

from crypto.encoding import b64_decode, b64_encode
from crypto.errors import MalformedError
from crypto.kdf import require_key
from crypto.merkle import MAX_SIZE
from crypto.note import (
    COSIGNATURE,
    MAX_TIME,
    LineSigner,
    NoteSigner,
    NoteVerifier,
    VerifiedNote,
    VerifiedSignature,
    cosigned_message,
    make_key_id,
    make_vkey,
    note_text,
    open_note,
    read_note,
    require_name,
    require_text,
    sign_note,
    signature_line,
    split_note,
)
from crypto.signing import Ed25519Signer

__all__ = [
    "Checkpoint",
    "Cosigner",
    "LineSigner",
    "NoteSigner",
    "NoteVerifier",
    "VerifiedNote",
    "VerifiedSignature",
    "cosign",
    "format_checkpoint",
    "open_note",
    "parse_checkpoint",
    "read_note",
    "sign_note",
    "split_note",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The state of a log: how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Further lines. Our log writes none; other logs may."""

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 0 <= self.size <= MAX_SIZE:
            raise MalformedError("the size of a checkpoint is an integer of 63 bits")
        require_key(self.root, "the root of a checkpoint")
        for line in (self.origin, *self.extensions):
            if not line or "\n" in line:
                raise MalformedError("the origin and extensions of a checkpoint are lines that are not empty")
            require_text(line)


def format_checkpoint(checkpoint: Checkpoint) -> str:
    """The text that is signed."""
    lines = (checkpoint.origin, str(checkpoint.size), b64_encode(checkpoint.root), *checkpoint.extensions)
    return "".join(f"{line}\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a note (without its signatures) as a checkpoint.

    Raises:
        MalformedError: not a checkpoint, or not the one spelling of it.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise MalformedError("a checkpoint has three lines at least, and ends with a newline")
    origin, number, root, *extensions = lines[:-1]
    if not number.isascii() or not number.isdigit() or len(number) > 19 or (number[0] == "0" and number != "0"):
        raise MalformedError("the size of a checkpoint is a decimal number without leading zeros")
    return Checkpoint(origin=origin, size=int(number), root=b64_decode(root), extensions=tuple(extensions))


class Cosigner:
    """The key of a witness: it states that at a time it saw a checkpoint, consistent with all it saw before."""

    __slots__ = ("_key_id", "_signer", "name", "vkey")

    vkey: str
    """The verifier key, to publish."""

    def __init__(self, name: str, seed: bytes) -> None:
        """Take a name and an Ed25519 seed of 32 bytes.

        Raises:
            MalformedError: a name that no signature line can carry, or a seed of another length.
        """
        self.name = require_name(name)
        self._signer = Ed25519Signer(seed)
        self._key_id = make_key_id(name, COSIGNATURE, self._signer.public_bytes)
        self.vkey = make_vkey(name, COSIGNATURE, self._signer.public_bytes)

    def sign(self, text: str, *, time: int) -> str:
        """The cosignature line for a checkpoint's text at ``time`` (seconds since 1970), with its newline.

        Raises:
            MalformedError: the text is no checkpoint, or the time is not positive.
        """
        parse_checkpoint(text)
        if type(time) is not int or not 0 < time <= MAX_TIME:
            raise MalformedError("the time of a cosignature is a positive number of seconds")
        signature = self._signer.sign(cosigned_message(note_text(text), time))
        return signature_line(self.name, self._key_id, time.to_bytes(8, "big") + signature)

    def __repr__(self) -> str:
        return f"Cosigner(vkey={self.vkey!r}, <redacted>)"


def cosign(text: str, *, name: str, seed: bytes, time: int) -> str:
    """One cosignature line; see :meth:`Cosigner.sign`."""
    return Cosigner(name, seed).sign(text, time=time)
