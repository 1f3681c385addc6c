"""Byte encodings that the formats share: strict base64 in both alphabets and length-prefixed bytes.

Strict means that one value has one spelling: anything that would not be produced by the encoder is refused, so that two
different texts can never stand for the same bytes (RFC 4648 §3.5, RFC 7515 §2).
"""

from binascii import a2b_base64, b2a_base64

from crypto.errors import MalformedError

_TO_URL = bytes.maketrans(b"+/", b"-_")
# What belongs to the other alphabet becomes a byte of neither.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
# By the length modulo 4: the padding that was left out, and the last characters whose unused bits are zero.
_PADDING = (b"", b"", b"==", b"=")
_LAST: tuple[frozenset[int] | None, ...] = (None, frozenset(), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))

MAX_LP16 = 0xFFFF
"""The most bytes that :func:`lp16` can prefix."""


def b64u_encode(data: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def b64u_decode(text: str) -> bytes:
    """Decode base64url without padding.

    Raises:
        MalformedError: padding, a foreign character, an impossible length, or trailing bits that are not zero.
    """
    try:
        given = text.encode("ascii")
        last = _LAST[len(given) & 3]
        if last is not None and given[-1] not in last:
            raise MalformedError("not canonical base64url")
        return a2b_base64(given.translate(_FROM_URL) + _PADDING[len(given) & 3], strict_mode=True)
    except (AttributeError, ValueError):
        raise MalformedError("not base64url without padding") from None


def b64_encode(data: bytes) -> str:
    """Encode as ordinary base64 with padding (RFC 4648 §4), as signed notes use it."""
    return b2a_base64(data, newline=False).decode("ascii")


def b64_decode(text: str) -> bytes:
    """Decode ordinary base64 with padding.

    Raises:
        MalformedError: missing padding, a foreign character, or trailing bits that are not zero.
    """
    try:
        given = text.encode("ascii")
        data = a2b_base64(given)
    except (AttributeError, ValueError):
        raise MalformedError("not base64") from None
    if b2a_base64(data, newline=False) != given:
        raise MalformedError("not canonical base64")
    return data


def lp16(data: bytes) -> bytes:
    """Prefix ``data`` with its length as two bytes, big-endian, so that concatenations cannot be read in two ways.

    Raises:
        MalformedError: more than 65,535 bytes.
    """
    if len(data) > MAX_LP16:
        raise MalformedError(f"at most {MAX_LP16} bytes can be length-prefixed, got {len(data)}")
    return len(data).to_bytes(2, "big") + data


def lp16_text(text: str) -> bytes:
    """:func:`lp16` of the UTF-8 bytes of ``text``.

    Raises:
        MalformedError: too long, or with a lone surrogate.
    """
    return lp16(utf8(text))


def utf8(text: str) -> bytes:
    """The UTF-8 bytes of ``text``.

    Raises:
        MalformedError: the text has a lone surrogate, which no UTF-8 can carry.
    """
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedError("text with a lone surrogate") from None


def u32(number: int, what: str) -> bytes:
    """Four bytes, big-endian; ``what`` names the number in the error.

    Raises:
        MalformedError: not an integer from 0 to 2**32-1.
    """
    if type(number) is not int or not 0 <= number <= 0xFFFFFFFF:
        raise MalformedError(f"{what} must be an integer of 32 bits")
    return number.to_bytes(4, "big")
