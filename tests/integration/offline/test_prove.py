"""Proofs made out of a log's tiles, without the service."""

import pytest

from crypto.checkpoint import NoteSigner
from crypto.ids import new_id
from exchange.audit.entry import decode_entry
from exchange.audit.prove import prove_entry
from exchange.audit.sources import DirectorySource, HTTPSource
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_proof
from tests.integration.offline.tree import BODIES, OTHERS, SIGNER, TreeOfFiles, served
from tests.unit.audit.samples import NOW

TRUST = Trust.of(SIGNER.vkey)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return TreeOfFiles(tmp_path_factory.mktemp("log")).grow(list(BODIES))


def prove(tree, which):
    return prove_entry(DirectorySource(tree.folder), TRUST, which)


@pytest.mark.parametrize("index", [0, 1, 255, 256, 300, 511, 512, 699])
def test_by_index_and_by_id(tree, index):
    by_index, by_id = prove(tree, index), prove(tree, decode_entry(BODIES[index]).id)
    assert by_index.report.ok, by_index.report.explain()
    assert by_index.text == by_id.text
    report = verify_proof(by_index.text, TRUST)
    assert report.ok
    assert f"entry {decode_entry(BODIES[index]).id} is number {index} of them" in report.checked


def test_what_is_not_there(tree):
    for which in (700, 10**18, new_id(NOW)):
        proved = prove(tree, which)
        assert proved.text is None
        assert not proved.report.ok


def test_where_entries_are_withheld_an_index_is_proved_and_an_id_is_not(tree):
    with served(tree.folder, entries=403) as address:
        proved = prove_entry(HTTPSource(address), TRUST, 300)
        assert any("what the entry says" in line for line in proved.report.not_checked)
        by_id = prove_entry(HTTPSource(address), TRUST, decode_entry(BODIES[300]).id)
    assert by_id.text is None
    assert "name the index" in by_id.report.faults[0]
    assert verify_proof(proved.text, TRUST).faults == ["the file does not hold the entry, and none was given"]
    assert verify_proof(proved.text, TRUST, entry=BODIES[300]).ok
    assert not verify_proof(proved.text, TRUST, entry=BODIES[301]).ok


def test_the_proof_of_another_log_proves_nothing(tree, tmp_path):
    stranger = NoteSigner(SIGNER.name, bytes(32))
    other = TreeOfFiles(tmp_path / "other", signers=(stranger,)).grow(OTHERS[:300])
    text = prove_entry(DirectorySource(other.folder), Trust.of(stranger.vkey), 7).text
    assert verify_proof(text, Trust.of(stranger.vkey)).ok
    assert verify_proof(text, TRUST).faults == ["no signature by a known key"]
    # Its path under the checkpoint of this one:
    head = text.split("\n\n", maxsplit=1)[0]
    assert not verify_proof(f"{head}\n\n{tree.note}", TRUST).ok


@pytest.mark.parametrize("path", ["tile/0/001", "tile/1/000.p/2", "tile/entries/001"])
def test_damaged_files_prove_nothing(tree, tmp_path, path):
    spoilt = TreeOfFiles(tmp_path / "log").grow(list(BODIES))
    is_bundle = "entries" in path
    spoilt.flip(path, (spoilt.folder / path).read_bytes().index(BODIES[300]) + 20 if is_bundle else 1)
    proved = prove(spoilt, 300)
    assert proved.text is None
    assert not proved.report.ok


def test_another_entry_in_the_bundle_proves_nothing(tree, tmp_path):
    spoilt = TreeOfFiles(tmp_path / "log").grow(list(BODIES))
    data = (spoilt.folder / "tile/entries/001").read_bytes()
    assert len(OTHERS[0]) == len(BODIES[300])
    spoilt.write("tile/entries/001", data.replace(BODIES[300], OTHERS[0]))
    proved = prove(spoilt, 300)
    assert proved.text is None
    assert proved.report.faults == ["entry 300 has another hash than the one in its tile"]
