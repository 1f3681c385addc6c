"""What each form answers, and that none of them answers more."""

from datetime import date

import pytest

from exchange.derive import Answer, answer, whole_years
from exchange.errors import UnknownAttributeError
from exchange.forms import Form, FormKind, forms_of_type, parse_form
from exchange.model import HeldValue
from tests.unit.exchange.samples import an_attribute

TODAY = date(2026, 3, 1)
CANNOT = Answer("unavailable", None, "cannot_derive")


def ask(form, value, attribute_type="string", *, state="present", compare_to=None, today=TODAY):
    held = HeldValue(name="x", provider="register", state=state, value=value)
    attribute = an_attribute("x", type=attribute_type)
    return answer(parse_form(form), held, attribute=attribute, compare_to=compare_to, today=today)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("value", Form(FormKind.VALUE)),
        ("equals", Form(FormKind.EQUALS)),
        ("exists", Form(FormKind.EXISTS)),
        ("at_least:0", Form(FormKind.AT_LEAST, "0", low=0)),
        ("at_least:30000", Form(FormKind.AT_LEAST, "30000", low=30000)),
        ("in_range:18-25", Form(FormKind.IN_RANGE, "18-25", low=18, high=25)),
        ("partial:last4", Form(FormKind.PARTIAL, "last4")),
    ],
)
def test_a_form_is_parsed_and_written_back(text, form):
    assert parse_form(text) == form
    assert str(form) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Value",
        "value ",
        "value:1",
        "exists:1",
        "equals:x",
        "at_least",
        "at_least:",
        "at_least:-1",
        "at_least:01",
        "at_least:1.5",
        "at_least:1 ",
        "at_least:\u0661",
        "at_least:1000000000000000",
        "in_range:5",
        "in_range:5-5",
        "in_range:6-5",
        "in_range:-1-5",
        "partial",
        "partial:",
        "partial:Last4",
        "partial:last 4",
        "value\n",
        "x" * 65,
    ],
)
def test_what_is_no_form_is_refused(text):
    with pytest.raises(UnknownAttributeError):
        parse_form(text)


def test_a_refused_form_is_not_repeated():
    with pytest.raises(UnknownAttributeError) as caught:
        parse_form("at_least:Møller")
    assert "Møller" not in str(caught.value)


def test_the_value_is_given_as_it_is_held():
    assert ask("value", "Åse Møller") == Answer("present", "Åse Møller")
    assert ask("value", {"code": "XV", "label": "Valdoria"}, "code").value == {"code": "XV", "label": "Valdoria"}
    assert ask("value", False, "boolean") == Answer("present", False)


@pytest.mark.parametrize("state", ["absent", "not_applicable", "empty"])
@pytest.mark.parametrize("form", ["value", "equals", "at_least:1", "partial:year"])
def test_nothing_held_stays_what_it_is(state, form):
    assert ask(form, None, state=state) == Answer(state)


@pytest.mark.parametrize("state", ["absent", "not_applicable", "empty"])
def test_exists_does_not_tell_why_there_is_nothing(state):
    assert ask("exists", None, state=state) == Answer("present", False)


def test_a_silent_source_is_not_an_absent_value():
    assert ask("exists", None, state="unavailable") == Answer("unavailable", None, "source_unavailable")


@pytest.mark.parametrize(
    ("born", "today", "years"),
    [
        (date(2008, 3, 1), date(2026, 3, 1), 18),
        (date(2008, 3, 2), date(2026, 3, 1), 17),
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(2008, 2, 29), date(2028, 2, 28), 19),
        (date(2008, 2, 29), date(2028, 2, 29), 20),
        (date(2026, 3, 1), date(2026, 3, 1), 0),
        (date(1999, 12, 31), date(2026, 1, 1), 26),
    ],
)
def test_an_age_is_counted_in_whole_years(born, today, years):
    assert whole_years(born, today) == years
    assert ask(f"at_least:{years}", born.isoformat(), "date", today=today).value is True
    assert ask(f"at_least:{years + 1}", born.isoformat(), "date", today=today).value is False


@pytest.mark.parametrize(
    ("form", "value", "kind", "yes"),
    [
        ("at_least:3", 3, "integer", True),
        ("at_least:3", 2, "integer", False),
        ("at_least:30000", "30000.00", "money", True),
        ("at_least:30000", "29999.99", "money", False),
        ("at_least:30000", 30000, "money", True),
        ("at_least:0", "-0.01", "money", False),
        ("in_range:18-25", 18, "integer", True),
        ("in_range:18-25", 25, "integer", True),
        ("in_range:18-25", 26, "integer", False),
        ("in_range:18-25", 17, "integer", False),
        ("in_range:0-30000", "30000.01", "money", False),
        ("in_range:18-25", "2008-03-01", "date", True),
        ("in_range:18-25", "2000-02-28", "date", False),
    ],
)
def test_comparisons_say_only_yes_or_no(form, value, kind, yes):
    assert ask(form, value, kind) == Answer("present", yes)


@pytest.mark.parametrize(
    ("form", "value", "kind"),
    [
        ("at_least:18", "2026-03-02", "date"),  # not born yet
        ("at_least:18", "2008-02-30", "date"),
        ("at_least:18", "20080201", "date"),
        ("at_least:18", "2008-W10-1", "date"),
        ("at_least:18", 2008, "date"),
        ("at_least:1", True, "integer"),
        ("at_least:1", 1.5, "integer"),
        ("at_least:1", "1", "integer"),
        ("at_least:1", "1,5", "money"),
        ("at_least:1", "1e9", "money"),
        ("at_least:1", "NaN", "money"),
        ("at_least:1", True, "money"),
        ("at_least:1", "12", "string"),
        ("value", None, "string"),
        ("value", ["a"], "string"),
        ("value", {"code": "a"}, "code"),
        ("value", {"code": "a", "label": 1}, "code"),
        ("value", {"code": "a", "label": "b", "more": "c"}, "code"),
        ("value", "XV", "code"),
        ("value", 1, "boolean"),
        ("value", "x", "no such type"),
        ("partial:year", "x", "string"),
        ("partial:last4", "2008-02-01", "date"),
        ("partial:nothing", "text", "string"),
        ("equals", 7, "integer"),
        ("exists", "not a date", "date"),
    ],
)
def test_odd_data_is_unavailable_and_raises_nothing(form, value, kind):
    assert ask(form, value, kind, compare_to="x") == CANNOT


def test_an_unknown_state_is_unavailable():
    assert ask("value", "x", state="mislaid") == CANNOT


@pytest.mark.parametrize(
    ("value", "compare_to", "yes"),
    [
        ("X123 4567", "x1234567", True),
        ("X1234567", "X-123-4567", True),
        ("X1234567", "X1234568", False),
        ("X1234567", "X123456", False),
        ("STRASSE 1", "Straße 1", True),
    ],
)
def test_equals_compares_normalised_texts(value, compare_to, yes):
    assert ask("equals", value, compare_to=compare_to) == Answer("present", yes)


@pytest.mark.parametrize(
    ("value", "compare_to"),
    [("X1234567", ""), ("X1234567", "-"), ("X1", None), ("", "X1"), ("- -", "- -"), ("a\ud800", "b"), ("a", "\ud800")],
)
def test_equals_with_nothing_to_compare_is_unavailable(value, compare_to):
    assert ask("equals", value, compare_to=compare_to) == CANNOT


@pytest.mark.parametrize(
    ("form", "value", "kind", "shown"),
    [
        ("partial:year", "2008-02-29", "date", "2008"),
        ("partial:month", "2008-02-29", "date", "2008-02"),
        ("partial:last4", "DE89 3704 0044", "string", "0044"),
        ("partial:last4", "12345678", "string", "5678"),
        ("partial:first2", "4021", "string", "40"),
        ("partial:initials", "Maria del Carmen Ruiz", "string", "M. D. C. R."),
        ("partial:initials", "Jean-Luc O'Neill", "string", "J. L. O. N."),
        ("partial:initials", "Ana B. Cruz", "string", "A. B. C."),
        ("partial:city", "12 Elm Street, 4021 Riverton", "string", "Riverton"),
        ("partial:city", "Flat 2, 12 Elm Street, 4021 Old Hillford", "string", "Old Hillford"),
    ],
)
def test_a_part_is_shown(form, value, kind, shown):
    assert ask(form, value, kind) == Answer("present", shown)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("partial:last4", "1234"),
        ("partial:last4", "1-2-3-4"),
        ("partial:last4", "1234567"),  # more would be shown than hidden
        ("partial:first2", "40"),
        ("partial:first2", "402"),
        ("partial:first2", ""),
        ("partial:initials", "Q"),
        ("partial:initials", "A B"),
        ("partial:initials", "Li Q"),
        ("partial:initials", "7 8"),
        ("partial:initials", ""),
        ("partial:city", "Riverton"),
        ("partial:city", ", Riverton"),
        ("partial:city", "12 Elm Street, 4021"),
        ("partial:city", "12 Elm Street,"),
    ],
)
def test_a_part_of_too_little_is_not_shown(form, value):
    assert ask(form, value) == CANNOT


def test_a_type_has_the_forms_that_can_be_answered_of_it():
    assert forms_of_type("boolean") == {"value", "exists"}
    assert forms_of_type("code") == {"value", "exists"}
    assert forms_of_type("integer") == forms_of_type("money") == {"value", "exists", "at_least", "in_range"}
    assert "equals" in forms_of_type("string")
    assert "partial:last4" not in forms_of_type("date")


def test_equals_is_admitted_only_with_high_entropy():
    forms = frozenset({"value", "equals", "partial:last4"})
    assert not an_attribute(type="string", forms=forms).admits(parse_form("equals"))
    secret = an_attribute(type="string", forms=forms, high_entropy=True)
    assert secret.admits(parse_form("equals"))
    assert secret.admits(parse_form("partial:last4"))
    assert not secret.admits(parse_form("partial:first2"))
    assert not secret.admits(parse_form("at_least:1"))


def test_what_is_held_and_answered_stays_out_of_representations():
    given = ask("value", "Åse Møller")
    assert "Møller" not in repr(given)
