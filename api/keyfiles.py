"""Key files: sealed keysets and the root keys that open them. The only place that reads or writes secrets on disk.

Two sets, so that no web worker holds the key that signs the log: *web* for everything else, *log* for the sequencer. A
third, *witness*, is that of a witness, which is no part of an installation. A root key file holds 32 bytes, raw or as
base64url text; in production a secret store or the init system provides it.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from api.config import Config
from api.errors import ConfigError
from crypto.encoding import b64u_decode, b64u_encode
from crypto.errors import CryptoError, MalformedError
from crypto.ids import random_bytes
from crypto.keyset import KeyPurpose, Keyset, generate_keyset, open_keyset, seal_keyset

InstallationKeyset = Literal["web", "log"]
KeysetName = InstallationKeyset | Literal["witness"]

ROOT_KEY_BYTES: Final = 32
PURPOSES: Final[dict[KeysetName, tuple[KeyPurpose, ...]]] = {
    "web": (
        KeyPurpose.KEK_WRAP,
        KeyPurpose.BLIND_INDEX,
        KeyPurpose.PSEUDONYM,
        KeyPurpose.TOKEN_SIGNING,
        KeyPurpose.ANSWER_SIGNING,
        KeyPurpose.PROVIDER_SIGNING,
        KeyPurpose.RECEIPT_SIGNING,
    ),
    "log": (KeyPurpose.LOG_SIGNING,),
    "witness": (KeyPurpose.WITNESS_SIGNING,),
}
OF_INSTALLATION: Final[tuple[InstallationKeyset, ...]] = ("web", "log")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """Where one keyset and its root key are."""

    name: KeysetName
    keyset: Path
    root: Path


def key_files(config: Config, name: InstallationKeyset) -> KeyFiles:
    """The files of a keyset of an installation.

    Raises:
        ConfigError: this configuration does not name them; it is for another role.
    """
    if config.unsafe_local_keys_dir is not None:
        return key_files_in(config.unsafe_local_keys_dir, name)
    keyset, root = {
        "web": (config.web_keyset_file, config.web_root_key_file),
        "log": (config.log_keyset_file, config.log_root_key_file),
    }[name]
    if keyset is None or root is None:
        upper = name.upper()
        raise ConfigError([f"the {name} keys are needed: set CDX_{upper}_KEYSET_FILE and CDX_{upper}_ROOT_KEY_FILE"])
    return KeyFiles(name=name, keyset=keyset, root=root)


def key_files_in(folder: Path, name: KeysetName) -> KeyFiles:
    """The files of a keyset that has both in one folder."""
    return KeyFiles(name=name, keyset=folder / f"{name}.keyset", root=folder / f"{name}.root")


def read_keyset(files: KeyFiles) -> Keyset:
    """Open a keyset.

    Raises:
        ConfigError: a file is missing, readable by others, or does not open with its root key.
    """
    root_key = _root_key(_read_private(files.root))
    try:
        return open_keyset(_read_private(files.keyset), root_key=root_key)
    except CryptoError as exc:
        raise ConfigError([f"{files.keyset} does not open with the root key {files.root}"]) from exc


def make_keyset(files: KeyFiles, now: datetime) -> Keyset:
    """Open a keyset, or make it when there is none. The root key is made too, unless something else provides it.

    Raises:
        ConfigError: the folder cannot be written, or what exists does not open.
    """
    if files.keyset.exists():
        return read_keyset(files)
    try:
        for path in (files.root, files.keyset):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not files.root.exists():
            _write_private(files.root, b64u_encode(random_bytes(ROOT_KEY_BYTES)).encode())
        root_key = _root_key(_read_private(files.root))
        keyset = generate_keyset(PURPOSES[files.name], now=now)
        _write_private(files.keyset, seal_keyset(keyset, root_key=root_key))
    except OSError as exc:
        raise ConfigError([f"{files.keyset}: {exc.strerror}"]) from exc
    return keyset


@contextmanager
def changing(files: KeyFiles) -> Iterator[None]:
    """Keep other commands from changing the same keyset meanwhile; the lock dies with the process.

    Raises:
        ConfigError: another command is at it, or the folder cannot be written.
    """
    path = files.keyset.with_name(f".{files.keyset.name}.lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}"]) from exc
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise ConfigError([f"another command is changing {files.keyset}"]) from exc
        yield
    finally:
        os.close(descriptor)


def replace_keyset(files: KeyFiles, keyset: Keyset) -> None:
    """Put a changed keyset in the place of the old one, at once and durably. Call it within :func:`changing`.

    A crash leaves the old keyset or the new one, and perhaps a file that begins with a dot, which nobody reads.

    Raises:
        ConfigError: the folder cannot be written, or the root key is missing.
    """
    sealed = seal_keyset(keyset, root_key=_root_key(_read_private(files.root)))
    try:
        _write_private(files.keyset, sealed, replace=True)
    except OSError as exc:
        raise ConfigError([f"{files.keyset}: {exc.strerror}"]) from exc


def write_public(path: Path, text: str) -> None:
    """Write a file that everybody may read, at once and durably.

    Raises:
        ConfigError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private(path, text.encode("ascii"), replace=True, mode=0o644)
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}"]) from exc


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ConfigError([f"{path} can be read or changed by others: chmod 600 {path}"])
            return file.read()
    except OSError as exc:
        raise ConfigError([f"{path}: {exc.strerror}; `cdx init` makes the keys of a new installation"]) from exc


def _root_key(data: bytes) -> bytes:
    if len(data) == ROOT_KEY_BYTES:
        return data
    with suppress(MalformedError, UnicodeDecodeError):
        decoded = b64u_decode(data.decode("ascii").strip())
        if len(decoded) == ROOT_KEY_BYTES:
            return decoded
    raise ConfigError([f"a root key file holds {ROOT_KEY_BYTES} bytes, raw or as base64url"])


def _write_private(path: Path, data: bytes, *, replace: bool = False, mode: int = 0o600) -> None:
    """Write a file that only its owner reads; durable before it has its name, so that no half key is ever seen."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)  # left by a process of the same number that was killed
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask is
            os.fsync(file.fileno())
        if replace:
            partial.replace(path)
        else:
            os.link(partial, path)  # refuses to take the place of a file that is there
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
