"""A new key in the place of an old one: of the log and of receipts, with crashes between all steps."""

from datetime import timedelta

import pytest
from sqlalchemy import insert, update

from api import rotation
from api.errors import ConfigError
from api.keyfiles import changing, key_files, read_keyset
from api.wiring import open_log, open_services
from crypto.checkpoint import Checkpoint, NoteSigner, NoteVerifier, format_checkpoint, open_note, sign_note
from crypto.errors import VerificationError
from crypto.ids import new_id
from crypto.jwk import load_public_jwk
from crypto.keyset import KeyStatus
from crypto.merkle import hash_leaf
from exchange.audit import log, store
from exchange.audit.check_store import public_members
from exchange.audit.edge import pack_state
from exchange.audit.entry import prepare
from exchange.audit.receipts import issue_receipt, verify_receipt
from exchange.audit.tables import audit_checkpoint, audit_head, audit_leaf, audit_tile
from exchange.audit.verify_db import verify_database
from exchange.errors import InconsistentLogError
from exchange.events import Event, EventType
from exchange.uow import UnitOfWork
from tests.integration.audit.small_log import SmallLog


def keys_of(services, use):
    one = rotation.ROTATING[use]
    return [key for key in read_keyset(key_files(services.config, one.keyset)).keys if key.purpose is one.purpose]


def vkeys(services):
    return services.config.vkey_file.read_text().split()


def integrate(services, clock):
    """The worker starts anew, and works until nothing waits; returns the newest checkpoint."""
    clock.advance(seconds=1)
    opened = open_log(services.config, clock=clock)
    try:
        opened.sequencer.check()
        while opened.sequencer.run_round():
            pass
        with opened.database.read() as connection:
            return log.latest_checkpoint(connection).note
    finally:
        opened.database.dispose()


def write_something(services):
    with services.exchange.unit_of_work(services.clock()) as uow:
        uow.record(Event(type=EventType.HISTORY_READ, org="subject"))
        uow.commit()


def signs(note, vkey):
    try:
        open_note(note, [NoteVerifier.parse(vkey)])
    except VerificationError:
        return False
    return True


def events(services, kind):
    with services.exchange.database.read() as connection:
        return [entry.detail for entry in public_members(connection, [kind])]


def faults(services, *given):
    with services.exchange.database.read() as connection:
        return verify_database(connection, list(given)).faults


def test_a_log_key_is_rotated_with_an_overlap_and_then_retired(services, clock):
    (old,) = vkeys(services)
    kid = keys_of(services, "log")[0].kid
    integrate(services, clock)
    new = rotation.rotate(services, "log").key
    assert vkeys(services) == [new, old]
    overlap = integrate(services, clock)
    assert signs(overlap, old)
    assert signs(overlap, new)
    assert faults(services, old) == faults(services, new) == []

    rotation.retire(services, "log", kid)
    assert vkeys(services) == [new]
    after = integrate(services, clock)
    assert signs(after, new)
    assert not signs(after, old)
    # Who has only the newest key learns of the old one from the entries below what the newest one signed …
    assert faults(services, new) == []
    # … and who has only the old one is told that it is not enough.
    assert any("was a key rotated" in fault for fault in faults(services, old))
    assert [detail["key"] for detail in events(services, "key.verifier_retired")] == [old]


@pytest.mark.parametrize("use", ["log", "receipt"])
def test_the_old_key_is_not_retired_before_its_successor_is_established(services, clock, use):
    kid = keys_of(services, use)[0].kid
    with pytest.raises(ConfigError, match="is in use"):
        rotation.retire(services, use, kid)
    worker = open_log(services.config, clock=clock)
    rotation.rotate(services, use)
    with pytest.raises(ConfigError, match="not in the log yet"):
        rotation.retire(services, use, kid)
    # A worker that runs since before takes the entry in, but signs with the old key only.
    worker.sequencer.run_round()
    worker.database.dispose()
    if use == "log":
        with pytest.raises(ConfigError, match="no checkpoint bears the signature of the new key"):
            rotation.retire(services, use, kid)
        write_something(services)
        integrate(services, clock)
    rotation.retire(services, use, kid)
    newest = keys_of(services, use)[-1].kid
    with pytest.raises(ConfigError, match="is in use"):
        rotation.retire(services, use, newest)
    with pytest.raises(ConfigError, match="there is no"):
        rotation.retire(services, use, "0123456789abcdef")


class CrashError(BaseException):
    """As SIGKILL: nothing catches it."""


def crash_at(monkeypatch, step):
    """The process ends right before, or right after, its n-th durable step."""
    done = 0

    def wrap(function):
        def durable(*given, **named):
            nonlocal done
            done += 1
            if done * 2 - 1 == step:
                raise CrashError
            result = function(*given, **named)
            if done * 2 == step:
                raise CrashError
            return result

        return durable

    monkeypatch.setattr(rotation, "replace_keyset", wrap(rotation.replace_keyset))
    monkeypatch.setattr(rotation, "write_vkeys", wrap(rotation.write_vkeys))
    monkeypatch.setattr(UnitOfWork, "commit", wrap(UnitOfWork.commit))


@pytest.mark.parametrize("step", range(1, 9))
@pytest.mark.parametrize("use", ["log", "receipt"])
def test_a_rotation_that_was_interrupted_anywhere_goes_on(services, clock, use, step):
    integrate(services, clock)
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, step)
        try:
            rotation.rotate(services, use)
        except CrashError:
            pass
        else:
            assert (use, step) in {("receipt", 7), ("receipt", 8)}, "fewer steps than were tried"
            return
    # Whatever the crash left, the log goes on and verifies.
    integrate(services, clock)
    started = len(keys_of(services, use)) == 2
    finished = started and keys_of(services, use)[-1].is_primary
    if not finished:
        rotation.rotate(services, use)
    old, new = keys_of(services, use)
    assert (old.is_primary, new.is_primary, old.status, new.status) == (
        False,
        True,
        KeyStatus.ENABLED,
        KeyStatus.ENABLED,
    )
    told = [detail["key"] for detail in events(services, "key.verifier_added") if detail["use"] == use]
    public = rotation.ROTATING[use].public
    assert told == [public(key, services.exchange.installation.origin).key for key in (old, new)]
    integrate(services, clock)
    assert faults(services, *vkeys(services)) == []


@pytest.mark.parametrize("step", range(1, 7))
def test_a_retirement_that_was_interrupted_anywhere_goes_on(services, clock, step):
    kid = keys_of(services, "log")[0].kid
    rotation.rotate(services, "log")
    integrate(services, clock)
    with pytest.MonkeyPatch.context() as patch:
        crash_at(patch, step)
        with pytest.raises(CrashError):
            rotation.retire(services, "log", kid)
    integrate(services, clock)
    rotation.retire(services, "log", kid)
    old, new = keys_of(services, "log")
    assert (old.status, new.is_primary) == (KeyStatus.DISABLED, True)
    assert len(events(services, "key.verifier_retired")) == 1
    assert vkeys(services) == [rotation.log_vkey(new, services.exchange.installation.origin).key]
    integrate(services, clock)
    assert faults(services, *vkeys(services)) == []


def test_receipts_of_a_retired_key_stay_verifiable_by_what_the_log_tells(services, clock, now):
    entry = prepare(
        Event(type=EventType.HISTORY_READ, org="subject"),
        entry_id=new_id(now),
        now=now,
        operator_ref=services.exchange.installation.operator_ref,
    )
    receipt = issue_receipt(
        entry, origin="x", integrate_within=timedelta(minutes=1), key=services.exchange.receipt_signer
    )
    kid = keys_of(services, "receipt")[0].kid
    rotation.rotate(services, "receipt")
    reopened = open_services(services.config, "cli")
    assert [key.kid for key in reopened.receipt_keys] == [keys_of(services, "receipt")[1].kid, kid]
    assert reopened.exchange.receipt_signer.kid != kid
    reopened.close()
    integrate(services, clock)
    rotation.retire(services, "receipt", kid)
    (told,) = (detail for detail in events(services, "key.verifier_added") if detail.get("kid") == kid)
    key = load_public_jwk({"kty": "OKP", "crv": "Ed25519", "x": told["key"], "kid": kid}, use="sig")
    assert verify_receipt(receipt, key=key).id == entry.id


def test_two_commands_do_not_change_one_keyset_at_once(services):
    with changing(key_files(services.config, "log")), pytest.raises(ConfigError, match="another command"):
        rotation.rotate(services, "log")
    assert len(keys_of(services, "log")) == 1


def test_a_key_that_an_intruder_let_the_log_tell_of_signs_no_other_end_of_it(database):
    # Given somebody who writes to the database: the sequencer takes an entry about a key of theirs in, and signs it
    small = SmallLog(database).create()
    intruder = NoteSigner("log.example/cdx", bytes(32))
    detail = {"use": "log", "key": intruder.vkey}
    small.append(Event(type=EventType.VERIFIER_KEY_ADDED, org="cdx", detail=detail))
    small.append_many(3)
    small.round()
    assert small.verify_database().faults == []
    # When they then write another end of the log and sign it with that key
    with database.write() as connection:
        head = store.read_head(connection)
        known = small.sequencer._known
        edge = known.edge.copy()
        entry = small.prepare(Event(type=EventType.HISTORY_READ, org="tax"))
        (write,) = edge.extend([hash_leaf(entry.body)])
        root = edge.frontier.root()
        connection.execute(
            insert(audit_leaf).values(
                seq=head.size, id=entry.id, body=entry.body, type=entry.type, org=entry.org, at=entry.accepted_at
            )
        )
        connection.execute(update(audit_tile).values(width=write.width, data=write.data))
        connection.execute(
            update(audit_head).values(
                size=edge.size, root=root, frontier=pack_state(known.checkpoints + 1, edge.frontier)
            )
        )
        text = format_checkpoint(Checkpoint(origin=head.origin, size=edge.size, root=root))
        note = sign_note(text, [intruder])
        connection.execute(insert(audit_checkpoint).values(size=edge.size, note=note, signed_at=small.now))
        connection.commit()
    # Then neither the sequencer nor the verification takes it for ours
    with pytest.raises(InconsistentLogError, match="does not verify"):
        small.restart()
    assert any("does not bear a key that was given" in fault for fault in small.verify_database(with_keys=False).faults)
