"""A file is a room: small enough to be read in one go."""

from tests.architecture.tree import ROOT, python_files

LIMIT = 400


def test_no_python_file_is_over_the_limit():
    sizes = {path.relative_to(ROOT): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}
    over = [f"{path} ({size} lines)" for path, size in sizes.items() if size > LIMIT]
    assert not over, (
        f"over {LIMIT} lines: {', '.join(over)}. Split the file by what its parts know about "
        "(each part should be nameable without 'and', 'utils' or 'helpers'), not by where the middle is."
    )
