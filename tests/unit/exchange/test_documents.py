"""Officers' YAML: plain data only, nothing that grows or runs, every fault with its line."""

import pytest

from exchange.documents import MAX_CHARACTERS, MAX_DEPTH, MAX_FAULTS, DocumentFaultsError, _Reader, faults_of


def read(text):
    document = _Reader(text).read()
    document.refuse_faults()
    return document.body


def faults(text):
    with pytest.raises(DocumentFaultsError) as caught:
        read(text)
    return list(caught.value.faults)


def test_plain_data_is_read():
    assert read("a: 1\nb: [true, false, x]\nc:\n  - {d: '1'}\n  - |\n    two\n    lines\n") == {
        "a": 1,
        "b": [True, False, "x"],
        "c": [{"d": "1"}, "two\nlines\n"],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("2026-01-01", "2026-01-01"),
        ("1.5", "1.5"),
        ("0x10", "0x10"),
        ("0o7", "0o7"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        (".inf", ".inf"),
        ("True", "True"),
        ("-7", -7),
        ("0", 0),
        ("'7'", "7"),
        ("'true'", "true"),
        ("at_least:18", "at_least:18"),
        ("9" * 16, "9" * 16),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_nothing_but_true_false_and_decimal_integers_changes_its_type(text, value):
    assert read(f"a: {text}") == {"a": value}


def test_keys_are_text():
    assert read("no: 1\n1: 2\n") == {"no": 1, "1": 2}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("a: &x 1", "line 1: anchors are not allowed"),
        ("a: &x [1]\nb: *x", "line 1: anchors are not allowed"),
        ("a: 1\nb: *x", "line 2: aliases are not allowed"),
        ("a:\n  - &x {b: 1}", "line 2: anchors are not allowed"),
        ("&x a: 1", "line 1: a key is plain text"),
        ("a: !!python/object/apply:os.system ['true']", "line 1: tags are not allowed"),
        ("a: !!str 1", "line 1: tags are not allowed"),
        ("!!map {a: 1}", "line 1: tags are not allowed"),
        ("? [a, b]\n: 1", "line 1: a key is plain text"),
        ("? {a: b}\n: 1", "line 1: a key is plain text"),
        ("!!str a: 1", "line 1: a key is plain text"),
        ("a: 1\nb: 2\na: 3", "line 3: a stood already in line 1"),
        ("a: {b: 1, b: 2}", "line 1: b stood already in line 1"),
        ("a: 1\n---\nb: 2", "line 1: expected one document, got 2"),
        ("", "line 1: expected one document, got 0"),
        ("a: [1", "line 1: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\n b: 2", "line 2: mapping values are not allowed here"),
        ("a: '\x07'", "line 1: a character that YAML does not allow"),
        ("a: 'x", "line 1: found unexpected end of stream"),
        ("x" * (MAX_CHARACTERS + 1), f"line 1: more than {MAX_CHARACTERS} characters"),
    ],
)
def test_refused(text, fault):
    assert faults(text) == [fault]


def test_laughing_never_starts():
    text = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert faults(text) == ["line 1: anchors are not allowed"]


def test_merge_keys_are_ordinary_text():
    assert read("a: {<<: b}") == {"a": {"<<": "b"}}


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ("{a: ", "}")])
def test_depth_is_limited_and_exhausts_no_stack(opening, closing):
    assert read(opening * MAX_DEPTH + "1" + closing * MAX_DEPTH) is not None
    for depth in (MAX_DEPTH + 1, 30_000):
        assert faults(opening * depth + "1" + closing * depth) == [f"line 1: nested more than {MAX_DEPTH} deep"]


def test_all_duplicates_are_named_at_once():
    assert faults("a: 1\nb: 1\na: 2\nb: 2") == [
        "line 3: a stood already in line 1",
        "line 4: b stood already in line 2",
    ]


def test_more_faults_than_help_are_counted():
    text = "".join(f"k{number}: 1\nk{number}: 2\n" for number in range(MAX_FAULTS + 5))
    with pytest.raises(DocumentFaultsError) as caught:
        read(text)
    lines = str(caught.value).splitlines()
    assert len(lines) == MAX_FAULTS + 1
    assert lines[-1] == "and 5 more"


def test_data_from_elsewhere_is_checked_by_the_same_schemas():
    assert faults_of({"agencies": "cdx/agencies/v1", "list": []}, "agencies.schema.json") == ["list: minItems is 1"]
