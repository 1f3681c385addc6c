"""Tables of the audit log. Outbox rows wait to be sequenced; leaves, full tiles, checkpoints, origins are written once.

Only ``exchange.audit.store`` reads or writes these.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from consent.columns import Instant
from consent.tables import NAMING

metadata = MetaData(naming_convention=NAMING)

audit_outbox = Table(
    "audit_outbox",
    metadata,
    Column("id", Uuid, primary_key=True),  # entry id, UUIDv7
    Column("body", LargeBinary, nullable=False),  # leaf bytes: canonical JSON, exchange.audit.entry
    Column("accepted_at", Instant, nullable=False),
)

audit_leaf = Table(
    "audit_leaf",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # leaf index, 0-based
    Column("id", Uuid, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("type", String(64), nullable=False),  # copies of public members of the body, for search
    Column("org", String(64), nullable=False),
    Column("at", Instant, nullable=False),
    UniqueConstraint("id"),
    Index("ix_audit_leaf_at", "at"),
)

audit_tile = Table(  # C2SP tlog-tiles: up to 256 hashes; a full tile never changes
    "audit_tile",
    metadata,
    Column("level", Integer, primary_key=True),
    Column("n", BigInteger, primary_key=True, autoincrement=False),
    Column("width", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

audit_head = Table(  # one row (id = 1): the only lock of the sequencer
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

audit_checkpoint = Table(
    "audit_checkpoint",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("signed_at", Instant, nullable=False),
)

audit_cosigned = Table(  # checkpoints that enough witnesses have cosigned, with their cosignatures
    "audit_cosigned",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", Text, nullable=False),
    Column("cosigned_at", Instant, nullable=False),  # when that was last asked of the witnesses, by our clock
)

audit_origin = Table(  # the names that the log has had: a restore continues the tree under a new one
    "audit_origin",
    metadata,
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(255), nullable=False),
    Column("first_size", BigInteger, nullable=False),  # checkpoints larger than this bear the name
    Column("opened_at", Instant, nullable=False),
    UniqueConstraint("origin"),
)

audit_opening = Table(  # sealed openings of an entry's commitments, one row per person concerned
    "audit_opening",
    metadata,
    Column("entry_id", Uuid, primary_key=True),
    Column("subject_ref", Uuid, primary_key=True),
    Column("ct", LargeBinary, nullable=False),
)

audit_subject_entry = Table(  # a citizen's own history; outside the log, deleted on erasure
    "audit_subject_entry",
    metadata,
    Column("subject_ref", Uuid, primary_key=True),
    Column("entry_id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("visible_from", Instant),  # hidden from the person until then (GDPR art. 23); usually empty
    Index("ix_audit_subject_entry_at", "subject_ref", "at"),
)
