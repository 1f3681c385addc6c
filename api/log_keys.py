"""The log's keys out of keyset or file: who signs, and what verifies, under which name."""

from collections.abc import Sequence

from api.config import Config
from api.errors import ConfigError
from crypto.checkpoint import NoteSigner, NoteVerifier
from crypto.errors import MalformedError
from crypto.keyset import KeyPurpose, Keyset, KeyStatus


def signers(keys: Keyset, name: str) -> list[NoteSigner]:
    """All enabled keys: during a rotation the old and the new one."""
    return [NoteSigner(name, key.material) for key in keys.all(KeyPurpose.LOG_SIGNING)]


def retired(keys: Keyset, name: str) -> list[NoteVerifier]:
    """Keys that sign no more; what they signed last may be where a sequencer begins."""
    return [
        NoteVerifier.parse(NoteSigner(name, key.material).vkey)
        for key in keys.keys
        if key.purpose is KeyPurpose.LOG_SIGNING and key.status is KeyStatus.DISABLED
    ]


def publics(keys: Keyset) -> list[bytes]:
    """The public halves of all keys that are not destroyed, whatever the name."""
    name = "log"
    known = [NoteVerifier.parse(signer.vkey) for signer in signers(keys, name)] + retired(keys, name)
    return [verifier.public for verifier in known]


def published(config: Config) -> Sequence[NoteVerifier]:
    """The keys in the public file, which every process may read.

    Raises:
        ConfigError: it is missing, or holds no verifier key.
    """
    try:
        return [NoteVerifier.parse(line) for line in config.vkey_file.read_text(encoding="ascii").split()]
    except (OSError, UnicodeDecodeError, MalformedError) as exc:
        raise ConfigError([f"{config.vkey_file} cannot be read as the log's public keys: {exc}"]) from exc
