"""Operators see whether the service lives and can work."""

import pytest


def checks(response):
    return {name: check["ok"] for name, check in response.json["checks"].items()}


def test_alive(api_client):
    response = api_client.get("/healthz")
    assert response.status_code == 200
    assert response.json == {"status": "alive"}


def test_ready_once_the_sequencer_has_worked(api_client, log_services):
    before = api_client.get("/readyz")
    assert before.status_code == 503
    assert before.headers["Retry-After"] == "5"
    assert checks(before) == {"database": True, "keys": True, "sequencer": False}
    log_services.sequencer.run_round()
    after = api_client.get("/readyz")
    assert after.status_code == 200, after.json
    assert after.json["checks"]["sequencer"] == {"ok": True, "lag_seconds": 0.0, "waiting": 0}


def test_not_ready_when_entries_wait_too_long(api_client, services, log_services, clock):
    from exchange.agencies import register_agency

    log_services.sequencer.run_round()
    register_agency(services.exchange, "tax", "Tax office", profile(), clock())
    assert api_client.get("/readyz").status_code == 200
    clock.advance(seconds=61)
    response = api_client.get("/readyz")
    assert response.status_code == 503
    assert "longer than 60 seconds" in response.json["checks"]["sequencer"]["reason"]


def test_not_ready_when_the_sequencer_went_silent(api_client, log_services, clock):
    log_services.sequencer.run_round()
    clock.advance(minutes=31)
    assert api_client.get("/readyz").status_code == 503


def test_not_ready_with_an_old_schema(api_client, services, log_services):
    import sqlalchemy as sa

    log_services.sequencer.run_round()
    with services.exchange.database.write() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001_consent_ledger'"))
        connection.commit()
    response = api_client.get("/readyz")
    assert response.status_code == 503
    assert not checks(response)["database"]


def test_not_ready_without_a_database(make_config, clock, tmp_path):
    from api.app import create_api_app
    from api.wiring import initialise

    config = make_config(database_url=f"sqlite:///{tmp_path / 'own.db'}")
    services = initialise(config, clock=clock)
    client = create_api_app(services).test_client()
    services.close()
    for path in tmp_path.glob("own.db*"):
        path.unlink()
    response = client.get("/readyz")
    services.close()
    assert response.status_code == 503
    assert not any(checks(response).values())


def profile():
    return {
        "address": "1 Main Street",
        "contact": "data@tax.example",
        "url": "https://tax.example",
        "jurisdiction": "XX",
    }


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_is_never_cached(api_client, path):
    assert api_client.get(path).headers["Cache-Control"] == "no-store"
