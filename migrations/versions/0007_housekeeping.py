"""Indexes for what the clock ends: undecided and expired consents, and idempotency keys that can be forgotten."""

import sqlalchemy as sa
from alembic import op

revision = "0007_housekeeping"
down_revision = "0006_append_only"
branch_labels = None
depends_on = None

OPEN = sa.text("status IN ('REQUESTED', 'GIVEN', 'PAUSED')")


def upgrade() -> None:
    op.create_index("ix_consent_due", "consent", ["valid_until"], sqlite_where=OPEN, postgresql_where=OPEN)
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def downgrade() -> None:
    op.drop_index("ix_idempotency_created_at", table_name="idempotency")
    op.drop_index("ix_consent_due", table_name="consent")
