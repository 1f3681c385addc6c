"""In which form an attribute can be asked for: the value, or something weaker. Pure.

A form is one string, and its parameter is part of it: ``at_least:18`` and ``at_least:21`` are two forms. An agreement,
a consent and a decision compare ``(name, form)`` exactly; nothing here derives one form from another. The catalogue
admits *kinds* per attribute, and for ``partial`` each part by name (``partial:year``).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from exchange.errors import UnknownAttributeError

MAX_FORM_LENGTH = 64


class FormKind(StrEnum):
    """What kind of answer a form yields."""

    VALUE = "value"
    AT_LEAST = "at_least"  # yes or no; of a date: age in whole years
    IN_RANGE = "in_range"  # yes or no, both ends included; of a date: age in whole years
    EQUALS = "equals"  # yes or no; only of attributes that are too many to guess
    EXISTS = "exists"  # yes or no
    PARTIAL = "partial"  # a named part that is never the whole


_NUMBER: Final = r"(?:0|[1-9][0-9]{0,14})"
_FORM: Final = re.compile(
    rf"(?:(value|equals|exists)|(at_least):({_NUMBER})|(in_range):({_NUMBER})-({_NUMBER})|(partial):([a-z][a-z0-9_]{{0,31}}))",
    re.ASCII,
)

COMPARED_TYPES: Final = frozenset({"date", "integer", "money"})
"""Types that ``at_least`` and ``in_range`` can be answered of."""

PARTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "date": frozenset({"year", "month"}),  # month: year and month
        "string": frozenset({"initials", "last4", "first2", "city"}),
    }
)
"""Type → the parts that ``partial`` can show of it."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form taken apart.

    Attributes:
        kind: what kind of answer.
        parameter: what stands after the colon, or None.
        low, high: the bounds of ``at_least`` (low only) and ``in_range``.
    """

    kind: FormKind
    parameter: str | None = None
    low: int | None = None
    high: int | None = None

    def __str__(self) -> str:
        return self.kind if self.parameter is None else f"{self.kind}:{self.parameter}"

    @property
    def admission(self) -> str:
        """How the catalogue lists it: the kind, or ``partial:<part>``."""
        return str(self) if self.kind is FormKind.PARTIAL else self.kind


@lru_cache(maxsize=4096)
def parse_form(text: str) -> Form:
    """Take a form apart.

    Raises:
        UnknownAttributeError: no such form. The text is the caller's, so the message does not repeat it.
    """
    match = _FORM.fullmatch(text) if len(text) <= MAX_FORM_LENGTH else None
    if match is None:
        raise UnknownAttributeError(
            "expected a form such as value, at_least:18, in_range:18-25, equals, exists, partial:year"
        )
    plain, at_least, bound, in_range, low, high, _, part = match.groups()
    if plain:
        return Form(FormKind(plain))
    if at_least:
        return Form(FormKind.AT_LEAST, bound, low=int(bound))
    if in_range:
        if int(low) >= int(high):
            # A range of one number is a question for the value itself.
            raise UnknownAttributeError("a range ends above its beginning")
        return Form(FormKind.IN_RANGE, f"{low}-{high}", low=int(low), high=int(high))
    return Form(FormKind.PARTIAL, part)


def forms_of_type(attribute_type: str) -> frozenset[str]:
    """What the catalogue may admit for an attribute of this type, ``equals`` only if it is also of high entropy."""
    forms = {FormKind.VALUE.value, FormKind.EXISTS.value}
    if attribute_type in COMPARED_TYPES:
        forms |= {FormKind.AT_LEAST.value, FormKind.IN_RANGE.value}
    if attribute_type == "string":
        forms.add(FormKind.EQUALS.value)
    return frozenset(forms | {f"partial:{part}" for part in PARTS.get(attribute_type, ())})
