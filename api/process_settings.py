"""Which settings each process of ``cdx serve`` is given: the web processes nothing of the log's, and vice versa.

What a process does not have cannot be stolen from it. A setting is withheld by its name, wherever it came from:
children get all their settings by the environment, and never the file that ``CDX_CONFIG`` names.
"""

from collections.abc import Mapping
from typing import Final, Literal

from sqlalchemy import make_url

from api import settings_file
from api.config import PREFIX
from api.config import settings as all_settings
from api.errors import ConfigError

Process = Literal["web", "worker"]

_DATABASE: Final = (PREFIX + "DATABASE_URL", PREFIX + "DATABASE_PASSWORD_FILE")
_LOG_DATABASE: Final = (PREFIX + "LOG_DATABASE_URL", PREFIX + "LOG_DATABASE_PASSWORD_FILE")
_SIGN_IN: Final = (PREFIX + "OPENID_CLIENT_KEY_FILE", PREFIX + "OPENID_CLIENT_PASSWORD_FILE")
WITHHELD: Final[Mapping[Process, frozenset[str]]] = {
    "web": frozenset({PREFIX + "LOG_KEYSET_FILE", PREFIX + "LOG_ROOT_KEY_FILE", *_LOG_DATABASE}),
    "worker": frozenset({PREFIX + "WEB_KEYSET_FILE", PREFIX + "WEB_ROOT_KEY_FILE", *_SIGN_IN, *_LOG_DATABASE}),
}


def read_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """All settings that are set, as text by their name in the environment.

    Raises:
        ConfigError: the file that holds some cannot be read.
    """
    faults: list[str] = []
    known = {PREFIX + name.upper() for name in all_settings()}
    found = settings_file.read(environ, PREFIX, faults)
    if faults:
        raise ConfigError(faults)
    return {name: value for name, value in found.items() if name in known and value}


def told(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as ``configuration.changed`` is made of them: without the password that an address may hold."""
    addresses = {name: settings[name] for name in (_DATABASE[0], _LOG_DATABASE[0]) if name in settings}
    return dict(settings) | {
        name: make_url(address).set(password=None).render_as_string() for name, address in addresses.items()
    }


def settings_of(process: Process, settings: Mapping[str, str]) -> dict[str, str]:
    """The settings of one kind of process, out of all (:func:`read_settings`).

    The worker is told the log's role as *the* database, and never the address with the role of the web processes.
    """
    given = dict(settings)
    if process == "worker" and given.get(_LOG_DATABASE[0]):
        for name, own in zip(_DATABASE, _LOG_DATABASE, strict=True):
            given[name] = given.get(own, "")
    return {name: value for name, value in given.items() if value and name not in WITHHELD[process]}
