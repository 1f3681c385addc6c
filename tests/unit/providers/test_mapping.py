"""Mapping files: read strictly, every fault with its line."""

from pathlib import Path

import pytest

from exchange.providers import mapping as module
from exchange.providers.mapping import MappingError, load_mapping, parse_mapping

GOOD = """\
mapping: cdx/provider-mapping/v1
provider: pop
exchange: {issuer: "https://cdx.example", jwks: keys.json}
database: {url: "sqlite:///people.db", view: registry.cdx_people}
subjects:
  national-id: {column: national_id}
attributes:
  born: {column: born, type: date}
"""


def test_a_good_file_is_read_and_its_paths_are_beside_it(tmp_path):
    (tmp_path / "m.yaml").write_text(GOOD)
    mapping = load_mapping(tmp_path / "m.yaml")
    assert (mapping.schema, mapping.view, mapping.timeout_seconds, mapping.purposes) == (
        "registry",
        "cdx_people",
        5,
        None,
    )
    assert mapping.jwks == str(tmp_path / "keys.json")
    assert mapping.url.database == str(tmp_path / "people.db")
    assert mapping.columns == ("national_id", "born")
    assert mapping.attributes["born"].when_null == "absent"


def test_a_password_stays_out_of_the_mapping_and_out_of_its_repr(tmp_path):
    (tmp_path / "url").write_text("postgresql+psycopg://reader:hunter2@db/people\n")
    mapping = parse_mapping(GOOD.replace('url: "sqlite:///people.db"', "url_file: url"), folder=tmp_path)
    assert mapping.url.password == "hunter2"
    assert "hunter2" not in repr(mapping)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("mapping: cdx/provider-mapping/v1", "mapping: v2", "line 1, mapping"),
        ("provider: pop", "provider: POP", "line 2, provider"),
        ('url: "sqlite:///people.db"', 'url: "mysql://x/y"', "expected sqlite:///file or"),
        ('url: "sqlite:///people.db"', 'url: "sqlite://"', "expected sqlite:///file or"),
        ('url: "sqlite:///people.db"', "url: nonsense", "not a database URL"),
        ('url: "sqlite:///people.db", ', "", "either url or url_file"),
        ('url: "sqlite:///people.db"', 'url: "sqlite:///a", url_file: b', "either url or url_file"),
        ('url: "sqlite:///people.db"', "url_file: missing", "the file cannot be read"),
        ("registry.cdx_people", '"people; DROP TABLE x"', "view: expected the pattern"),
        ("registry.cdx_people", "a.b.c", "view: expected the pattern"),
        ("column: national_id", 'column: "id) OR (1=1"', "line 6"),
        ("column: born", "column: 'a\"b'", "line 8"),
        ("type: date", "type: birthday", "expected one of"),
        ("type: date", "type: date, sql: x", "unknown: sql"),
        ("type: date", "type: date, labels: {A: b}", "labels: only for the type code"),
        ("type: date", "type: string, date_format: '%Y'", "date_format: only for the type date"),
        ("type: date", "type: code, labels: {A: b}, label_column: c", "either labels or label_column"),
        ("type: date", "type: date, when_null: present", "expected one of"),
        ("type: date", "type: date, states: {X: gone}", "expected one of"),
        ("national-id:", "sub:", "subjects"),
        ("attributes:", "attributes: {}\nmore:", "unknown: more"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path, old, new, said):
    assert old in GOOD
    with pytest.raises(MappingError) as caught:
        parse_mapping(GOOD.replace(old, new), folder=tmp_path)
    assert said in str(caught.value)


def test_all_faults_are_told_at_once(tmp_path):
    text = GOOD.replace("type: date", "type: string, values: {J: true}, date_format: '%Y'").replace(
        "sqlite:///people.db", "mysql://x/y"
    )
    with pytest.raises(MappingError) as caught:
        parse_mapping(text, folder=tmp_path)
    assert len(str(caught.value).splitlines()) == 3


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path):
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "missing.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff")
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path / "latin.yaml")


def test_the_example_in_the_docstring_is_a_valid_file(tmp_path):
    lines = (module.__doc__ or "").splitlines()
    example = "\n".join(line[4:] for line in lines if line.startswith("    "))
    mapping = parse_mapping(example, folder=Path(tmp_path))
    assert mapping.provider == "pop"
    assert mapping.attributes["is_resident"].values == {"J": True, "N": False}
