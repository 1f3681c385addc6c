"""Who may do what with which table: the one place from which ``cdx db grants`` makes its statements (PostgreSQL).

Three roles, none of which owns anything, so that none can switch a trigger off:

- *web*: the web processes and the commands of administration. It appends to the outbox and reads the log; it cannot
  write there.
- *log*: the sequencer with what runs beside it. It writes the log; of people it reads nothing.
- *auditor*: reads the log.

The owner of the tables is a fourth one, for ``cdx init``, ``cdx db upgrade`` and ``cdx db grants`` only. Pure: no
statement is run here. ``SELECT … FOR SHARE`` needs the right to update some column; where nothing else is updated, it
is the one that tells least.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

Rights = Mapping[str, frozenset[str] | None]
"""Privilege → its columns; None: the whole table."""

_READ: Final = "SELECT"
_PURGED: Final = "SELECT ({}), DELETE"  # the log's process deletes expired rows, and need not know what they say


@dataclass(frozen=True, slots=True)
class Grants:
    """What each role may do with a table, as PostgreSQL spells privileges; empty: nothing."""

    web: str = ""
    log: str = ""
    auditor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """The names of the three roles."""

    web: str
    log: str
    auditor: str


GRANTS: Final[Mapping[str, Grants]] = {
    "alembic_version": Grants(_READ, _READ, _READ),
    "installation": Grants("SELECT, UPDATE (configuration_digest)", _READ, _READ),
    # The log. Entries go in by the outbox and by no other way.
    "audit_outbox": Grants("SELECT, INSERT", "SELECT, DELETE", _READ),
    "audit_leaf": Grants(_READ, "SELECT, INSERT", _READ),
    "audit_tile": Grants(_READ, "SELECT, INSERT, UPDATE (width, data)", _READ),  # a trigger keeps full tiles
    "audit_head": Grants(_READ, "SELECT, UPDATE (size, root, frontier, updated_at)", _READ),
    "audit_checkpoint": Grants(_READ, "SELECT, INSERT", _READ),
    "audit_cosigned": Grants(_READ, "SELECT, INSERT, UPDATE (note, cosigned_at)", _READ),
    "audit_origin": Grants(_READ, _READ, _READ),
    # Beside it: whom an entry concerns, and what opens it.
    "audit_opening": Grants("SELECT, INSERT, DELETE"),
    "audit_subject_entry": Grants("SELECT, INSERT, DELETE"),
    "journal": Grants("INSERT", "SELECT, DELETE"),
    # What expires.
    "access_token": Grants("SELECT, INSERT, UPDATE (status), DELETE", _PURGED.format("expires_at")),
    "refresh_token": Grants("SELECT, INSERT, UPDATE, DELETE", _PURGED.format("expires_at")),
    "authorization_request": Grants("SELECT, INSERT, UPDATE, DELETE", _PURGED.format("decide_until")),
    "single_use": Grants("SELECT, INSERT", _PURGED.format("expires_at")),
    "idempotency": Grants("SELECT, INSERT", _PURGED.format("created_at")),
    # Consents: events are appended, the projection follows.
    "consent_event": Grants("SELECT, INSERT"),
    "consent": Grants("SELECT, INSERT, UPDATE"),
    # Parties and rules.
    "agency": Grants("SELECT, INSERT, UPDATE (status, version)"),
    "client": Grants("SELECT, INSERT, UPDATE (status, version)"),
    "catalogue": Grants("SELECT, INSERT"),
    "agreement": Grants("SELECT, INSERT, UPDATE"),
    "agreement_revision": Grants("SELECT, INSERT, UPDATE (approved_by, approved_at)"),
    # People: what an erasure deletes can be deleted.
    "kek": Grants("SELECT, UPDATE (created_at)"),  # share-locked while a key is made
    "subject": Grants("SELECT, INSERT, UPDATE (status, version)"),
    "subject_key": Grants("SELECT, INSERT, DELETE"),
    "subject_identifier": Grants("SELECT, INSERT, DELETE"),
    "pseudonym": Grants("SELECT, INSERT, DELETE"),
    "attribute_value": Grants("SELECT, INSERT, UPDATE (provider, version, ct, written_at), DELETE"),
    "form_use": Grants("SELECT, INSERT, UPDATE (uses), DELETE"),
    # Requests and what went out.
    "attribute_request": Grants("SELECT, INSERT, UPDATE (status, consent_id, reference_hash, details, settled_at)"),
    "disclosure": Grants("SELECT, INSERT, UPDATE (acknowledged_at)"),
    "import_progress": Grants("SELECT, INSERT, UPDATE (next_line, imported, rejected, updated_at), DELETE"),
}
"""By table. A test fails when a table of the schema is missing here."""

FUNCTIONS: Final = ("cdx_append_only()",)
_PRIVILEGE = re.compile(r"(SELECT|INSERT|UPDATE|DELETE)(?: \(([a-z_, ]+)\))?(?:, |$)")


def privileges(text: str) -> Rights:
    """What a cell of :data:`GRANTS` says."""
    return {
        match[1]: None if match[2] is None else frozenset(match[2].split(", ")) for match in _PRIVILEGE.finditer(text)
    }


def statements(roles: Roles, *, database: str, schema: str, quote: Callable[[str], str]) -> Iterator[str]:
    """The GRANT and REVOKE statements, to be run by the owner in one transaction; running them again changes nothing.

    Args:
        roles: names of roles that exist.
        database, schema: where the tables are.
        quote: makes an identifier of a name.
    """
    names = (roles.web, roles.log, roles.auditor)
    everybody = ", ".join(("PUBLIC", *map(quote, names)))
    listed = ", ".join(map(quote, names))
    place = f"{quote(schema)}."
    yield f"REVOKE ALL ON DATABASE {quote(database)} FROM {everybody}"
    yield f"GRANT CONNECT ON DATABASE {quote(database)} TO {listed}"
    yield f"REVOKE ALL ON SCHEMA {quote(schema)} FROM {everybody}"
    yield f"GRANT USAGE ON SCHEMA {quote(schema)} TO {listed}"
    for function in FUNCTIONS:
        yield f"REVOKE ALL ON FUNCTION {place}{function} FROM {everybody}"
    for table, grants in GRANTS.items():
        # TRUNCATE, REFERENCES and TRIGGER go with it, and are given to nobody.
        yield f"REVOKE ALL ON TABLE {place}{quote(table)} FROM {everybody}"
        for role, text in zip(names, (grants.web, grants.log, grants.auditor), strict=True):
            if text:
                yield f"GRANT {text} ON TABLE {place}{quote(table)} TO {quote(role)}"
