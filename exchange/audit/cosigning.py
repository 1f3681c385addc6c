"""Cosigning, the log's side (C2SP tlog-witness, tlog-cosignature): what is sent to witnesses, and what counts. Pure.

A witness is asked to state that a checkpoint continues the one that it saw before. What it answers is not trusted: only
signature lines of its own key that hold over our own text are taken, and the rest is ignored.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.checkpoint import Checkpoint, NoteVerifier, parse_checkpoint, read_note, split_note
from crypto.encoding import b64_encode
from crypto.errors import CryptoError, MalformedError, VerificationError
from crypto.merkle import MAX_SIZE
from crypto.note import signature_line
from exchange.audit.policy_file import Policy

MAX_LINES: Final = 16
"""Signature lines of one answer that are looked at."""
_MAX_TOLD: Final = 120

_size = re.compile(rb"(0|[1-9][0-9]{0,18})\n").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """The witness cosigned: its line, with its newline."""

    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """The witness last cosigned another size (409), and wants a proof from there. It may be larger than ours."""

    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Any other answer. ``text`` is the witness's own: short and printable, not to be trusted."""

    status: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """No answer, or none within bounds."""

    reason: str


Answer = Cosigned | Behind | Refused | Unreachable


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A checkpoint with what the witnesses gave; ``is_complete``: they are a quorum."""

    note: str
    cosigners: frozenset[str]
    is_complete: bool


def write_request(note: str, *, old_size: int, proof: Sequence[bytes]) -> bytes:
    """The body of ``add-checkpoint``.

    Args:
        note: the checkpoint, signed by the log.
        old_size: what the witness has cosigned before; 0: nothing.
        proof: that the tree grew from there (RFC 6962 §2.1.2); empty when it did not grow, or from nothing.
    """
    lines = [f"old {old_size}", *(b64_encode(step) for step in proof), ""]
    return ("\n".join(lines) + "\n" + note).encode()


def read_answer(status: int, body: bytes, *, note: str, verifier: NoteVerifier) -> Answer:
    """What an answer to ``add-checkpoint`` says.

    Args:
        status: of HTTP.
        body: bounded by whoever read it.
        note: the checkpoint that was sent.
        verifier: the witness's key.
    """
    if status == 200:
        line = _own_line(split_note(note)[0], body, verifier)
        return Cosigned(line=line) if line else Refused(status=status, text="no cosignature of its key that holds")
    match = _size(body) if status == 409 else None
    if match is not None and int(match[1]) <= MAX_SIZE:
        return Behind(size=int(match[1]))
    return Refused(status=status, text=_printable(body))


def merge(note: str, policy: Policy, lines: Iterable[str]) -> Merged:
    """The checkpoint with the lines of all witnesses that cosigned (each from :func:`read_answer`)."""
    merged = note + "".join(sorted(lines))
    names = _cosigners(merged, policy)
    return Merged(note=merged, cosigners=names, is_complete=bool(names) and policy.is_met_by(names))


def read_cosigned(note: str, policy: Policy, *, origin: str, size: int) -> Merged:
    """A stored note, looked at with the policy of today, which may not be the one under which it was stored.

    Args:
        note: a checkpoint with cosignatures.
        policy: which witnesses count.
        origin, size: the log's name, and the size under which it is stored: anything else is nothing to us.
    """
    try:
        checkpoint = parse_checkpoint(split_note(note)[0])
        is_ours = (checkpoint.origin, checkpoint.size) == (origin, size)
    except MalformedError:
        is_ours = False
    names = _cosigners(note, policy) if is_ours else frozenset()
    return Merged(note=note, cosigners=names, is_complete=bool(names) and policy.is_met_by(names))


def read_shown(note: str, verifiers: Sequence[NoteVerifier], origin: str) -> Checkpoint | None:
    """The checkpoint that a witness shows, when our own key signed it: nobody else can have made it.

    Args:
        note: as the witness keeps it.
        verifiers: the log's keys.
        origin: the log's name.
    """
    try:
        checkpoint = parse_checkpoint(read_note(note, verifiers).text)
    except CryptoError:
        return None
    return checkpoint if checkpoint.origin == origin else None


def _cosigners(note: str, policy: Policy) -> frozenset[str]:
    try:
        return policy.cosigners(read_note(note, policy.witness_verifiers))
    except CryptoError:
        return frozenset()


def _own_line(text: str, body: bytes, verifier: NoteVerifier) -> str | None:
    for line in body.split(b"\n")[:MAX_LINES]:
        try:
            _, ((name, signature),) = split_note(text.encode() + b"\n" + line + b"\n")
            if (name, signature[:4]) != (verifier.name, verifier.key_id):
                continue
            verifier.verify(text, signature[4:])
        except (MalformedError, VerificationError, ValueError):
            continue
        return signature_line(name, signature[:4], signature[4:])
    return None


def _printable(body: bytes) -> str:
    text = body[: 4 * _MAX_TOLD].decode("ascii", errors="replace")
    return "".join(character if " " <= character <= "~" else " " for character in text).strip()[:_MAX_TOLD]
