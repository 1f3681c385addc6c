"""Rotating signing keys: a new key, an overlap in which both are good, the end of the old one.

    rotate  1. the new key is added to the keyset, not primary yet        (what signs with all keys signs with it too)
            2. of the log: the file with its verifier keys names both
            3. an entry tells of the new public key                       (key.verifier_added)
            4. the new key becomes primary
    retire  1. an entry tells that the old key signs no more              (key.verifier_retired)
            2. it is disabled in the keyset
            3. of the log: the file names what is left

Every step is durable before the next begins, and looks first whether it was done: after a crash the same command goes
on where it stopped. A key file is changed by one command at a time. Processes read their keys when they start.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from api.errors import ConfigError
from api.keyfiles import InstallationKeyset, changing, key_files, read_keyset, replace_keyset, write_public
from api.wiring import Services
from crypto.checkpoint import NoteSigner, NoteVerifier, open_note
from crypto.errors import CryptoError
from crypto.jose import SigningKey
from crypto.keyset import Key, KeyPurpose, Keyset, KeyStatus
from exchange import verifier_keys
from exchange.audit import log
from exchange.errors import UnknownEntryError
from exchange.verifier_keys import VerifierKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotating:
    """A purpose whose keys can be rotated.

    Attributes:
        keyset: which file holds them.
        public: the public half as the log tells of it, under the log's origin.
    """

    purpose: KeyPurpose
    keyset: InstallationKeyset
    public: Callable[[Key, str], VerifierKey]


def log_vkey(key: Key, origin: str) -> VerifierKey:
    """A key of the log bears the name of its origin (C2SP tlog-checkpoint)."""
    return VerifierKey(use="log", key=NoteSigner(origin, key.material).vkey)


def receipt_key(key: Key, _origin: str) -> VerifierKey:
    """A receipt names its key by kid."""
    signer = SigningKey.from_key(key)
    return VerifierKey(use="receipt", key=signer.public_jwk()["x"], kid=signer.kid)


ROTATING: Final[Mapping[str, Rotating]] = MappingProxyType(
    {
        "log": Rotating(purpose=KeyPurpose.LOG_SIGNING, keyset="log", public=log_vkey),
        "receipt": Rotating(purpose=KeyPurpose.RECEIPT_SIGNING, keyset="web", public=receipt_key),
    }
)
"""By the word that commands and entries use."""


def write_vkeys(services: Services, keys: Keyset, origin: str | None = None) -> None:
    """Write the file with the verifier keys of the log's enabled keys, one a line, the newest first.

    Args:
        services: name the file.
        keys: the log's keyset.
        origin: the log's name; None: the one it has.
    """
    origin = origin or services.exchange.installation.origin
    lines = [
        log_vkey(key, origin).key + "\n"
        for key in sorted(keys.all(KeyPurpose.LOG_SIGNING), key=keys.keys.index, reverse=True)
    ]
    write_public(services.config.vkey_file, "".join(lines))


def rotate(services: Services, use: str) -> VerifierKey:
    """Add a new key and let it take the lead; the former one stays good until :func:`retire`.

    The entry's facts are sealed with the operator's key, so the web keyset is needed for every purpose.

    Returns:
        The new public key. When an earlier call was interrupted: the key that it had made.

    Raises:
        ConfigError: the key files cannot be read or written.
    """
    one = ROTATING[use]
    files = key_files(services.config, one.keyset)
    with changing(files):
        keys = read_keyset(files)
        if keys.waiting(one.purpose) is None:
            keys = keys.add(one.purpose, services.clock())
            # A crash after this line leaves a key that nobody was told of; the next call goes on with it.
            replace_keyset(files, keys)
        waiting = keys.waiting(one.purpose)
        assert waiting is not None  # added just now, or found
        public = one.public(waiting, services.exchange.installation.origin)
        if one.purpose is KeyPurpose.LOG_SIGNING:
            write_vkeys(services, keys)
        with services.exchange.unit_of_work(services.clock()) as uow:
            if not verifier_keys.told(uow.connection).knows(public):
                verifier_keys.record_added(uow, [public])
                uow.commit()
        # A crash before this line leaves a key that is told of and does not lead yet.
        replace_keyset(files, keys.promote(one.purpose))
    return public


def retire(services: Services, use: str, kid: str) -> VerifierKey:
    """End a key that another one has replaced. What it signed stays good: the log still tells of it.

    Raises:
        ConfigError: no such key; it is the one in use; or its successor is not established: its entry waits, or, of the
            log, the newest checkpoint does not bear its signature.
    """
    one = ROTATING[use]
    files = key_files(services.config, one.keyset)
    origin = services.exchange.installation.origin
    with changing(files):
        keys = read_keyset(files)
        named = [key for key in keys.keys if key.purpose is one.purpose and key.kid == kid]
        if not named or named[0].status is KeyStatus.DESTROYED:
            raise ConfigError([f"there is no {use} key {kid}: see `cdx keys status`"])
        if named[0].is_primary or keys.waiting(one.purpose) is not None:
            raise ConfigError([f"the {use} key {kid} is in use: finish `cdx keys rotate {use}` first"])
        public = one.public(named[0], origin)
        _require_successor(services, one, keys)
        with services.exchange.unit_of_work(services.clock()) as uow:
            if not verifier_keys.told(uow.connection).has_retired(public):
                verifier_keys.record_retired(uow, [public])
                uow.commit()
        # A crash before this line leaves a key of which the log says that it signs no more, and that still may: again.
        keys = keys.with_status(one.purpose, kid, KeyStatus.DISABLED)
        replace_keyset(files, keys)
        if one.purpose is KeyPurpose.LOG_SIGNING:
            write_vkeys(services, keys)
    return public


def _require_successor(services: Services, one: Rotating, keys: Keyset) -> None:
    """Whoever knows the old key only must be able to learn the new one from what the old one signed."""
    successor = one.public(keys.primary(one.purpose), services.exchange.installation.origin)
    with services.exchange.database.read() as connection:
        if not verifier_keys.is_integrated(connection, successor):
            raise ConfigError(["the entry about the new key is not in the log yet: is the sequencer running?"])
        if one.purpose is not KeyPurpose.LOG_SIGNING:
            return
        try:
            open_note(log.latest_checkpoint(connection).note, [NoteVerifier.parse(successor.key)])
        except (CryptoError, UnknownEntryError):
            raise ConfigError(
                ["no checkpoint bears the signature of the new key yet: start `cdx worker` (or serve) anew, and wait"]
            ) from None
