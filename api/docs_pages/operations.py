"""From an OpenAPI document to what the page shows: groups of operations, with their members as flat tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_METHODS = ("get", "post", "put", "patch", "delete")
_MAX_DEPTH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One line of a table: ``attributes[].name``."""

    path: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response."""

    status: str
    description: str
    media_types: tuple[str, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call."""

    anchor: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    parameters: tuple[Member, ...]
    body: tuple[Member, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The calls of one resource."""

    name: str
    description: str
    operations: tuple[Operation, ...]


def sections(document: Mapping[str, Any]) -> list[Section]:
    """All operations, grouped by tag in the order of the document."""
    return [
        Section(
            name=tag["name"],
            description=tag.get("description", ""),
            operations=tuple(_operations(document, tag["name"])),
        )
        for tag in document.get("tags", [])
    ]


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method in _METHODS:
            found = item.get(method)
            if found is None or tag not in found.get("tags", []):
                continue
            yield Operation(
                anchor=f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
                method=method.upper(),
                path=path,
                summary=found.get("summary", ""),
                description=found.get("description", ""),
                scopes=tuple(
                    scope for entry in found.get("security", []) for names in entry.values() for scope in names
                ),
                parameters=tuple(_parameters(document, [*item.get("parameters", []), *found.get("parameters", [])])),
                body=_content(document, found.get("requestBody", {}))[1],
                answers=tuple(_answers(document, found.get("responses", {}))),
            )


def _parameters(document: Mapping[str, Any], parameters: list[Any]) -> Iterator[Member]:
    for given in parameters:
        parameter = _resolve(document, given)
        yield Member(
            path=f"{parameter['name']} ({parameter['in']})",
            type=_type(_resolve(document, parameter.get("schema", {}))),
            required=bool(parameter.get("required")),
            description=parameter.get("description", ""),
        )


def _answers(document: Mapping[str, Any], answers: Mapping[str, Any]) -> Iterator[Answer]:
    for status, given in answers.items():
        if status == "default":
            continue
        answer = _resolve(document, given)
        media_types, members = _content(document, answer)
        yield Answer(status=status, description=answer.get("description", ""), media_types=media_types, members=members)


def _content(document: Mapping[str, Any], holder: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[Member, ...]]:
    content = _resolve(document, holder).get("content", {})
    members: tuple[Member, ...] = ()
    for media in content.values():
        members = members or tuple(_members(document, media.get("schema", {}), prefix="", depth=0))
    return tuple(content), members


def _members(document: Mapping[str, Any], given: Any, *, prefix: str, depth: int) -> Iterator[Member]:
    schema = _resolve(document, given)
    if depth > _MAX_DEPTH:
        return
    if _type(schema).startswith("list"):
        yield from _members(document, schema.get("items", {}), prefix=f"{prefix}[]", depth=depth + 1)
    required = schema.get("required", [])
    for name, inner_given in schema.get("properties", {}).items():
        inner = _resolve(document, inner_given)
        path = f"{prefix}.{name}" if prefix else name
        yield Member(
            path=path,
            type=_type(inner),
            required=name in required,
            description=inner_given.get("description") or inner.get("description", ""),
        )
        yield from _members(document, inner, prefix=path, depth=depth + 1)


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "object" if "properties" in schema else "")
    kinds = kind if isinstance(kind, list) else [kind]
    names = ["list" if name == "array" else str(name) for name in kinds if name]
    text = " or ".join(names)
    if "enum" in schema:
        text += ": " + ", ".join(str(value) for value in schema["enum"] if value is not None)
    elif "format" in schema:
        text += f" ({schema['format']})"
    return text


def _resolve(document: Mapping[str, Any], given: Any) -> Mapping[str, Any]:
    """Follow references; merge ``allOf`` and take the first of ``anyOf``."""
    for _ in range(_MAX_DEPTH):
        reference = given.get("$ref") if isinstance(given, Mapping) else None
        if reference is None:
            break
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
        given = target
    if "allOf" in given and len(given["allOf"]) == 1:
        return {**_resolve(document, given["allOf"][0]), **{k: v for k, v in given.items() if k != "allOf"}}
    return dict(given)
