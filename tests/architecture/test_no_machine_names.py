"""Nothing in the project depends on the machine or the mirror it was written on."""

import re

import pytest

from tests.architecture.tree import ROOT, lines, project_files

# Put together from pieces, so that this file does not hold what it looks for.
HOSTS = [
    ("py" + "pi", "org"),
    ("python" + "hosted", "org"),
    ("npm" + "js", "org"),
    ("npm" + "js", "com"),
    ("deb" + "ian", "org"),
    ("deb" + "ian", "net"),
    ("ubu" + "ntu", "com"),
]
HOST = re.compile("|".join(rf"\b{name}\.{domain}\b" for name, domain in HOSTS), re.IGNORECASE)
# An absolute path: not the tail of a relative path, of an address or of a word.
FOLDER = re.compile(r"(?<![\w./}\])>-])/(?:" + "|".join(["wo" + "rk", "ro" + "ot"]) + r")(?![\w-])")
LOCK_OPTION = re.compile(r"^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b|://|\s@\s")


def test_no_file_names_a_registry_or_a_path_of_one_machine():
    found = [
        f"{place}: {line.strip()[:120]}"
        for path in project_files()
        for place, line in lines(path)
        if HOST.search(line) or FOLDER.search(line)
    ]
    assert not found, "\n".join([*found, "Use a path relative to the project, or leave the address to configuration."])


def test_the_locks_hold_names_versions_and_hashes_only():
    locks = [path for path in project_files() if path.parent == ROOT / "requirements" and path.suffix == ".txt"]
    assert locks
    found = [f"{place}: {line}" for path in locks for place, line in lines(path) if LOCK_OPTION.search(line)]
    assert not found, "\n".join([*found, "Compile the locks with `make lock`, which leaves addresses out."])


@pytest.mark.parametrize("name", ["wo" + "rk", "ro" + "ot"])
def test_an_absolute_path_is_told_from_a_relative_one(name):
    for absolute in (f"/{name}", f'open("/{name}/file")', f"see /{name}/x", f"PATH=/{name}"):
        assert FOLDER.search(absolute), absolute
    for other in (f"net/{name}", f"/{name}ers", f"../{name}", f"{{base}}/{name}", f"/v1/{name}", f"<a>/{name}"):
        assert not FOLDER.search(other), other
