"""Canonical JSON, and a loader for JSON that strangers sent.

Canonical form: a strict subset of RFC 8785. Objects with ASCII keys in ascending order, arrays, strings, booleans and
integers with an absolute value below 2**53; no floats and no null; UTF-8 without white space. ASCII keys make sorting
by code point the same as the RFC's sorting by UTF-16 unit. :func:`decode` re-encodes what it read and compares the
bytes, so that no second spelling of a value is ever accepted.
"""

import json
from typing import Any, NoReturn

from crypto.encoding import utf8
from crypto.errors import MalformedError

MAX_BYTES = 65_535
"""The longest canonical text that :func:`decode` takes by default: a leaf of the log (two-byte length)."""
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 7493 §2.2)."""

_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def encode(value: Any) -> bytes:
    """Write ``value`` in canonical form.

    Raises:
        MalformedError: a type, key, number, string or depth outside the subset.
    """
    _check(value, MAX_DEPTH)
    return utf8(_encoder.encode(value))


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read canonical JSON.

    Raises:
        MalformedError: anything but the one canonical spelling, or more than ``max_bytes``.
    """
    value = load_json(data, max_bytes=max_bytes)
    if encode(value) != data:
        raise MalformedError("not in canonical form")
    return value


def load_json(data: bytes | str, *, max_bytes: int, max_depth: int = MAX_DEPTH, allow_float: bool = False) -> Any:
    """Read JSON from an untrusted source.

    Duplicate members, NaN, Infinity, integers from 2**53 on, lone surrogates, a byte order mark, too much depth or size
    are refused; null is allowed, floats only with ``allow_float``.

    Args:
        data: UTF-8 bytes, or text.
        max_bytes: the most bytes (or characters, for text) that are looked at.
        max_depth: how deep arrays and objects may nest; 1 allows ``[1]`` but not ``[[1]]``.
        allow_float: take numbers with a fraction or an exponent.

    Raises:
        MalformedError: anything of the above.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"JSON of more than {max_bytes} bytes")
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
        value = (_floats if allow_float else _integers).decode(text)
    except (ValueError, TypeError, RecursionError):
        # ValueError covers bad UTF-8 and bad JSON. The parser's own message would quote the input.
        raise MalformedError("not valid JSON") from None
    # As many openers as the depth allows cannot nest deeper than it; only richer texts need the walk.
    if text.count("[") + text.count("{") > max_depth and _depth(value) > max_depth:
        raise MalformedError(f"JSON nested more than {max_depth} deep")
    if "\\u" in text or not text.isascii():
        _refuse_surrogates(value)
    return value


def _refuse(_: str) -> NoReturn:
    raise MalformedError("a number that is not allowed here")


def _integer(text: str) -> int:
    # Checked by length first: turning a long text into a number takes time that grows with its square.
    if len(text) > 17 or not -MAX_INTEGER <= (number := int(text)) <= MAX_INTEGER:
        raise MalformedError("an integer of more than 53 bits")
    return number


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise MalformedError("a number too large for a float")
    return number


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(members)
    if len(result) != len(members):
        raise MalformedError("a JSON object with a duplicate member")
    return result


_integers = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_refuse, parse_constant=_refuse)
_floats = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_refuse)


def _depth(value: Any) -> int:
    """How deep ``value`` nests, level by level: no recursion, so no input can exhaust the stack."""
    depth = 0
    level = [value]
    while level := [item for item in level if isinstance(item, list | dict)]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _refuse_surrogates(value: Any) -> None:
    level = [value]
    while level:
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                utf8(item)
            elif isinstance(item, dict):
                below.extend(item.keys())
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        level = below


def _check(value: Any, depth_left: int) -> None:
    kind = type(value)
    if kind is str or kind is bool:
        return
    if kind is int:
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise MalformedError("an integer of more than 53 bits")
    elif kind is dict:
        if not depth_left:
            raise MalformedError(f"nested more than {MAX_DEPTH} deep")
        for key, member in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise MalformedError("an object key that is not ASCII text")
            _check(member, depth_left - 1)
    elif kind is list:
        if not depth_left:
            raise MalformedError(f"nested more than {MAX_DEPTH} deep")
        for member in value:
            _check(member, depth_left - 1)
    elif not isinstance(value, str):  # a StrEnum is text
        raise MalformedError(f"a value of type {kind.__name__} has no canonical form")
