from enum import StrEnum

import pytest

from crypto.canonical import decode, encode, load_json
from crypto.errors import MalformedError


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, False, "x"]}, '{"a":[true,false,"x"],"b":1}'),
        ({"B": 1, "a": 2, "_": 3}, '{"B":1,"_":3,"a":2}'),
        ('€\u0000\u001f\n\t"\\/\u007f\u2028', '"€\\u0000\\u001f\\n\\t\\"\\\\/\u007f\u2028"'),
        ([], "[]"),
        ({}, "{}"),
        (-(2**53 - 1), "-9007199254740991"),
        (Colour.RED, '"red"'),
    ],
)
def test_a_value_has_one_canonical_spelling(value, text):
    assert encode(value) == text.encode()
    assert decode(text.encode()) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        1.0,
        2**53,
        -(2**53),
        {"é": 1},
        {1: 1},
        (1,),
        {1},
        b"x",
        object(),
        [None],
        {"a": 0.5},
        "\ud800",
        {"a": ["\udfff"]},
    ],
)
def test_a_value_outside_the_subset_is_refused(value):
    with pytest.raises(MalformedError):
        encode(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 1",
        "1 ",
        "1\n",
        '{"b":1,"a":2}',
        '{"a": 1}',
        '{"a":1,"a":1}',
        "01",
        "+1",
        "-0",
        "1.0",
        "1e0",
        "null",
        "NaN",
        "Infinity",
        "-Infinity",
        "[1,]",
        '"\\u0061"',
        '"\\/"',
        '"\\u001F"',
        '"\\ud800"',
        '"é',
        "'a'",
        "9007199254740992",
        "1" * 5000,
        "\ufeff1",
        "// x\n1",
        "[1] [2]",
    ],
)
def test_any_other_spelling_is_refused(text):
    with pytest.raises(MalformedError):
        decode(text.encode())


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(MalformedError):
        decode(b'"\xff"')
    with pytest.raises(MalformedError):
        decode('"a"'.encode("utf-16"))


def test_nesting_has_a_limit_in_both_directions():
    value = []
    for _ in range(31):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(MalformedError):
        encode([value])
    with pytest.raises(MalformedError):
        encode({"a": value})
    tree = {}
    for _ in range(31):
        tree = {"a": tree}
    assert decode(encode(tree)) == tree
    with pytest.raises(MalformedError):
        encode({"a": tree})
    with pytest.raises(MalformedError):
        decode(b"[" * 33 + b"]" * 33)


def test_a_value_that_contains_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(MalformedError):
        encode(value)


def test_size_has_a_limit():
    assert decode(b'"' + b"a" * 65_533 + b'"')
    with pytest.raises(MalformedError):
        decode(b'"' + b"a" * 65_534 + b'"')


def test_untrusted_json_may_have_null_and_white_space():
    assert load_json(' {"a": null} ', max_bytes=100) == {"a": None}
    assert load_json(b'{"\xc3\xa9": "\\ud83d\\ude00"}', max_bytes=100) == {"é": "😀"}


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'[{"x":{"a":1,"b":2,"a":1}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1.5",
        b"1e3",
        b"9007199254740992",
        b"-9007199254740992",
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'["\\ud800\\u0061"]',
        b"\xff",
        b"\xef\xbb\xbf1",
        b"",
        b"{",
        b"1" * 4400,
    ],
)
def test_ambiguous_json_is_refused(data):
    with pytest.raises(MalformedError):
        load_json(data, max_bytes=10_000)


@pytest.mark.parametrize("text", ["\ud800", '"\ud800"'])
def test_text_with_a_lone_surrogate_is_refused(text):
    with pytest.raises(MalformedError):
        load_json(text, max_bytes=100)


def test_floats_are_taken_only_when_asked_for():
    assert load_json("[1.5,1e3,-0.0]", max_bytes=100, allow_float=True) == [1.5, 1000.0, -0.0]
    for text in ("1e999", "-1e999", "NaN", "Infinity"):
        with pytest.raises(MalformedError):
            load_json(text, max_bytes=100, allow_float=True)


@pytest.mark.parametrize("opener", [b"[", b'{"a":'])
def test_deep_json_is_refused_not_crashed_on(opener):
    for depth in (33, 1_000, 100_000):
        with pytest.raises(MalformedError):
            load_json(opener * depth, max_bytes=10**7)
    with pytest.raises(MalformedError):
        load_json(b"[" * 100_000 + b"]" * 100_000, max_bytes=10**7)


def test_depth_counts_nesting_not_brackets():
    assert load_json(b"[" + b",".join([b"[]"] * 100) + b"]", max_bytes=1000, max_depth=2)
    assert load_json(b'"' + b"[" * 100 + b'"', max_bytes=1000, max_depth=1)
    with pytest.raises(MalformedError):
        load_json(b'[{"a":[]}]', max_bytes=1000, max_depth=2)


def test_size_is_checked_before_anything_else():
    with pytest.raises(MalformedError, match="more than 3"):
        load_json(b"[[[[", max_bytes=3)


def test_the_error_does_not_repeat_the_input():
    with pytest.raises(MalformedError) as caught:
        load_json(b'{"name":"Ana Petrovic" x', max_bytes=100)
    assert "Ana" not in str(caught.value)
    assert caught.value.__cause__ is None
