"""Every module says what it is."""

import ast

from tests.architecture.tree import PACKAGES, ROOT, python_files


def test_every_module_has_a_docstring():
    modules = [path for path in python_files() if path.relative_to(ROOT).parts[0] in PACKAGES]
    assert modules
    silent = [
        str(path.relative_to(ROOT))
        for path in modules
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent, (
        f"no docstring: {', '.join(silent)}. Say at the top what the module is, what it must not do, "
        "and which section of a standard it implements, if it does."
    )
