"""``Prefer: wait`` (RFC 7240): the proof comes with the answer, or the answer comes without it; never an error."""

from base64 import b64decode

import pytest
from sqlalchemy import select, update

from api.v1 import prefer
from demo.transparency import open_checkpoint, require_included
from exchange.audit.tables import audit_tile
from tests.http.v1.caller import leaf_hash_of
from tests.http.v1.site import NAME, NOBODY, asked

JSON = {"Accept": "application/json"}
DEFAULT = {"id", "state", "disclosure", "entry", "response", "receipt"}


class Wait:
    """The clock and the sleep of a waiting request, in the test's hands."""

    def __init__(self, monkeypatch):
        self.elapsed = 0.0
        self.looks = 0
        self.meanwhile = []
        monkeypatch.setattr(prefer, "_monotonic", lambda: self.elapsed)
        monkeypatch.setattr(prefer, "_sleep", self.sleep)

    def sleep(self, seconds):
        self.elapsed += seconds
        self.looks += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()


@pytest.fixture
def wait(monkeypatch):
    return Wait(monkeypatch)


@pytest.fixture
def consented(site, agency):
    site.consented(agency)
    return agency


def ask(agency, prefer="wait=2", **members):
    return agency.ask(asked(attributes=NAME, **members), headers={"Prefer": prefer})


def assert_proved(site, agency, answer):
    """As the agency checks it: what the receipt promised lies under the signed checkpoint in the same answer."""
    assert answer.headers["Preference-Applied"] == "wait"
    receipt = agency.receipt(agency.open(answer.json["response"])["receipt"])
    assert receipt["id"] == answer.json["entry"]
    proof = answer.json["proof"]
    checkpoint = open_checkpoint(proof["checkpoint"], site.http().get("/audit/vkey").text)
    require_included(leaf_hash_of(receipt), proof["index"], [b64decode(step) for step in proof["hashes"]], checkpoint)


def assert_plain(answer):
    assert answer.status_code == 200, answer.text
    assert set(answer.json) == DEFAULT
    assert "Preference-Applied" not in answer.headers


def test_the_proof_comes_with_the_answer(site, consented, wait):
    wait.meanwhile = [lambda: None, site.house.integrate]
    answer = ask(consented)
    assert_proved(site, consented, answer)
    assert set(answer.json) == DEFAULT | {"proof"}
    assert wait.looks == 2


def test_without_the_preference_the_answer_is_what_it_was(site, consented, wait):
    wait.meanwhile = [site.house.integrate]
    assert_plain(consented.ask(asked(attributes=NAME)))
    assert wait.looks == 0


def test_what_is_not_integrated_in_time_goes_out_without_proof(consented, wait):
    assert_plain(ask(consented, "wait=1"))
    assert 1 <= wait.elapsed < 1.1
    # However long a caller would wait, ten seconds are all it gets.
    wait.elapsed = 0.0
    assert_plain(ask(consented, "wait=86400"))
    assert 10 <= wait.elapsed < 10.1


def test_a_collected_answer_bears_its_proof_as_json_only(site, agency, wait):
    _, request_id = site.consented(agency)
    where = f"/v1/attribute-requests/{request_id}/response"
    plain = agency.get(where, headers={"Prefer": "wait=2"})
    assert (plain.content_type, wait.looks) == ("application/jwt", 0)
    assert "Preference-Applied" not in plain.headers
    agency.open(plain.text)
    as_json = agency.get(where, headers=JSON)
    assert_plain(as_json)
    assert agency.open(as_json.json["response"])["jti"] == as_json.json["disclosure"]
    wait.meanwhile = [site.house.integrate]
    assert_proved(site, agency, agency.get(where, headers=JSON | {"Prefer": "wait=2"}))


def test_nothing_but_an_answer_is_waited_for(site, consented, wait):
    waiting = ask(consented, subject={"scheme": "national-id", "id": NOBODY})
    assert waiting.status_code == 202
    assert ask(consented, purpose="another").status_code == 422
    again = "once-and-again"
    for _ in range(2):
        repeated = consented.ask(asked(attributes=NAME), key=again)
    assert repeated.json["state"] == "released"
    assert wait.looks == 0


def test_a_waiting_request_holds_no_connection_and_no_transaction(site, consented, wait):
    pool = site.exchange.database.engine.pool
    held = []
    wait.meanwhile = [lambda: held.append(pool.checkedout()), site.house.integrate]
    assert_proved(site, consented, ask(consented))
    assert held == [0]


def test_only_half_of_the_threads_may_wait(site, consented, wait):
    inner = []
    another, third = site.agency(), site.agency()

    def second():
        wait.meanwhile = [lambda: inner.append(("third", ask(third))), site.house.integrate]
        inner.append(("second", ask(another)))

    wait.meanwhile = [second]
    assert site.house.services.config.threads == 4
    assert_proved(site, consented, ask(consented, "wait=10"))
    answers = dict(inner)
    assert_plain(answers["third"])  # two waited already: at once, without
    assert_proved(site, another, answers["second"])
    # And the places are free again.
    wait.meanwhile = [site.house.integrate]
    assert_proved(site, consented, ask(consented))


def test_a_log_that_cannot_prove_does_not_take_the_answer_back(site, consented, wait):
    def spoil():
        site.house.integrate()
        with site.exchange.database.write() as connection:
            width = connection.execute(select(audit_tile.c.width)).scalar_one()
            connection.execute(update(audit_tile).values(data=bytes(32 * width)))
            connection.commit()

    wait.meanwhile = [spoil]
    assert_plain(ask(consented))
    assert wait.looks == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 0),
        (["wait=3"], 3),
        (["Wait = 3"], 3),
        (['wait="3"'], 3),
        (["respond-async, wait=3; strictly"], 3),
        (["return=minimal", "wait=3"], 3),
        (["wait=3, wait=9"], 3),
        (["wait"], 0),
        (["wait="], 0),
        (["wait=-1"], 0),
        (["wait=1.5"], 0),
        (["wait=٣"], 0),
        (["wait=1" + "0" * 4300], 0),
        (['"wait=3"; ,;=,"'], 0),
    ],
)
def test_a_preference_that_is_malformed_is_none(headers, seconds):
    assert prefer.seconds_to_wait(headers) == seconds
