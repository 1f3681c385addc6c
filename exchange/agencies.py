"""Agencies and their clients: registered, suspended, and taken up again.

Nobody is removed: disclosures go on naming them. A suspension bumps the version of the row that every release locks, so
no release that began before it commits after it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import Connection, Row, Select, Table, insert, select, update
from sqlalchemy.exc import IntegrityError

from crypto import canonical
from crypto.errors import MalformedError
from crypto.jwk import load_jwk_set
from exchange.client_registration import ClientRegistration
from exchange.documents import DocumentFaultsError, faults_of, read_document
from exchange.errors import ExchangeError, UnknownAgencyError
from exchange.events import Event, EventType
from exchange.model import Agency, AgencyCode, Status
from exchange.policy import REQUEST_SCOPE
from exchange.providers.endpoint import LiveEndpoint
from exchange.tables import agency as agency_table
from exchange.tables import client as client_table

if TYPE_CHECKING:
    from exchange.context import Exchange

SCHEMA: Final = "agencies.schema.json"
_VERSION: Final = "cdx/agencies/v1"
_CLIENT_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_SCOPE: Final = re.compile(r"[a-z][a-z_]{0,31}(?::[a-z][a-z_]{0,31})?", re.ASCII)
_RESERVED: Final = frozenset({"cdx", "subject"})
ONLY_ITSELF: Final = ClientRegistration()
"""A client that asks in its own name only, with keys by value."""
_PERSONS_SCOPE: Final = "me"  # of a person's own token: no client is ever given it


class RegistrationError(ExchangeError):
    """An agency or a client cannot be registered as described, or is registered already."""

    code: ClassVar[str] = "invalid-registration"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyEntry:
    """One agency of a file."""

    code: AgencyCode
    name: str
    profile: Mapping[str, Any]


def parse_agencies(yaml_text: str) -> tuple[AgencyEntry, ...]:
    """The agencies of a file, to be registered one by one.

    Raises:
        RegistrationError: every fault with its place, one per line.
    """
    try:
        document = read_document(yaml_text, SCHEMA)
        seen: set[str] = set()
        for index, entry in enumerate(document.body["list"]):
            if entry["code"] in seen:
                document.fault(("list", index, "code"), f"{entry['code']} stands twice")
            seen.add(entry["code"])
        document.refuse_faults()
    except DocumentFaultsError as exc:
        raise RegistrationError(f"the list of agencies is not valid:\n{exc}") from None
    return tuple(
        AgencyEntry(code=AgencyCode(entry["code"]), name=entry["name"], profile=entry["profile"])
        for entry in document.body["list"]
    )


def register_agency(exchange: "Exchange", code: str, name: str, profile: Mapping[str, Any], now: datetime) -> Agency:
    """Register an agency, active from now on.

    Raises:
        RegistrationError: the code, name or profile is not valid, or the code is taken.
    """
    kept = dict(profile)
    faults = faults_of({"agencies": _VERSION, "list": [{"code": code, "name": name, "profile": kept}]}, SCHEMA)
    if code in _RESERVED:
        faults.append("code: stands for the exchange itself or for a person in the log")
    if not faults:
        try:
            LiveEndpoint.from_profile(kept)
        except ValueError as exc:
            faults = [f"profile.live: {exc}"]
    if faults:
        raise RegistrationError("the agency is not valid:\n" + "\n".join(faults))
    try:
        stored = canonical.encode(kept)
    except MalformedError as exc:
        raise RegistrationError(f"the agency cannot be stored: {exc}") from exc
    row = {
        "code": code,
        "name": name,
        "profile": stored.decode(),
        "status": Status.ACTIVE.value,
        "version": 1,
        "created_at": now,
    }
    detail = {"agency": code, "profile": hashlib.sha256(stored).hexdigest()}
    _register(exchange, agency_table, row, EventType.AGENCY_REGISTERED, org=code, detail=detail, now=now)
    return Agency(code=code, name=name, status=Status.ACTIVE, version=1, profile=profile)


def register_client(  # the order of every use case: the exchange first, the time last
    exchange: "Exchange",
    client_id: str,
    agency: str,
    jwks: Mapping[str, Any],
    scopes: Iterable[str],
    now: datetime,
    registration: ClientRegistration = ONLY_ITSELF,
) -> None:
    """Register a client of an agency, active from now on.

    Args:
        exchange: the exchange.
        client_id: what it calls itself when it asks for a token.
        agency: code of its agency.
        jwks: its public keys: at least one to sign with, or none if they stand at its ``jwks_uri``; exactly one to
            encrypt answers to, if it asks for attributes.
        scopes: what it may be granted at most.
        now: aware UTC.
        registration: what else is registered of it.

    Raises:
        RegistrationError: the id, a key or a scope is not valid, or the id is taken.
        UnknownAgencyError: there is no such agency.
    """
    granted = sorted(set(scopes))
    faults = []
    if _CLIENT_ID.fullmatch(client_id) is None:
        faults.append("client_id: expected letters, digits, '.', '_' and '-', at most 128")
    if not granted or _PERSONS_SCOPE in granted or any(_SCOPE.fullmatch(scope) is None for scope in granted):
        faults.append("scopes: expected at least one, each such as attributes:request")
    signing = _keys(jwks, "sig")
    if registration.jwks_uri is None and not signing:
        faults.append("jwks: no usable signature key (ES256, PS256 or Ed25519, public members only)")
    if registration.jwks_uri is not None and signing:
        faults.append("jwks: signature keys stand at the jwks_uri or here, not in both places")
    faults += registration.faults()
    if REQUEST_SCOPE in granted and len(_keys(jwks, "enc")) != 1:
        faults.append("jwks: expected exactly one encryption key (P-256, use: enc) for the answers")
    if faults:
        raise RegistrationError("the client is not valid:\n" + "\n".join(faults))
    scope_text = " ".join(granted)
    stored_keys = json.dumps(jwks, separators=(",", ":"), sort_keys=True)
    stored_registration = registration.to_text()
    row = {
        "id": client_id,
        "agency": agency,
        "jwks": stored_keys,
        "scopes": scope_text,
        "status": Status.ACTIVE.value,
        "version": 1,
        "created_at": now,
        "registration": stored_registration,
    }
    detail = {
        "client": client_id,
        "agency": agency,
        "scopes": scope_text,
        # All keys, the one included that every answer goes to: `cdx log verify-db` compares.
        "jwks": hashlib.sha256(stored_keys.encode()).hexdigest(),
        "registration": hashlib.sha256(stored_registration.encode()).hexdigest(),
    }
    if signing:  # with a jwks_uri there are none yet
        detail["keys"] = " ".join(signing[:8])
    _register(exchange, client_table, row, EventType.CLIENT_REGISTERED, org=agency, detail=detail, now=now)


def find_agency(connection: Connection, code: str) -> Agency:
    """One agency.

    Raises:
        UnknownAgencyError: there is none.
    """
    row = connection.execute(_AGENCY.where(agency_table.c.code == code)).one_or_none()
    if row is None:
        raise UnknownAgencyError(f"no agency {code}")
    return _agency(row)


def list_agencies(connection: Connection) -> list[Agency]:
    """All agencies in the order of their codes."""
    return [_agency(row) for row in connection.execute(_AGENCY.order_by(agency_table.c.code))]


def set_agency_status(exchange: "Exchange", code: str, status: Status, now: datetime) -> bool:
    """Suspend an agency, or let it act again. Its tokens and consents stay: they ask for its status at each use.

    Returns:
        False when it had that status already.

    Raises:
        UnknownAgencyError: there is none.
    """
    with exchange.unit_of_work(now) as uow:
        if not _set_status(uow.connection, agency_table, agency_table.c.code, code, status):
            find_agency(uow.connection, code)
            return False
        detail = {"agency": code, "status": status.value}
        uow.record(Event(type=EventType.AGENCY_STATUS_CHANGED, org=code, detail=detail))
        uow.commit()
    return True


def set_client_status(exchange: "Exchange", client_id: str, status: Status, now: datetime) -> bool:
    """Suspend a client, or let it act again.

    Returns:
        False when it had that status already.

    Raises:
        UnknownAgencyError: there is no such client.
    """
    with exchange.unit_of_work(now) as uow:
        owner = uow.connection.execute(select(client_table.c.agency).where(client_table.c.id == client_id)).scalar()
        if owner is None:
            raise UnknownAgencyError(f"no client {client_id}")
        if not _set_status(uow.connection, client_table, client_table.c.id, client_id, status):
            return False
        detail = {"client": client_id, "agency": owner, "status": status.value}
        uow.record(Event(type=EventType.CLIENT_STATUS_CHANGED, org=owner, detail=detail))
        uow.commit()
    return True


_AGENCY: Final[Select[Any]] = select(
    agency_table.c.code, agency_table.c.name, agency_table.c.status, agency_table.c.version, agency_table.c.profile
)


def _agency(row: Row[Any]) -> Agency:
    return Agency(
        code=row.code,
        name=row.name,
        status=Status(row.status),
        version=row.version,
        profile=canonical.decode(row.profile.encode()),
    )


def _register(
    exchange: "Exchange",
    table: Table,
    row: dict[str, Any],
    kind: EventType,
    *,
    org: str,
    detail: dict[str, str],
    now: datetime,
) -> None:
    with exchange.unit_of_work(now) as uow:
        if table is client_table:
            find_agency(uow.connection, row["agency"])
        try:
            uow.connection.execute(insert(table).values(row))
        except IntegrityError as exc:
            raise RegistrationError(f"{detail.get('client', org)} is registered already") from exc
        uow.record(Event(type=kind, org=org, detail=detail))
        uow.commit()


def _set_status(connection: Connection, table: Table, key: Any, value: str, status: Status) -> bool:
    """One statement: waits for the releases that hold the row, and bumps its version if anything changes."""
    changed = connection.execute(
        update(table)
        .where(key == value, table.c.status != status.value)
        .values(status=status.value, version=table.c.version + 1)
    )
    return changed.rowcount == 1


def _keys(jwks: Mapping[str, Any], use: Any) -> list[str]:
    """Thumbprints of the keys that serve ``use``; none when the set is malformed or holds a private key."""
    try:
        return [key.thumbprint for key in load_jwk_set(jwks, use=use)]
    except MalformedError:
        return []
