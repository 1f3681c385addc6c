"""Reads the YAML files that officers write: catalogue, agreements, agencies. Safely, and with every fault at once.

Only plain data: no anchors or aliases (a few lines of them can stand for gigabytes), no tags, no duplicate keys, one
document, limited in size and depth. Plain ``true``, ``false`` and decimal integers are what they look like; everything
else is text, so that neither a date nor the language code ``no`` changes its type (YAML 1.2 core schema, narrowed).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

MAX_CHARACTERS: Final = 262_144
MAX_DEPTH: Final = 12
MAX_FAULTS: Final = 100  # more help nobody

Path_ = tuple[str | int, ...]
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})", re.ASCII)


class DocumentFaultsError(Exception):
    """A file has faults; ``faults`` names each with its place. Its reader turns it into an error of its own."""

    def __init__(self, faults: Sequence[str]) -> None:
        shown = list(faults[:MAX_FAULTS])
        if len(faults) > MAX_FAULTS:
            shown.append(f"and {len(faults) - MAX_FAULTS} more")
        super().__init__("\n".join(shown))
        self.faults = tuple(faults)


@dataclass(slots=True)
class Document:
    """What a file says, where each part of it stands, and what is wrong with it so far."""

    body: Any
    lines: Mapping[Path_, int]
    faults: list[tuple[int, str]] = field(default_factory=list)  # line, words

    def fault(self, path: Path_, what: str) -> None:
        """Note a fault at a place."""
        self.faults.append((_line(path, self.lines), f"{_place(path, self.lines)}: {what}"))

    def refuse_faults(self) -> None:
        """Raise DocumentFaultsError if any fault was noted; in the order of the lines."""
        if self.faults:
            raise DocumentFaultsError([what for _, what in sorted(set(self.faults))])


def read_document(text: str, schema: str) -> Document:
    """Read a YAML text and check its shape.

    Args:
        text: the file's content.
        schema: file name of the JSON Schema, beside this module.

    Returns:
        The document, with no faults yet: whoever checks what the schema cannot say adds them.

    Raises:
        DocumentFaultsError: with every fault that the schema finds.
    """
    document = _Reader(text).read()
    document.refuse_faults()
    _check_shape(document, schema)
    document.refuse_faults()
    return document


def faults_of(body: Any, schema: str) -> list[str]:
    """What a schema finds wrong with data that came from elsewhere than a file."""
    document = Document(body, {})
    _check_shape(document, schema)
    return sorted({what.partition(", ")[2] for _, what in document.faults})


def _check_shape(document: Document, schema: str) -> None:
    for error in _validator(schema).iter_errors(document.body):
        path = tuple(error.absolute_path)
        if "propertyNames" in error.absolute_schema_path:
            path = (*path, cast("str", error.instance))  # the fault is in the name itself
        document.fault(path, _in_words(error))


@cache
def _validator(schema: str) -> Draft202012Validator:
    parsed = json.loads(Path(__file__).with_name(schema).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(parsed)
    return Draft202012Validator(parsed)


def _in_words(error: ValidationError) -> str:
    """The validator's own messages print whole values; these name what was expected."""
    # A fault found in a document has all of these; the library's types also allow for one that is still being made.
    wanted, found = cast("Any", error.validator_value), cast("Any", error.instance)
    match error.validator:
        case "required":
            return f"{', '.join(name for name in wanted if name not in found)} missing"
        case "additionalProperties":
            allowed = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
            return f"unknown: {', '.join(sorted(name for name in found if name not in allowed))}"
        case "enum":
            return f"expected one of {', '.join(map(str, wanted))}"
        case "const" | "type":
            return f"expected {wanted}"
        case "pattern":
            return "blank" if wanted == "\\S" else f"expected the pattern {wanted}"
        case "uniqueItems":
            return "an item stands twice"
    return f"{error.validator} is {wanted}"


def _line(path: Path_, lines: Mapping[Path_, int]) -> int:
    while path not in lines and path:
        path = path[:-1]
    return lines.get(path, 1)


def _place(path: Path_, lines: Mapping[Path_, int]) -> str:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    return f"line {_line(path, lines)}" + (f", {name}" if name else "")


class _Reader:
    """Builds plain data from the parser's events, so that nothing of YAML's object machinery is ever reached."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[Path_, int] = {}
        self._faults: list[tuple[int, str]] = []
        self._events: Iterator[Any] = iter(())

    def read(self) -> Document:
        if len(self._text) > MAX_CHARACTERS:
            raise DocumentFaultsError([f"line 1: more than {MAX_CHARACTERS} characters"])
        body: Any = None
        try:
            self._events = yaml.parse(self._text, Loader=yaml.SafeLoader)
            documents = 0
            for event in self._events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                elif isinstance(event, yaml.NodeEvent):
                    body = self._node(event, ())
            if documents != 1:
                self._fault(1, f"expected one document, got {documents}")
        except yaml.MarkedYAMLError as exc:
            mark = exc.problem_mark or exc.context_mark
            self._fault(mark.line + 1 if mark else 1, exc.problem or exc.context or "not YAML")
        except yaml.YAMLError:
            self._fault(1, "a character that YAML does not allow")
        return Document(body, self._lines, self._faults)

    def _fault(self, line: int, what: str) -> None:
        self._faults.append((line, f"line {line}: {what}"))

    def _node(self, event: Any, path: Path_) -> Any:
        line = event.start_mark.line + 1
        self._lines.setdefault(path, line)
        if isinstance(event, yaml.AliasEvent):
            raise DocumentFaultsError([f"line {line}: aliases are not allowed"])
        if event.anchor is not None:
            raise DocumentFaultsError([f"line {line}: anchors are not allowed"])
        if event.tag is not None:
            raise DocumentFaultsError([f"line {line}: tags are not allowed"])
        if len(path) > MAX_DEPTH:
            raise DocumentFaultsError([f"line {line}: nested more than {MAX_DEPTH} deep"])
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _sequence(self, path: Path_) -> list[Any]:
        items: list[Any] = []
        for event in self._events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path_) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            line = event.start_mark.line + 1
            if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag is not None:
                raise DocumentFaultsError([f"line {line}: a key is plain text"])
            key = str(event.value)
            if key in members:
                self._fault(line, f"{key} stood already in line {self._lines[(*path, key)]}")
            self._lines.setdefault((*path, key), line)
            members[key] = self._node(next(self._events), (*path, key))
        return members


def _scalar(event: Any) -> str | int | bool | None:
    text = str(event.value)
    if not event.implicit[0]:  # quoted, or a block: text
        return text
    if text in ("true", "false"):
        return text == "true"
    if text in ("", "null", "~"):
        return None  # no schema of ours takes it, so a forgotten value is a fault with a place
    return int(text) if _INTEGER.fullmatch(text) is not None else text
