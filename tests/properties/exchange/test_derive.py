"""Whatever is held: a weaker form never yields the value, and nothing raises."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.derive import answer, whole_years
from exchange.forms import forms_of_type, parse_form
from exchange.model import HeldValue
from tests.unit.exchange.samples import an_attribute

TYPES = ["string", "integer", "date", "boolean", "code", "money"]
TODAY = date(2026, 3, 1)
NUMBERS = st.integers(0, 10**15 - 1)
FORMS = (
    st.sampled_from(["value", "equals", "exists"])
    | st.sampled_from(["year", "month", "initials", "last4", "first2", "city", "other"]).map("partial:{}".format)
    | NUMBERS.map("at_least:{}".format)
    | st.tuples(NUMBERS, NUMBERS)
    .filter(lambda pair: pair[0] < pair[1])
    .map(lambda pair: "in_range:{}-{}".format(*pair))
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.dates().map(str)
    | st.fixed_dictionaries({"code": st.text(max_size=3), "label": st.text(max_size=9)})
    | st.lists(st.text(max_size=3), max_size=3)
    | st.decimals(allow_nan=True, allow_infinity=True).map(str)
)
STATES = st.sampled_from(["present"] * 6 + ["absent", "not_applicable", "empty", "unavailable", "", "PRESENT"])


def ask(form, value, kind, *, state="present", compare_to=None):
    held = HeldValue(name="x", provider="register", state=state, value=value)
    return answer(parse_form(form), held, attribute=an_attribute("x", type=kind), compare_to=compare_to, today=TODAY)


def plain(text):
    return "".join(character for character in str(text).casefold() if character.isalnum())


@given(FORMS, VALUES, st.sampled_from(TYPES), STATES, st.none() | st.text(max_size=30))
def test_odd_data_never_raises(form, value, kind, state, compare_to):
    given_answer = ask(form, value, kind, state=state, compare_to=compare_to)
    assert given_answer.state in {"present", "absent", "not_applicable", "empty", "unavailable"}
    assert (given_answer.unavailable is not None) == (given_answer.state == "unavailable")
    assert (given_answer.value is None) == (given_answer.state != "present")


@pytest.mark.invariant(3)
@given(FORMS.filter(lambda form: form != "value"), VALUES, st.sampled_from(TYPES), st.none() | st.text(max_size=30))
def test_a_weaker_form_never_yields_the_value(form, value, kind, compare_to):
    given_answer = ask(form, value, kind, compare_to=compare_to)
    if given_answer.state != "present":
        return
    if form.startswith("partial:"):
        assert isinstance(given_answer.value, str)
        assert len(plain(given_answer.value)) < len(plain(value))
    else:
        assert isinstance(given_answer.value, bool)


@pytest.mark.invariant(3)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=24), st.sampled_from(["last4", "first2"]))
def test_at_least_as_much_stays_hidden_as_is_shown(text, part):
    shown = ask(f"partial:{part}", text, "string").value
    if shown is not None:
        assert 2 * len(shown) <= sum(character.isalnum() for character in text)


@given(st.dates(max_value=TODAY), st.integers(0, 130))
def test_at_least_agrees_with_counting_birthdays(born, years):
    # The day on which the age is reached, 1 March standing in where a year has no 29 February.
    year = born.year + years
    try:
        reached = born.replace(year=year)
    except ValueError:
        reached = date(year, 3, 1) if year <= 9999 else None
    expected = reached is not None and reached <= TODAY
    assert ask(f"at_least:{years}", born.isoformat(), "date").value is expected
    assert (whole_years(born, TODAY) >= years) is expected


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_in_range_is_at_least_the_low_and_not_more_than_the_high(value, one, other):
    low, high = sorted((one, other))
    if low == high:
        return
    inside = ask(f"in_range:{low}-{high}", value, "integer").value
    not_below = ask(f"at_least:{low}", value, "integer").value
    above = ask(f"at_least:{high + 1}", value, "integer").value
    assert inside == (not_below and not above)


@given(st.sampled_from(TYPES), VALUES)
def test_a_form_that_the_type_does_not_have_yields_nothing(kind, value):
    for form in ["at_least:1", "in_range:1-2", "partial:year", "partial:month", "partial:last4", "partial:city"]:
        if parse_form(form).admission not in forms_of_type(kind):
            assert ask(form, value, kind).state == "unavailable"
