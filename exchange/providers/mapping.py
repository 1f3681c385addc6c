"""The mapping file of a provider's gateway: which view and columns of an old registry answer which attributes.

    mapping: cdx/provider-mapping/v1
    provider: pop                        # our agency code
    exchange:
      issuer: https://cdx.example        # who may ask
      jwks: exchange-jwks.json           # its public keys: a file beside this one, or an https address
      purposes: [benefit_eligibility]    # what may be asked for; left out: anything
    database:
      url: postgresql+psycopg://reader@registry/people   # or sqlite:///people.db; with a password: url_file
      view: registry.cdx_people
      timeout_seconds: 5
    subjects:                            # how people are named
      national-id: {column: national_id, normalised: true}
    closed_until: closed_until           # a date column: until then the record is closed to inquiry
    attributes:
      birth_date: {column: born, type: date, date_format: "%d.%m.%Y", last_updated: changed_on}
      civil_status: {column: status, type: code, labels: {M: married, S: single}, states: {X: not_applicable}}
      is_resident: {column: resident, type: boolean, values: {J: true, N: false}, when_null: unavailable}

``normalised``: the column holds identifiers in lower case without spaces and hyphens, and what is asked is brought into
that form. A NULL means ``absent`` and an empty text ``empty``, unless ``when_null`` and ``when_empty`` say otherwise.
Names of views and columns are plain identifiers, never SQL.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from exchange.documents import Document, DocumentFaultsError, read_document
from exchange.errors import ExchangeError

SCHEMA: Final = "mapping.schema.json"
_SECONDS: Final = 5
# Members that say something about one type only.
_OF_TYPE: Final[Mapping[str, str]] = {
    "date_format": "date",
    "values": "boolean",
    "labels": "code",
    "label_column": "code",
}


class MappingError(ExchangeError):
    """A mapping file is not valid, or does not fit the registry; the message lists every fault."""

    code = "invalid-mapping"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectColumn:
    """Where people are found by one kind of identifier."""

    column: str
    type: str = "string"
    normalised: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedAttribute:
    """How one attribute is read from a row; the members are those of the file."""

    name: str
    column: str
    type: str
    date_format: str | None = None
    values: Mapping[str, bool] = field(default_factory=dict)
    label_column: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    when_null: str = "absent"
    when_empty: str = "empty"
    states: Mapping[str, str] = field(default_factory=dict)
    last_updated: str | None = None
    valid_until: str | None = None
    assurance: str | None = None
    source_class: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns it reads."""
        named = (self.column, self.label_column, self.last_updated, self.valid_until)
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryMapping:
    """A valid mapping file. ``url`` may hold a password: it is not shown."""

    provider: str
    issuer: str
    jwks: str
    purposes: frozenset[str] | None
    url: URL = field(repr=False)
    schema: str | None
    view: str
    timeout_seconds: int
    subjects: Mapping[str, SubjectColumn]
    closed_until: str | None
    attributes: Mapping[str, MappedAttribute]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the view that the mapping names, each once."""
        named = [one.column for one in self.subjects.values()]
        if self.closed_until is not None:
            named.append(self.closed_until)
        for attribute in self.attributes.values():
            named.extend(attribute.columns)
        return tuple(dict.fromkeys(named))


def load_mapping(path: Path) -> RegistryMapping:
    """Read a mapping file; names of other files in it are relative to its folder.

    Raises:
        MappingError: every fault with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise MappingError(f"the mapping file cannot be read ({type(exc).__name__})") from exc
    return parse_mapping(text, folder=path.parent)


def parse_mapping(text: str, *, folder: Path) -> RegistryMapping:
    """Read the text of a mapping file.

    Raises:
        MappingError: every fault with its line.
    """
    try:
        document = read_document(text, SCHEMA)
        url = _url(document, folder)
        _check_attributes(document)
        document.refuse_faults()
    except DocumentFaultsError as exc:
        raise MappingError(str(exc)) from exc
    body = document.body
    schema, _, view = body["database"]["view"].rpartition(".")
    jwks = body["exchange"]["jwks"]
    return RegistryMapping(
        provider=body["provider"],
        issuer=body["exchange"]["issuer"],
        jwks=jwks if "://" in jwks else str(folder / jwks),
        purposes=frozenset(body["exchange"]["purposes"]) if "purposes" in body["exchange"] else None,
        url=url,
        schema=schema or None,
        view=view,
        timeout_seconds=body["database"].get("timeout_seconds", _SECONDS),
        subjects={scheme: SubjectColumn(**one) for scheme, one in body["subjects"].items()},
        closed_until=body.get("closed_until"),
        attributes={name: MappedAttribute(name=name, **one) for name, one in body["attributes"].items()},
    )


def _url(document: Document, folder: Path) -> URL:
    database: dict[str, Any] = document.body["database"]
    nowhere = URL.create("sqlite")
    if ("url" in database) is ("url_file" in database):
        document.fault(("database",), "expected either url or url_file")
        return nowhere
    member = "url" if "url" in database else "url_file"
    try:
        text = (
            database["url"] if member == "url" else (folder / database["url_file"]).read_text(encoding="utf-8").strip()
        )
        url = make_url(text)
    except (OSError, UnicodeDecodeError):
        document.fault(("database", member), "the file cannot be read")
        return nowhere
    except ArgumentError:
        document.fault(("database", member), "not a database URL")
        return nowhere
    if url.drivername not in ("sqlite", "postgresql+psycopg") or not url.database:
        document.fault(("database", member), "expected sqlite:///file or postgresql+psycopg://host/database")
        return nowhere
    return url.set(database=str(folder / url.database)) if url.drivername == "sqlite" else url


def _check_attributes(document: Document) -> None:
    for name, one in document.body["attributes"].items():
        for member, kind in _OF_TYPE.items():
            if member in one and one["type"] != kind:
                document.fault(("attributes", name, member), f"only for the type {kind}")
        if "labels" in one and "label_column" in one:
            document.fault(("attributes", name, "labels"), "either labels or label_column")
