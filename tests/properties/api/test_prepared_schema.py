"""A prepared schema against the schema itself: it takes all that is right, and makes of it what ``load`` makes."""

from copy import deepcopy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validate

from api.prepared_schema import NotTakenError, prepare
from api.v1.attribute_requests import AskSchema

GOOD = {
    "subject": {"scheme": "national-id", "id": "VAL-100001-7"},
    "agreement": "housing-benefit",
    "purpose": "housing_benefit",
    "attributes": [
        {"name": "full_name"},
        {"name": "birth_date", "form": "at_least:18", "required": False},
        {"name": "bank_account", "form": "equals", "compare_to": "XX00"},
    ],
    "acting_officer": {"id": "officer-17", "role": "case worker"},
    "case_reference": "HB-2026-0042",
    "message": "for the move",
}
PATHS = [
    (),
    ("subject",),
    ("subject", "scheme"),
    ("subject", "id"),
    ("agreement",),
    ("attributes",),
    ("attributes", 0),
    ("attributes", 1, "name"),
    ("attributes", 1, "form"),
    ("attributes", 1, "required"),
    ("attributes", 2, "compare_to"),
    ("acting_officer", "role"),
    ("case_reference",),
    ("message",),
    ("unknown",),
    ("subject", "unknown"),
]
NAMES = ["scheme", "id", "name", "form", "required", "role", "x"]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 2)
    | st.sampled_from(["", " ", "a", "a\n", "A" * 64, "A" * 65, "é", "\u200b", "\x7f", "true", "x" * 256, "x" * 257])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
GONE = object()
read = prepare(AskSchema())


def changed(path, value):
    data = deepcopy(GOOD)
    if not path:
        return value
    place = data
    for step in path[:-1]:
        place = place[step]
    if value is not GONE:
        place[path[-1]] = value
    elif isinstance(place, list) or path[-1] in place:
        del place[path[-1]]
    return data


@given(st.sampled_from(PATHS), VALUES | st.just(GONE))
@example((), GOOD)
@example(("attributes",), [{"name": "a"}] * 64)
@example(("attributes",), [{"name": "a"}] * 65)
@example(("attributes",), [])
def test_what_it_takes_is_what_the_schema_makes_of_it(path, value):
    data = changed(path, None if not path and value is GONE else value)
    try:
        loaded = AskSchema().load(deepcopy(data))
    except ValidationError:
        with pytest.raises(NotTakenError):
            read(data)
    else:
        # Nothing right is left to the slow way either, or nobody would notice that it always is.
        assert read(data) == loaded
        assert [*read(data)] == [*loaded]


class Hooked(Schema):
    name = fields.String()

    @post_load
    def more(self, data, **_):
        return data


class Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


@pytest.mark.parametrize(
    "field",
    [
        fields.Integer(),
        fields.Boolean(),
        fields.Email(),
        fields.String(allow_none=True),
        fields.String(data_key="other"),
        fields.String(attribute="other"),
        fields.String(load_default=str),
        fields.List(fields.Integer()),
        fields.Nested(Hooked),
        fields.Nested(Lenient),
        fields.Nested(Hooked, many=True),
    ],
)
def test_what_it_does_not_know_is_refused_when_it_is_prepared(field):
    with pytest.raises(TypeError):
        prepare(Schema.from_dict({"member": field})())


def test_any_validator_will_do():
    schema = Schema.from_dict(
        {"member": fields.List(fields.String(validate=validate.OneOf(["a", "b"])), validate=validate.Length(equal=2))}
    )()
    taking = prepare(schema)
    assert taking({"member": ["a", "b"]}) == {"member": ["a", "b"]}
    for wrong in (["a"], ["a", "c"], ["a", "b", "a"]):
        with pytest.raises(NotTakenError):
            taking({"member": wrong})
