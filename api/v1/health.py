"""For operators: is the process alive, and can it do its work?"""

from datetime import timedelta
from typing import Any, Final

from flask import Response, jsonify

from api import schema
from api.body import Blueprint
from api.services import services
from crypto.errors import CryptoError
from exchange.audit import cosigned_store, log, outbox
from exchange.audit.journal_files import read_checkpoint
from exchange.errors import ExchangeError, UnknownEntryError
from exchange.pressure import vouched

blueprint = Blueprint("health", __name__, description="Whether the service is alive and ready.")

CHECKPOINT_AGE: Final = timedelta(minutes=30)
"""A sequencer compares the log with its checkpoint every ten minutes even when nothing happens."""

JOURNAL_LAG: Final = timedelta(minutes=1)
"""What happened longer ago must be in the journal: it is written every second."""


@blueprint.route("/healthz")
@blueprint.doc(security=[], responses={"200": {"description": "Alive."}})
def alive() -> Response:
    """The process answers."""
    return jsonify({"status": "alive"})


@blueprint.route("/readyz")
@blueprint.doc(
    security=[],
    responses={"200": {"description": "Ready."}, "503": {"description": "Not ready; the body says why."}},
)
def ready() -> Response:
    """Database, keys, sequencer and (where there are any) journal and witnesses are as they should be, or not (503)."""
    looks = {"database": _database, "keys": _keys, "sequencer": _sequencer}
    if services().config.journal_dir is not None:
        looks["journal"] = _journal
    if services().exchange.settings.witnesses is not None:
        looks["witnesses"] = _witnesses
    checks = {name: look() for name, look in looks.items()}
    is_ready = all(check["ok"] for check in checks.values())
    response = jsonify({"status": "ready" if is_ready else "not ready", "checks": checks})
    response.status_code = 200 if is_ready else 503
    return response


def _database() -> dict[str, Any]:
    try:
        found = schema.current(services().exchange.database)
    except ExchangeError:
        return {"ok": False, "reason": "the database cannot be reached"}
    if found != schema.head():
        return {"ok": False, "reason": "the schema is not the one of this version"}
    return {"ok": True}


def _keys() -> dict[str, Any]:
    exchange = services().exchange
    try:
        with exchange.database.read() as connection:
            exchange.keyring.load(connection, exchange.installation.operator_ref)
    except (ExchangeError, CryptoError):
        return {"ok": False, "reason": "the operator's key does not open"}
    return {"ok": True}


def _sequencer() -> dict[str, Any]:
    exchange, now = services().exchange, services().clock()
    limit = exchange.settings.integrate_within.total_seconds()
    try:
        with exchange.database.read() as connection:
            backlog = outbox.backlog(connection, now)
            fresh_at = log.latest_checkpoint(connection).fresh_at
    except UnknownEntryError:
        return {"ok": False, "reason": "the log has no checkpoint yet: is the sequencer running?"}
    except ExchangeError:
        return {"ok": False, "reason": "the log cannot be read"}
    lag = round(backlog.oldest_age_seconds, 1)
    if lag > limit:
        return {"ok": False, "reason": f"entries wait longer than {limit:.0f} seconds", "lag_seconds": lag}
    if now - fresh_at > CHECKPOINT_AGE:
        return {"ok": False, "reason": "the checkpoint is old: is the sequencer running?", "lag_seconds": lag}
    return {"ok": True, "lag_seconds": lag, "waiting": backlog.count}


def _journal() -> dict[str, Any]:
    folder, now = services().config.journal_dir, services().clock()
    assert folder is not None  # asked only then
    try:
        with services().exchange.database.read() as connection:
            newest = log.latest_checkpoint(connection)
        # The worker writes it after everything that waited for the journal, so it tells of both.
        kept = read_checkpoint(folder)
    except UnknownEntryError:
        return {"ok": True, "lag_seconds": 0.0}  # nothing was published yet
    except ExchangeError:
        return {"ok": False, "reason": "the journal's folder or the log cannot be read"}
    lag = 0.0 if kept == newest.note else round(max((now - newest.signed_at).total_seconds(), 0.0), 1)
    if lag > JOURNAL_LAG.total_seconds():
        return {"ok": False, "reason": "the journal is not written: see the worker's log", "lag_seconds": lag}
    return {"ok": True, "lag_seconds": lag}


def _witnesses() -> dict[str, Any]:
    exchange, now = services().exchange, services().clock()
    policy, limit = exchange.settings.witnesses, exchange.settings.max_unwitnessed
    assert policy is not None  # asked for only then
    try:
        with exchange.database.read() as connection:
            found = vouched(cosigned_store.pressure(connection), policy, now)
    except ExchangeError:
        return {"ok": False, "reason": "the log cannot be read"}
    missing = sorted(policy.witnesses.keys() - found.cosigners)
    told = {"age_seconds": round((now - found.since).total_seconds(), 1), "missing": missing}
    if now - found.since > limit:
        reason = f"no quorum has cosigned the log for more than {limit.total_seconds():.0f} seconds"
        return {"ok": False, "reason": reason} | told
    return {"ok": True} | told
