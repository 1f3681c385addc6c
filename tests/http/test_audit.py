"""The public log over HTTP, checked with the verifier's own means."""

import threading

import pytest
from werkzeug.serving import make_server

from crypto.checkpoint import NoteVerifier, open_note, parse_checkpoint
from crypto.encoding import b64_decode
from crypto.ids import new_id
from crypto.merkle import hash_leaf, root_from_leaves, verify_consistency, verify_inclusion
from exchange.audit.mirror import mirror_log
from exchange.audit.monitor import observe
from exchange.audit.proof_file import parse_proof
from exchange.audit.prove import prove_entry
from exchange.audit.sources import open_source
from exchange.audit.tiles import decode_bundle
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log, verify_proof
from tests.http.agency import register


@pytest.fixture
def auditor(services, clock):
    return register(services, clock, "audit-office", scopes="audit:read")


@pytest.fixture
def integrated(auditor, log_services):
    """Six entries in two rounds: four of the installation, two of the auditor."""
    log_services.sequencer.run_round()
    return log_services


def checkpoint(api_client):
    response = api_client.get("/audit/checkpoint")
    assert response.status_code == 200
    assert response.content_type == "text/plain; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    verifier = NoteVerifier.parse(api_client.get("/audit/vkey").text.strip())
    return parse_checkpoint(open_note(response.text, [verifier])[0])


def test_an_empty_log_has_no_checkpoint(api_client):
    response = api_client.get("/audit/checkpoint")
    assert response.status_code == 404
    assert response.json["type"] == "urn:cdx:problem:unknown-entry"


def test_checkpoint_and_tile_agree(api_client, integrated):
    newest = checkpoint(api_client)
    assert (newest.origin, newest.size) == ("exchange.example/audit", 6)
    response = api_client.get("/audit/tile/0/000.p/6")
    assert response.status_code == 200
    assert response.content_type == "application/octet-stream"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert len(response.data) == 6 * 32
    assert api_client.get("/audit/tile/0/000.p/4").data == response.data[: 4 * 32]


def test_auditors_read_entries_that_hash_to_the_tile(api_client, integrated, auditor):
    response = auditor.get(api_client, "/audit/tile/entries/000.p/6")
    assert response.status_code == 200
    assert "immutable" not in response.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in response.headers
    bodies = decode_bundle(response.data, 6)
    hashes = api_client.get("/audit/tile/0/000.p/6").data
    assert b"".join(hash_leaf(body) for body in bodies) == hashes
    assert root_from_leaves([hash_leaf(body) for body in bodies]) == checkpoint(api_client).root


def test_nobody_else_reads_entries(api_client, integrated, services, clock):
    assert api_client.get("/audit/tile/entries/000.p/6").status_code == 401
    other = register(services, clock, "tax", scopes="catalogue:read")
    assert other.get(api_client, "/audit/tile/entries/000.p/6").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "0/000",
        "0/000.p/7",
        "0/001.p/1",
        "1/000.p/1",
        "0/0",
        "0/000.p/0",
        "0/000.p/06",
        "0/x000/000.p/6",
        "0/..",
        "99/000",
    ],
)
def test_what_the_log_does_not_have(api_client, integrated, path):
    response = api_client.get(f"/audit/tile/{path}")
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"
    assert "immutable" not in response.headers["Cache-Control"]


@pytest.mark.parametrize("index", range(6))
def test_inclusion(api_client, integrated, index):
    proof = api_client.get(f"/audit/proof/inclusion?index={index}").json
    verify_inclusion(
        index=proof["index"],
        size=proof["size"],
        leaf_hash=b64_decode(proof["leaf_hash"]),
        proof=[b64_decode(text) for text in proof["hashes"]],
        root=checkpoint(api_client).root,
    )


def test_inclusion_by_id_as_a_file_that_the_verifier_takes(api_client, integrated, services, auditor):
    from exchange.audit.entry import decode_entry

    (body, *_) = decode_bundle(auditor.get(api_client, "/audit/tile/entries/000.p/6").data, 6)
    response = api_client.get(
        f"/audit/proof/inclusion?id={decode_entry(body).id}&size=6", headers={"Accept": "text/plain"}
    )
    assert response.content_type == "text/plain; charset=utf-8"
    assert parse_proof(response.text).extra is None
    report = verify_proof(response.text, Trust.of(api_client.get("/audit/vkey").text), entry=body)
    assert not report.faults, report.faults


def test_consistency(api_client, integrated, services, clock):
    old = checkpoint(api_client)
    register(services, clock, "tax", scopes="catalogue:read")
    integrated.sequencer.run_round()
    new = checkpoint(api_client)
    assert (old.size, new.size) == (6, 8)
    proof = api_client.get("/audit/proof/consistency?from=6&to=8").json
    verify_consistency(
        old_size=proof["from"],
        new_size=proof["to"],
        old_root=old.root,
        new_root=new.root,
        proof=[b64_decode(text) for text in proof["hashes"]],
    )
    assert api_client.get("/audit/proof/consistency?from=6").json == proof


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("inclusion", 422),
        ("inclusion?index=0&id=00000000-0000-7000-8000-000000000000", 422),
        ("inclusion?id=00000000-0000-7000-8000-000000000000", 404),
        ("inclusion?id=anna", 422),
        ("inclusion?index=6", 404),
        ("inclusion?index=-1", 422),
        ("inclusion?index=9999999999999999999999", 422),
        ("inclusion?index=0&size=5", 404),
        ("inclusion?index=0&size=0", 422),
        ("consistency", 422),
        ("consistency?from=7", 404),
        ("consistency?from=6&to=5", 404),
        ("consistency?from=6&too=6", 422),
    ],
)
def test_questions_that_have_no_answer(api_client, integrated, query, status):
    response = api_client.get(f"/audit/proof/{query}")
    assert response.status_code == status, response.json
    assert response.content_type == "application/problem+json"


def test_an_entry_that_waits_is_not_proved_yet(api_client, integrated, services, clock):
    assert api_client.get(f"/audit/proof/inclusion?id={new_id(clock())}").status_code == 404


def test_outsiders_verify_copy_prove_and_follow_it_over_http(api_client, integrated, services, clock, tmp_path):
    trust = Trust.of(api_client.get("/audit/vkey").text)
    server = make_server("127.0.0.1", 0, api_client.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        source = open_source(f"http://127.0.0.1:{server.server_port}/audit")
        now = int(clock().timestamp())
        looked = observe(source, trust, None, now=now)
        reports = [looked.report, verify_log(source, trust), mirror_log(source, trust, tmp_path / "copy")]
        register(services, clock, "tax", scopes="catalogue:read")
        integrated.sequencer.run_round()
        reports += [observe(source, trust, looked.state, now=now).report, prove_entry(source, trust, 3).report]
        reports += [verify_log(source, trust, state=looked.state.note), mirror_log(source, trust, tmp_path / "copy")]
        assert [report.faults for report in reports] == [[]] * 7
        assert "it grew from 6 to 8 entries, and the first 6 are unchanged" in reports[3].checked
        assert "the entries themselves: the source shows them to auditors only" in reports[1].not_checked
        assert verify_log(open_source(str(tmp_path / "copy")), trust).size == 8
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_key_is_not_kept_here(api_client, config):
    config.vkey_file.unlink()
    assert api_client.get("/audit/vkey").status_code == 404
