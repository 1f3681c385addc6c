"""The project's documents as text, tables and examples, for the tests that hold them against the code."""

import re
from pathlib import Path

from tests.architecture.tree import ROOT, project_files

DOCS = ROOT / "docs"
_EXAMPLE = re.compile(r"<!-- example: (\S+) -->\n```(\w+)\n(.*?)\n```", re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


def documents() -> list[Path]:
    """Every document that is written for people, generated or not."""
    return [path for path in project_files() if path.suffix == ".md" and "tests" not in path.relative_to(ROOT).parts]


def read(name: str) -> str:
    """A document by its path from the project's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def flowing(text: str) -> str:
    """A text with its lines joined, as a reader sees it."""
    return " ".join(text.split())


def examples(text: str) -> dict[str, str]:
    """Name → content of the worked examples; line breaks count only in blocks marked ``text``."""
    found: dict[str, str] = {}
    for name, kind, content in _EXAMPLE.findall(text):
        assert name not in found, f"the example {name} stands twice"
        found[name] = f"{content}\n" if kind == "text" else content.replace("\n", "")
    return found


def table(text: str, *columns: str) -> list[dict[str, str]]:
    """The rows of the one table that begins with these columns, as column → cell."""
    rows = tables(text, *columns)
    assert len(rows) == 1, f"{len(rows)} tables begin with {columns}"
    return rows[0]


def tables(text: str, *columns: str) -> list[list[dict[str, str]]]:
    """All tables that begin with these columns."""
    found: list[list[dict[str, str]]] = []
    header: list[str] | None = None
    for line in text.splitlines():
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = cells
            wanted = tuple(cells[: len(columns)]) == columns
            if wanted:
                found.append([])
        elif wanted and set(line) - set("|-: "):
            assert len(cells) == len(header), f"a row with {len(cells)} cells, must be {len(header)}: {line}"
            found[-1].append(dict(zip(header, cells, strict=True)))
    return found


def names(cell: str) -> list[str]:
    """What stands in a cell between backticks."""
    return _CODE.findall(cell)


def sections(text: str, level: int) -> dict[str, str]:
    """Heading → text below it, of headings of one level."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
