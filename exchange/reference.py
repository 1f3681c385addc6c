"""The short reference that a clerk hands over: nine characters a person can read out, stored only as a keyed digest."""

from typing import TYPE_CHECKING

from crypto.ids import random_bytes

if TYPE_CHECKING:
    from exchange.context import Exchange

# Crockford's base 32: no I, L, O, U, so that nothing is misread and no word comes out.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 9  # 45 bits: enough with a sign-in, a rate limit and a short life (decision 11)


def new_reference() -> str:
    """A fresh reference, for instance ``K7QD-3MXP-9``."""
    text = "".join(_ALPHABET[byte & 31] for byte in random_bytes(_LENGTH))
    return f"{text[:4]}-{text[4:8]}-{text[8:]}"


def reference_hash(exchange: "Exchange", reference: str) -> bytes:
    """What is stored and looked up: a keyed digest, since 45 bits could be tried out from a plain one."""
    plain = reference.upper().replace("-", "").replace(" ", "").translate(str.maketrans("ILO", "110"))
    return exchange.blind_index.compute("request-reference", plain)
