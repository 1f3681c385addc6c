"""A marshmallow schema as one plain function, for input that is right: the same fields, the same validators.

marshmallow builds the schema, copies its fields and prepares to tell what is wrong at each load, which costs more than
a signature. What is prepared here only ever says yes: whatever it does not take is left to the schema itself, which
decides and finds the words (``tests/properties/api/test_prepared_schema.py`` hold both against each other).
"""

import sys
from collections.abc import Callable
from typing import Any, Final

from marshmallow import RAISE, Schema, ValidationError, fields, missing, validate

Reader = Callable[[Any], Any]
Test = Callable[[Any], Any]


class NotTakenError(Exception):
    """The schema itself has to look at this. Says nothing about whether it is right."""


class TrueOrFalse(fields.Boolean):
    """Not 1 and 0, which equal them in Python."""

    def _deserialize(self, value: Any, *_of: Any, **_options: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


_PLAIN: Final[dict[type[fields.Field[Any]], type]] = {fields.String: str, TrueOrFalse: bool}
_REQUIRED: Final = object()


def prepare(schema: Schema) -> Callable[[Any], dict[str, Any]]:
    """The same as :meth:`Schema.load`, or NotTakenError.

    Raises:
        TypeError: the schema has a kind of field, an option or a hook that is not known here.
    """
    if schema.unknown != RAISE or schema.partial or schema.many or any(schema._hooks.values()):  # noqa: SLF001  # not told otherwise
        raise TypeError(f"{type(schema).__name__} takes more than one plain object")
    members = [(name, _reader(one), _default(one)) for name, one in schema.load_fields.items()]
    names = frozenset(schema.load_fields)

    def read(data: Any) -> dict[str, Any]:
        if type(data) is not dict or not names.issuperset(data):
            raise NotTakenError
        found = {}
        for name, take, default in members:
            if name in data:
                found[name] = take(data[name])
            elif default is _REQUIRED:
                raise NotTakenError
            elif default is not missing:
                found[name] = default
        return found

    return read


def _default(one: fields.Field[Any]) -> Any:
    if callable(one.load_default):
        raise TypeError("a default that is made anew each time is not known here")
    return _REQUIRED if one.required else one.load_default


def _reader(one: fields.Field[Any]) -> Reader:
    if one.data_key is not None or one.attribute is not None or one.allow_none or one.load_only or one.dump_only:
        raise TypeError("a field with an option that is not known here")
    tests = [test for validator in one.validators for test in _tests(validator)]
    if type(one) is fields.Nested:
        return _tested(prepare(one.schema), tests)
    if type(one) is fields.List:
        return _tested(_list(_reader(one.inner)), tests)
    if type(one) in _PLAIN:
        return _plain(_PLAIN[type(one)], tests)
    raise TypeError(f"a field of the type {type(one).__name__} is not known here")


def _plain(kind: type, tests: list[Test]) -> Reader:
    def take(value: Any) -> Any:
        if type(value) is not kind:
            raise NotTakenError
        for test in tests:
            if not test(value):
                raise NotTakenError
        return value

    return take


def _list(inner: Reader) -> Reader:
    def take(value: Any) -> list[Any]:
        if type(value) is not list:
            raise NotTakenError
        return [inner(each) for each in value]

    return take


def _tested(reader: Reader, tests: list[Test]) -> Reader:
    def take(value: Any) -> Any:
        taken = reader(value)
        if not all(test(taken) for test in tests):
            raise NotTakenError
        return taken

    return take


def _tests(validator: Callable[[Any], Any]) -> list[Test]:
    """A validator as tests: what is false or raises ValidationError is not taken."""
    if type(validator) is validate.And:
        return [test for each in validator.validators for test in _tests(each)]
    if type(validator) is validate.Regexp:
        return [validator.regex.match]
    if type(validator) is validate.Length and validator.equal is None:
        low, high = validator.min or 0, sys.maxsize if validator.max is None else validator.max
        return [lambda value: low <= len(value) <= high]

    def test(value: Any) -> bool:
        try:
            validator(value)
        except ValidationError:
            return False
        return True

    return [test]
