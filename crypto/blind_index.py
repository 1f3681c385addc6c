"""Blind index: find a person by an identifier without storing it.

    key   = HKDF-Expand(root, "cdx/bidx/v1" || lp16(table) || lp16(column) || u32be(version), 32)
    value = HMAC-SHA-256(key, lp16(scheme) || lp16(normalised identifier)), the first 16 bytes

A key per table and column, so that tables cannot be joined on the index. 128 bits are meant for unique identifiers such
as national numbers, where equal values do not occur and frequency tells nothing. Never index a column with few values.
"""

import unicodedata

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from crypto.encoding import lp16_text, u32
from crypto.errors import MalformedError
from crypto.kdf import expand, require_key

INDEX_BYTES = 16
MAX_IDENTIFIER = 1_024
"""The longest identifier that is looked at, in characters."""

_ASCII_DROPPED = str.maketrans("", "", " -\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f")


class BlindIndex:
    """The index of one column at one key version. Safe to share between threads."""

    __slots__ = ("_keyed", "version")

    def __init__(self, *, key: bytes, version: int, table: str, column: str) -> None:
        """Derive the column's key from the index root.

        Raises:
            MalformedError: a root that has not 32 bytes, a version of more than 32 bits, or names that are too long.
        """
        info = b"cdx/bidx/v1" + lp16_text(table) + lp16_text(column) + u32(version, "an index version")
        self.version = version
        self._keyed = HMAC(expand(require_key(key, "an index root"), info), SHA256())

    def compute(self, scheme: str, normalised: str) -> bytes:
        """The 16 bytes under which an identifier is filed.

        Args:
            scheme: what kind of identifier it is, such as ``national-id``.
            normalised: the identifier after :func:`normalise`.

        Raises:
            MalformedError: an empty or over-long text, or one with a lone surrogate.
        """
        if not scheme or not normalised:
            raise MalformedError("an identifier needs a scheme and a value")
        # Copying a keyed context saves the two hash blocks of the key on every call.
        mac = self._keyed.copy()
        mac.update(lp16_text(scheme) + lp16_text(normalised))
        return mac.finalize()[:INDEX_BYTES]

    def __repr__(self) -> str:
        return f"BlindIndex(version={self.version}, <redacted>)"


def normalise(text: str) -> str:
    """Bring an identifier into the one form under which it is filed.

    Compatibility forms and letter case are folded (NFKC, casefold); white space, hyphens, dashes and invisible format
    characters are dropped. The result of normalising twice is the result of normalising once.

    Raises:
        MalformedError: more than 1,024 characters, or nothing is left.
    """
    # Long runs of combining characters cost the normaliser quadratic time.
    if len(text) > MAX_IDENTIFIER:
        raise MalformedError(f"an identifier of more than {MAX_IDENTIFIER} characters")
    if text.isascii():
        result = text.lower().translate(_ASCII_DROPPED)
    else:
        # Folding may bring about new compositions and the reverse, so it is repeated until nothing changes.
        before = None
        result = text
        while result != before:
            before = result
            folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", result).casefold())
            result = "".join(character for character in folded if not _is_dropped(character))
    if not result:
        raise MalformedError("an identifier without a visible character")
    return result


def _is_dropped(character: str) -> bool:
    # U+2212, the minus sign, is what word processors make of a hyphen before a digit.
    return character.isspace() or character == "\u2212" or unicodedata.category(character) in ("Pd", "Cf", "Zs")
