"""The log as witnesses have seen it, over HTTP: for everybody, and for the operator who has to know."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from crypto.checkpoint import NoteVerifier, split_note
from exchange.audit.policy_file import parse_policy
from exchange.audit.proof_file import parse_proof
from exchange.audit.sources import open_source
from exchange.audit.tables import audit_cosigned
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log, verify_proof
from tests.http.agency import register
from tests.integration.providers.parts import serving
from tests.witnesses import running_witness


@pytest.fixture
def witness(tmp_path):
    with running_witness(tmp_path / "witness", name="authority.example") as running:
        yield running


@pytest.fixture
def config(make_config, witness, tmp_path):
    path = tmp_path / "policy"
    path.write_text(f"{witness.policy_line}\nquorum {witness.witness.name}\n")
    return make_config(witness_policy_file=path, max_unwitnessed_seconds=600)


@pytest.fixture
def quorum(log_services, witness, config):
    """Asks the witness, which knows the log; four entries are in it."""
    witness.witness.store.add_key(NoteVerifier.parse(vkey_of(config)))
    log_services.sequencer.run_round()
    return log_services.quorum


@pytest.fixture
def trust(config):
    """What a verifier was given on another way than the log."""
    return Trust.of(policy=f"log {vkey_of(config)}\n{config.witness_policy_file.read_text()}")


def vkey_of(config):
    return config.vkey_file.read_text().strip()


def grow(services, log_services, clock, code):
    caller = register(services, clock, code, scopes="audit:read")
    log_services.sequencer.run_round()
    return caller


def test_nothing_is_cosigned_at_first(api_client, quorum):
    for path in ("/audit/cosigned/checkpoint", "/audit/proof/inclusion?index=0&cosigned=true"):
        answer = api_client.get(path)
        assert answer.status_code == 404
        assert answer.json["type"] == "urn:cdx:problem:unknown-entry"
        assert "ask again later" in answer.json["detail"]
    assert len(split_note(api_client.get("/audit/checkpoint").text)[1]) == 1


def test_the_cosigned_checkpoint_stays_behind_the_newest(api_client, quorum, services, log_services, clock):
    quorum.ask()
    first = api_client.get("/audit/cosigned/checkpoint")
    assert first.status_code == 200
    assert first.content_type == "text/plain; charset=utf-8"
    assert first.headers["Cache-Control"] == "no-store"
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    # The newest is this very one, and so has the cosignature too.
    assert api_client.get("/audit/checkpoint").text == first.text
    grow(services, log_services, clock, "tax")
    assert api_client.get("/audit/cosigned/checkpoint").text == first.text
    newest = api_client.get("/audit/checkpoint").text
    assert len(split_note(newest)[1]) == 1
    quorum.ask()
    assert split_note(api_client.get("/audit/cosigned/checkpoint").text)[0] == split_note(newest)[0]


def test_any_client_of_such_logs_follows_it(api_app, quorum, services, log_services, clock, trust):
    quorum.ask()
    grow(services, log_services, clock, "tax")
    with serving(api_app) as url:
        cosigned = verify_log(open_source(f"{url}audit/cosigned"), trust, workers=1)
        newest = verify_log(open_source(f"{url}audit"), trust, workers=1)
    assert cosigned.faults == []
    assert cosigned.size == 4
    assert any("quorum" in fault or "witness" in fault for fault in newest.faults), newest.explain()


def test_entries_are_for_auditors_here_too(api_client, quorum, services, log_services, clock):
    auditor = grow(services, log_services, clock, "audit-office")
    quorum.ask()
    path = "/audit/cosigned/tile/entries/000.p/6"
    assert api_client.get(path).status_code == 401
    assert auditor.get(api_client, path).data == auditor.get(api_client, path.replace("cosigned/", "")).data
    assert api_client.get("/audit/cosigned/tile/0/000.p/6").data == api_client.get("/audit/tile/0/000.p/6").data
    assert api_client.get("/audit/cosigned/tile/0/000.p/7").status_code == 404


def test_a_proof_that_the_quorum_vouches_for(api_client, quorum, services, log_services, clock, trust):
    quorum.ask()
    auditor = grow(services, log_services, clock, "audit-office")
    proof = api_client.get("/audit/proof/inclusion?index=3&cosigned=true", headers={"Accept": "text/plain"})
    assert parse_proof(proof.text).checkpoint == api_client.get("/audit/cosigned/checkpoint").text
    entry = auditor.get(api_client, "/audit/tile/entries/000.p/6").data
    length = int.from_bytes(entry[:2], "big")
    first = api_client.get("/audit/proof/inclusion?index=0&cosigned=true", headers={"Accept": "text/plain"})
    assert verify_proof(first.text, trust, entry=entry[2 : 2 + length]).faults == []
    late = api_client.get("/audit/proof/inclusion?index=5&cosigned=true")
    assert late.status_code == 404
    assert "ask again" in late.json["detail"]
    assert api_client.get("/audit/proof/inclusion?index=5&cosigned=false").status_code == 200
    for query in ("cosigned=true&size=4", "cosigned=yes", "cosigned="):
        assert api_client.get(f"/audit/proof/inclusion?index=0&{query}").status_code == 422, query


def test_without_a_policy_nothing_is_cosigned(quorum, services, make_config, clock):
    from api.app import create_api_app
    from api.wiring import open_services

    quorum.ask()
    others = open_services(make_config(), clock=clock)
    try:
        client = create_api_app(others).test_client()
        assert client.get("/audit/cosigned/checkpoint").status_code == 404
        told = client.get("/audit/proof/inclusion?index=0&cosigned=true")
        assert (told.status_code, "leave out cosigned" in told.json["detail"]) == (404, True)
        assert "witnesses" not in client.get("/readyz").json["checks"]
    finally:
        others.close()


def test_readyz_tells_since_when_and_who_is_missing(api_client, quorum, clock, log_services):
    def told():
        answer = api_client.get("/readyz")
        return answer.status_code, answer.json["checks"]["witnesses"]

    assert told() == (200, {"ok": True, "age_seconds": 0.0, "missing": ["authority.example"]})
    quorum.ask()
    clock.advance(seconds=600)
    assert told() == (200, {"ok": True, "age_seconds": 600.0, "missing": []})
    clock.advance(seconds=1)
    status, check = told()
    assert (status, check["ok"]) == (503, False)
    assert "more than 600 seconds" in check["reason"]
    quorum.ask()
    assert told() == (200, {"ok": True, "age_seconds": 0.0, "missing": []})


def test_what_somebody_wrote_into_the_table_counts_for_nothing(api_client, quorum, services, clock):
    """An intruder in the database has no witness's key."""
    quorum.ask()
    with services.exchange.database.write() as connection:
        note = connection.execute(sa.select(audit_cosigned.c.note)).scalar_one()
        forged = note.replace("\n4\n", "\n9\n")
        connection.execute(
            sa.insert(audit_cosigned).values(size=9, note=forged, cosigned_at=clock() + timedelta(days=99))
        )
        connection.commit()
    assert api_client.get("/audit/cosigned/checkpoint").status_code == 404
    clock.advance(seconds=601)
    assert not api_client.get("/readyz").json["checks"]["witnesses"]["ok"]


def test_the_policy_of_the_operator_is_one_that_can_be_met(config):
    policy = config.settings.witnesses
    assert policy == parse_policy(config.witness_policy_file.read_text())
    assert config.settings.max_unwitnessed == timedelta(seconds=600)
