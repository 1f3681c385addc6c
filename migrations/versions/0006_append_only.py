"""What was written to the ledger and the log stays: triggers refuse to change or remove it.

They guard against mistakes and against a stolen application account, not against the owner of the database: against
that stand the signed checkpoints. On PostgreSQL the tables should belong to another role than the one that serves.
"""

from alembic import op

revision = "0006_append_only"
down_revision = "0005_audit_log"
branch_labels = None
depends_on = None

# Table: when a row is final; "" is always.
FINAL = {
    "consent_event": "",
    "audit_leaf": "",
    "audit_checkpoint": "",
    "audit_tile": "OLD.width = 256",
}

# SQLite's REPLACE removes the row in the way without a DELETE trigger: what an insert may not meet.
# The same checkpoint again is no change.
IN_THE_WAY = {
    "consent_event": "(consent_id = NEW.consent_id AND seq = NEW.seq) OR entry_id = NEW.entry_id",
    "audit_leaf": "seq = NEW.seq OR id = NEW.id",
    "audit_checkpoint": "size = NEW.size AND note <> NEW.note",
    "audit_tile": "level = NEW.level AND n = NEW.n AND width = 256",
}


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgresql()


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    for table in FINAL:
        if sqlite:
            for action in ("update", "delete", "insert"):
                op.execute(f"DROP TRIGGER {table}_no_{action}")
        else:
            op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
            op.execute(f"DROP TRIGGER {table}_no_truncate ON {table}")
    if not sqlite:
        op.execute("DROP FUNCTION cdx_append_only()")


def _sqlite() -> None:
    for table, final in FINAL.items():
        in_the_way = f"EXISTS (SELECT 1 FROM {table} WHERE {IN_THE_WAY[table]})"  # noqa: S608  # names of this file
        for action, condition in {"update": final, "delete": final, "insert": in_the_way}.items():
            op.execute(
                f"CREATE TRIGGER {table}_no_{action} BEFORE {action.upper()} ON {table} "
                f"{condition and f'WHEN {condition}'} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )


def _postgresql() -> None:
    op.execute(
        """
        CREATE FUNCTION cdx_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    for table, final in FINAL.items():
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW {final and f'WHEN ({final})'} EXECUTE FUNCTION cdx_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION cdx_append_only()"
        )
