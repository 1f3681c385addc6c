"""Several processes ask at once, one of them is killed: uses, disclosures and entries still agree."""

import multiprocessing
import os
import queue
import time
from dataclasses import replace
from hashlib import sha256

import pytest
from sqlalchemy import select

from api import wiring
from consent.tables import consent
from exchange import consents, requests
from exchange.audit.tables import audit_leaf, audit_outbox
from exchange.model import AttributeRequest, RequestedAttribute
from tests.house import ANNA, House
from tests.integration.main_job.rows import disclosures

USES = 5_000


def _ask_on(config, caller, now, stop, told) -> None:
    services = wiring.open_services(config)
    request = AttributeRequest(
        subject=ANNA,
        agreement="housing-benefit",
        purpose="housing_benefit",
        attributes=(RequestedAttribute(name="full_name"),),
        acting_officer="officer-17",
        officer_role="case worker",
        case_reference="HB-2026-0042",
    )
    while not stop.is_set():
        began = time.monotonic()
        try:
            outcome = type(
                requests.submit(
                    services.exchange,
                    replace(caller, proof_digest=os.urandom(32)),
                    request,
                    idempotency_key=os.urandom(8).hex(),
                    body_digest=sha256(b"body").digest(),
                    now=now,
                )
            ).__name__
        except Exception as error:  # noqa: BLE001  # told to the test, which wants none
            outcome = f"{type(error).__name__}: {error}"
        told.put((began, outcome))
    services.close()


@pytest.mark.invariant(2)
def test_a_withdrawal_ends_the_asking_of_all_processes_and_a_killed_one_leaves_no_half(house: House, client):
    decided = house.consented(client, uses=USES)
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.Queue()
    # One that is killed while it writes to a queue breaks that queue for all: its own goes with it.
    queues = [context.Queue(), told, told]
    token = house.caller(client)
    work = [
        context.Process(target=_ask_on, args=(house.services.config, token, house.clock(), stop, one)) for one in queues
    ]
    for one in work:
        one.start()
    heard = []
    while sum(outcome == "Answered" for _, outcome in heard) < 8:
        heard.append(told.get(timeout=120))
    work[0].kill()
    consents.withdraw(house.exchange, house.citizen(ANNA), decided.consent_id, house.clock())
    acknowledged = time.monotonic()
    while not any(began > acknowledged for began, _ in heard):
        heard.append(told.get(timeout=120))
    stop.set()
    while any(one.is_alive() for one in work[1:]):
        try:
            heard.append(told.get(timeout=0.1))
        except queue.Empty:
            continue
    for one in work:
        one.join(30)
    assert {outcome for _, outcome in heard} <= {"Answered", "Refused", "Waiting"}
    assert not [outcome for began, outcome in heard if began > acknowledged and outcome == "Answered"]
    with house.exchange.database.read() as connection:
        row = connection.execute(
            select(consent.c.version, consent.c.uses_left).where(consent.c.id == decided.consent_id)
        ).one()
        entries = set(connection.scalars(select(audit_outbox.c.id))) | set(connection.scalars(select(audit_leaf.c.id)))
    made = disclosures(house)
    assert row.uses_left == USES - len(made)
    assert all(one.consent_version < row.version for one in made)
    assert {one.entry_id for one in made} <= entries
