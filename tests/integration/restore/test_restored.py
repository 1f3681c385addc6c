"""A backup is put back: nothing withdrawn, erased or suspended comes back, and the log goes on under its next name."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from api import rotation
from api.errors import ConfigError
from crypto.checkpoint import NoteVerifier, open_note, parse_checkpoint
from crypto.encoding import b64_encode
from exchange import agencies, consents
from exchange.audit import store
from exchange.audit.entry import decode_entry
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_proof
from exchange.errors import AccessRefusedError, OldDatabaseError, RestoreError
from exchange.model import Status
from exchange.outcomes import Answered, Refused, Waiting
from exchange.tables import agreement, client, subject
from tests.house import ANNA, BEN, HOUSING
from tests.integration.restore.lives import CARA, DORA, report


def column(life, what, where):
    with life.house.exchange.database.read() as connection:
        return connection.execute(select(what).where(where)).scalar_one()


def entry_at(life, seq):
    with life.house.exchange.database.read() as connection:
        return decode_entry(store.leaf_at(connection, seq).body)


def test_nothing_comes_back_and_everybody_decides_again(lost):
    life = lost
    house = life.house
    # Nothing serves or signs on it.
    with pytest.raises(OldDatabaseError, match="cdx db restored"):
        life.refuse_old()
    done = life.restore()
    life.refuse_old()
    # What had ended has ended.
    assert life.status(life.consents[ANNA]) == "WITHDRAWN"
    assert column(life, subject.c.status, subject.c.ref == house.people[CARA]) == "ERASED"
    assert column(life, subject.c.status, subject.c.ref == house.people[DORA]) == "PROTECTED"
    assert column(life, client.c.status, client.c.id == life.other.id) == "SUSPENDED"
    assert column(life, agreement.c.status, agreement.c.code == "resident-parking") == "ENDED"
    assert done.replayed.done == {
        "consent.withdrawn": 1,
        "consent.terminated": 1,  # the erased person's
        "subject.erased": 1,
        "subject.status_changed": 1,
        "client.status_changed": 1,
        "agreement.ended": 1,
    }
    # Tokens are revoked, and what was in force is paused.
    with pytest.raises(AccessRefusedError):
        house.ask(life.client, BEN, caller=house.again(life.old_caller))
    with pytest.raises(AccessRefusedError):
        consents.resume(house.exchange, life.old_citizen, life.consents[BEN], house.clock())
    assert (life.status(life.consents[BEN]), life.status(life.consents[DORA])) == ("PAUSED", "PAUSED")
    assert done.paused == 2
    assert isinstance(house.ask(life.client, BEN), Refused)
    # One step of the person, and it goes on.
    consents.resume(house.exchange, house.citizen(BEN), life.consents[BEN], house.clock())
    assert isinstance(house.ask(life.client, BEN), Answered)
    # Who withdrew is not asked again at once, as before the loss.
    assert isinstance(house.ask(life.client, ANNA), Refused)


def test_the_log_goes_on_under_its_next_name_and_commits_to_what_was_known(lost):
    life = lost
    first = life.house.exchange.installation.origin
    life.restore()
    name = f"{first}/2"
    assert life.house.exchange.installation.origin == name
    begun = entry_at(life, life.backup_size)
    assert begun.type == "log.continued"
    assert begun.detail == {
        "generation": "2",
        "origin": name,
        "former": first,
        "known_size": str(life.last.size),
        "known_root": b64_encode(life.last.root),
        "size": str(life.backup_size),
    }
    life.work()
    newest = life.checkpoint()
    text = open_note(newest.note, [NoteVerifier.parse(life.vkeys[0])])[0]
    assert parse_checkpoint(text).origin == name
    # The whole database verifies with the new key alone; the old name's keys are those that its entries tell of.
    assert all(vkey.startswith(f"{name}+") for vkey in life.vkeys)
    assert report(life) == []
    assert any("does not bear a key that was given" in fault for fault in report(life, *life.old_vkeys))
    # Old proofs hold, and the new log begins with what the old one had.
    assert verify_proof(life.old_proof, Trust.of(*life.old_vkeys)).ok
    with life.house.exchange.database.read() as connection:
        proof = life.house.services.prover.consistency(connection, old_size=life.backup_size)
        again = life.house.services.prover.inclusion(connection, index=5).to_text()
    assert proof.old_checkpoint == life.backup_note
    assert verify_proof(again, Trust.of(*life.vkeys)).ok


def test_looking_changes_nothing(lost):
    life = lost
    with life.house.exchange.database.read() as connection:
        before = [tuple(row) for row in connection.execute(select(subject.c.ref, subject.c.status, subject.c.version))]
    told = "\n".join(life.look().explain())
    assert f"At least {life.last.size - life.backup_size} entries are lost" in told
    assert "goes on as" in told
    assert "6 lines" in told
    with life.house.exchange.database.read() as connection:
        after = [tuple(row) for row in connection.execute(select(subject.c.ref, subject.c.status, subject.c.version))]
    assert before == after
    with pytest.raises(OldDatabaseError):
        life.refuse_old()


def test_without_a_journal_it_says_what_is_not_known(lost):
    life = lost
    path = life.folder / "checkpoint"
    path.write_text((life.journal / "checkpoint").read_text())
    config = replace(life.house.services.config, journal_dir=None)
    life.house.services = replace(life.house.services, config=config)
    with pytest.raises(ConfigError, match="no journal"):
        life.look(last_checkpoint=str(path))
    found = life.look(last_checkpoint=str(path), without_journal=True)
    assert any("NOT known" in line for line in found.explain())
    life.restore(last_checkpoint=str(path), without_journal=True)
    # The withdrawal is unknown, but nothing flows until the person says so.
    assert life.status(life.consents[ANNA]) == "PAUSED"


def test_what_the_database_never_knew_is_listed(life):
    copy = life.back_up()
    house = life.house
    new = house.add_client(HOUSING)
    agencies.set_client_status(house.exchange, new.id, Status.SUSPENDED, house.clock())
    withdrawn = consents.withdraw(house.exchange, house.citizen(ANNA), life.consents[ANNA], house.clock())
    house.clock.move(days=31)
    asked = house.ask(life.client, ANNA)
    assert isinstance(asked, Waiting)
    consents.refuse(
        house.exchange, house.citizen(ANNA), asked.request_id, language="en", notice_version="2026-1", now=house.clock()
    )
    life.work()
    life.put_back(copy)
    done = life.restore()
    assert withdrawn.status == "WITHDRAWN" == life.status(life.consents[ANNA])
    assert sorted(text.partition(" ")[0] for text in done.replayed.unmatched) == [
        "client.status_changed",
        "consent.refused",
    ]
    assert any(new.id in text for text in done.replayed.unmatched)
    life.drop(copy)


def test_who_was_taken_up_again_is_not_suspended_again(life):
    copy = life.back_up()
    for status in (Status.SUSPENDED, Status.ACTIVE):
        agencies.set_client_status(life.house.exchange, life.client.id, status, life.house.clock.move(seconds=1))
    life.work()
    life.put_back(copy)
    life.restore()
    assert column(life, client.c.status, client.c.id == life.client.id) == "ACTIVE"
    life.drop(copy)


def test_a_second_time_does_nothing_and_a_second_restore_takes_the_third_name(lost):
    life = lost
    first = life.house.exchange.installation.origin
    checkpoint = life.folder / "checkpoint"
    checkpoint.write_text((life.journal / "checkpoint").read_text())
    life.restore()
    with pytest.raises(RestoreError, match="already"):
        life.look(last_checkpoint=str(checkpoint))
    life.work()
    assert not life.look().continuation.is_older
    # The same backup again: what happened under the second name is lost now, and known by the journal.
    consents.withdraw(life.house.exchange, life.house.citizen(BEN), life.consents[BEN], life.house.clock())
    life.work()
    life.put_back(life.copy)
    with pytest.raises(OldDatabaseError, match="is not known here"):
        life.refuse_old()
    life.restore()
    assert life.house.exchange.installation.origin == f"{first}/3"
    assert {life.status(life.consents[who]) for who in (ANNA, BEN)} == {"WITHDRAWN"}
    life.work()
    assert report(life) == []
    life.refuse_old()


def test_a_key_that_was_made_after_the_backup_is_told_again(life):
    copy = life.back_up()
    services = life.house.services
    rotation.rotate(services, "log")
    rotation.rotate(services, "receipt")
    life.open()
    life.work()
    life.put_back(copy)
    life.restore()
    life.work()
    assert len(life.vkeys) == 2
    assert report(life) == []
    with life.house.exchange.database.read() as connection:
        told = rotation.verifier_keys.told(connection)
    assert {("log", vkey) for vkey in life.vkeys} <= told.added
    assert {("receipt", key.public_jwk()["x"]) for key in life.house.services.receipt_keys} <= told.added
    life.drop(copy)


def test_a_standby_that_lost_nothing_known_is_not_continued_by_mistake(life):
    found = life.look()
    assert not found.continuation.is_older
    assert any("nothing was lost" in line for line in found.explain())


def test_continuing_a_log_that_lost_nothing_is_seen_by_everybody_who_kept_a_checkpoint(life):
    # Given a dishonest operator who drops the newest entries and names an older checkpoint as the last known one
    copy = life.back_up()
    older = life.folder / "older"
    older.write_text(life.checkpoint().note)
    consents.withdraw(life.house.exchange, life.house.citizen(ANNA), life.consents[ANNA], life.house.clock())
    life.work()
    kept = parse_checkpoint(open_note(life.checkpoint().note, [NoteVerifier.parse(life.vkeys[0])])[0])
    life.put_back(copy)
    for path in life.journal.iterdir():
        path.unlink()
    found = life.look(last_checkpoint=str(older))
    assert not found.continuation.is_older
    size = life.checkpoint().size
    life.restore(last_checkpoint=str(older))
    # Then the public entry claims less than what was signed: the kept checkpoint is larger than both its numbers
    claimed = entry_at(life, size).detail
    assert claimed["former"] == kept.origin
    assert int(claimed["known_size"]) < kept.size
    # … and nothing flows unnoticed: the name changed, all is paused.
    assert life.status(life.consents[ANNA]) == "PAUSED"
    life.drop(copy)


def test_an_altered_name_is_found(lost):
    life = lost
    life.restore()
    life.work()
    with life.house.exchange.database.write() as connection:
        if life.house.exchange.database.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_origin_no_update")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_origin DISABLE TRIGGER USER")
        connection.exec_driver_sql("UPDATE audit_origin SET first_size = first_size - 1 WHERE generation = 2")
        connection.commit()
    assert any("audit_origin" in fault for fault in report(life))
