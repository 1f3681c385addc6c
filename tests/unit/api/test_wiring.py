"""``cdx init`` makes an installation once; opening it needs the right keys and the right schema."""

import json
import stat

import pytest
import sqlalchemy as sa

from api import schema, wiring
from api.errors import ConfigError
from crypto.checkpoint import NoteVerifier, open_note, parse_checkpoint
from exchange import tables
from exchange.audit import log, outbox
from exchange.audit.entry import decode_entry
from exchange.audit.tables import audit_head, audit_leaf, audit_outbox
from exchange.events import EventType
from exchange.model import SubjectStatus


def entries(database):
    with database.read() as connection:
        bodies = connection.execute(sa.select(audit_outbox.c.body).order_by(audit_outbox.c.id)).scalars().all()
    return [decode_entry(body) for body in bodies]


def test_an_installation_and_its_first_entries(services, config):
    exchange = services.exchange
    with exchange.database.read() as connection:
        row = connection.execute(sa.select(tables.installation)).one()
        operator = connection.execute(sa.select(tables.subject)).one()
        kek = connection.execute(sa.select(tables.kek.c.epoch, tables.kek.c.status)).one()
        head = connection.execute(sa.select(audit_head.c.origin, audit_head.c.size)).one()
        exchange.keyring.load(connection, exchange.installation.operator_ref)
    assert row.origin == head.origin == "exchange.example/audit"
    assert (operator.ref, operator.status) == (row.operator_ref, SubjectStatus.OPERATOR.value)
    assert kek == (1, "ACTIVE")
    assert head.size == 0
    found = {(entry.type, entry.detail.get("use")): entry.detail for entry in entries(exchange.database)}
    assert found.keys() == {
        (EventType.INSTALLATION_CREATED.value, None),
        (EventType.KEK_CREATED.value, None),
        (EventType.VERIFIER_KEY_ADDED.value, "log"),
        (EventType.VERIFIER_KEY_ADDED.value, "receipt"),
    }
    assert found[EventType.VERIFIER_KEY_ADDED.value, "log"]["key"] == config.vkey_file.read_text().strip()
    public = exchange.receipt_signer.public_jwk()
    receipt = found[EventType.VERIFIER_KEY_ADDED.value, "receipt"]
    assert (receipt["key"], receipt["kid"]) == (public["x"], public["kid"])


def test_the_sequencer_signs_with_the_key_that_was_published(services, log_services, config):
    assert log_services.sequencer.run_round() == 4
    with services.exchange.database.read() as connection:
        note = log.latest_checkpoint(connection).note
        assert outbox.backlog(connection, services.clock()).count == 0
        assert connection.execute(sa.select(sa.func.count()).select_from(audit_leaf)).scalar_one() == 4
    text, _ = open_note(note, [NoteVerifier.parse(config.vkey_file.read_text().strip())])
    assert parse_checkpoint(text).size == 4


def test_key_files_of_an_installation(services, config):
    folder = config.unsafe_local_keys_dir
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {
        "web.keyset": 0o600,
        "web.root": 0o600,
        "log.keyset": 0o600,
        "log.root": 0o600,
        "log.vkey": 0o644,
    }


def test_an_installation_is_made_once(services, config):
    with pytest.raises(ConfigError, match="already"):
        wiring.initialise(config)


def test_opening_gives_the_same_installation(services, config):
    opened = wiring.open_services(config)
    try:
        assert opened.exchange.installation == services.exchange.installation
        assert opened.token_signer.public_jwk() == services.token_signer.public_jwk()
        with opened.exchange.database.read() as connection:
            opened.exchange.keyring.load(connection, opened.exchange.installation.operator_ref)
    finally:
        opened.close()


def test_an_interrupted_start_goes_on_with_the_same_keys(config, clock, monkeypatch):
    """The power fails after the keys and before the commit: nothing is installed, and a second run completes it."""

    def power_cut(*_args, **_kwargs):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(log, "create", power_cut)
        with pytest.raises(OSError, match="power cut"):
            wiring.initialise(config, clock=clock)
    keys = (config.unsafe_local_keys_dir / "web.keyset").read_bytes()
    services = wiring.initialise(config, clock=clock)
    services.close()
    assert (config.unsafe_local_keys_dir / "web.keyset").read_bytes() == keys


def test_what_was_never_initialised_does_not_open(make_config, clock, tmp_path):
    config = make_config(database_url=f"sqlite:///{tmp_path / 'other.db'}")
    with pytest.raises(ConfigError, match="cdx init"):
        wiring.open_services(config)
    made = wiring.initialise(make_config(), clock=clock)
    made.close()
    with pytest.raises(ConfigError, match="empty"):
        wiring.open_services(config)
    schema.upgrade(config.database_url)
    with pytest.raises(ConfigError, match="not initialised"):
        wiring.open_services(config)


def test_an_old_schema_does_not_open(services, config):
    with services.exchange.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001_consent_ledger'"))
        connection.commit()
    with pytest.raises(ConfigError, match="cdx db upgrade"):
        wiring.open_services(config)


def test_the_sequencer_needs_no_web_keys_and_the_web_no_log_keys(services, config):
    folder = config.unsafe_local_keys_dir
    (folder / "web.keyset").rename(folder / "away")
    opened = wiring.open_log(config)
    opened.database.dispose()
    (folder / "away").rename(folder / "web.keyset")
    (folder / "log.keyset").unlink()
    (folder / "log.root").unlink()
    wiring.open_services(config).close()
    with pytest.raises(ConfigError, match=r"log\.root"):
        wiring.open_log(config)


def test_the_clock_counts_whole_milliseconds():
    now = wiring.system_clock()
    assert now.microsecond % 1000 == 0
    assert now.utcoffset() is not None


def test_nothing_secret_stands_in_a_repr(services):
    text = repr(services) + json.dumps(str(services.config))
    for path in services.config.unsafe_local_keys_dir.glob("*.root"):
        assert path.read_text() not in text
