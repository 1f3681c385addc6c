import pytest

from crypto.encoding import b64_decode, b64_encode, b64u_decode, b64u_encode, lp16, lp16_text, u32, utf8
from crypto.errors import MalformedError


# RFC 4648 §10, without padding.
@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"foob", "Zm9vYg"), (b"\xfb\xff", "-_8")],
)
def test_base64url_has_one_spelling(data, text):
    assert b64u_encode(data) == text
    assert b64u_decode(text) == data


@pytest.mark.parametrize(
    "text",
    [
        "Zg==",
        "Zg=",
        "Z",
        "Zh",
        "Zm9",
        "Zm9v\n",
        " Zm9v",
        "Zm 9v",
        "Zm+v",
        "Zm/v",
        "Zm9vé",
        "Zm9v=",
        "=",
        "====",
        "Zm9v\0",
    ],
)
def test_any_other_base64url_is_refused(text):
    with pytest.raises(MalformedError):
        b64u_decode(text)


@pytest.mark.parametrize("value", [None, 1, b"Zg", ["Zg"]])
def test_base64url_is_text(value):
    with pytest.raises(MalformedError):
        b64u_decode(value)


@pytest.mark.parametrize("text", ["Zg", "Zg=", "Zh==", "Zm9v\n", "Z-9v", "Zg==Zg==", "Z", "é", "=Zg="])
def test_any_other_base64_is_refused(text):
    with pytest.raises(MalformedError):
        b64_decode(text)


def test_base64_with_padding_round_trips():
    assert b64_decode(b64_encode(b"\xfb\xff")) == b"\xfb\xff"
    assert b64_encode(b"f") == "Zg=="


def test_a_length_prefix_has_two_bytes():
    assert lp16(b"") == b"\x00\x00"
    assert lp16(b"a" * 258)[:2] == b"\x01\x02"
    assert lp16(bytes(65_535))[:2] == b"\xff\xff"
    assert lp16_text("é") == b"\x00\x02\xc3\xa9"


def test_a_text_that_is_too_long_for_its_prefix_is_refused():
    with pytest.raises(MalformedError):
        lp16(bytes(65_536))


def test_a_lone_surrogate_is_refused():
    with pytest.raises(MalformedError):
        utf8("\ud800")


@pytest.mark.parametrize("number", [-1, 2**32, True, 1.0, "1", None])
def test_only_integers_of_32_bits_fit(number):
    with pytest.raises(MalformedError, match="an epoch"):
        u32(number, "an epoch")


def test_four_bytes_are_big_endian():
    assert u32(1, "x") == b"\x00\x00\x00\x01"
    assert u32(2**32 - 1, "x") == b"\xff\xff\xff\xff"
