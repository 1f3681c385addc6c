"""Lines of a file: split, read, refused. What a file's values become in the vault is tested with databases."""

import io
import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.catalogue_model import Attribute, Catalogue
from exchange.model import AgencyCode
from exchange.providers.files import MAX_LINE, CSVReader, ImportFileError, JSONLinesReader, LineError, lines_of

TYPES = {"name": "string", "age": "integer", "born": "date", "alive": "boolean", "sex": "code", "debt": "money"}


def catalogue() -> Catalogue:
    made = {
        name: Attribute(
            name=name,
            label=name,
            description=name,
            type=kind,
            classification="basic",
            provider=AgencyCode("p"),
            forms=frozenset({"value"}),
        )
        for name, kind in TYPES.items()
    }
    return Catalogue(
        version=1,
        digest="",
        attributes=MappingProxyType(made),
        purposes=MappingProxyType({}),
        classifications=MappingProxyType({}),
    )


def csv(header: str, line: str) -> dict[str, tuple[str, object]]:
    record = CSVReader(header.encode(), catalogue(), "p").read(line.encode())
    return {one.name: (one.state, one.value) for one in record.values}


def test_lines_are_numbered_from_one_and_end_where_they_end():
    file = io.BytesIO(b"\xef\xbb\xbfa\r\n\n  \nb\nc")
    assert [(one.number, one.data, one.end) for one in lines_of(file)] == [
        (1, b"a\r\n", 6),
        (4, b"b\n", 12),
        (5, b"c", 13),
    ]


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE])
def test_a_line_that_is_too_long_is_passed_over(length, end):
    file = io.BytesIO(b"a\n" + b"x" * length + end + (b"b\n" if end else b""))
    numbers = [(one.number, one.data is None) for one in lines_of(file)]
    assert numbers == [(1, False), (2, True), *([(3, False)] if end else [])]


def test_a_cell_means_what_the_type_of_its_column_says():
    header = "born\tid\tscheme\tage\talive\tsex\tdebt\tname"
    line = "1990-01-02\t1\tn\t-7\tfalse\tM\t12.50\t  @@x "
    assert csv(header, line) == {
        "born": ("present", "1990-01-02"),
        "age": ("present", -7),
        "alive": ("present", False),
        "sex": ("present", {"code": "M", "label": "M"}),
        "debt": ("present", "12.50"),
        "name": ("present", "@x"),
    }


@pytest.mark.parametrize("cell", ["7.0", "0x7", "\u0667", "9" * 18, "true"])
def test_what_is_no_integer_stays_text_and_is_refused_by_the_vault(cell):
    assert csv("scheme,id,age", f"n,1,{cell}")["age"] == ("present", cell)


@pytest.mark.parametrize(
    ("cell", "state"), [("", "absent"), ("@empty", "empty"), ("@unavailable", "unavailable"), ("@absent", "absent")]
)
def test_a_cell_can_say_why_there_is_no_value(cell, state):
    assert csv("scheme,id,name", f"n,1,{cell}")["name"] == (state, None)


@pytest.mark.parametrize("line", ["n,1", "n,1,a,b", 'n,1,"a', 'n,1,"a"b', "n,1,@present", "n,1,@", "n,1,@gone"])
def test_a_line_that_cannot_be_read_is_refused(line):
    with pytest.raises(LineError):
        csv("scheme,id,name", line)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(LineError, match="UTF-8"):
        CSVReader(b"scheme,id,name", catalogue(), "p").read(b"n,1,\xff")
    with pytest.raises(ImportFileError, match="UTF-8"):
        CSVReader(b"scheme,id,\xff", catalogue(), "p")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "7",
        "null",
        '{"id": "1"}',
        '{"scheme": "n", "id": 1}',
        '{"scheme": "n", "id": "1", "id": "2"}',
        '{"scheme": "n", "id": "1", "last_updated": 7}',
        '{"scheme": "n", "id": "1", "name": {"value": "x", "more": 1}}',
        '{"scheme": "n", "id": "1", "name": {"state": "gone"}}',
        '{"scheme": "n", "id": "1", "name": {"state": "present", "value": "x"}}',
        '{"scheme": "n", "id": "1", "name": {"state": "absent", "value": "x"}}',
        '{"scheme": "n", "id": "1", "name": {"state": 7}}',
        '{"scheme": "n", "id": "1", "debt": 1.5}',
        '{"scheme": "n", "id": "1", "debt": NaN}',
        '{"scheme": "n", "id": "1", "name": {"value": {"value": "x"}}}',
        '{"scheme": "n", "id": "1", "name": [["x"]]}',
        '{"scheme": "n", "id": "1", "name": "\\ud800"}',
    ],
)
def test_json_of_another_form_is_refused_without_a_word_of_it(line):
    with pytest.raises(LineError) as caught:
        JSONLinesReader("p").read(line.encode())
    assert "x" not in str(caught.value).replace("expected", "").replace("text", "")


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reader_fail_otherwise(data):
    for reader in (JSONLinesReader("p"), CSVReader(b"scheme,id,name,age,born,alive,sex,debt", catalogue(), "p")):
        try:
            reader.read(data)
        except LineError:
            continue


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp")), min_size=1).map(str.strip))
def test_every_text_can_be_written_in_both_formats(text):
    if not text:
        return
    cell = "@" + text if text.startswith("@") else text
    quoted = '"' + cell.replace('"', '""') + '"'
    assert csv("scheme,id,name", f"n,1,{quoted}")["name"] == ("present", text)
    line = json.dumps({"scheme": "n", "id": "1", "name": text})
    (held,) = JSONLinesReader("p").read(line.encode()).values
    assert (held.state, held.value) == ("present", text)
