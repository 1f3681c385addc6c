"""The folder of a witness: its key, sealed, and its memory. A witness needs nothing else: no settings, no exchange.

    witness.keyset, witness.root     the key and the root key that opens it (api.keyfiles)
    witness.db                       what it cosigned (exchange.audit.witness_store)
    witness.vkey                     its public key, for whoever trusts it

It is made as a whole, once, and never restored from a backup.
"""

import os
import shutil
from pathlib import Path
from tempfile import mkdtemp

from api.errors import ConfigError
from api.keyfiles import key_files_in, make_keyset, read_keyset, write_public
from api.wiring import system_clock
from crypto.checkpoint import Cosigner
from crypto.keyset import KeyPurpose, Keyset
from exchange.audit import witness_store
from exchange.audit.witness_store import WitnessStore
from exchange.audit.witnessing import Witness

_DATABASE = "witness.db"
_VKEY = "witness.vkey"


def make_witness(folder: Path, name: str) -> str:
    """Make a witness; returns its verifier key.

    It is made beside its place and then moved there in one step, so that an interruption leaves no witness instead of
    half a one; what it leaves is a folder ``.<name>-…`` with keys that nobody has seen.

    Raises:
        ConfigError: the folder is not empty or cannot be written.
        MalformedError: a name that no signature line can carry.
    """
    target = folder.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{target.name}-", dir=target.parent))  # for its owner only
        try:
            cosigner = _cosigner(name, make_keyset(key_files_in(partial, "witness"), system_clock()))
            write_public(partial / _VKEY, f"{cosigner.vkey}\n")
            witness_store.create(partial / _DATABASE, cosigner.vkey)
            _make_durable(partial)
            partial.rename(target)  # refuses to take the place of a folder that is not empty
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _make_durable(target.parent)
    except OSError as exc:
        raise ConfigError([f"{folder}: {exc.strerror}"]) from exc
    return cosigner.vkey


def open_witness(folder: Path) -> Witness:
    """Open a witness that :func:`make_witness` has made.

    Raises:
        ConfigError: the folder holds none, or its keys cannot be read or do not open.
        WitnessError, DatabaseError: its memory is missing, not its own, or may lose commits.
    """
    try:
        vkey = (folder / _VKEY).read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigError([f"{folder} holds no witness: `cdx witness init` makes one"]) from exc
    files = key_files_in(folder, "witness")
    for path in (files.keyset, files.root):
        if not path.exists():
            raise ConfigError([f"{path} is missing: without its key a witness is another one, with another name"])
    cosigner = _cosigner(vkey.partition("+")[0], read_keyset(files))
    if cosigner.vkey != vkey:
        raise ConfigError([f"the key in {folder} is not that of {folder / _VKEY}"])
    return Witness(cosigner, WitnessStore(folder / _DATABASE, vkey), system_clock)


def _cosigner(name: str, keyset: Keyset) -> Cosigner:
    return Cosigner(name, keyset.primary(KeyPurpose.WITNESS_SIGNING).material)


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
