"""Tables in the documents say what the code says: settings, errors, events, columns, invariants, commands."""

import json
import re

import pytest
from sqlalchemy import Table, UniqueConstraint

from api.app import openapi_document
from consent.tables import metadata as consent_metadata
from exchange.audit.tables import metadata as audit_metadata
from exchange.audit.verify_db import SEALED_TABLES
from exchange.consent_entries import AUDITED_AS
from exchange.events import EventType, Outcome
from exchange.tables import metadata as exchange_metadata
from tests.architecture.tree import ROOT, python_files
from tests.unit.docs.documents import flowing, names, read, sections, table
from tests.unit.docs.generated import PAGES, written_anew

METADATA = (consent_metadata, exchange_metadata, audit_metadata)
TABLES: dict[str, Table] = {one.name: one for metadata in METADATA for one in metadata.sorted_tables}
_MARK = re.compile(r"invariant\((\d+)\)")
_TEST = re.compile(r"def (test_\w+)")


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_table_is_what_the_code_says(name):
    text = read(name)
    assert "<!-- generated: " in text
    assert written_anew(text) == text, f"{name} is stale: run `python -m tests.unit.docs.generated`"


def test_the_description_of_the_api_is_the_one_that_is_served():
    kept = json.loads(read("docs/api/openapi.json"))
    assert kept == openapi_document("https://exchange.example"), "docs/api/openapi.json is stale: run `make docs`"


# Events


def events():
    return {names(row["type"])[0]: row for row in table(read("docs/audit-events.md"), "type", "written when")}


def test_every_type_of_event_is_described_and_no_other():
    assert list(events()) == [kind.value for kind in EventType], (
        "docs/audit-events.md lists the types of exchange/events.py, in that order"
    )
    outcomes = {row["outcome"] for row in events().values()} - {""}
    assert outcomes <= {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("kind", EventType)
def test_an_event_is_written_by_the_file_that_the_page_names(kind):
    cell = events()[kind.value]["file"]
    places = re.findall(r"\(\.\./([^)]+)\)", cell)
    code = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in python_files()}
    word = f"EventType.{kind.name}"
    if kind in AUDITED_AS.values():
        assert places == ["exchange/consent_entries.py"]
        return
    for place in places:
        assert re.search(rf"{re.escape(word)}\b", code[place]), f"{place} does not write {kind.value}"
    if not places:
        own = ("api/", "consent/", "exchange/")
        found = [name for name, text in code.items() if name.startswith(own) and re.search(rf"{word}\b", text)]
        assert found == [], f"{kind.value} is written now: say so in docs/audit-events.md"


# Columns


def inventory():
    return {
        name: table(text, "column", "content", "personal", "protected")
        for name, text in sections(read("docs/data-inventory.md"), 3).items()
    }


def test_every_table_and_column_is_in_the_inventory():
    said = {name: [names(row["column"])[0] for row in rows] for name, rows in inventory().items()}
    assert said == {name: list(one.c.keys()) for name, one in TABLES.items()}, (
        "docs/data-inventory.md has a table for each table, with its columns in their order"
    )


def key_of(one, column):
    if column.primary_key:
        return "key"
    if any(isinstance(rule, UniqueConstraint) and column.name in rule.columns for rule in one.constraints):
        return "unique"
    return "index" if any(column.name in index.columns for index in one.indexes) else ""


def test_what_is_indexed_is_as_the_inventory_says():
    for name, rows in inventory().items():
        for row in rows:
            column = TABLES[name].c[names(row["column"])[0]]
            assert row["indexed"] == key_of(TABLES[name], column), f"{name}.{column.name}"


def test_what_is_sealed_is_as_the_inventory_says():
    rows = [(name, names(row["column"])[0], row) for name, table_rows in inventory().items() for row in table_rows]
    sealed = {(name, column) for name, column, row in rows if row["protected"] == "sealed"}
    assert {name for name, _ in sealed} == {*SEALED_TABLES, "audit_opening"}
    assert sealed == {
        ("attribute_value", "ct"),
        ("subject_identifier", "ct"),
        ("attribute_request", "details"),
        ("audit_opening", "ct"),
        ("authorization_request", "ct"),
    }
    wrapped = {(name, column) for name, column, row in rows if row["protected"] == "wrapped"}
    assert wrapped == {("kek", "wrapped"), ("subject_key", "wrapped")}
    for name, column, row in rows:
        if row["personal"] == "yes" and column != "status":
            assert row["protected"] == "sealed", f"{name}.{column} is personal and in clear"


# Invariants


def marked_tests():
    """Invariant → names of the tests that carry its marker."""
    found: dict[int, set[str]] = {}
    for path in python_files():
        numbers: list[int] = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("@pytest.mark.invariant("):
                numbers += [int(number) for number in _MARK.findall(line)]
            elif (test := _TEST.match(line)) and numbers:
                for number in numbers:
                    found.setdefault(number, set()).add(f"{path.relative_to(ROOT).as_posix()}::{test[1]}")
                numbers = []
    return found


def test_each_invariant_names_tests_that_attack_it():
    marked = marked_tests()
    rows = table(read("docs/architecture.md"), "no.", "invariant", "attacked by")
    assert [row["no."] for row in rows] == [str(number) for number in range(1, 14)]
    for row in rows:
        number = int(row["no."])
        said = set(names(row["attacked by"]))
        if not said:
            assert "no test yet" in row["attacked by"]
            assert number not in marked, f"invariant {number} has tests now: name one in docs/architecture.md"
        for name in said:
            assert any(test.endswith(name) for test in marked.get(number, ())), (
                f"docs/architecture.md names {name}, which is no test marked invariant({number})"
            )


# Commands

_COMMAND = re.compile(r"`cdx\s([a-z][a-z -]*[a-z])")


def test_every_command_that_a_document_names_exists():
    import click

    from api.cli import cdx
    from tests.unit.docs.documents import documents

    for path in documents():
        for words in _COMMAND.findall(flowing(path.read_text(encoding="utf-8"))):
            group: click.Command = cdx
            for word in words.split(" "):
                if not isinstance(group, click.Group) or word.startswith("-"):
                    break
                found = group.get_command(click.Context(group), word)
                assert found is not None, f"{path.relative_to(ROOT)} names `cdx {words}`: there is no {word}"
                group = found


def test_every_command_is_in_the_operators_page():
    import click

    from api.cli import cdx

    page = flowing(read("docs/operations.md"))

    def leaves(group, path):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from leaves(command, f"{path} {name}")
            elif not command.hidden:
                yield f"{path} {name}"

    missing = [path for path in leaves(cdx, "cdx") if f"`{path}" not in page]
    assert not missing, f"docs/operations.md does not tell of: {', '.join(missing)}"


def test_every_make_target_is_named_with_what_it_does():
    targets = re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    page = flowing(read("CONTRIBUTING.md"))
    missing = [target for target in targets if f"`make {target}`" not in page]
    assert not missing, f"CONTRIBUTING.md does not name: {', '.join(missing)}"
