r"""The journal: what must not come back with an older database. Format and rules; pure. Files: ``journal_files``.

A line of the journal is canonical JSON: when, which audit entry, what kind, and references. Never a value.
Lines travel in batches. A batch is a signed note (C2SP signed-note) under the name ``<origin>/journal``:

    cdx/journal/v1\n
    batch <number, from 1>\n
    <origin of the log>\n
    previous <base64 SHA-256 of the note before; 32 zero bytes for the first>\n
    at <milliseconds>\n
    {"at":…,"entry":"…","kind":"consent.withdrawn",…}\n      one line each, at least one

The second line is no number, so no batch can ever be read as a checkpoint, although the same key signs both. Beside the
batches stands their end, likewise signed, so that a batch that is missing at the end is noticed:

    cdx/journal-end/v1\n  batch <number>\n  <origin>\n  last <base64 SHA-256 of its note>\n
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from crypto import canonical
from crypto.encoding import b64_decode, b64_encode
from crypto.errors import MalformedError
from crypto.merkle import MAX_SIZE
from exchange.audit.entry import from_millis, to_millis
from exchange.events import Event, EventType

BATCH: Final = "cdx/journal/v1"
END: Final = "cdx/journal-end/v1"
NOTHING_BEFORE: Final = bytes(32)
MAX_RECORDS: Final = 1000
"""In one batch: far below the longest note."""

_References = Callable[[Event], Mapping[str, str]]


def _consent(event: Event) -> Mapping[str, str]:
    return {"consent": event.facts["consent"]}


def _detail(*names: str) -> _References:
    return lambda event: {name: event.detail[name] for name in names}


_KEPT: Final[Mapping[EventType, _References]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                EventType.CONSENT_REFUSED,
                EventType.CONSENT_WITHDRAWN,
                EventType.CONSENT_CANCELLED,
                EventType.CONSENT_USED_UP,
                EventType.CONSENT_TERMINATED,
                EventType.CONSENT_INVALIDATED,
                EventType.CONSENT_SUPERSEDED,
            ),
            _consent,
        ),
        EventType.SUBJECT_STATUS_CHANGED: lambda event: {
            "subject": str(event.subject_ref),
            "status": event.facts["to"],
        },
        EventType.SUBJECT_ERASED: lambda event: {"subject": event.facts["subject"]},
        EventType.AGENCY_STATUS_CHANGED: _detail("agency", "status"),
        EventType.CLIENT_STATUS_CHANGED: _detail("client", "status"),
        EventType.AGREEMENT_ENDED: _detail("agreement"),
        EventType.VERIFIER_KEY_RETIRED: _detail("use", "key"),
    }
)
"""What is kept, and by which references. An expiry is not: the clock decides it again."""


def body_of(event: Event, *, entry_id: UUID, at: datetime) -> bytes | None:
    """The journal's line of an event; None: it is not kept there."""
    references = _KEPT.get(event.type)
    if references is None:
        return None
    head = {"at": to_millis(at), "entry": str(entry_id), "kind": event.type.value}
    return canonical.encode(head | dict(references(event)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A line that was read."""

    at: datetime
    entry: UUID
    kind: EventType
    references: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch; ``lines`` are as :func:`body_of` made them."""

    number: int
    origin: str
    previous: bytes
    at: datetime
    lines: tuple[bytes, ...] = field(repr=False)

    def records(self) -> list[Record]:
        """The lines, read.

        Raises:
            MalformedError: one is not a line of a journal.
        """
        return [parse_record(line) for line in self.lines]


def format_batch(batch: Batch) -> str:
    """The text that is signed."""
    head = [
        BATCH,
        f"batch {batch.number}",
        batch.origin,
        f"previous {b64_encode(batch.previous)}",
        f"at {to_millis(batch.at)}",
    ]
    return "".join(f"{line}\n" for line in [*head, *(line.decode() for line in batch.lines)])


def parse_batch(text: str) -> Batch:
    """Read the text of a note as a batch.

    Raises:
        MalformedError: not a batch.
    """
    lines = text.split("\n")
    if len(lines) < 7 or lines[0] != BATCH or lines[-1]:
        raise MalformedError("not a batch of a journal")
    return Batch(
        number=_number(lines[1], "batch "),
        origin=lines[2],
        previous=_hash(lines[3], "previous "),
        at=from_millis(_number(lines[4], "at ")),
        lines=tuple(line.encode() for line in lines[5:-1]),
    )


def format_end(number: int, origin: str, last: bytes) -> str:
    """The text of the journal's end: the number of the last batch and the digest of its note."""
    return f"{END}\nbatch {number}\n{origin}\nlast {b64_encode(last)}\n"


def parse_end(text: str) -> tuple[int, bytes]:
    """Read :func:`format_end`.

    Raises:
        MalformedError: not such a text.
    """
    lines = text.split("\n")
    if len(lines) != 5 or lines[0] != END or lines[-1]:
        raise MalformedError("not the end of a journal")
    return _number(lines[1], "batch "), _hash(lines[3], "last ")


def origin_in(text: str) -> str:
    """The origin that a batch or an end names: nothing is checked yet.

    Raises:
        MalformedError: neither of them.
    """
    lines = text.split("\n", 3)
    if len(lines) < 4 or lines[0] not in (BATCH, END):
        raise MalformedError("neither a batch of a journal nor its end")
    return lines[2]


def key_name(origin: str) -> str:
    """The name under which the log's keys sign its journal."""
    return f"{origin}/journal"


def digest(note: str) -> bytes:
    """What the next batch names."""
    return sha256(note.encode()).digest()


def split_notes(data: str) -> tuple[Sequence[str], str]:
    """The notes of one file, in order, and what stands after the last newline: the beginning of one, never finished.

    A note goes from the first line of a batch to the next such line.
    """
    whole = data.rfind("\n") + 1
    mark = f"{BATCH}\n"
    first, *others = f"\n{data[:whole]}".split(f"\n{mark}")
    notes = [f"{mark}{text}\n" for text in others[:-1]] + [f"{mark}{text}" for text in others[-1:]]
    # Whatever stands before the first batch is none: kept, so that it is reported.
    return ([first[1:]] if first else []) + notes, data[whole:]


def parse_record(line: bytes) -> Record:
    """Read a line.

    Raises:
        MalformedError: not one that :func:`body_of` makes.
    """
    value: Any = canonical.decode(line)
    try:
        references = {name: text for name, text in value.items() if name not in ("at", "entry", "kind")}
        return Record(
            at=from_millis(value["at"]),
            entry=UUID(value["entry"]),
            kind=EventType(value["kind"]),
            references=references,
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        raise MalformedError("a line of a journal that this version does not know") from None


def _number(line: str, word: str) -> int:
    text = line.removeprefix(word)
    if text == line or not text.isascii() or not text.isdigit() or str(int(text[:20])) != text or int(text) > MAX_SIZE:
        raise MalformedError(f"a journal without its {word.strip()}")
    return int(text)


def _hash(line: str, word: str) -> bytes:
    value = b64_decode(line.removeprefix(word)) if line.startswith(word) else b""
    if len(value) != len(NOTHING_BEFORE):
        raise MalformedError(f"a journal without its {word.strip()}")
    return value
