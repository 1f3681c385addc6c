"""B7: sealing and opening a field of 64 bytes, in our full format and in what others offer."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Final

import tink
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy_utils.types.encrypted.encrypted_type import AesGcmEngine
from tink import aead as tink_aead

from crypto.fields import DataKey, FieldContext, row_binding
from crypto.ids import new_id

ROUNDS: Final = 5
_TEXT: Final = "A value of sixty-four characters, as long as a name and address."
_PLAINTEXT: Final = _TEXT.encode()


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to protect a field. Microseconds of the CPU."""

    name: str
    seal: float
    open: float


def measure(calls: int) -> dict[str, Method]:
    """All ways, in turn, five times; medians."""
    assert len(_PLAINTEXT) == 64
    ways = {"ours": _ours(), "ours_row": _ours_row(), "bare": _bare(), "tink": _tink(), "utils": _sqlalchemy_utils()}
    sealing: dict[str, list[float]] = {name: [] for name in ways}
    opening: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (_, seal, open_) in ways.items():
            # The slowest needs a thousand times as long as the fastest to say the same.
            count = max(calls // 20, 1) if name == "utils" else calls
            sealed = seal()
            if open_(sealed) not in (_PLAINTEXT, _TEXT):
                raise AssertionError(f"{name} does not open what it sealed")
            sealing[name].append(_cost(seal, count))
            opening[name].append(_cost(lambda open_=open_, sealed=sealed: open_(sealed), count))
    return {
        name: Method(name=told, seal=median(sealing[name]), open=median(opening[name]))
        for name, (told, _, _) in ways.items()
    }


def _cost(call: Callable[[], Any], count: int) -> float:
    began = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began) / count * 1e6


Way = tuple[str, Callable[[], Any], Callable[[Any], Any]]


def _ours() -> Way:
    key, context, ids = _parts()
    row = row_binding(subject_ref=ids[0], record_id=ids[1], version=1)
    return (
        "`crypto.fields.FieldContext`",
        lambda: context.seal(key, _PLAINTEXT, row),
        lambda sealed: context.open(key, sealed, row),
    )


def _ours_row() -> Way:
    key, context, (subject, record, _) = _parts()

    def seal() -> bytes:
        return context.seal(key, _PLAINTEXT, row_binding(subject_ref=subject, record_id=record, version=1))

    def open_(sealed: bytes) -> bytes:
        return context.open(key, sealed, row_binding(subject_ref=subject, record_id=record, version=1))

    return "… with a row binding for each field", seal, open_


def _parts() -> tuple[DataKey, FieldContext, list[Any]]:
    ids = [new_id(datetime.now(UTC)) for _ in range(3)]
    return DataKey.generate(), FieldContext(installation=ids[2], table="attribute_value", column="full_name"), ids


def _bare() -> Way:
    aead = AESGCM(os.urandom(32))

    def seal() -> bytes:
        nonce = os.urandom(12)
        return nonce + aead.encrypt(nonce, _PLAINTEXT, None)

    return "bare `AESGCM`, random nonce", seal, lambda sealed: aead.decrypt(sealed[:12], sealed[12:], None)


def _tink() -> Way:
    tink_aead.register()
    primitive = tink.new_keyset_handle(tink_aead.aead_key_templates.AES256_GCM).primitive(tink_aead.Aead)
    return (
        "`tink`, AES256_GCM",
        lambda: primitive.encrypt(_PLAINTEXT, b""),
        lambda sealed: primitive.decrypt(sealed, b""),
    )


def _sqlalchemy_utils() -> Way:
    engine = AesGcmEngine()
    engine._update_key(os.urandom(32))  # noqa: SLF001  # what its column type does once
    return "`sqlalchemy-utils`, AesGcmEngine", lambda: engine.encrypt(_TEXT), engine.decrypt
