"""Tables of the consent ledger: an append-only event list, and one projection row per consent to lock and find.

``consent_event`` is the truth; ``consent`` is written in the same transaction as the event and can be rebuilt from it.
A table here is touched by ``consent.store`` and, for the one-statement release check, by ``exchange.store``.
"""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from consent.columns import Instant

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

consent = Table(
    "consent",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("subject_ref", Uuid, nullable=False),
    Column("agreement_id", Uuid, nullable=False),
    Column("agreement_revision", Integer, nullable=False),
    Column("consumer", String(64), nullable=False),  # agency code
    Column("purpose", String(128), nullable=False),
    Column("scope", Text, nullable=False),  # canonical JSON [{"form","name"}]: what was given, else asked
    Column("status", String(16), nullable=False),  # consent.model.ConsentStatus
    Column("version", Integer, nullable=False),  # = seq of the newest event
    Column("uses_left", Integer, nullable=True),  # NULL: any number
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant, nullable=False),  # of the permission; for REQUESTED: when it lapses
    Column("requested_at", Instant, nullable=False),
    Column("decided_at", Instant, nullable=True),
    Column("ended_at", Instant, nullable=True),
    Column("replaced_by", Uuid, nullable=True),
    CheckConstraint("uses_left IS NULL OR uses_left >= 0", name="uses_left_not_negative"),
    CheckConstraint("version >= 1", name="version_positive"),
    # Invariant 5: at most one permission per person and agreement that can be in force.
    Index(
        "uq_consent_in_force",
        "subject_ref",
        "agreement_id",
        unique=True,
        sqlite_where=text("status IN ('GIVEN', 'PAUSED')"),
        postgresql_where=text("status IN ('GIVEN', 'PAUSED')"),
    ),
    Index(
        "ix_consent_due",
        "valid_until",
        sqlite_where=text("status IN ('REQUESTED', 'GIVEN', 'PAUSED')"),
        postgresql_where=text("status IN ('REQUESTED', 'GIVEN', 'PAUSED')"),
    ),
    Index("ix_consent_subject_ref", "subject_ref", "requested_at"),
    Index("ix_consent_agreement_id", "agreement_id"),
)

consent_event = Table(
    "consent_event",
    metadata,
    Column("consent_id", Uuid, ForeignKey(consent.c.id), primary_key=True),
    Column("seq", Integer, primary_key=True),  # 1, 2, 3 … without gaps, per consent
    Column("type", String(32), nullable=False),
    Column("at", Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON (consent.events); SHA-256 in the audit entry
    Column("entry_id", Uuid, nullable=False),  # the audit entry written in the same transaction
    UniqueConstraint("entry_id"),
)
