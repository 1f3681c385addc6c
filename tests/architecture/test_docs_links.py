"""Links between documents lead somewhere, and files that they name exist."""

import re
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.unit.docs.documents import documents

_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(
    r"`((?:api|consent|crypto|demo|docs|exchange|migrations|requirements|tests)/[\w./-]+\.\w+)(?:::\w+)?`"
)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_WANTED = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "docs/architecture.md",
    "docs/threat-model.md",
    "docs/formats.md",
    "docs/data-inventory.md",
    "docs/audit-events.md",
    "docs/glossary.md",
    "docs/configuration.md",
    "docs/operations.md",
    "docs/errors.md",
    "docs/divergences.md",
    "docs/provider-protocol.md",
    "docs/adr/README.md",
)
DOCUMENTS = [path.relative_to(ROOT).as_posix() for path in documents()]


def anchors(path: Path) -> set[str]:
    """The anchors of a page as GitHub makes them of its headings."""
    found = set()
    for heading in _HEADING.findall(_FENCE.sub("", path.read_text(encoding="utf-8"))):
        plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-"))
    return found


def test_every_document_is_there():
    missing = [name for name in _WANTED if not (ROOT / name).is_file()]
    assert not missing


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_resolve(name):
    page = ROOT / name
    broken = []
    for groups in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        target = next(filter(None, groups))
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT):
            broken.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(file):
            broken.append(f"{target}: no such heading; there are {', '.join(sorted(anchors(file)))}")
    assert not broken, "\n".join([name, *broken])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_are_named_exist(name):
    named = set(_FILE.findall((ROOT / name).read_text(encoding="utf-8")))
    missing = sorted(file for file in named if not (ROOT / file).exists())
    assert not missing, f"{name} names {', '.join(missing)}"


def test_every_decision_record_is_in_the_index():
    index = (ROOT / "docs/adr/README.md").read_text(encoding="utf-8")
    records = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert records
    numbers = [name[:4] for name in records]
    assert len(set(numbers)) == len(numbers), "two records with one number"
    missing = [name for name in records if f"]({name})" not in index]
    assert not missing, f"docs/adr/README.md does not list {', '.join(missing)}"


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name.startswith("docs/adr/0")])
def test_a_decision_record_has_its_parts(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for part in ("Status:", "## Context", "## Considered", "## Decision", "## Consequences"):
        assert part in text, f"{name} has no {part}"


def test_both_pictures_of_the_layers_differ_in_colours_only():
    light, dark = ((ROOT / "docs/images" / name).read_text("utf-8") for name in ("layers.svg", "layers-dark.svg"))
    colour = re.compile(r"#[0-9a-f]{6}")
    assert colour.sub("", light) == colour.sub("", dark)
    assert light != dark
    for layer in ("api", "exchange", "consent", "crypto"):
        assert f">{layer}</text>" in light
