"""Noticing which audited tables a transaction changed, whatever way the statement took (invariant 10)."""

from typing import Any

from sqlalchemy import Connection

# Rows that say nothing about what the house did: bookkeeping of single use, tokens, and the log's own tables.
UNAUDITED_TABLES = frozenset(
    {
        "access_token",
        "audit_checkpoint",
        "audit_cosigned",
        "audit_head",
        "audit_leaf",
        "audit_opening",
        "audit_origin",
        "audit_outbox",
        "audit_subject_entry",
        "audit_tile",
        "authorization_request",
        "form_use",
        "idempotency",
        "import_progress",
        "journal",
        "pseudonym",
        "refresh_token",
        "single_use",
    }
)
_KEY = "cdx_changed"


def forget_changes(connection: Connection) -> None:
    """Begin to watch a transaction."""
    connection.info.pop(_KEY, None)


def changes_of(connection: Connection) -> frozenset[str]:
    """Audited tables that were changed since."""
    return frozenset(connection.info.get(_KEY, ()))


def restore_changes(connection: Connection, before: frozenset[str]) -> None:
    """What was changed since :func:`changes_of` said ``before`` was undone, by a savepoint."""
    connection.info[_KEY] = set(before)


def note_change(connection: Connection, table: str) -> None:
    """A statement on ``table`` has run that may have changed it."""
    if table not in UNAUDITED_TABLES:
        connection.info.setdefault(_KEY, set()).add(table)


def watch_changes(
    connection: Connection, cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    """SQLAlchemy ``after_cursor_execute`` listener."""
    if context is None or not (context.isinsert or context.isupdate or context.isdelete):
        return
    if cursor.rowcount == 0:  # a condition that nothing met has changed nothing
        return
    compiled = getattr(context, "compiled", None)
    note_change(connection, compiled.statement.table.name if compiled is not None else statement[:60])
