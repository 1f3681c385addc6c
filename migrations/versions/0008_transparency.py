"""Cosigned checkpoints, the log's names, the journal for restores, hidden history lines, the digest of the settings."""

import sqlalchemy as sa
from alembic import op

revision = "0008_transparency"
down_revision = "0007_housekeeping"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_cosigned",
        sa.Column("size", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("cosigned_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_cosigned"),
    )
    op.create_table(
        "audit_origin",
        sa.Column("generation", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("first_size", sa.BigInteger, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("generation", name="pk_audit_origin"),
        sa.UniqueConstraint("origin", name="uq_audit_origin_origin"),
    )
    op.execute(
        "INSERT INTO audit_origin (generation, origin, first_size, opened_at) "
        "SELECT 1, origin, 0, created_at FROM installation"
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
    )
    op.add_column("audit_subject_entry", sa.Column("visible_from", sa.BigInteger, nullable=True))
    op.add_column("installation", sa.Column("configuration_digest", sa.String(64), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_origin_no_{action.lower()} BEFORE {action} ON audit_origin "
                "BEGIN SELECT RAISE(ABORT, 'audit_origin is append-only'); END"
            )
        op.execute(
            "CREATE TRIGGER audit_origin_no_insert BEFORE INSERT ON audit_origin "
            "WHEN EXISTS (SELECT 1 FROM audit_origin WHERE generation = NEW.generation OR origin = NEW.origin) "
            "BEGIN SELECT RAISE(ABORT, 'audit_origin is append-only'); END"
        )
    else:
        op.execute(
            "CREATE TRIGGER audit_origin_append_only BEFORE UPDATE OR DELETE ON audit_origin "
            "FOR EACH ROW EXECUTE FUNCTION cdx_append_only()"
        )
        op.execute(
            "CREATE TRIGGER audit_origin_no_truncate BEFORE TRUNCATE ON audit_origin "
            "FOR EACH STATEMENT EXECUTE FUNCTION cdx_append_only()"
        )


def downgrade() -> None:
    bind = op.get_bind()
    if bind.execute(sa.text("SELECT 1 FROM audit_origin WHERE generation > 1")).first():
        raise RuntimeError("the log was continued under another name: that is not forgotten")
    if bind.execute(sa.text("SELECT 1 FROM journal")).first():
        raise RuntimeError("the journal holds what must not be lost: let the worker write it out first")
    if bind.execute(sa.text("SELECT 1 FROM audit_subject_entry WHERE visible_from IS NOT NULL")).first():
        raise RuntimeError("some history lines are hidden for a time: without the column they would show")
    op.drop_column("installation", "configuration_digest")
    op.drop_column("audit_subject_entry", "visible_from")
    for table in ("journal", "audit_origin", "audit_cosigned"):
        op.drop_table(table)
