"""Which attributes, in which form: the set that an agreement asks for and a person narrows. Pure.

A form is another thing than the value: ``("income", "at_least")`` says yes or no, ``("income", "value")`` how much.
Neither covers the other unless it is listed itself, and no rule here derives one from the other.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from consent.errors import ScopeError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopedAttribute:
    """One attribute in one form; ``required``: the purpose cannot be served without it."""

    name: str
    form: str
    required: bool = True

    def __post_init__(self) -> None:
        for text in (self.name, self.form):
            if _NAME.fullmatch(text) is None:
                raise ValueError(f"attribute name or form of {len(text)} characters is not a catalogue name")

    @property
    def key(self) -> tuple[str, str]:
        """``(name, form)``: what two scopes are compared by."""
        return (self.name, self.form)


@dataclass(frozen=True, slots=True)
class AttributeScope:
    """An immutable set of scoped attributes, ordered by name and form. Empty covers nothing."""

    attributes: tuple[ScopedAttribute, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.attributes, key=lambda attribute: attribute.key))
        if any(left.key == right.key for left, right in pairwise(ordered)):
            raise ValueError("an attribute stands twice in the same form")
        object.__setattr__(self, "attributes", ordered)

    @classmethod
    def of(cls, attributes: Iterable[ScopedAttribute]) -> "AttributeScope":
        """The scope of some attributes, in any order."""
        return cls(tuple(attributes))

    def __iter__(self) -> Iterator[ScopedAttribute]:
        return iter(self.attributes)

    def __len__(self) -> int:
        return len(self.attributes)

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """All ``(name, form)``."""
        return frozenset(attribute.key for attribute in self.attributes)

    def covers(self, name: str, form: str) -> bool:
        """Whether exactly this attribute stands here in exactly this form."""
        return any(attribute.key == (name, form) for attribute in self.attributes)

    def is_subset_of(self, other: "AttributeScope") -> bool:
        """Whether each attribute here also stands there, in the same form."""
        return self.keys <= other.keys

    def narrow(self, selection: Iterable[tuple[str, str]]) -> "AttributeScope":
        """What is left when a person selects some of the ``(name, form)`` asked for.

        Raises:
            ScopeError: nothing selected, something selected that was not asked for, or a required one left out.
        """
        chosen = frozenset(selection)
        if not chosen:
            raise ScopeError("nothing was selected")
        if extra := chosen - self.keys:
            raise ScopeError(f"{len(extra)} selected attributes were not asked for in that form")
        if missing := [one for one in self.attributes if one.required and one.key not in chosen]:
            raise ScopeError("left out although required: " + ", ".join(f"{one.name} ({one.form})" for one in missing))
        return AttributeScope.of(attribute for attribute in self.attributes if attribute.key in chosen)
