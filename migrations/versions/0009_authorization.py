"""Authorization code flow: what a client registers for it, pushed requests with their codes, refresh tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0009_authorization"
down_revision = "0008_transparency"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("client", sa.Column("registration", sa.Text, nullable=False, server_default="{}"))
    op.create_table(
        "authorization_request",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("uri_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("ct", sa.LargeBinary, nullable=False),
        sa.Column("jkt", sa.String(64), nullable=True),
        sa.Column("pushed_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("decide_until", sa.BigInteger, nullable=False),
        sa.Column("decided_at", sa.BigInteger, nullable=True),
        sa.Column("consent_id", sa.Uuid, nullable=True),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=True),
        sa.Column("code_expires_at", sa.BigInteger, nullable=True),
        sa.Column("redeemed_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_authorization_request"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_authorization_request_client_id"),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_authorization_request_consent_id"),
        sa.UniqueConstraint("uri_hash", name="uq_authorization_request_uri_hash"),
        sa.UniqueConstraint("code_hash", name="uq_authorization_request_code_hash"),
    )
    op.create_index("ix_authorization_request_decide_until", "authorization_request", ["decide_until"])
    op.create_table(
        "refresh_token",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("client_id", sa.String(128), nullable=False),
        sa.Column("consent_id", sa.Uuid, nullable=False),
        sa.Column("jkt", sa.String(64), nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("issued_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_token"),
        sa.ForeignKeyConstraint(["client_id"], ["client.id"], name="fk_refresh_token_client_id"),
        sa.ForeignKeyConstraint(["consent_id"], ["consent.id"], name="fk_refresh_token_consent_id"),
    )
    op.create_index("ix_refresh_token_consent_id", "refresh_token", ["consent_id"])
    op.create_index("ix_refresh_token_expires_at", "refresh_token", ["expires_at"])
    op.create_index("ix_access_token_consent_id", "access_token", ["consent_id"])


def downgrade() -> None:
    bind = op.get_bind()
    if bind.execute(sa.text("SELECT 1 FROM client WHERE registration <> '{}'")).first():
        raise RuntimeError("some clients are registered for the code flow: without the column nobody knows how")
    op.drop_index("ix_access_token_consent_id", "access_token")
    for table in ("refresh_token", "authorization_request"):
        op.drop_table(table)
    op.drop_column("client", "registration")
