"""The chain of __init__.py below tests/.

With one missing, `tests/unit/crypto` is imported as `crypto` and hides the package it tests.
"""

from tests.architecture.tree import ROOT, python_files


def test_every_folder_of_tests_is_a_package():
    inside = [path.relative_to(ROOT) for path in python_files() if path.is_relative_to(ROOT / "tests")]
    folders = {parent for path in inside for parent in path.parents if parent.parts}
    missing = sorted(str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file())
    assert not missing, f"add an empty __init__.py to: {', '.join(missing)}"
