"""The form of many entries at once: what ``match_entry`` decides for one, several times quicker for a bundle.

An expression that only finds the members runs over each entry; identifiers, nonces and commitments of all entries are
then checked together, at fixed distances. Whatever does not pass here, or is of a rarer shape, is put to
``match_entry``, which decides: this module can only be quicker, not more lenient (tests/properties/audit hold both
against each other).
"""

import re
from collections.abc import Sequence
from operator import lt

from crypto.errors import MalformedError
from exchange.audit.commitments import SLOTS
from exchange.audit.entry import MAX_BODY, ORG, PURPOSE, TIME, TYPE, WORD, match_entry

_STRIDE = 46  # 43 letters of base64url and what stands between two commitments
_SLOTS_LENGTH = SLOTS * _STRIDE - 3


def _table(letters: bytes, sign: bytes) -> bytes:
    """Maps the letters to one sign, and that sign only from them."""
    return bytes(sign[0] if byte in letters else (0 if byte == sign[0] else byte) for byte in range(256))


_BASE64URL = _table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", b"A")
_HEX = _table(b"0123456789abcdef", b"0")

# ``[^"]`` is several times quicker than a set of letters, which the joint check supplies.
_MEMBERS = re.compile(
    rf'\{{"id":"([^"]{{36}})","n":"([^"]{{22}})","org":"{ORG}","out":"{WORD}"(?:,"pur":"{PURPOSE}")?'
    rf'(?:,"req":"([^"]{{36}})")?,"sd":\["([^\]]{{{_SLOTS_LENGTH}}})"\],"ts":{TIME},"typ":"{TYPE}","v":1\}}'.encode()
).fullmatch


_COLUMNS = re.compile(
    rb'\{"id":"([^"]{36})","n":"[^"]{22}","org":"([^"]+)",.+,"ts":([0-9]+),"typ":"([^"]+)","v":1\}', re.DOTALL
).fullmatch


def columns_of(body: bytes) -> tuple[str, str, str, str]:
    """Id, org, time in milliseconds and type of an entry that is known to be well formed."""
    match = _COLUMNS(body)
    if match is not None:
        entry_id, org, millis, kind = match.groups()
    else:  # it begins with public details
        members = match_entry(body)
        entry_id, org, millis, kind = members["id"], members["org"], members["ts"], members["typ"]
    return entry_id.decode(), org.decode(), millis.decode(), kind.decode()


def malformed_entries(bodies: Sequence[bytes]) -> list[tuple[int, str]]:
    """The positions of entries that are not in the one allowed form, and what is wrong with each."""
    found = [_MEMBERS(body) if len(body) <= MAX_BODY else None for body in bodies]
    groups = [match.groups() for match in found if match is not None]
    rest: Sequence[int] = range(len(bodies))
    if groups and _are_well_formed(groups):
        rest = [position for position, match in enumerate(found) if match is None]
    faults = []
    for position in rest:
        try:
            match_entry(bodies[position])
        except MalformedError as exc:
            faults.append((position, str(exc)))
    return faults


def _are_well_formed(groups: list[tuple[bytes, ...]]) -> bool:
    ids, nonces, requests, slots = zip(*groups, strict=True)
    every_id = b"".join(ids)
    return (
        _are_uuids(every_id)
        and every_id[14::36] == b"7" * len(groups)
        and not every_id[19::36].translate(None, b"89ab")
        and _are_uuids(b"".join(request for request in requests if request is not None))
        and _are_nonces(b"".join(nonces))
        and _are_commitments(b'","'.join(slots), len(groups))
    )


def _are_uuids(joined: bytes) -> bool:
    return joined.translate(_HEX) == b"00000000-0000-0000-0000-000000000000" * (len(joined) // 36)


def _are_nonces(joined: bytes) -> bool:
    return joined.translate(_BASE64URL) == b"A" * len(joined) and not joined[21::22].translate(None, b"AQgw")


def _are_commitments(joined: bytes, entries: int) -> bool:
    count = entries * SLOTS
    shape = (b"A" * 43 + b'","') * count
    if joined.translate(_BASE64URL) != shape[:-3] or joined[42::_STRIDE].translate(None, b"AEIMQUYcgkosw048"):
        return False
    every = joined.split(b'","')
    ascends = list(map(lt, every, every[1:]))
    # From one entry to the next nothing needs to ascend.
    ascends[SLOTS - 1 :: SLOTS] = [True] * (entries - 1)
    return all(ascends)
