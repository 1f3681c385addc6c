"""The tables of the documents that are written by a program: ``python -m tests.unit.docs.generated`` writes them anew.

They stand between ``<!-- generated: name -->`` and ``<!-- end -->``. ``tests/architecture/test_docs_tables.py`` fails
when one is not what the code says now.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from api.config import PREFIX, REQUIRED, Config, settings
from api.problems import DENIALS, ERRORS, STATUSES, URN, Problem, all_problems
from exchange.policy import DenyReason
from tests.architecture.tree import ROOT

_BLOCK = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def rows(header: tuple[str, ...], *lines: tuple[str, ...]) -> str:
    """A table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, ("---",) * len(header), *lines))


def configuration() -> str:
    """All settings."""
    defaults = {entry.name: entry.default for entry in dataclasses.fields(Config)}

    def default(name: str) -> str:
        value = defaults[name]
        if name in REQUIRED:
            return "**required**"
        if isinstance(value, bool):
            return f"`{str(value).lower()}`"
        return "" if value is None or value == () else f"`{value}`"

    return rows(
        ("setting", "default", "meaning"),
        *((f"`{PREFIX}{name.upper()}`", default(name), setting.help) for name, setting in settings().items()),
    )


def problems() -> str:
    """All types of problems, with what leads to each."""

    def causes(problem: Problem) -> str:
        errors = [error.__name__ for error, row in ERRORS.items() if row.type == problem.type]
        statuses = [f"HTTP {status}" for status, row in STATUSES.items() if row.type == problem.type]
        reasons = [reason.value for reason, row in DENIALS.items() if row.type == problem.type]
        return ", ".join(f"`{one}`" for one in (*errors, *reasons, *statuses)) or "a body that is no such JSON"

    return rows(
        ("type", "status", "title", "explains", "comes of"),
        *(
            (f"`{one.type}`", str(one.status), one.title, "yes" if one.explains else "no", causes(one))
            for one in all_problems()
        ),
    )


def reasons() -> str:
    """Why a request is refused, and what the asker is told."""
    return rows(
        ("reason", "whose fault", "told as"),
        *(
            (
                f"`{one.value}`",
                "the caller's" if one.is_callers_fault else "about the person",
                f"`{DENIALS[one].type}`, {DENIALS[one].status}",
            )
            for one in DenyReason
        ),
    )


GENERATED: Final[Mapping[str, Callable[[], str]]] = {
    "configuration": configuration,
    "problems": problems,
    "reasons": reasons,
}
PAGES: Final = ("docs/configuration.md", "docs/errors.md")
PREFIX_OF_TYPES: Final = URN


def written_anew(text: str) -> str:
    """A page with its generated parts as the code says now."""
    return _BLOCK.sub(lambda block: block[1] + GENERATED[block[2]]() + block[3], text)


def main() -> None:
    """Write all pages anew."""
    for name in PAGES:
        path: Path = ROOT / name
        path.write_text(written_anew(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
