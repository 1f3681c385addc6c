from uuid import UUID

import pytest

from crypto.errors import MalformedError
from crypto.merkle import verify_consistency, verify_inclusion
from exchange.audit import store
from exchange.audit.commitments import check_openings, parse_openings
from exchange.audit.entry import decode_entry
from exchange.audit.history_store import history
from exchange.audit.proof_file import parse_proof
from exchange.audit.proofs import Prover, consistency_proof, inclusion_proof
from exchange.audit.tables import audit_tile
from exchange.audit.verify import verify_openings, verify_proof
from exchange.errors import InconsistentLogError, UnknownEntryError
from tests.integration.audit.small_log import TRUST, SmallLog
from tests.unit.audit import oracle
from tests.unit.audit.samples import an_event

SIZES = [1, 2, 3, 5, 8, 13, 200, 255, 256, 257, 400, 511, 512, 520]


@pytest.fixture(scope="module")
def grown_log(lasting_database) -> SmallLog:
    """A log with a checkpoint at each of the sizes."""
    small_log = SmallLog(lasting_database).create()
    for size in SIZES:
        small_log.append_many(size - len(small_log.accepted))
        small_log.round()
    return small_log


@pytest.fixture
def connection(grown_log):
    with grown_log.database.read() as connection:
        yield connection


@pytest.fixture
def bodies(connection) -> list[bytes]:
    return store.bodies(connection, 0, SIZES[-1])


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_proofs_of_every_checkpoint_are_the_oracles(connection, bodies, size):
    prover, root = Prover(), oracle.root(bodies[:size])
    for index in {0, 1, size // 2, 255, 256, size - 1} & set(range(size)):
        proof = prover.inclusion(connection, index=index, size=size)
        assert list(proof.hashes) == oracle.path(index, bodies[:size]) == inclusion_proof(connection, index, size)
        verify_inclusion(index=index, size=size, leaf_hash=proof.leaf_hash, proof=proof.hashes, root=root)
        report = verify_proof(proof.to_text(), TRUST)
        assert report.faults == []
        assert report.size == size


@pytest.mark.parametrize("old", SIZES)
def test_consistency_proofs_between_all_checkpoints_are_the_oracles(connection, bodies, old):
    prover = Prover()
    for new in SIZES[SIZES.index(old) :]:
        proof = prover.consistency(connection, old_size=old, new_size=new)
        assert list(proof.hashes) == oracle.proof(old, bodies[:new]) == consistency_proof(connection, old, new)
        verify_consistency(
            old_size=old,
            new_size=new,
            old_root=oracle.root(bodies[:old]),
            new_root=oracle.root(bodies[:new]),
            proof=proof.hashes,
        )


def test_a_proof_by_id_is_about_that_entry(grown_log, connection):
    prover = Prover()
    proof = prover.inclusion(connection, entry_id=grown_log.accepted[100])
    assert decode_entry(proof.entry).id == grown_log.accepted[100]
    assert proof.size == SIZES[-1]
    assert proof.to_json()["index"] == proof.index
    assert inclusion_proof(connection, grown_log.accepted[100], proof.size) == list(proof.hashes)
    assert parse_proof(proof.to_text(with_entry=False)).extra is None


def test_a_proof_without_its_entry_needs_the_entry(connection):
    proof = Prover().inclusion(connection, index=5)
    text = proof.to_text(with_entry=False)
    assert verify_proof(text, TRUST, entry=proof.entry).ok
    assert verify_proof(text, TRUST).faults == ["the file does not hold the entry, and none was given"]
    assert not verify_proof(text, TRUST, entry=proof.entry + b" ").ok


def test_any_altered_line_of_a_proof_is_found(connection):
    text = Prover().inclusion(connection, index=5, size=400).to_text()
    for number, line in enumerate(text.split("\n")):
        for position in {0, len(line) // 2, len(line) - 1} & set(range(len(line))):
            altered = line[:position] + chr(ord(line[position]) ^ 1) + line[position + 1 :]
            lines = text.split("\n")
            lines[number] = altered
            assert not verify_proof("\n".join(lines), TRUST).ok, (number, position)


def test_what_does_not_exist_is_not_proved(grown_log, connection):
    prover = Prover()
    unknown = UUID("0195587a-9999-7999-8999-999999999999")
    for call in (
        lambda: prover.inclusion(connection, entry_id=unknown),
        lambda: prover.inclusion(connection, index=520),
        lambda: prover.inclusion(connection, index=400, size=400),
        lambda: prover.inclusion(connection, index=0, size=399),
        lambda: prover.consistency(connection, old_size=4),
        lambda: prover.consistency(connection, old_size=400, new_size=256),
        lambda: inclusion_proof(connection, 0, 521),
        lambda: inclusion_proof(connection, 5, 5),
        lambda: consistency_proof(connection, 0, 5),
        lambda: consistency_proof(connection, 6, 5),
    ):
        with pytest.raises(UnknownEntryError):
            call()
    for arguments in ({}, {"index": 1, "entry_id": unknown}):
        with pytest.raises(MalformedError):
            prover.inclusion(connection, **arguments)


def test_tiles_that_lie_are_noticed_before_anything_is_handed_out(small_log):
    small_log.append_many(100)
    small_log.round()
    small_log.append_many(10)
    small_log.round()
    with small_log.database.write() as connection:
        connection.execute(audit_tile.update().values(data=bytes(110 * 32)))
        for call in (
            lambda: Prover().inclusion(connection, index=3),
            lambda: Prover().consistency(connection, old_size=100),
        ):
            with pytest.raises(InconsistentLogError):
                call()
        connection.execute(audit_tile.delete())
        with pytest.raises(InconsistentLogError):
            Prover().inclusion(connection, index=3)


def test_a_waiting_entry_stands_in_the_history_and_has_no_proof_yet(small_log):
    first = small_log.append(an_event())[0]
    small_log.round()
    second = small_log.append(an_event(facts={"consent": "no"}))[0]
    with small_log.database.read() as connection:
        lines = history(connection, first.sealings[0].owner_ref, limit=10, before=None, now=small_log.now)
        assert [(line.entry_id, line.seq) for line in lines] == [(second.id, None), (first.id, 0)]
        before = (second.accepted_at, second.id)
        older = history(connection, first.sealings[0].owner_ref, limit=1, before=before, now=small_log.now)
        assert [line.entry_id for line in older] == [first.id]
        with pytest.raises(UnknownEntryError):
            Prover().inclusion(connection, entry_id=second.id)
    # What the history gives out is enough to check the facts against the entry.
    line = lines[0]
    assert line.opening is not None
    plaintext = small_log.unseal(first.sealings[0].owner_ref, line.entry_id, line.opening)
    assert plaintext is not None
    openings = parse_openings(plaintext)
    check_openings(decode_entry(line.body), openings)
    assert openings.values() == {"consent": "no"}
    assert verify_openings(line.body, plaintext).checked == [f"entry {second.id} committed to the fact 'consent'"]
    assert not verify_openings(first.body, plaintext).ok


def test_after_an_erasure_proofs_still_verify_and_nothing_opens(small_log):
    entry = small_log.append(an_event())[0]
    small_log.round()
    small_log.erase(entry.sealings[0].owner_ref)
    small_log.round()
    with small_log.database.read() as connection:
        assert history(connection, entry.sealings[0].owner_ref, limit=10, before=None, now=small_log.now) == []
        assert verify_proof(Prover().inclusion(connection, entry_id=entry.id).to_text(), TRUST).ok
    small_log.assert_sound()
