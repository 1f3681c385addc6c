"""What the exchange runs with is on record: an entry ``configuration.changed`` whenever the settings are others.

The entry tells the version, a digest, and which settings are set; never a value. Whoever knows the settings can show by
the digest that they were these.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import or_, update

from crypto import canonical
from exchange.events import Event, EventType
from exchange.tables import installation

if TYPE_CHECKING:
    from exchange.context import Exchange

_LONGEST_DETAIL = 512  # of a public member of an entry


def tell(exchange: "Exchange", settings: Mapping[str, str], *, version: str, now: datetime) -> bool:
    """Record the settings if they differ from those that were told last; whether they did.

    Args:
        exchange: the exchange.
        settings: all that are set, as text, by name; secrets are not among them.
        version: of this software.
        now: the time of the start.
    """
    digest = digest_of(settings, version)
    # Compared and set in one statement: of several servers that start at once, one tells.
    changed = (
        update(installation)
        .where(or_(installation.c.configuration_digest.is_(None), installation.c.configuration_digest != digest))
        .values(configuration_digest=digest)
    )
    with exchange.unit_of_work(now) as uow:
        if uow.connection.execute(changed).rowcount == 0:
            return False
        detail = {"version": version, "digest": digest} | _named(sorted(settings))
        uow.record(Event(type=EventType.CONFIGURATION_CHANGED, org="cdx", detail=detail))
        uow.commit()
    return True


def digest_of(settings: Mapping[str, str], version: str) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON ``{"settings": {name: value}, "version": text}``."""
    return sha256(canonical.encode({"settings": dict(settings), "version": version})).hexdigest()


def _named(names: list[str]) -> dict[str, str]:
    """Names as public members: ``settings``, and ``settings_2`` and so on where one is too short for them."""
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) + 1 > _LONGEST_DETAIL:
            lines.append("")
        lines[-1] = f"{lines[-1]} {name}".strip()
    return {"settings" if number == 1 else f"settings_{number}": line for number, line in enumerate(lines, start=1)}
