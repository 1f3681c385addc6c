"""A log on a real database, with people's keys and everything that a test does to it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert

from consent.tables import consent, consent_event
from crypto import canonical
from crypto.checkpoint import NoteSigner
from crypto.fields import DataKey, FieldAddress, open_field, seal_field
from crypto.ids import new_id
from exchange.audit import log, outbox
from exchange.audit.entry import PreparedEntry, Sealing, prepare, to_millis
from exchange.audit.export import export_log
from exchange.audit.report import Report
from exchange.audit.sequencer import Sequencer
from exchange.audit.sources import DirectorySource
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.audit.verify_db import verify_database
from exchange.database import Database
from exchange.errors import SubjectErasedError
from exchange.events import Event, EventType
from exchange.tables import attribute_value, subject
from tests.unit.audit.samples import NOW, OPERATOR, an_event

ORIGIN = "log.example/cdx"
SIGNER = NoteSigner(ORIGIN, bytes(range(32)))
TRUST = Trust.of(SIGNER.vkey)
INSTALLATION = UUID("0195587a-0000-7000-8000-000000000001")


@dataclass
class SmallLog:
    """The outbox, the sequencer and the keys of one installation."""

    database: Database
    now: datetime = NOW
    keys: dict[UUID, DataKey] = field(default_factory=lambda: {OPERATOR: DataKey.generate()})
    erased: set[UUID] = field(default_factory=set)
    accepted: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sequencer = self.new_sequencer()

    def create(self) -> "SmallLog":
        with self.database.write() as connection:
            log.create(connection, origin=ORIGIN, now=self.now)
            connection.commit()
        return self

    def new_sequencer(self) -> Sequencer:
        return Sequencer(self.database, [SIGNER], origin=ORIGIN, clock=lambda: self.now)

    def tick(self, **delta: float) -> datetime:
        self.now += timedelta(**(delta or {"milliseconds": 1}))
        return self.now

    # Writing

    def prepare(self, event: Event) -> PreparedEntry:
        return prepare(event, entry_id=event.id or new_id(self.now), now=self.now, operator_ref=OPERATOR)

    def append_in(self, connection: Connection, entries: Iterable[PreparedEntry]) -> None:
        entries = list(entries)
        sealed = [(entry.id, one.owner_ref, self._seal(entry.id, one)) for entry in entries for one in entry.sealings]
        outbox.append(connection, entries, sealed)
        self.accepted.extend(entry.id for entry in entries)

    def append(self, *events: Event) -> list[PreparedEntry]:
        entries = []
        for event in events:
            self.tick()
            entries.append(self.prepare(event))
        with self.database.write() as connection:
            self.append_in(connection, entries)
            connection.commit()
        return entries

    def append_many(self, count: int) -> list[PreparedEntry]:
        people = [new_id(self.now) for _ in range(3)]
        return self.append(*(an_event(subject_ref=people[number % 3], request=None) for number in range(count)))

    def round(self) -> int:
        self.tick()
        return self.sequencer.run_round()

    def restart(self) -> int:
        """As after a crash: a new process knows nothing but the database."""
        self.sequencer = self.new_sequencer()
        return self.sequencer.check()

    # What the log speaks of

    def write_value(self, subject_ref: UUID, attribute: str, version: int, ct: bytes) -> PreparedEntry:
        """A provider writes a value: the row, and the entry that tells of it."""
        self.tick()

        digests = canonical.encode({attribute: f"{version}:{sha256(ct).hexdigest()}"}).decode()
        entry = self.prepare(
            Event(type=EventType.SUBJECT_WRITTEN, org="tax", subject_ref=subject_ref, facts={"values": digests})
        )
        columns = {"provider": "tax", "version": version, "ct": ct, "written_at": self.now}
        key = {"subject_ref": subject_ref, "attribute": attribute}
        table = attribute_value
        with self.database.write() as connection:
            if version == 1:
                connection.execute(
                    insert(subject).values(ref=subject_ref, status="ACTIVE", version=1, created_at=self.now)
                )
                connection.execute(insert(table).values(id=new_id(self.now), **key, **columns))
            else:
                connection.execute(table.update().where(table.c.subject_ref == subject_ref).values(**columns))
            self.append_in(connection, [entry])
            connection.commit()
        return entry

    def give_consent(self, subject_ref: UUID) -> UUID:
        """A consent event and its entry."""
        self.tick()
        consent_id = new_id(self.now)
        body = canonical.encode(
            {"v": 1, "consent": str(consent_id), "seq": 1, "type": "GIVEN", "at": to_millis(self.now)}
        )

        entry = self.prepare(
            Event(
                type=EventType.CONSENT_GIVEN,
                org="tax",
                subject_ref=subject_ref,
                facts={"consent_event": sha256(body).hexdigest()},
            )
        )
        with self.database.write() as connection:
            connection.execute(
                insert(consent).values(
                    id=consent_id,
                    subject_ref=subject_ref,
                    agreement_id=new_id(self.now),
                    agreement_revision=1,
                    consumer="tax",
                    purpose="benefit",
                    scope="[]",
                    status="GIVEN",
                    version=1,
                    valid_from=self.now,
                    valid_until=self.now,
                    requested_at=self.now,
                )
            )
            connection.execute(
                insert(consent_event).values(
                    consent_id=consent_id, seq=1, type="GIVEN", at=self.now, body=body, entry_id=entry.id
                )
            )
            self.append_in(connection, [entry])
            connection.commit()
        return consent_id

    def erase(self, subject_ref: UUID) -> None:
        self.tick()
        with self.database.write() as connection:
            gone = outbox.erase(connection, subject_ref)
            connection.execute(attribute_value.delete().where(attribute_value.c.subject_ref == subject_ref))
            event = Event(type=EventType.SUBJECT_ERASED, org="cdx", facts={"openings": str(gone.openings)})
            self.append_in(connection, [self.prepare(event)])
            connection.commit()
        del self.keys[subject_ref]
        self.erased.add(subject_ref)

    # Checking

    def verify_database(self, **options: Any) -> Report:
        with self.database.read() as connection:
            return self.verify_on(connection, **options)

    def verify_on(self, connection: Connection, *, with_keys: bool = True, **options: Any) -> Report:
        unseal = self.unseal if with_keys else None
        options.setdefault("check_sealed", lambda _table: ())
        return verify_database(connection, [SIGNER.vkey], unseal=unseal, **options)

    def export(self, directory: Path) -> Path:
        with self.database.read() as connection:
            export_log(connection, directory)
        return directory

    def assert_sound(self, directory: Path | None = None) -> None:
        """Everything in the database agrees; every accepted entry is in the log or waits, and none is there twice."""
        report = self.verify_database()
        assert report.faults == []
        with self.database.read() as connection:
            size = log.size(connection)
            waiting = outbox.backlog(connection, self.now).count
        assert size + waiting == len(self.accepted)
        if directory is not None and size:
            verified = verify_log(DirectorySource(self.export(directory)), TRUST)
            assert verified.faults == []
            assert verified.size == size

    def unseal(self, owner_ref: UUID, entry_id: UUID, ct: bytes) -> bytes | None:
        if owner_ref in self.erased:
            return None
        if owner_ref not in self.keys:
            raise SubjectErasedError(f"no key for subject {owner_ref}")
        return open_field(self.keys[owner_ref], ct, address=self._address(owner_ref, entry_id))

    def _seal(self, entry_id: UUID, one: Sealing) -> bytes:
        key = self.keys.setdefault(one.owner_ref, DataKey.generate())
        return seal_field(key, one.openings, address=self._address(one.owner_ref, entry_id))

    def _address(self, owner_ref: UUID, entry_id: UUID) -> FieldAddress:
        return FieldAddress(
            installation=INSTALLATION,
            table="audit_opening",
            column="ct",
            subject_ref=owner_ref,
            record_id=entry_id,
            version=1,
        )
