"""What releases are decided upon, held against the log: consents, clients, agencies, agreements, the catalogue.

A release trusts these rows; whoever writes to the database behind our back would change them, to let data out or to
have it encrypted to a key of their own. Each was announced by an entry, so each difference shows here. For ``cdx log
verify-db``, which has verified the entries themselves before.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, func, select

from consent.rebuild import rebuild
from exchange.audit.check_store import public_members
from exchange.audit.entry import Entry
from exchange.events import EventType
from exchange.tables import agency, agreement, catalogue, client, disclosure

_TOLD_BY: Final = (
    EventType.AGENCY_REGISTERED,
    EventType.AGENCY_STATUS_CHANGED,
    EventType.CLIENT_REGISTERED,
    EventType.CLIENT_STATUS_CHANGED,
    EventType.CATALOGUE_LOADED,
    EventType.AGREEMENT_APPROVED,
    EventType.AGREEMENT_ENDED,
)


@dataclass(slots=True)
class _Told:
    """What the entries say should stand: by table, by key."""

    agencies: dict[str, dict[str, str]] = field(default_factory=dict)
    clients: dict[str, dict[str, str]] = field(default_factory=dict)
    agreements: dict[str, dict[str, str]] = field(default_factory=dict)
    catalogues: dict[str, str] = field(default_factory=dict)

    def take(self, entry: Entry) -> None:
        """One more entry, in the order of the log."""
        detail = dict(entry.detail)
        match entry.type:
            case EventType.AGENCY_REGISTERED:
                self.agencies[detail["agency"]] = {"profile": detail["profile"], "status": "ACTIVE"}
            case EventType.AGENCY_STATUS_CHANGED:
                self.agencies.setdefault(detail["agency"], {})["status"] = detail["status"]
            case EventType.CLIENT_REGISTERED:
                told = {name: detail[name] for name in ("agency", "scopes", "jwks")}
                # Entries from before there was anything else to register name nothing else.
                told["registration"] = detail.get("registration", _digest("{}"))
                self.clients[detail["client"]] = {**told, "status": "ACTIVE"}
            case EventType.CLIENT_STATUS_CHANGED:
                self.clients.setdefault(detail["client"], {})["status"] = detail["status"]
            case EventType.CATALOGUE_LOADED:
                self.catalogues[detail["version"]] = detail["digest"]
            case EventType.AGREEMENT_APPROVED | EventType.AGREEMENT_ENDED:
                status = "IN_FORCE" if entry.type == EventType.AGREEMENT_APPROVED else "ENDED"
                self.agreements[detail["agreement"]] = {"digest": detail["digest"], "status": status}


def rule_faults(connection: Connection) -> Iterator[str]:
    """A sentence for each row that is not as the log, or the ledger's events, say."""
    told = _Told()
    for entry in public_members(connection, [kind.value for kind in _TOLD_BY]):
        told.take(entry)
    yield from _consent_faults(connection)
    yield from _compared("agency", told.agencies, _agencies(connection))
    yield from _compared("client", told.clients, _clients(connection))
    yield from _compared("agreement", told.agreements, _agreements(connection))
    stored = {
        str(row.version): sha256(row.body).hexdigest()
        for row in connection.execute(select(catalogue.c.version, catalogue.c.body))
    }
    for version in sorted(told.catalogues.keys() | stored.keys()):
        if told.catalogues.get(version) != stored.get(version):
            yield f"catalogue: version {version} is not the one that was loaded"


def _consent_faults(connection: Connection) -> Iterator[str]:
    def uses_taken(ids: Sequence[UUID]) -> dict[UUID, int]:
        rows = connection.execute(
            select(disclosure.c.consent_id, func.count().label("uses"))
            .where(disclosure.c.consent_id.in_(ids))
            .group_by(disclosure.c.consent_id)
        )
        return {row.consent_id: row.uses for row in rows}

    for difference in rebuild(connection, uses_taken=uses_taken):
        what = (
            "its events do not fold" if difference.column is None else f"{difference.column} is not what its events say"
        )
        yield f"consent: {difference.consent_id}: {what}"


def _compared(table: str, told: dict[str, dict[str, str]], stored: dict[str, dict[str, Any]]) -> Iterator[str]:
    for key in sorted(told.keys() | stored.keys()):
        if key not in stored:
            yield f"{table}: {key} is gone"
        elif key not in told:
            yield f"{table}: {key} was never registered"
        else:
            for name, value in told[key].items():
                if stored[key][name] != value:
                    yield f"{table}: {name} of {key} is not what the log says"


def _agencies(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute(select(agency.c.code, agency.c.profile, agency.c.status))
    return {row.code: {"profile": _digest(row.profile), "status": row.status} for row in rows}


def _clients(connection: Connection) -> dict[str, dict[str, Any]]:
    rows = connection.execute(
        select(client.c.id, client.c.agency, client.c.scopes, client.c.jwks, client.c.registration, client.c.status)
    )
    return {
        row.id: {
            "agency": row.agency,
            "scopes": row.scopes,
            "jwks": _digest(row.jwks),
            "registration": _digest(row.registration),
            "status": row.status,
        }
        for row in rows
    }


def _agreements(connection: Connection) -> dict[str, dict[str, Any]]:
    """Those that were ever in force; a proposal permits nothing."""
    rows = connection.execute(
        select(agreement.c.code, agreement.c.body, agreement.c.status).where(agreement.c.status != "PROPOSED")
    )
    return {row.code: {"digest": sha256(row.body).hexdigest(), "status": row.status} for row in rows}


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
