"""One answer from one held value: the value, or something weaker that never yields it. Pure; never raises on odd data.

What cannot be answered is ``unavailable("cannot_derive")``, so that a malformed record neither stops the other lines of
a request nor shows itself in an error. ``equals`` compares in constant time and is admitted by ``exchange.policy`` only
where there are too many possible values to guess.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from crypto.blind_index import normalise
from crypto.errors import CryptoError
from exchange.catalogue_model import Attribute
from exchange.forms import Form, FormKind, parse_form
from exchange.model import HeldValue

__all__ = ["CANNOT_DERIVE", "SOURCE_UNAVAILABLE", "Answer", "Form", "FormKind", "answer", "parse_form", "unavailable"]

PRESENT: Final = "present"
CANNOT_DERIVE: Final = "cannot_derive"
SOURCE_UNAVAILABLE: Final = "source_unavailable"
_NOTHING_HELD: Final = frozenset({"absent", "not_applicable", "empty"})

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MONEY: Final = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,2})?", re.ASCII)
_WORD_BREAK: Final = re.compile(r"[\s\-\u2010-\u2015'\u2019.]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one line of a request yields.

    Attributes:
        state: ``present``, ``absent``, ``not_applicable``, ``empty`` or ``unavailable``: five different things.
        value: of a present one: what the form yields; True or False for the forms that say yes or no.
        unavailable: of an unavailable one: why, as a code.
    """

    state: str
    value: Any = field(default=None, repr=False)
    unavailable: str | None = None


_YES: Final = Answer(PRESENT, True)
_NO: Final = Answer(PRESENT, False)


def unavailable(reason: str) -> Answer:
    """No answer, and why, as a code."""
    return Answer("unavailable", None, reason)


def answer(form: Form, held: HeldValue, *, attribute: Attribute, compare_to: str | None, today: date) -> Answer:
    """Answer ``form`` from ``held``.

    Args:
        form: what was asked and permitted.
        held: what the provider holds.
        attribute: the attribute's entry in the catalogue; its type says how to read the value.
        compare_to: what the caller compares with, for ``equals``.
        today: the day on which an age is counted.
    """
    if held.state == "unavailable":
        return unavailable(SOURCE_UNAVAILABLE)
    if held.state in _NOTHING_HELD:
        # "exists" says no more than no: not which of the three.
        return _NO if form.kind is FormKind.EXISTS else Answer(held.state)
    if held.state != PRESENT or held.value is None or not _is_of_type(held.value, attribute.type):
        return unavailable(CANNOT_DERIVE)
    match form.kind:
        case FormKind.VALUE:
            return Answer(PRESENT, held.value)
        case FormKind.EXISTS:
            return _YES
        case FormKind.AT_LEAST | FormKind.IN_RANGE:
            return _compare(form, held.value, attribute.type, today)
        case FormKind.EQUALS:
            return _equals(held.value, compare_to)
        case FormKind.PARTIAL:
            return _part(form.parameter, held.value, attribute.type)


def whole_years(born: date, today: date) -> int:
    """Age in whole years. Who was born on 29 February comes of age on 1 March of a common year, never a day early."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _is_of_type(value: Any, attribute_type: str) -> bool:
    match attribute_type:
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "money":
            return _money(value) is not None
        case "date":
            return isinstance(value, str) and _date(value) is not None
        case "string":
            return isinstance(value, str)
        case "code":
            return (
                isinstance(value, Mapping)
                and value.keys() == {"code", "label"}
                and all(isinstance(text, str) for text in value.values())
            )
    return False


def _compare(form: Form, value: Any, attribute_type: str, today: date) -> Answer:
    number: int | Decimal | None = None
    if attribute_type == "date":
        born = _date(value)
        number = whole_years(born, today) if born is not None and born <= today else None
    elif attribute_type == "money":
        number = _money(value)
    elif attribute_type == "integer":
        number = value
    if number is None or form.low is None:
        return unavailable(CANNOT_DERIVE)
    return _YES if form.low <= number and (form.high is None or number <= form.high) else _NO


def _equals(value: Any, compare_to: str | None) -> Answer:
    if not isinstance(value, str) or not isinstance(compare_to, str):
        return unavailable(CANNOT_DERIVE)
    try:
        ours, theirs = normalise(value).encode(), normalise(compare_to).encode()
    except (CryptoError, UnicodeEncodeError):
        return unavailable(CANNOT_DERIVE)
    if not ours:
        return unavailable(CANNOT_DERIVE)
    # Digests first: compare_digest of texts of unequal length would tell the length by its time.
    return _YES if hmac.compare_digest(hashlib.sha256(ours).digest(), hashlib.sha256(theirs).digest()) else _NO


def _part(part: str | None, value: Any, attribute_type: str) -> Answer:
    show = _SHOWN.get((attribute_type, part or ""))
    shown = None if show is None else show(value)
    return unavailable(CANNOT_DERIVE) if shown is None else Answer(PRESENT, shown)


def _initials(name: str) -> str | None:
    words = [word for word in _WORD_BREAK.split(name) if word and word[0].isalpha()]
    if not words or sum(map(len, words)) < 2 * len(words):
        return None
    return " ".join(f"{word[0].upper()}." for word in words)


def _end(text: str, count: int) -> str | None:
    """``count`` characters from the end (from the start if negative), if at least as many stay hidden."""
    plain = "".join(character for character in text if character.isalnum())
    if len(plain) < 2 * abs(count):
        return None
    return plain[-count:] if count > 0 else plain[:-count]


def _city(address: str) -> str | None:
    """The last of the parts between commas, without a postal code: "12 Elm Street, 4021 Riverton" gives "Riverton"."""
    street, comma, last = address.rpartition(",")
    words = [word for word in last.split() if not any(character.isdigit() for character in word)]
    return " ".join(words) if comma and street.strip() and words else None


_SHOWN: Final[Mapping[tuple[str, str], Callable[[str], str | None]]] = MappingProxyType(
    {
        ("date", "year"): lambda value: value[:4],
        ("date", "month"): lambda value: value[:7],
        ("string", "initials"): _initials,
        ("string", "last4"): lambda value: _end(value, 4),
        ("string", "first2"): lambda value: _end(value, -2),
        ("string", "city"): _city,
    }
)


def _date(text: str) -> date | None:
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _money(value: Any) -> Decimal | None:
    """Whole units as an integer, or a decimal text with at most two places."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and _MONEY.fullmatch(value) is not None:
        return Decimal(value)
    return None
