"""People by reference: their keys, blind indexes and pseudonyms, and their sealed values."""

import sqlalchemy as sa
from alembic import op

revision = "0003_people"
down_revision = "0002_parties"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kek",
        sa.Column("epoch", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("epoch", name="pk_kek"),
    )
    op.create_table(
        "subject",
        sa.Column("ref", sa.Uuid, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("ref", name="pk_subject"),
    )
    op.create_table(
        "subject_key",
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("kid", sa.LargeBinary(16), nullable=False),
        sa.Column("commitment", sa.LargeBinary(32), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "kid", name="pk_subject_key"),
        sa.ForeignKeyConstraint(["subject_ref"], ["subject.ref"], name="fk_subject_key_subject_ref"),
        sa.ForeignKeyConstraint(["epoch"], ["kek.epoch"], name="fk_subject_key_epoch"),
    )
    op.create_index("ix_subject_key_epoch", "subject_key", ["epoch", "kid"])
    op.create_table(
        "subject_identifier",
        sa.Column("bidx", sa.LargeBinary(16), nullable=False),
        sa.Column("index_version", sa.Integer, nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("bidx", "index_version", name="pk_subject_identifier"),
        sa.ForeignKeyConstraint(["subject_ref"], ["subject.ref"], name="fk_subject_identifier_subject_ref"),
    )
    op.create_index("ix_subject_identifier_subject_ref", "subject_identifier", ["subject_ref"])
    op.create_table(
        "pseudonym",
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.PrimaryKeyConstraint("agency", "value", name="pk_pseudonym"),
        sa.ForeignKeyConstraint(["subject_ref"], ["subject.ref"], name="fk_pseudonym_subject_ref"),
    )
    op.create_index("ix_pseudonym_subject_ref", "pseudonym", ["subject_ref"])
    op.create_table(
        "attribute_value",
        sa.Column("subject_ref", sa.Uuid, nullable=False),
        sa.Column("attribute", sa.String(64), nullable=False),
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("subject_ref", "attribute", name="pk_attribute_value"),
        sa.ForeignKeyConstraint(["subject_ref"], ["subject.ref"], name="fk_attribute_value_subject_ref"),
    )
    op.create_table(
        "import_progress",
        sa.Column("file_digest", sa.String(64), nullable=False),
        sa.Column("next_line", sa.Integer, nullable=False),
        sa.Column("imported", sa.Integer, nullable=False),
        sa.Column("rejected", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("file_digest", name="pk_import_progress"),
    )


def downgrade() -> None:
    for table in (
        "import_progress",
        "attribute_value",
        "pseudonym",
        "subject_identifier",
        "subject_key",
        "subject",
        "kek",
    ):
        op.drop_table(table)
