"""Requests and disclosures, and what keeps them single: idempotency keys, single-use values, tokens, counts."""

import sqlalchemy as sa
from alembic import op

revision = "0004_requests"
down_revision = "0003_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attribute_request",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("agreement_id", sa.Uuid, nullable=False),
        sa.Column("agreement_revision", sa.Integer, nullable=False),
        sa.Column("purpose", sa.String(128), nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("consent_id", sa.Uuid, nullable=True),
        sa.Column("reference_hash", sa.LargeBinary(32), nullable=True),
        sa.Column("sealed_by", sa.Uuid, nullable=False),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("settled_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_attribute_request"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_attribute_request_client_id"),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreement.id"], name="fk_attribute_request_agreement_id"),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_attribute_request_consent_id"),
    )
    op.create_index("ix_attribute_request_subject_ref", "attribute_request", ["subject_ref", "created_at"])
    op.create_index("ix_attribute_request_client_id", "attribute_request", ["client_id", "created_at"])
    op.create_index("ix_attribute_request_consent_id", "attribute_request", ["consent_id"])
    op.create_table(
        "idempotency",
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("key_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("body_digest", sa.LargeBinary(32), nullable=False),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("client_id", "key_digest", name="pk_idempotency"),
    )
    op.create_table(
        "single_use",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_single_use"),
    )
    op.create_index("ix_single_use_expires_at", "single_use", ["expires_at"])
    op.create_table(
        "disclosure",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("client_version", sa.Integer, nullable=False),
        sa.Column("jkt", sa.String(64), nullable=False),
        sa.Column("kid", sa.String(128), nullable=False),
        sa.Column("agreement_id", sa.Uuid, nullable=False),
        sa.Column("agreement_revision", sa.Integer, nullable=False),
        sa.Column("agreement_version", sa.Integer, nullable=False),
        sa.Column("consent_id", sa.Uuid, nullable=True),
        sa.Column("consent_version", sa.Integer, nullable=True),
        sa.Column("subject_version", sa.Integer, nullable=False),
        sa.Column("purpose", sa.String(128), nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("entry_id", sa.Uuid, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_disclosure"),
        sa.ForeignKeyConstraint(["request_id"], ["attribute_request.id"], name="fk_disclosure_request_id"),
        sa.UniqueConstraint("request_id", name="uq_disclosure_request_id"),
        sa.UniqueConstraint("entry_id", name="uq_disclosure_entry_id"),
    )
    op.create_index("ix_disclosure_subject_ref", "disclosure", ["subject_ref", "at"])
    op.create_index("ix_disclosure_consent_id", "disclosure", ["consent_id"])
    op.create_table(
        "form_use",
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("attribute", sa.String(64), nullable=False),
        sa.Column("form", sa.String(64), nullable=False),
        sa.Column("period", sa.String(16), nullable=False),
        sa.Column("uses", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "agency", "attribute", "form", "period", name="pk_form_use"),
    )
    op.create_table(
        "access_token",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=True),
        sa.Column("subject_ref", sa.Uuid, nullable=True),
        sa.Column("consent_id", sa.Uuid, nullable=True),
        sa.Column("jkt", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_access_token"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_access_token_client_id"),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_access_token_consent_id"),
        sa.CheckConstraint("(client_id IS NULL) <> (subject_ref IS NULL)", name="ck_access_token_one_owner"),
    )
    op.create_index("ix_access_token_expires_at", "access_token", ["expires_at"])


def downgrade() -> None:
    for table in ("access_token", "form_use", "disclosure", "single_use", "idempotency", "attribute_request"):
        op.drop_table(table)
