"""A check is switched off for one line, by its code, with the reason beside it."""

import re
import tokenize

import pytest

from tests.architecture.tree import ROOT, python_files

SILENCER = re.compile(r"type:\s*ignore|noqa|pragma:\s*no\s*cover|(?:mypy|pyright|ruff):", re.IGNORECASE)
# What a silencer looks like when it names its codes. Whatever else stands in the comment is the reason.
CODED = re.compile(
    r"type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\]|(?<!ruff: )noqa: [A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*|pragma: no cover"
)
REASON = re.compile(r"\w+\W+\w+")


def complaint(comment):
    """Says what is wrong with a comment, or nothing."""
    if not SILENCER.search(comment):
        return None
    rest = CODED.sub("", comment)
    if SILENCER.search(rest):
        return "names no code, or silences a whole file"
    return None if REASON.search(rest) else "gives no reason"


def test_every_silenced_check_names_its_code_and_its_reason():
    found = []
    for path in python_files():
        with path.open("rb") as file:
            comments = [token for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
        for token in comments:
            wrong = complaint(token.string)
            if wrong:
                found.append(f"{path.relative_to(ROOT)}:{token.start[0]} {wrong}: {token.string}")
    assert not found, "\n".join([*found, "Write it like this: # noqa: S608  # the table's name is a constant"])


@pytest.mark.parametrize(
    "comment",
    [
        "# an ordinary comment",
        "# noqa: S608  # the table's name is a constant",
        "# type: ignore[no-any-return]  # the library has no types here",
        "# type: ignore[misc, arg-type]  # noqa: ANN001  # the framework calls it",
    ],
)
def test_a_reasoned_comment_passes(comment):
    assert complaint(comment) is None


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa  # because it is right",
        "# noqa: S608",
        "#noqa:S608 # too tight to be read as a code",
        "# type: ignore",
        "# type: ignore  # because it is right",
        "# type: ignore[misc]",
        "# type: ignore[misc]  # noqa: ANN001",
        "# ruff: noqa: E501  # a whole file is too much",
        "# mypy: ignore-errors",
        "# pragma: no cover",
    ],
)
def test_a_bare_or_unexplained_silencer_is_found(comment):
    assert complaint(comment)
