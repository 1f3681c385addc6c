"""What somebody who follows a log remembers between two looks at it, and the evidence of a fork. Pure: text, values.

    cdx/log-state/v1
    since <second>          since when this checkpoint is the newest that was seen
    cosigned <second>       when the quorum of the policy was last seen complete; left out when it never was
    (empty line)
    <checkpoint, verbatim>

A checkpoint alone is taken as well: any that somebody kept will do.
"""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from crypto.encoding import b64_encode
from crypto.errors import MalformedError
from exchange.audit.growth import Fork

HEADER: Final = "cdx/log-state/v1"
FORK_HEADER: Final = "cdx/log-fork/v1"
_LONGEST: Final = 12  # digits of a second since 1970: enough for some ten thousand years


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """``since`` and ``cosigned`` are seconds since 1970; None: not known."""

    note: str = field(repr=False)
    since: int | None = None
    cosigned: int | None = None


def format_state(state: State) -> str:
    """Write a state."""
    lines = [HEADER]
    for name, second in (("since", state.since), ("cosigned", state.cosigned)):
        if second is not None:
            lines.append(f"{name} {second}")
    return "\n".join([*lines, "", state.note])


def parse_state(text: str) -> State:
    """Read a state. The checkpoint in it is still to be verified.

    Raises:
        MalformedError: neither a state nor, by the look of it, a checkpoint.
    """
    if not text.strip():
        raise MalformedError("the saved state is empty")
    if not text.startswith("cdx/log-"):
        return State(note=text)
    head, _, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    seconds: dict[str, int] = {}
    for line in lines:
        name, _, number = line.partition(" ")
        if name not in {"since", "cosigned"} or name in seconds or not _is_second(number):
            raise MalformedError("the saved state has a line that it cannot have")
        seconds[name] = int(number)
    if first != HEADER or not note:
        raise MalformedError(f"the saved state is not one: it begins with {HEADER!r}, and a checkpoint ends it")
    return State(note=note, since=seconds.get("since"), cosigned=seconds.get("cosigned"))


def format_fork(kept: str, shown: str, fork: Fork) -> str:
    """Evidence for everybody: two checkpoints signed by the log of which no tree can have both.

    Where they are of different sizes, the lines before them show it: ``leaf`` (the last entry of the kept one) and
    ``path`` lead to the root of the shown checkpoint as a proof of inclusion, and the hashes at the left of that way
    lead to another root than the kept one.
    """
    lines = [FORK_HEADER]
    if fork.leaf_hash is not None:
        lines.append(f"leaf {b64_encode(fork.leaf_hash)}")
        lines.extend(f"path {b64_encode(value)}" for value in fork.path)
    return "\n".join([*lines, "", kept, shown])


def fork_name(evidence: str) -> str:
    """What the file with this evidence is called, after the state's own name: the same evidence, the same file."""
    return f".fork-{sha256(evidence.encode()).hexdigest()[:16]}"


def _is_second(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST
