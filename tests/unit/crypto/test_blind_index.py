import pytest

from crypto.blind_index import INDEX_BYTES, MAX_IDENTIFIER, BlindIndex, normalise
from crypto.errors import MalformedError

ROOT = bytes(range(32))


def index(**changes):
    return BlindIndex(**{"key": ROOT, "version": 1, "table": "subject_identifier", "column": "value", **changes})


def test_equal_identifiers_meet_and_others_do_not():
    one = index()
    assert (
        one.compute("national-id", "123") == one.compute("national-id", "123") == index().compute("national-id", "123")
    )
    assert len(one.compute("national-id", "123")) == INDEX_BYTES
    assert one.compute("national-id", "124") != one.compute("national-id", "123")


@pytest.mark.parametrize(
    "change",
    [
        {"key": bytes(32)},
        {"version": 2},
        {"table": "t"},
        {"column": "c"},
        {"table": "subject_identifierv", "column": "alue"},
    ],
    ids=str,
)
def test_indexes_of_different_columns_and_versions_cannot_be_joined(change):
    assert index(**change).compute("national-id", "123") != index().compute("national-id", "123")


def test_the_scheme_is_told_from_the_identifier():
    assert index().compute("a", "bc") != index().compute("ab", "c")


@pytest.mark.parametrize(("scheme", "identifier"), [("", "1"), ("a", ""), ("a", "x" * 65_536), ("a", "\ud800")])
def test_an_unusable_identifier_is_refused(scheme, identifier):
    with pytest.raises(MalformedError):
        index().compute(scheme, identifier)


@pytest.mark.parametrize("change", [{"key": b"short"}, {"version": -1}, {"version": 2**32}, {"table": "x" * 65_536}])
def test_an_unusable_index_is_refused(change):
    with pytest.raises(MalformedError):
        index(**change)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  AB-12 34\t", "ab1234"),
        ("\uff21\uff22\uff11\uff12", "ab12"),
        ("Straße", "strasse"),
        ("STRASSE", "strasse"),
        ("12\u201334\u201456\u201078\u221290", "1234567890"),
        ("12\u00a034\u200b56\u00ad78\ufeff", "12345678"),
        ("É", "é"),
        ("e\u0301", "é"),
        ("ﬁ", "fi"),
        ("Σίσυφος", "σίσυφοσ"),
        ("İ", "i̇"),
        ("a.b/c", "a.b/c"),
        ("e\u200d\u0301", "é"),
    ],
)
def test_spellings_of_one_identifier_become_one(text, expected):
    assert normalise(text) == expected
    assert normalise(normalise(text)) == normalise(text)


@pytest.mark.parametrize("text", ["", " ", "-", " - \t\n", "\u200b", "—"])
def test_an_identifier_has_something_to_see(text):
    with pytest.raises(MalformedError):
        normalise(text)


def test_a_long_identifier_is_refused_before_it_is_normalised():
    assert normalise("1" * MAX_IDENTIFIER)
    for text in ("1" * (MAX_IDENTIFIER + 1), "a" + "\u0315\u0300" * 1_000_000):
        with pytest.raises(MalformedError):
            normalise(text)


def test_the_key_is_not_shown():
    assert repr(index()) == "BlindIndex(version=1, <redacted>)"
