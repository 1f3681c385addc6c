"""A house with a journal elsewhere, that is backed up, lives on, is lost, and is put back."""

import shutil
import sqlite3
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import make_url, select

from api import restoring, wiring
from api.commands.sealed import Opener
from consent.tables import consent
from exchange.audit import log
from exchange.audit.verify_db import verify_database
from exchange.model import SubjectName
from exchange.rules_check import rule_faults
from tests import house as houses
from tests.house import ANNA, BEN, HOUSING, Clock, House, build
from tests.postgres import copy_database, drop_database, put_back

CARA = SubjectName(scheme="national-id", id="VAL-100003-3")
DORA = SubjectName(scheme="national-id", id="VAL-100004-1")


@dataclass
class Life:
    """The house, where its journal is, and what a restore of it needs."""

    house: House
    url: str
    folder: Path
    journal: Path

    def open(self, **changes):
        """Everything opened again: nothing is known but what is stored."""
        config = replace(self.house.services.config, journal_dir=self.journal, **changes)
        clock = self.house.clock
        self.house.close()
        self.house.services = wiring.open_services(config, clock=clock)
        self.house.log = wiring.open_log(config, clock=clock)
        return self

    def work(self):
        """The worker: everything is integrated, and the journal is written."""
        self.house.clock.move(seconds=2)
        self.house.integrate()
        assert self.house.log.journal.keep()

    def stop(self):
        if self.house.log.journal is not None:
            self.house.log.journal._writer.release()
        self.house.close()

    def refuse_old(self):
        wiring.refuse_old_database(self.house.services.config, self.house.exchange.database)

    # Backups

    def back_up(self):
        """SQLite's own backup; a copy on PostgreSQL. Taken while nothing runs, as a copy of a database may be."""
        self.stop()
        if make_url(self.url).get_backend_name() == "sqlite":
            copy = self.folder / f"backup-{len(list(self.folder.glob('backup-*')))}.db"
            with sqlite3.connect(make_url(self.url).database) as source, sqlite3.connect(copy) as target:
                source.backup(target)
            source.close()
            target.close()
        else:
            copy = copy_database(self.url)
        self.open()
        return copy

    def put_back(self, copy):
        """The database is lost; the backup takes its place."""
        self.stop()
        if isinstance(copy, Path):
            path = Path(make_url(self.url).database)
            for name in ("", "-wal", "-shm"):
                path.with_name(path.name + name).unlink(missing_ok=True)
            shutil.copyfile(copy, path)
        else:
            put_back(self.url, copy)
        self.open()

    def drop(self, copy):
        if not isinstance(copy, Path):
            drop_database(copy)

    # Restoring

    def look(self, **options):
        given = {
            "last_checkpoint": "auto",
            "journal_dir": None,
            "without_journal": False,
            "despite_faults": False,
        }
        return restoring.look(self.house.services, **(given | options))

    def restore(self, **options):
        self.house.clock.now += timedelta(minutes=30)  # no worker runs meanwhile
        done = restoring.carry_out(self.house.services, self.look(**options), progress=lambda *_: None)
        self.open()
        return done

    # Looking

    @property
    def vkeys(self):
        return self.house.services.config.vkey_file.read_text().split()

    def checkpoint(self):
        with self.house.exchange.database.read() as connection:
            return log.latest_checkpoint(connection)

    def status(self, consent_id):
        with self.house.exchange.database.read() as connection:
            return connection.execute(select(consent.c.status).where(consent.c.id == consent_id)).scalar_one()


def report(life, *vkeys):
    with life.house.exchange.database.read() as connection:
        opener = Opener(life.house.exchange, connection)
        found = verify_database(connection, vkeys or life.vkeys, unseal=opener.unseal, check_sealed=opener.check)
        return found.faults + list(rule_faults(connection))


def begin(folder, url):
    """A life with four people who consented."""
    journal = folder / "elsewhere"
    journal.mkdir()
    # Commands that are run as programs have the machine's time.
    clock = Clock(datetime.now(UTC).replace(microsecond=0))
    house = build(folder, url, clock=clock)
    for who, name in ((CARA, "Cara Example"), (DORA, "Dora Example")):
        house.people[who] = houses._person(house, who, name)
    life = Life(house=house, url=url, folder=folder, journal=journal).open()
    life.client = house.add_client(HOUSING)
    life.consents = {who: house.consented(life.client, who).consent_id for who in (ANNA, BEN, CARA, DORA)}
    life.work()
    return life
