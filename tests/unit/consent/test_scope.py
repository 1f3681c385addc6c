"""A form is another thing than the value, and a selection only narrows."""

import pytest

from consent.errors import ScopeError
from consent.scope import AttributeScope, ScopedAttribute
from tests.unit.consent.examples import REQUIRED, SCOPE


@pytest.mark.invariant(3)
def test_a_form_does_not_cover_another():
    yes_or_no = AttributeScope.of([ScopedAttribute(name="income", form="at_least")])
    amount = AttributeScope.of([ScopedAttribute(name="income", form="value")])
    assert yes_or_no.covers("income", "at_least")
    assert not yes_or_no.covers("income", "value")
    assert not amount.covers("income", "at_least")
    assert not amount.is_subset_of(yes_or_no)
    assert not yes_or_no.is_subset_of(amount)


def test_an_empty_scope_covers_nothing():
    empty = AttributeScope.of([])
    assert not empty.covers("income", "value")
    assert empty.is_subset_of(SCOPE)
    assert not SCOPE.is_subset_of(empty)


def test_narrowing_keeps_what_was_chosen_and_its_flags():
    narrowed = SCOPE.narrow([("residence", "value"), ("income", "at_least")])
    assert [(one.key, one.required) for one in narrowed] == [
        (("income", "at_least"), True),
        (("residence", "value"), False),
    ]
    assert len(SCOPE) == 3
    assert narrowed.is_subset_of(SCOPE)


@pytest.mark.parametrize(
    ("fault", "selection"),
    [
        ("nothing", []),
        ("another attribute", [*REQUIRED, ("birth_date", "value")]),
        ("a stronger form", [*REQUIRED, ("residence", "equals")]),
        ("required left out", [("residence", "value")]),
        ("required in another form only", [("income", "value")]),
    ],
)
def test_selections_that_are_refused(fault, selection):
    with pytest.raises(ScopeError):
        SCOPE.narrow(selection)


def test_order_does_not_matter_and_nothing_stands_twice():
    attributes = list(SCOPE)
    assert AttributeScope.of(reversed(attributes)) == SCOPE
    assert hash(AttributeScope.of(reversed(attributes))) == hash(SCOPE)
    with pytest.raises(ValueError, match="twice"):
        AttributeScope.of([*attributes, ScopedAttribute(name="income", form="value", required=True)])


@pytest.mark.parametrize("name", ["", "1st", "a b", "a\n", "ä", "x" * 65, "a/b", "a'"])
def test_names_and_forms_are_catalogue_names(name):
    with pytest.raises(ValueError):
        ScopedAttribute(name=name, form="value")
    with pytest.raises(ValueError):
        ScopedAttribute(name="income", form=name)


def test_errors_tell_names_of_attributes_but_not_what_was_smuggled_in():
    with pytest.raises(ScopeError) as refusal:
        SCOPE.narrow([*REQUIRED, ("1970-01-01", "value")])
    assert "1970" not in str(refusal.value)
