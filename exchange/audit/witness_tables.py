"""Tables of a witness's own SQLite file, and the triggers that keep it from forgetting.

Only ``exchange.audit.witness_store`` reads or writes these; they are no part of an installation, and no migration makes
them. A change of them needs another ``SCHEMA``.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table, Text

from consent.tables import NAMING

SCHEMA: Final = 1
metadata = MetaData(naming_convention=NAMING)

witness = Table(  # one row: whose memory this is
    "witness",
    metadata,
    Column("schema", Integer, primary_key=True, autoincrement=False),
    Column("vkey", Text, nullable=False),
)

log = Table(
    "log",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("origin_hash", String(64), nullable=False, unique=True),  # SHA-256, hexadecimal: its place when served
    Column("size", BigInteger, nullable=False),  # 0 and the empty root until something was cosigned
    Column("root", LargeBinary(32), nullable=False),
    Column("note", Text),  # the checkpoint with the log's signatures and ours
    Column("cosigned_at", BigInteger, nullable=False),  # seconds since 1970, as in the cosignature; 0: never
)

log_key = Table(  # several keys of one log while it changes from one to the next
    "log_key",
    metadata,
    Column("origin", Text, ForeignKey(log.c.origin), primary_key=True),
    Column("vkey", Text, primary_key=True),
)

fork = Table(  # proof that a log signed two histories: two notes of one size, both signed by it
    "fork",
    metadata,
    Column("origin", Text, ForeignKey(log.c.origin), primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), primary_key=True),
    Column("cosigned", Text, nullable=False),
    Column("refused", Text, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

GUARDS: Final = (
    "CREATE TRIGGER log_only_grows BEFORE UPDATE ON log WHEN NEW.origin <> OLD.origin OR NEW.size < OLD.size OR "
    "(NEW.size = OLD.size AND NEW.root <> OLD.root) OR NEW.cosigned_at < OLD.cosigned_at "
    "BEGIN SELECT RAISE(ABORT, 'a log only grows'); END",
    "CREATE TRIGGER log_is_kept BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'a log is not forgotten'); END",
    "CREATE TRIGGER log_is_added_once BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM log WHERE origin = NEW.origin) "
    "BEGIN SELECT RAISE(ABORT, 'a log is not replaced'); END",
)
