"""The consent ledger: an append-only list of events, and one projection row per consent."""

import sqlalchemy as sa
from alembic import op

revision = "0001_consent_ledger"
down_revision = None
branch_labels = None
depends_on = None

IN_FORCE = sa.text("status IN ('GIVEN', 'PAUSED')")


def upgrade() -> None:
    op.create_table(
        "consent",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("agreement_id", sa.Uuid, nullable=False),
        sa.Column("agreement_revision", sa.Integer, nullable=False),
        sa.Column("consumer", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(128), nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("uses_left", sa.Integer, nullable=True),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_until", sa.BigInteger, nullable=False),
        sa.Column("requested_at", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=True),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.Column("replaced_by", sa.Uuid, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_consent"),
        sa.CheckConstraint("uses_left IS NULL OR uses_left >= 0", name="ck_consent_uses_left_not_negative"),
        sa.CheckConstraint("version >= 1", name="ck_consent_version_positive"),
    )
    # At most one permission per person and agreement that can be in force.
    op.create_index(
        "uq_consent_in_force",
        "consent",
        ["subject_ref", "agreement_id"],
        unique=True,
        sqlite_where=IN_FORCE,
        postgresql_where=IN_FORCE,
    )
    op.create_index("ix_consent_subject_ref", "consent", ["subject_ref", "requested_at"])
    op.create_index("ix_consent_agreement_id", "consent", ["agreement_id"])

    op.create_table(
        "consent_event",
        sa.Column("consent_id", sa.Uuid, nullable=False),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("entry_id", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("consent_id", "seq", name="pk_consent_event"),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_consent_event_consent_id"),
        sa.UniqueConstraint("entry_id", name="uq_consent_event_entry_id"),
    )


def downgrade() -> None:
    if op.get_bind().execute(sa.text("SELECT 1 FROM consent_event LIMIT 1")).first():
        raise RuntimeError("the consent ledger holds events: it is not dropped")
    op.drop_table("consent_event")
    op.drop_table("consent")
