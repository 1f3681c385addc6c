"""The catalogue's file: read, checked and kept, one version after the other.

A version is stored as canonical JSON, so that its digest names it. The values that the rest of the house works with
stand in ``exchange.catalogue_model`` and are passed on from here.
"""

import hashlib
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import IntegrityError

from consent.model import LegalBasis
from crypto import canonical
from crypto.errors import MalformedError
from exchange.catalogue_model import Attribute, Catalogue, Classification, ClassificationCode, Purpose
from exchange.documents import Document, DocumentFaultsError, read_document
from exchange.errors import CatalogueError
from exchange.events import Event, EventType
from exchange.forms import forms_of_type
from exchange.model import AgencyCode
from exchange.tables import catalogue as catalogue_table

if TYPE_CHECKING:
    from exchange.context import Exchange

__all__ = [
    "Attribute",
    "Catalogue",
    "Classification",
    "Purpose",
    "catalogue_from_body",
    "load_catalogue",
    "parse_catalogue",
]

SCHEMA: Final = "catalogue.schema.json"
MAX_BODY: Final = 1_048_576  # bytes


def parse_catalogue(yaml_text: str) -> bytes:
    """Check a catalogue file.

    Returns:
        Its body: canonical JSON.

    Raises:
        CatalogueError: every fault with its place, one per line.
    """
    try:
        document = read_document(yaml_text, SCHEMA)
        _check_references(document)
        document.refuse_faults()
        return canonical.encode(document.body)
    except DocumentFaultsError as exc:
        raise CatalogueError(f"the catalogue is not valid:\n{exc}") from None
    except MalformedError as exc:
        raise CatalogueError(f"the catalogue cannot be stored: {exc}") from exc


def _check_references(document: Document) -> None:
    """What the schema cannot say: names that must exist, and forms that fit their type."""
    body = document.body
    for name, attribute in body["attributes"].items():
        at = partial(document.fault, ("attributes", name, "forms"))
        if attribute["classification"] not in body["classifications"]:
            document.fault(("attributes", name, "classification"), f"unknown: {attribute['classification']}")
        forms = frozenset(attribute["forms"])
        if misfits := sorted(forms - forms_of_type(attribute["type"])):
            at(f"{', '.join(misfits)} cannot be answered of a {attribute['type']}")
        if "equals" in forms and not attribute.get("high_entropy", False):
            # Decision 16: of few possible values, "is it this one?" is soon the value.
            at("equals needs high_entropy: true")
    ranks: dict[int, str] = {}
    for code, classification in body["classifications"].items():
        other = ranks.setdefault(classification["rank"], code)
        if other != code:
            document.fault(("classifications", code, "rank"), f"the same as that of {other}")


def catalogue_from_body(version: int, body: bytes) -> Catalogue:
    """The catalogue of a stored body.

    Raises:
        CatalogueError: the body is not one that ``parse_catalogue`` made.
    """
    try:
        content = canonical.decode(body, max_bytes=MAX_BODY)
        return Catalogue(
            version=version,
            digest=hashlib.sha256(body).hexdigest(),
            attributes=MappingProxyType(
                {name: _attribute(name, members) for name, members in content["attributes"].items()}
            ),
            purposes=MappingProxyType({code: _purpose(code, members) for code, members in content["purposes"].items()}),
            classifications=MappingProxyType(
                {
                    code: Classification(code=ClassificationCode(code), **members)
                    for code, members in content["classifications"].items()
                }
            ),
        )
    except (MalformedError, KeyError, TypeError, ValueError, AttributeError) as exc:
        raise CatalogueError(f"the stored catalogue, version {version}, is damaged") from exc


def _attribute(name: str, members: dict[str, Any]) -> Attribute:
    return Attribute(
        name=name,
        label=members["label"],
        description=members["description"],
        type=members["type"],
        classification=ClassificationCode(members["classification"]),
        provider=AgencyCode(members["provider"]),
        freshness_days=members.get("freshness_days"),
        forms=frozenset(members["forms"]),
        high_entropy=members.get("high_entropy", False),
        live=members.get("live", False),
        dpv=members.get("dpv"),
        whereabouts=members.get("whereabouts", False),
    )


def _purpose(code: str, members: dict[str, Any]) -> Purpose:
    return Purpose(
        code=code,
        label=members["label"],
        description=members["description"],
        dpv=members["dpv"],
        legal_bases=frozenset(map(LegalBasis, members["legal_bases"])),
        retention_days=members["retention_days"],
    )


def load_catalogue(exchange: "Exchange", yaml_text: str, now: datetime) -> Catalogue:
    """Make a file the catalogue in force: a new version, unless it says what the newest one says.

    Two that load at once make the same version number, and the primary key refuses the second.

    Raises:
        CatalogueError: the file is not valid, or another one was loaded at the same moment.
    """
    body = parse_catalogue(yaml_text)
    digest = hashlib.sha256(body).hexdigest()
    with exchange.unit_of_work(now) as uow:
        newest = _newest(uow.connection)
        if newest is not None and newest.digest == digest:
            return newest
        version = 1 if newest is None else newest.version + 1
        row = {"version": version, "digest": digest, "body": body, "loaded_at": now}
        try:
            uow.connection.execute(insert(catalogue_table).values(row))
        except IntegrityError as exc:
            raise CatalogueError(f"version {version} was loaded at the same moment; load again") from exc
        uow.record(
            Event(type=EventType.CATALOGUE_LOADED, org="cdx", detail={"version": str(version), "digest": digest})
        )
        uow.commit()
    return catalogue_from_body(version, body)


def _newest(connection: Connection) -> Catalogue | None:
    columns = (catalogue_table.c.version, catalogue_table.c.body)
    row = connection.execute(select(*columns).order_by(catalogue_table.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else catalogue_from_body(row.version, row.body)
