"""A process of its own that does the main job, or sequences the log, until it is killed; what happened, line by line.

    python -m tests.integration.crash.worker ROLE FOLDER URL CLIENT NAME

Roles: load, sequencer, and two that kill themselves while they answer: before-commit, after-commit. A line is written
when a use case has returned, as an answer leaves a server then: what a line tells, a client may have seen.
"""

import json
import os
import signal
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

from api.config import Config, Environment
from api.wiring import open_log, open_services
from crypto.jose import EncryptionPrivateKey, SigningKey
from exchange import request_states
from exchange.audit import outbox
from exchange.model import RequestedAttribute, SubjectName
from exchange.outcomes import Answered, Waiting
from exchange.uow import UnitOfWork
from tests.house import HOUSING, Client, Clock, House

NAME = (RequestedAttribute(name="full_name", form="value"),)


def config_of(folder, url):
    """As tests/house.py configures it."""
    return Config(
        environment=Environment.DEVELOPMENT,
        public_url="http://127.0.0.1:8000",
        database_url=url,
        unsafe_local_keys_dir=Path(folder) / "keys",
    )


def open_house(folder, url):
    """The house of the tests, opened again: nothing of it is known but what is stored."""
    config = config_of(folder, url)
    clock = Clock()
    return House(services=open_services(config, clock=clock), clock=clock, log=open_log(config, clock=clock))


def a_client(name):
    """A client that was registered before, with a key of this process for its proofs."""
    signing, decryption = SigningKey.generate("unused"), EncryptionPrivateKey.generate("unused")
    return Client(name, HOUSING, signing, decryption, SigningKey.generate("dpop"))


def tell(**what):
    """One line, at once and whole."""
    os.write(1, json.dumps(what).encode() + b"\n")


def load(house, client, name):
    for number in count():
        key = f"{name}-{number:06}"
        if number % 5 == 4:
            nobody = SubjectName(scheme="national-id", id=f"{name}-{number}")
            waiting = house.ask(client, nobody, key=key)
            assert isinstance(waiting, Waiting)
            tell(waiting=str(waiting.request_id))
            continue
        answer(house, client, key, confirm=number % 3 == 0)


def answer(house, client, key, *, confirm=False):
    tell(began=key)
    answered = house.ask(client, lines=NAME, key=key)
    assert isinstance(answered, Answered)
    ids = {"request": answered.request_id, "disclosure": answered.disclosure_id, "entry": answered.entry_id}
    tell(answered=key, **{what: str(one) for what, one in ids.items()})
    if confirm:
        caller = house.caller(client)
        request_states.acknowledge(house.exchange, caller, answered.request_id, house.clock())
        tell(acknowledged=str(answered.request_id))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_commit(house):
    """Everything is written and nothing is committed."""

    def append(connection, prepared, openings):
        outbox.append(connection, prepared, openings)
        die()

    return replace(house, services=replace(house.services, exchange=replace(house.exchange, append=append)))


def die_after_commit():
    """Everything is committed and nobody was told."""
    commit = UnitOfWork.commit

    def commit_and_die(self):
        commit(self)
        die()

    UnitOfWork.commit = commit_and_die


def main(role, folder, url, client_name, name):
    house = open_house(folder, url)
    client = a_client(client_name)
    tell(ready=name)
    if role == "sequencer":
        while True:
            house.sequencer.run_round()
    if role == "load":
        load(house, client, name)
    house.caller(client)  # so that what follows is the release itself
    if role == "before-commit":
        house = die_before_commit(house)
    else:
        die_after_commit()
    answer(house, client, "the-last-request")


if __name__ == "__main__":
    main(*sys.argv[1:])
