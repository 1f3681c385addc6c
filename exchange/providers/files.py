"""Files of subjects: CSV and JSON Lines, one line a person, read in flat memory. Pure: bytes in, records out.

CSV (UTF-8; comma, semicolon or tab): a header with ``scheme``, ``id`` and any attributes of the provider, in any order.

    scheme,id,birth_date,income,income.last_updated
    national-id,840101-1234,1984-01-01,31200.50,2026-01-31

- ``<attribute>.last_updated`` and ``<attribute>.valid_until`` date one value; ``last_updated`` dates all values of the
  line; ``<attribute>.label`` is the label of a code (without it, the code itself).
- An empty cell means that the provider holds nothing: *absent*. ``@empty``, ``@not_applicable``, ``@unavailable`` say
  otherwise; a value that begins with ``@`` is written with two. A missing column leaves what is held as it is.
- A line break inside a cell is not possible here: use JSON Lines.

JSON Lines (UTF-8): one object a line, with the same members.

    {"scheme": "national-id", "id": "840101-1234", "birth_date": "1984-01-01", "income": null, "children": 2}

- null means *absent*, ``""`` *empty*; ``{"state": "not_applicable"}`` any other state; ``{"code": …, "label": …}`` a
  code; ``{"value": …, "last_updated": …, "valid_until": …}`` a dated value. Amounts with decimals are text.

A fault names the member or column and the rule, never what stands there.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Protocol

from crypto.canonical import load_json
from crypto.errors import MalformedError
from exchange.catalogue_model import Catalogue
from exchange.errors import ExchangeError
from exchange.model import HeldValue, SubjectName
from exchange.providers.values import ABSENT, PRESENT, STATES
from exchange.records import SubjectRecord

MAX_LINE: Final = 262_144
"""The longest line in bytes."""
_BOM: Final = b"\xef\xbb\xbf"
_DATES: Final = ("last_updated", "valid_until")
_DELIMITERS: Final = (",", ";", "\t")
_MARK: Final = "@"
_NAMED: Final = frozenset({"scheme", "id", "last_updated"})


class ImportFileError(ExchangeError):
    """A file that cannot be imported at all; the message names every fault, and no value."""

    code = "invalid-import-file"


class LineError(ExchangeError):
    """A line that is not taken; the message says why, without its content."""

    code = "invalid-line"


class LineReader(Protocol):
    """Turns one line into a record."""

    def read(self, line: bytes) -> SubjectRecord:
        """The record; LineError when the line is none."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: its number, from 1, its bytes (None: too long), and where in the file it ends."""

    number: int
    data: bytes | None
    end: int


def lines_of(file: IO[bytes]) -> Iterator[Line]:
    """The lines of a file from where it stands, without blank ones. Too long ones are passed over in flat memory."""
    number, end, too_long = 0, 0, False
    while data := file.readline(MAX_LINE):
        end += len(data)
        complete = data.endswith(b"\n") or len(data) < MAX_LINE
        if not complete:
            too_long = True
            continue
        number += 1
        if too_long:
            yield Line(number, None, end)
        elif data.strip():
            yield Line(number, data.removeprefix(_BOM) if number == 1 else data, end)
        too_long = False
    if too_long:
        yield Line(number + 1, None, end)


def is_csv(path: Path) -> bool:
    """Whether the file is CSV, by its name; else it is JSON Lines.

    Raises:
        ImportFileError: the name says neither.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".jsonl", ".ndjson"):
        raise ImportFileError("expected a file named .csv, .jsonl or .ndjson")
    return suffix == ".csv"


class CSVReader:
    """Reads the lines of a CSV file with this header.

    Args:
        header: the first line.
        catalogue: knows the attributes and their types.
        provider: whose file it is.
    """

    def __init__(self, header: bytes, catalogue: Catalogue, provider: str) -> None:
        try:
            text = header.decode("utf-8")
        except UnicodeDecodeError:
            raise ImportFileError("the header is not UTF-8") from None
        self._delimiter = max(_DELIMITERS, key=text.count)
        self._provider = provider
        try:
            names = [name.strip() for name in self._cells(text)]
        except LineError as exc:
            raise ImportFileError(f"the header: {exc}") from None
        self._width = len(names)
        self._places = {name: place for place, name in enumerate(names)}
        faults = [
            # A file without a header begins with a person: what stands there is not repeated.
            f"column {place}: {fault}"
            for place, name in enumerate(names, 1)
            if (fault := _fault_in_column(name, catalogue, provider))
        ]
        faults += [f"no column {name}" for name in ("scheme", "id") if name not in self._places]
        if len(self._places) < len(names):
            faults.append("a column stands twice")
        if faults:
            raise ImportFileError("; ".join(faults))
        self._columns = [
            _Column(
                name=name,
                type=catalogue.attributes[name].type,
                place=self._places[name],
                label=self._places.get(f"{name}.label"),
                last_updated=self._places.get(f"{name}.last_updated", self._places.get("last_updated")),
                valid_until=self._places.get(f"{name}.valid_until"),
            )
            for name in names
            if name not in _NAMED and "." not in name
        ]

    def read(self, line: bytes) -> SubjectRecord:
        """The record of a line.

        Raises:
            LineError: not UTF-8, not CSV, another number of cells, or a cell that means nothing.
        """
        try:
            cells = self._cells(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise LineError("not UTF-8") from None
        if len(cells) != self._width:
            raise LineError(f"{len(cells)} cells, expected {self._width}")
        name = SubjectName(scheme=cells[self._places["scheme"]].strip(), id=cells[self._places["id"]].strip())
        return SubjectRecord(subject=name, values=tuple(self._value(column, cells) for column in self._columns))

    def _cells(self, text: str) -> list[str]:
        try:
            rows = list(csv.reader([text.rstrip("\r\n")], delimiter=self._delimiter, strict=True))
        except csv.Error:
            raise LineError("not CSV: a quoted cell does not end on its line, or goes on after its end") from None
        return rows[0] if rows else []

    def _value(self, column: "_Column", cells: list[str]) -> HeldValue:
        cell = cells[column.place].strip()
        state, value = PRESENT, None
        if not cell:
            state = ABSENT
        elif cell.startswith(_MARK) and not cell.startswith(2 * _MARK):
            state = cell[1:]
            if state not in STATES - {PRESENT}:
                raise LineError(f"{column.name}: after {_MARK} stands no state; a value begins with {2 * _MARK}")
        else:
            label = None if column.label is None else cells[column.label].strip()
            value = _typed(cell.removeprefix(_MARK) if cell.startswith(_MARK) else cell, column.type, label)
        return HeldValue(
            name=column.name,
            provider=self._provider,
            state=state,
            value=value,
            last_updated=_cell(cells, column.last_updated),
            valid_until=_cell(cells, column.valid_until),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    type: str
    place: int
    label: int | None
    last_updated: int | None
    valid_until: int | None


class JSONLinesReader:
    """Reads the lines of a JSON Lines file of a provider."""

    def __init__(self, provider: str) -> None:
        self._provider = provider

    def read(self, line: bytes) -> SubjectRecord:
        """The record of a line.

        Raises:
            LineError: not a JSON object of this form.
        """
        try:
            members = load_json(line, max_bytes=MAX_LINE, max_depth=2)
        except MalformedError as exc:
            raise LineError(f"not JSON of the expected form: {exc}") from None
        if not isinstance(members, dict):
            raise LineError("not a JSON object")
        scheme, identifier, updated = (members.pop(name, None) for name in ("scheme", "id", "last_updated"))
        if not isinstance(scheme, str) or not isinstance(identifier, str):
            raise LineError("scheme or id is missing, or not text")
        if not isinstance(updated, str | None):
            raise LineError("last_updated is not text")
        name = SubjectName(scheme=scheme, id=identifier.strip())
        return SubjectRecord(
            subject=name, values=tuple(self._value(one, said, updated) for one, said in members.items())
        )

    def _value(self, name: str, said: Any, updated: str | None) -> HeldValue:
        until: str | None = None
        state: Any = None
        if isinstance(said, dict) and not said.keys() & {"code", "label"}:
            if not said.keys() <= {"value", "state", *_DATES}:
                raise LineError("an object with a foreign member")
            state = said.get("state")
            updated, until = said.get("last_updated", updated), said.get("valid_until")
            said = said.get("value")
        if state is None:
            state = ABSENT if said is None else "empty" if said == "" else PRESENT
        elif said is not None or state not in STATES - {PRESENT}:
            raise LineError("a state that is none, or one with a value")
        return HeldValue(
            name=name,
            provider=self._provider,
            state=state,
            value=said if state == PRESENT else None,
            last_updated=updated,
            valid_until=until,
        )


def _fault_in_column(name: str, catalogue: Catalogue, provider: str) -> str | None:
    if name in _NAMED:
        return None
    base, _, part = name.partition(".")
    attribute = catalogue.attributes.get(base)
    if attribute is None or part not in ("", "label", *_DATES):
        return "neither scheme, id, last_updated nor an attribute of the catalogue"
    if attribute.provider != provider:
        return f"{base} is supplied by another agency"
    if part == "label" and attribute.type != "code":
        return f"{base} is no code and has no label"
    return None


def _cell(cells: list[str], place: int | None) -> str | None:
    return None if place is None else cells[place].strip() or None


def _typed(text: str, attribute_type: str, label: str | None) -> Any:
    """What a cell means for its type; what it cannot mean stays text and is refused by the rules of the vault."""
    match attribute_type:
        case "integer" if len(text) < 18 and text.isascii() and text.removeprefix("-").isdigit():
            return int(text)
        case "boolean" if text in ("true", "false"):
            return text == "true"
        case "code":
            code: Mapping[str, str] = {"code": text, "label": label or text}
            return code
    return text
