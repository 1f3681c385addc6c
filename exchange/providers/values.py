"""What a provider may say about one attribute: states, types, dates. Pure.

The same rules hold for a value that is written into the vault and for one that a live provider answers. A fault names
the attribute and what is wrong with it, never the value.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from exchange.model import HeldValue

PRESENT: Final = "present"
ABSENT: Final = "absent"
UNAVAILABLE: Final = "unavailable"
STATES: Final = frozenset({PRESENT, ABSENT, "not_applicable", UNAVAILABLE, "empty"})
ASSURANCES: Final = frozenset({"low", "substantial", "high"})
SOURCE_CLASSES: Final = frozenset({"government", "self", "verified"})
MAX_TEXT: Final = 4096
"""The longest text value, in characters."""

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONEY: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,2})?", re.ASCII)
_MAX_INTEGER: Final = 2**53 - 1


def fault_in(held: HeldValue, attribute_type: str) -> str | None:
    """What is wrong with a value for an attribute of this type; None: nothing."""
    if held.state not in STATES:
        return f"{held.name}: the state is none of {', '.join(sorted(STATES))}"
    if held.state != PRESENT:
        if held.value is not None:
            return f"{held.name}: only a present value has a value"
    elif held.value is None or not _CHECKS[attribute_type](held.value):
        return f"{held.name}: not {_DESCRIPTIONS[attribute_type]}"
    for member, text in (("last_updated", held.last_updated), ("valid_until", held.valid_until)):
        if text is not None and not is_date(text):
            return f"{held.name}: {member} is not a date YYYY-MM-DD"
    if held.assurance not in ASSURANCES:
        return f"{held.name}: the assurance is none of {', '.join(sorted(ASSURANCES))}"
    if held.source_class not in SOURCE_CLASSES:
        return f"{held.name}: the source class is none of {', '.join(sorted(SOURCE_CLASSES))}"
    return None


def is_date(value: Any) -> bool:
    """Whether it is the ISO 8601 text of a day that exists."""
    if not isinstance(value, str) or _DATE.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def is_text(value: Any) -> bool:
    """Whether it is text of 1 to 4096 characters that UTF-8 can carry; of control characters, line breaks and tabs."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TEXT
        # Printable: no control characters and no lone surrogates. Most values are, so this decides nearly always.
        and (value.isprintable() or all(_may_stand(character) for character in value))
    )


def _may_stand(character: str) -> bool:
    return character in "\n\t" or (character >= " " and character != "\x7f" and not "\ud800" <= character <= "\udfff")


def _is_integer(value: Any) -> bool:
    return type(value) is int and -_MAX_INTEGER <= value <= _MAX_INTEGER


def _is_money(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, str) and _MONEY.fullmatch(value) is not None)


def _is_code(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {"code", "label"} and all(map(is_text, value.values()))


_CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "string": is_text,
        "integer": _is_integer,
        "date": is_date,
        "boolean": lambda value: isinstance(value, bool),
        "code": _is_code,
        "money": _is_money,
    }
)
_DESCRIPTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "string": f"text of 1 to {MAX_TEXT} characters without control characters",
        "integer": "an integer of at most 53 bits",
        "date": "a date YYYY-MM-DD",
        "boolean": "true or false",
        "code": "a code with a label",
        "money": "an amount in whole units or with at most two decimal places",
    }
)
