"""Each invariant of the architecture has a test that says so: ``@pytest.mark.invariant(n)``, read without importing."""

import ast
from collections import defaultdict

from tests.architecture.tree import ROOT, python_files

INVARIANTS = range(1, 14)


def numbers_in(path):
    """Of each test: the invariants that it, its class or its module is marked with, as (number, where)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT)
    of_module = [
        number
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(one, ast.Name) and one.id == "pytestmark" for one in node.targets)
        for number in marks(node.value)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            for number in [*of_module, *(number for one in node.decorator_list for number in marks(one))]:
                yield number, f"{place}::{node.name}"


def marks(node):
    """Numbers of ``pytest.mark.invariant(…)`` anywhere in an expression."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.invariant":
            for argument in call.args:
                assert isinstance(argument, ast.Constant), "write the number of the invariant itself"
                yield argument.value


def marked():
    found = defaultdict(list)
    for path in python_files():
        if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_"):
            for number, where in numbers_in(path):
                found[number].append(where)
    return found


def test_every_invariant_has_a_test():
    found = marked()
    assert not [number for number in INVARIANTS if not found[number]], "an invariant that no test tries to break"


def test_no_test_names_an_invariant_that_there_is_not():
    assert not {number: where for number, where in marked().items() if number not in INVARIANTS}


def test_the_invariants_are_those_of_the_architecture():
    """Where docs/architecture.md numbers them, the numbers are these."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert all(f"\n| {number} | " in text for number in INVARIANTS)


def test_marks_are_read_from_functions_and_modules(tmp_path, monkeypatch):
    """The reading itself can fail: an unmarked test is not taken for a marked one."""
    path = tmp_path / "test_some.py"
    path.write_text("import pytest\n\ndef test_a(): pass\n\n@pytest.mark.invariant(3)\ndef test_b(): pass\n")
    monkeypatch.setattr("tests.architecture.test_invariants_marked.ROOT", tmp_path)
    assert list(numbers_in(path)) == [(3, "test_some.py::test_b")]
    path.write_text("import pytest\npytestmark = [pytest.mark.invariant(7)]\n\ndef test_a(): pass\n")
    assert list(numbers_in(path)) == [(7, "test_some.py::test_a")]
