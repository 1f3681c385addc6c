"""The audit log: outbox, leaves, tiles, head, checkpoints; sealed openings and each person's own history."""

import sqlalchemy as sa
from alembic import op

revision = "0005_audit_log"
down_revision = "0004_requests"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_outbox",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("accepted_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_outbox"),
    )
    op.create_table(
        "audit_leaf",
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("org", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_leaf"),
        sa.UniqueConstraint("id", name="uq_audit_leaf_id"),
    )
    op.create_index("ix_audit_leaf_at", "audit_leaf", ["at"])
    op.create_table(
        "audit_tile",
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("level", "n", name="pk_audit_tile"),
    )
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("frontier", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("size", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("signed_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("size", name="pk_audit_checkpoint"),
    )
    op.create_table(
        "audit_opening",
        sa.Column("entry_id", sa.Uuid, nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "subject_ref", name="pk_audit_opening"),
    )
    op.create_table(
        "audit_subject_entry",
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("entry_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "entry_id", name="pk_audit_subject_entry"),
    )
    op.create_index("ix_audit_subject_entry_at", "audit_subject_entry", ["subject_ref", "at"])


def downgrade() -> None:
    for table in ("audit_leaf", "audit_outbox"):
        if op.get_bind().execute(sa.text(f"SELECT 1 FROM {table} LIMIT 1")).first():  # noqa: S608  # names of this file
            raise RuntimeError("the audit log holds entries: it is not dropped")
    for table in (
        "audit_subject_entry",
        "audit_opening",
        "audit_checkpoint",
        "audit_head",
        "audit_tile",
        "audit_leaf",
        "audit_outbox",
    ):
        op.drop_table(table)
