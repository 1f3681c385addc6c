r"""Signed notes (C2SP signed-note): a text with signature lines by named Ed25519 keys.

The format:

    <text, ending with a newline>
    <empty line>
    — <name> <base64(key id(4) || signature)>\n

    key id    = SHA-256(name || 0x0A || type || public key)[:4]
    vkey      = name "+" hex(key id) "+" base64(type || public key)
    type 0x01 = Ed25519 over the text
    type 0x04 = cosignature: u64be(time) || Ed25519 over "cosignature/v1\ntime <time>\n" || text
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from crypto.encoding import b64_decode, b64_encode, utf8
from crypto.errors import MalformedError, VerificationError
from crypto.signing import PUBLIC_BYTES, SIGNATURE_BYTES, Ed25519Signer, load_ed25519_public, verify_ed25519

ED25519 = 0x01
COSIGNATURE = 0x04

MAX_NOTE_BYTES = 2**20
MAX_SIGNATURES = 100
MAX_TIME = 2**63 - 1
"""Seconds since 1970."""

_SIGNATURE_START = "— "
_CONTROLS = bytes(byte for byte in range(0x20) if byte != 0x0A)


class LineSigner(Protocol):
    """Whatever makes a signature line for a text."""

    def sign(self, text: str) -> str:
        """The signature line, with its newline."""
        ...


def require_text(text: str) -> bytes:
    """The UTF-8 bytes of a text without control characters but newlines; else MalformedError."""
    data = utf8(text)
    if len(data.translate(None, _CONTROLS)) != len(data):
        raise MalformedError("a note holds no control characters but newlines")
    return data


def note_text(text: str) -> bytes:
    """The bytes that are signed of a text that a note may have; else MalformedError."""
    if not text.endswith("\n"):
        raise MalformedError("the text of a note ends with a newline")
    return require_text(text)


def require_name(name: str) -> str:
    """A name that a signature line can carry; else MalformedError."""
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError("the name of a note key is not empty and has neither a plus nor white space")
    require_text(name)
    return name


def make_key_id(name: str, kind: int, public: bytes) -> bytes:
    """The first four bytes of a hash over name, type and key: a hint, not a commitment."""
    return sha256(utf8(name) + b"\n" + bytes([kind]) + public).digest()[:4]


def make_vkey(name: str, kind: int, public: bytes) -> str:
    """The verifier key as text."""
    return f"{name}+{make_key_id(name, kind, public).hex()}+{b64_encode(bytes([kind]) + public)}"


def signature_line(name: str, key_id: bytes, signature: bytes) -> str:
    """A signature line with its newline."""
    return f"{_SIGNATURE_START}{name} {b64_encode(key_id + signature)}\n"


def cosigned_message(text: bytes, time: int) -> bytes:
    """What a witness signs: the text under the time at which it saw it (C2SP tlog-cosignature)."""
    return b"cosignature/v1\ntime %d\n" % time + text


class NoteSigner:
    """The key of a log (or of anyone who signs notes) under a name."""

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
        self._key_id = make_key_id(name, ED25519, self._signer.public_bytes)
        self.vkey = make_vkey(name, ED25519, self._signer.public_bytes)

    def sign(self, text: str) -> str:
        """The signature line for a text, with its newline.

        Raises:
            MalformedError: the text is not one of a note.
        """
        return signature_line(self.name, self._key_id, self._signer.sign(note_text(text)))

    def __repr__(self) -> str:
        return f"NoteSigner(vkey={self.vkey!r}, <redacted>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteVerifier:
    """A public key under a name."""

    name: str
    kind: int
    public: bytes
    key_id: bytes

    @classmethod
    def parse(cls, vkey: str) -> "NoteVerifier":
        """Read a verifier key.

        Raises:
            MalformedError: not a verifier key, an unknown type, or a key id that is not its own.
        """
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise MalformedError("a verifier key has three parts")
        name, key_id, key = require_name(parts[0]), parts[1], b64_decode(parts[2])
        if len(key) != 1 + PUBLIC_BYTES or key[0] not in (ED25519, COSIGNATURE):
            raise MalformedError("a verifier key of an unknown type")
        kind, public = key[0], key[1:]
        load_ed25519_public(public)
        if key_id != make_key_id(name, kind, public).hex():
            raise MalformedError("a verifier key with the id of another key")
        return cls(name=name, kind=kind, public=public, key_id=bytes.fromhex(key_id))

    @property
    def vkey(self) -> str:
        """The verifier key as text."""
        return make_vkey(self.name, self.kind, self.public)

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature (without its key id) over a text.

        Returns:
            The time of a cosignature in seconds since 1970; None for an ordinary signature.

        Raises:
            VerificationError: the signature does not hold.
        """
        message = utf8(text)
        time = None
        if self.kind == COSIGNATURE:
            if len(signature) != 8 + SIGNATURE_BYTES:
                raise VerificationError("a cosignature of another length")
            time, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            if not 0 < time <= MAX_TIME:
                raise VerificationError("a cosignature without a time")
            message = cosigned_message(message, time)
        verify_ed25519(self.public, signature, message)
        return time


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedSignature:
    """A signature of a note that holds; ``time`` is set for cosignatures."""

    name: str
    key_id: bytes
    time: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedNote:
    """A note with those of its signatures that were asked for and hold."""

    text: str
    signatures: tuple[VerifiedSignature, ...]


def sign_note(text: str, signers: Iterable[LineSigner]) -> str:
    """A text with the signatures of ``signers``.

    Raises:
        MalformedError: the text is not one of a note, or there is no signer.
    """
    lines = "".join(signer.sign(text) for signer in signers)
    if not lines:
        raise MalformedError("a note needs a signature")
    return f"{text}\n{lines}"


def split_note(note: str | bytes) -> tuple[str, tuple[tuple[str, bytes], ...]]:
    """Take a note apart without checking a signature: its text, and (name, key id || signature) of each line.

    Raises:
        MalformedError: not a signed note.
    """
    text, lines = split_lines(note)
    return text, tuple(_parse_line(line) for line in lines)


def split_lines(note: str | bytes) -> tuple[str, tuple[str, ...]]:
    """Take a note apart without even reading its signature lines: its text, and those lines without their newlines.

    Raises:
        MalformedError: not UTF-8, too long, too many lines, or no text and lines with an empty line between them.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise MalformedError(f"a note of more than {MAX_NOTE_BYTES} bytes")
    try:
        content = note if isinstance(note, str) else str(note, "utf-8")
    except UnicodeDecodeError:
        raise MalformedError("a note that is not UTF-8") from None
    require_text(content)
    text, separator, tail = content.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise MalformedError("a note without signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise MalformedError(f"a note with more than {MAX_SIGNATURES} signatures")
    return text + "\n", tuple(lines)


def _parse_line(line: str) -> tuple[str, bytes]:
    if not line.startswith(_SIGNATURE_START):
        raise MalformedError("a signature line that does not start as one")
    name, separator, encoded = line[len(_SIGNATURE_START) :].partition(" ")
    signature = b64_decode(encoded)
    if not separator or len(signature) < 5:
        raise MalformedError("a signature line without a name or a signature")
    return require_name(name), signature


def read_note(note: str | bytes, verifiers: Sequence[NoteVerifier]) -> VerifiedNote:
    """Check the signatures of a note by ``verifiers``; those by others are ignored.

    Raises:
        MalformedError: not a signed note, or two verifiers with one name and key id.
        VerificationError: no signature by a verifier, or one that does not hold.
    """
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    if len(known) != len(verifiers):
        raise MalformedError("two verifiers with one name and key id")
    text, lines = split_note(note)
    verified: dict[tuple[str, bytes], VerifiedSignature] = {}
    for name, signature in lines:
        key_id = signature[:4]
        verifier = known.get((name, key_id))
        if verifier is not None:
            # A second line by the same key must hold as well; the first is the one that is reported.
            time = verifier.verify(text, signature[4:])
            verified.setdefault((name, key_id), VerifiedSignature(name=name, key_id=key_id, time=time))
    if not verified:
        raise VerificationError("no signature by a known key")
    return VerifiedNote(text=text, signatures=tuple(verified.values()))


def open_note(note: str | bytes, verifiers: Sequence[NoteVerifier]) -> tuple[str, tuple[str, ...]]:
    """The text of a note and the names whose signatures hold; see :func:`read_note`."""
    opened = read_note(note, verifiers)
    return opened.text, tuple(signature.name for signature in opened.signatures)
