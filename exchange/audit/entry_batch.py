"""The form of many entries at once: what ``match_entry`` decides for one, several times quicker for a bundle.

One expression runs over the whole bundle and only finds the members; identifiers and commitments of all entries are
then checked together, at fixed distances. Whatever does not pass here, or is of a rarer shape, is put to
``match_entry``, which decides: this module can only be quicker, not more lenient (tests/properties/audit hold both
against each other).
"""

import re
import struct
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import compress

from crypto.errors import MalformedError
from exchange.audit.commitments import SLOTS
from exchange.audit.entry import MAX_BODY, NONCE, ORG, PURPOSE, TIME, TYPE, WORD, match_entry
from exchange.audit.tiles import decode_bundle, encode_bundle

_STRIDE = 46  # 43 letters of base64url and what stands between two commitments
_SLOTS_LENGTH = SLOTS * _STRIDE - 3


def _table(letters: bytes, sign: bytes) -> bytes:
    """Maps the letters to one sign, and that sign only from them."""
    return bytes(sign[0] if byte in letters else (0 if byte == sign[0] else byte) for byte in range(256))


_BASE64URL = _table(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", b"A")
_HEX = _table(b"0123456789abcdef", b"0")

# Identifiers and commitments are taken as they come, by their length, which costs nothing; the joint check reads them.
_ENTRIES = re.compile(
    rf'(..)(\{{(?:"d":(\{{[^{{}}]+\}}),)?"id":"(.{{36}})","n":"{NONCE}","org":"{ORG}","out":"{WORD}"'
    rf'(?:,"pur":"{PURPOSE}")?(?:,"req":"(.{{36}})")?,"sd":\["(?:(.{{{_SLOTS_LENGTH}}})|[^\]]*)"\],"ts":{TIME}'
    rf',"typ":"{TYPE}","v":1\}})'.encode(),
    re.DOTALL,
).findall

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


def read_entries(bundle: bytes, count: int) -> tuple[Sequence[bytes], list[tuple[int, str]]]:
    """The entries of a bundle; and the positions of those that are not in the one allowed form, with what is wrong.

    Raises:
        MalformedError: the bundle does not hold exactly ``count`` entries.
    """
    found = _ENTRIES(bundle)
    if found and len(found) == count:
        prefixes, bodies, details, ids, requests, slots = zip(*found, strict=True)
        lengths = list(map(len, bodies))
        # Nothing lies between them, and each stands after its own length: so they are what decode_bundle would give.
        if (
            sum(lengths) + 2 * count == len(bundle)
            and max(lengths) <= MAX_BODY
            and b"".join(prefixes) == struct.pack(f">{count}H", *lengths)
        ):
            rare: Sequence[int] = ()
            if any(details) or not all(slots):
                is_common = [bool(slot) and not detail for slot, detail in zip(slots, details, strict=True)]
                ids, requests, slots = (tuple(compress(column, is_common)) for column in (ids, requests, slots))
                rare = [position for position, common in enumerate(is_common) if not common]
            if _are_well_formed(ids, requests, slots):
                return bodies, _faults(bodies, rare)
            return bodies, _faults(bodies, range(count))
    decoded = decode_bundle(bundle, count)
    return decoded, _faults(decoded, range(count))


def malformed_entries(bodies: Sequence[bytes]) -> list[tuple[int, str]]:
    """The positions of entries that are not in the one allowed form, and what is wrong with each."""
    if any(len(body) > MAX_BODY for body in bodies):
        return _faults(bodies, range(len(bodies)))
    return read_entries(encode_bundle(bodies), len(bodies))[1]


def _faults(bodies: Sequence[bytes], positions: Iterable[int]) -> list[tuple[int, str]]:
    faults = []
    for position in positions:
        try:
            match_entry(bodies[position])
        except MalformedError as exc:
            faults.append((position, str(exc)))
    return faults


def _are_well_formed(ids: Sequence[bytes], requests: Sequence[bytes], slots: Sequence[bytes]) -> bool:
    every_id = b"".join(ids)
    return (
        _are_uuids(every_id)
        and every_id[14::36] == b"7" * len(ids)
        and not every_id[19::36].translate(None, b"89ab")
        and _are_uuids(b"".join(requests))
        and _are_commitments(b'","'.join(slots), len(slots))
    )


def _are_uuids(joined: bytes) -> bool:
    return joined.translate(_HEX) == b"00000000-0000-0000-0000-000000000000" * (len(joined) // 36)


def _are_commitments(joined: bytes, entries: int) -> bool:
    if not entries:
        return True
    shape, one, guards, within = _masks(entries)
    if joined.translate(_BASE64URL) != shape or joined[42::_STRIDE].translate(None, b"AEIMQUYcgkosw048"):
        return False
    # Their order: the first four letters of each as one field of a large number, from which the same number, moved on
    # by one field, is taken away; plus one, since they ascend strictly. Letters leave the highest bit of a field free,
    # and there stands a guard that the subtraction takes when a field is not the greater one. Two that begin with the
    # same four letters are not told apart here.
    fields = bytearray(4 * SLOTS * entries)
    for place in range(4):
        fields[place::4] = joined[place::_STRIDE]
    number = int.from_bytes(fields, "big")
    return ((number | guards) - (number >> 32) - one) & within == within


@lru_cache(maxsize=64)
def _masks(entries: int) -> tuple[bytes, int, int, int]:
    """What the letters of so many entries look like; a one, and a guard, in each field; the guards within entries."""
    count = SLOTS * entries
    guard, none = b"\x80\x00\x00\x00", bytes(4)
    return (
        ((b"A" * 43 + b'","') * count)[:-3],
        int.from_bytes(b"\x00\x00\x00\x01" * count, "big"),
        int.from_bytes(guard * count, "big"),
        # From one entry to the next nothing needs to ascend.
        int.from_bytes((none + guard * (SLOTS - 1)) * entries, "big"),
    )
