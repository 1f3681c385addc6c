"""A whole life of the house under its roles: nobody in it ever was the owner."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from api import wiring
from api.commands.sealed import Opener
from api.commands.serving import require_parts
from api.errors import ConfigError
from exchange.access import purge
from exchange.audit import cosigned_store, log
from exchange.audit.export import export_log
from exchange.audit.proofs import Prover
from exchange.audit.rows import CosignedRow
from exchange.audit.sources import open_source
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log
from exchange.audit.verify_db import verify_database
from exchange.database import Database
from exchange.errors import DatabaseError
from exchange.importing import import_file
from exchange.rules_check import rule_faults
from tests.conftest import migrate
from tests.house import ANNA, HOUSING
from tests.postgres import drop_database, fresh_database
from tests.unit.docs.test_audit_events import live


@pytest.fixture(scope="module")
def lived(house, roled):
    """Asked, allowed, released, collected, refused, withdrawn, erased, suspended …: everything the house does."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        live(house, monkeypatch)
    # The log's key was rotated meanwhile: a sequencer knows the keys that there were when it started.
    house.log.database.dispose()
    house.log = wiring.open_log(roled.config, clock=house.clock)
    house.integrate()
    return house


def vkeys(house):
    return house.services.config.vkey_file.read_text().split()


def test_everything_was_done_by_the_web_role_and_logged_by_the_logs_role(lived, roled):
    def who(database):
        with database.read() as connection:
            return connection.execute(text("SELECT current_user")).scalar_one()

    assert (who(lived.exchange.database), who(lived.log.database)) == (roled.roles.web, roled.roles.log)
    with lived.exchange.database.read() as connection:
        kinds = set(connection.scalars(text("SELECT type FROM audit_leaf")))
        assert {"attribute.disclosed", "consent.withdrawn", "subject.erased", "agreement.ended"} <= kinds
        assert connection.execute(text("SELECT count(*) FROM audit_outbox")).scalar_one() == 0


def test_the_web_role_verifies_its_database(lived):
    with lived.exchange.database.read() as connection:
        opener = Opener(lived.exchange, connection)
        report = verify_database(connection, vkeys(lived), unseal=opener.unseal, check_sealed=opener.check)
        assert report.faults == []
        assert list(rule_faults(connection)) == []


def test_the_auditor_takes_the_log_out_and_proves_entries(lived, roled, tmp_path):
    auditor = Database(roled.server.url_of(roled.roles.auditor))
    with auditor.read() as connection:
        export_log(connection, tmp_path / "log")
        entry = log.tile(connection, 0, 0, 1)
        proof = Prover().inclusion(connection, index=0)
        assert proof.leaf_hash == entry
    report = verify_log(open_source(str(tmp_path / "log")), Trust.of(*vkeys(lived)))
    assert report.faults == []
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"), auditor.read() as connection:
        connection.execute(text("SELECT ct FROM audit_opening"))
    auditor.dispose()


def test_people_are_imported_by_the_web_role(lived, tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("scheme,id,full_name\nnational-id,VAL-200001-1,Cleo Example\n")
    done = import_file(lived.exchange, path, "population-register", now=lived.clock())
    assert (done.imported, done.rejected_count) == (1, 0)


def test_the_log_purges_what_has_expired_without_reading_it(lived):
    with lived.log.database.write() as connection:
        before = connection.execute(text("SELECT count(expires_at) FROM access_token")).scalar_one()
        assert before > 0
        assert purge(connection, lived.clock.move(days=30)) > 0
        connection.commit()
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"), lived.log.database.read() as connection:
        connection.execute(text("SELECT subject_ref FROM access_token"))


def test_the_log_moves_the_journal_out_and_keeps_what_is_cosigned(lived):
    def waiting(connection):
        return connection.execute(text("SELECT count(*) FROM journal")).scalar_one()

    with lived.log.database.read() as connection:
        assert waiting(connection) > 0
    assert lived.log.journal.keep()
    with lived.log.database.read() as connection:
        assert waiting(connection) == 0
        newest = log.latest_checkpoint(connection)
    for later in range(2):  # the second is the same checkpoint, cosigned anew
        row = CosignedRow(size=newest.size, note=newest.note, cosigned_at=lived.clock.move(seconds=later))
        with lived.log.database.write() as connection:
            cosigned_store.keep(connection, row)
            connection.commit()
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"), lived.exchange.database.write() as connection:
        cosigned_store.keep(connection, row)
    with lived.exchange.database.read() as connection:
        assert cosigned_store.newest(connection) == row


def test_a_sequencer_runs_under_the_logs_role(lived, roled):
    """Its loop, not only its rounds: durability is asked for, the log compared, entries taken while it runs."""
    opened = wiring.open_log(roled.config, clock=lived.clock)
    stop = threading.Event()
    thread = threading.Thread(target=opened.sequencer.run, args=(stop,))
    thread.start()
    try:
        client = lived.add_client(HOUSING)
        waited = threading.Event()
        for _ in range(2000):
            with lived.exchange.database.read() as connection:
                if connection.execute(text("SELECT count(*) FROM audit_outbox")).scalar_one() == 0:
                    break
            waited.wait(0.01)
        else:
            pytest.fail(f"the entry of {client.id} still waits")
    finally:
        stop.set()
        opened.sequencer.wake()
        thread.join()
        opened.database.dispose()


def test_two_addresses_of_two_installations_are_refused(roled, tmp_path):
    """Requests in one database, the log of another: entries would wait for ever."""
    url = fresh_database(migrate)
    try:
        elsewhere = replace(roled.config, database_url=url, unsafe_local_keys_dir=tmp_path, log_database_url=None)
        wiring.initialise(elsewhere).close()
        require_parts(roled.config, web_only=False)
        require_parts(replace(roled.config, log_database_url=url), web_only=True)
        with pytest.raises(ConfigError, match="two installations"):
            require_parts(replace(roled.config, log_database_url=url), web_only=False)
    finally:
        drop_database(url)


def test_the_logs_role_cannot_serve(lived, roled):
    """With the web's keys in hand, too: the log's account alone leads to nobody."""
    config = replace(roled.config, database_url=roled.server.url_of(roled.roles.log))
    services = wiring.open_services(config, clock=lived.clock)
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"), services.exchange.database.read() as connection:
        services.exchange.keyring.load(connection, lived.people[ANNA])
    services.close()


def test_the_logs_role_keeps_and_renews_what_witnesses_cosigned(lived):
    database = lived.log.database
    for minutes in (1, 2):
        with database.write() as connection:
            row = CosignedRow(size=1, note=f"note {minutes}", cosigned_at=lived.clock() + timedelta(minutes=minutes))
            cosigned_store.keep(connection, row)
            connection.commit()
    with lived.exchange.database.read() as connection:
        assert cosigned_store.of_size(connection, 1).note == "note 2"
    with pytest.raises(DatabaseError, match="InsufficientPrivilege"), lived.exchange.database.write() as connection:
        cosigned_store.keep(connection, row)
