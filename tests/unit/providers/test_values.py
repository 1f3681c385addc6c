"""What may be said about an attribute of each type."""

import pytest

from exchange.model import HeldValue
from exchange.providers.values import MAX_TEXT, fault_in

GOOD = {
    "string": ["x", "Zo\u00eb", "two\nlines\tand a tab", "x" * MAX_TEXT, "\U0001f600", "\u00a0x"],
    "integer": [0, -5, 2**53 - 1],
    "date": ["2024-02-29", "0001-01-01"],
    "boolean": [True, False],
    "code": [{"code": "F", "label": "female"}],
    "money": [0, -3, "12", "12.5", "-12.50", "999999999999999.99"],
}
BAD = {
    "string": ["", "x" * (MAX_TEXT + 1), "a\x00b", "a\x1bb", "\ud800", 7, b"x", ["x"], "a\x7f"],
    "integer": [True, "1", 1.0, 2**53, None],
    "date": ["2023-02-29", "2024-2-9", "2024-02-29T00:00", "\u0662024-01-01", 20240229],
    "boolean": [1, "true", 0],
    "code": [
        "F",
        {"code": "F"},
        {"code": "F", "label": ""},
        {"code": 1, "label": "x"},
        {"code": "a", "label": "b", "c": "d"},
    ],
    "money": [True, 1.5, "12.345", "1e3", ".5", "12.", " 1", "\u0661", 2**53],
}


def held(value: object, state: str = "present", **more: object) -> HeldValue:
    return HeldValue(name="thing", provider="p", state=state, value=value, **more)


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in GOOD for value in GOOD[kind]])
def test_a_good_value_has_no_fault(kind, value):
    assert fault_in(held(value), kind) is None


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind in BAD for value in BAD[kind]])
def test_a_bad_value_is_told_by_attribute_and_rule(kind, value):
    fault = fault_in(held(value), kind)
    assert fault is not None
    assert fault.startswith("thing: not ")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (held(None), "not text"),
        (held("x", state="absent"), "only a present value"),
        (held(None, state="there"), "the state is none"),
        (held("x", last_updated="yesterday"), "last_updated"),
        (held("x", valid_until="2024-13-01"), "valid_until"),
        (held("x", assurance="total"), "assurance"),
        (held("x", source_class="gossip"), "source class"),
    ],
)
def test_everything_beside_the_value_is_checked_too(value, said):
    assert said in (fault_in(value, "string") or "")


@pytest.mark.parametrize("state", ["absent", "not_applicable", "unavailable", "empty"])
def test_what_is_not_present_has_no_value(state):
    assert fault_in(held(None, state=state), "date") is None
