"""A house that is lost after its backup, and put back."""

import pytest

from crypto.checkpoint import NoteVerifier, open_note, parse_checkpoint
from exchange import agencies, agreements, consents, erasure, subjects
from exchange.model import Status, SubjectStatus
from exchange.outcomes import Answered
from tests.house import ANNA, BEN, HOUSING
from tests.integration.restore.lives import CARA, DORA, begin


@pytest.fixture
def life(tmp_path, database_url):
    """A house with a journal, on each database."""
    made = begin(tmp_path, database_url)
    yield made
    made.stop()


def live_on(life):
    """What happens after the backup."""
    house, now = life.house, life.house.clock.move(minutes=5)
    consents.withdraw(house.exchange, house.citizen(ANNA), life.consents[ANNA], now)
    erasure.erase(house.exchange, house.people[CARA], now)
    subjects.set_status(house.exchange, house.people[DORA], SubjectStatus.PROTECTED, now)
    agencies.set_client_status(house.exchange, life.other.id, Status.SUSPENDED, now)
    agreements.end(house.exchange, "resident-parking", by="officer-a", now=now)
    assert isinstance(house.ask(life.client, BEN), Answered)
    life.work()


@pytest.fixture
def lost(life):
    """A life that was backed up, lived on, and was put back; its last published checkpoint, and an old proof."""
    life.other = life.house.add_client(HOUSING)
    life.work()
    life.backup_size = life.checkpoint().size
    life.backup_note = life.checkpoint().note
    life.old_vkeys = life.vkeys
    with life.house.exchange.database.read() as connection:
        life.old_proof = life.house.services.prover.inclusion(connection, index=5).to_text()
    life.old_caller = life.house.caller(life.client)
    life.old_citizen = life.house.citizen(BEN)
    copy = life.back_up()
    live_on(life)
    life.last = parse_checkpoint(open_note(life.checkpoint().note, [NoteVerifier.parse(life.vkeys[0])])[0])
    life.put_back(copy)
    life.copy = copy
    yield life
    life.drop(copy)
