"""An entry that was accepted and promised, and never integrated, is found by whoever holds the receipt."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto.checkpoint import Cosigner, NoteSigner, split_note
from crypto.jose import SigningKey
from exchange.audit import log
from exchange.audit.export import export_log
from exchange.audit.promise import verify_promise
from exchange.audit.receipts import issue_receipt
from exchange.audit.report import Report
from exchange.audit.sources import DirectorySource
from exchange.audit.trust import Trust
from tests.integration.audit.small_log import ORIGIN, SIGNER, SmallLog
from tests.unit.audit.samples import an_event

KEY = SigningKey.generate("receipts", "Ed25519")
JWKS = json.dumps({"keys": [SigningKey.generate("tokens").public_jwk(), KEY.public_jwk()]})
WITHIN = timedelta(seconds=60)
WITNESS = Cosigner("witness.example", bytes([7]) * 32)
POLICY = f"log {SIGNER.vkey}\nwitness W {WITNESS.vkey}\nquorum W\n"


@pytest.fixture
def promised(small_log: SmallLog) -> tuple[SmallLog, str]:
    """A log of 300 entries, and the receipt of one more, which waits."""
    small_log.append(*(an_event() for _ in range(300)))
    small_log.sequencer.run_round()
    (entry,) = small_log.append(an_event())
    return small_log, issue_receipt(entry, origin=ORIGIN, integrate_within=WITHIN, key=KEY)


def export(of: SmallLog, directory: Path, *, cosigned_at: datetime | None = None) -> DirectorySource:
    with of.database.read() as connection:
        export_log(connection, directory)
        note = log.latest_checkpoint(connection).note
    if cosigned_at is not None:
        line = WITNESS.sign(split_note(note)[0], time=int(cosigned_at.astimezone(UTC).timestamp()))
        (directory / "checkpoint").write_text(note + line)
    return DirectorySource(directory)


def check(source: DirectorySource, token: str, *, policy: bool = True, jwks: str = JWKS) -> Report:
    trust = Trust.of(policy=POLICY) if policy else Trust.of(SIGNER.vkey)
    return verify_promise(source, trust, token, jwks)


def test_a_kept_promise(promised, tmp_path):
    of, token = promised
    of.sequencer.run_round()
    report = check(export(of, tmp_path, cosigned_at=of.now), token)
    assert report.ok, report.faults
    assert "the promise is kept: the entry is number 300 of the log" in report.checked


def test_an_entry_that_never_came_is_a_broken_promise(promised, tmp_path):
    of, token = promised
    late = of.now + WITHIN + timedelta(seconds=2)
    report = check(export(of, tmp_path, cosigned_at=late), token)
    assert len(report.faults) == 1
    assert report.faults[0].startswith("BROKEN PROMISE: ")


@pytest.mark.parametrize("policy", [True, False])
def test_before_its_time_or_without_witnesses_it_is_only_missing(promised, tmp_path, policy):
    of, token = promised
    report = check(export(of, tmp_path, cosigned_at=of.now + WITHIN - timedelta(seconds=2)), token, policy=policy)
    assert "is not among the 300 entries" in report.faults[0]
    assert any(("before that" if policy else "use a policy") in line for line in report.not_checked)


def test_another_entry_in_its_place_keeps_no_promise(promised, tmp_path, monkeypatch):
    """The operator drops the entry and goes on with others."""
    of, token = promised
    monkeypatch.setattr(of, "accepted", of.accepted[:-1])
    with of.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM audit_outbox")
        connection.commit()
    of.append(*(an_event() for _ in range(3)))
    of.sequencer.run_round()
    report = check(export(of, tmp_path, cosigned_at=of.now + 2 * WITHIN), token)
    assert report.faults[0].startswith("BROKEN PROMISE: ")


def test_hashes_that_do_not_lead_to_the_root_answer_nothing(promised, tmp_path):
    of, token = promised
    of.sequencer.run_round()
    source = export(of, tmp_path, cosigned_at=of.now)
    tile = tmp_path / "tile" / "0" / "000"
    data = bytearray(tile.read_bytes())
    data[40] ^= 1
    tile.write_bytes(bytes(data))
    assert not check(source, token).ok
    assert not any("promise is kept" in line for line in check(source, token).checked)


def test_a_receipt_of_another_log_or_key_is_refused(promised, tmp_path):
    of, token = promised
    of.sequencer.run_round()
    source = export(of, tmp_path, cosigned_at=of.now)
    (entry,) = of.append(an_event())
    other = issue_receipt(entry, origin="other.example/audit", integrate_within=WITHIN, key=KEY)
    assert "other.example/audit" in check(source, other).faults[0]
    stranger = SigningKey.generate("receipts", "Ed25519")
    forged = issue_receipt(entry, origin=ORIGIN, integrate_within=WITHIN, key=stranger)
    assert not check(source, forged).ok
    assert "not in the file of keys" in check(source, token, jwks='{"keys": []}').faults[0]
    assert not check(source, token, jwks="[]").ok
    assert not check(source, token + "x").ok


def test_a_log_of_another_key_is_no_answer(promised, tmp_path):
    of, token = promised
    of.sequencer.run_round()
    source = export(of, tmp_path)
    stranger = NoteSigner(ORIGIN, bytes(32))
    assert not verify_promise(source, Trust.of(stranger.vkey), token, JWKS).ok


def test_nothing_is_read_from_a_directory_that_is_not_there(promised, tmp_path):
    _, token = promised
    report = check(DirectorySource(tmp_path / "none"), token)
    assert "checkpoint" in report.faults[0]
