"""What is good once, under concurrency, on both databases (invariant 9)."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

import pytest
from sqlalchemy import func, select

from exchange import access
from exchange.audit.tables import audit_outbox
from exchange.database import Database
from exchange.tables import access_token, single_use
from tests.http.oauth.clients import SIGN_IN_GRANT
from tests.http.oauth.openid import AUDIENCE, Provider
from tests.http.oauth.world import PUBLIC_URL, World

TOKEN_URL = PUBLIC_URL + "/oauth/token"
REPLAYS = 100


@pytest.fixture
def apps(world, database_url):
    """Two processes over one database, as far as connections and locks go."""
    second = Database(database_url)
    first_app, exchange = world.app, world.exchange
    world.services.exchange = replace(exchange, database=second)
    world.exchange = world.services.exchange
    second_app = world.new_app()
    world.exchange = exchange
    yield [first_app, second_app]
    second.dispose()


def all_at_once(apps, request):
    """Sends ``request(http, number)`` a hundred times at the same moment; the status codes, sorted."""
    barrier = threading.Barrier(REPLAYS, timeout=60)

    def send(number):
        http = apps[number % len(apps)].test_client()
        barrier.wait()
        return request(http, number)

    with ThreadPoolExecutor(REPLAYS) as pool:
        return list(pool.map(send, range(REPLAYS)))


def replays(world):
    """Details of the audited replays."""
    bodies = [json.loads(row.body) for row in world.rows(select(audit_outbox.c.body))]
    return [body["d"] | {"org": body["org"]} for body in bodies if body["typ"] == "access.replayed"]


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_an_assertion_one_wins(world, apps):
    client = world.client
    assertion = client.assertion()
    proofs = [client.proof("POST", TOKEN_URL) for _ in range(REPLAYS)]
    answers = all_at_once(apps, lambda http, number: client.ask(http, assertion=assertion, proof=proofs[number]))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (REPLAYS - 1)
    assert {answer.json.get("error") for answer in answers} == {None, "invalid_client"}
    assert len(world.rows(select(access_token))) == 1
    # Assertion, the proof of the winner, and the note that the replay was audited.
    assert len(world.rows(select(single_use))) == 3
    assert replays(world) == [{"what": "client-assertion", "client": client.client_id, "org": "tax-office"}]


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_a_proof_at_the_token_endpoint_one_wins(world, apps):
    client = world.client
    proof = client.proof("POST", TOKEN_URL)
    assertions = [client.assertion() for _ in range(REPLAYS)]
    answers = all_at_once(apps, lambda http, number: client.ask(http, assertion=assertions[number], proof=proof))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (REPLAYS - 1)
    assert {answer.json.get("error") for answer in answers} == {None, "invalid_dpop_proof"}
    assert len(world.rows(select(access_token))) == 1


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_one_whole_request_one_wins(world, apps):
    client = world.client
    assertion, proof = client.assertion(), client.proof("POST", TOKEN_URL)
    answers = all_at_once(apps, lambda http, _number: client.ask(http, assertion=assertion, proof=proof))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (REPLAYS - 1)


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_a_proof_at_a_resource_one_wins(world, apps):
    token = world.client.token(apps[0].test_client())
    proof = world.client.proof("GET", PUBLIC_URL + "/v1/things/one", token=token)
    answers = all_at_once(apps, lambda http, _number: world.get(token=token, proof=proof, http=http))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * (REPLAYS - 1)
    assert replays(world) == [{"what": "dpop-proof", "client": "tax-client", "org": "tax-office"}]


@pytest.mark.invariant(9)
def test_of_a_hundred_replays_of_an_id_token_one_wins(database, database_url, clock):
    provider = Provider(clock)
    settings = {
        "openid_issuer": provider.issuer,
        "openid_audience": AUDIENCE,
        "openid_subject_claim": "national_id",
    }
    world = World(database, clock, private_networks=(ip_network("127.0.0.1"),), config_changes=settings)
    person = world.person("AB 123-456")
    device = world.device
    form = {"grant_type": SIGN_IN_GRANT, "assertion": provider.id_token(device)}
    proofs = [device.proof("POST", TOKEN_URL) for _ in range(REPLAYS)]
    try:
        answers = all_at_once(
            [world.app],
            lambda http, number: http.post("/oauth/token", data=form, headers={"DPoP": proofs[number]}),
        )
    finally:
        provider.close()
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * (REPLAYS - 1)
    assert replays(world) == [{"what": "id-token", "org": "subject"}]
    assert world.history(person).count("access.replayed") == 1


def test_a_value_is_taken_once_and_given_back_by_a_rollback(database, now):
    digest = access.single_use_digest("test", "owner", "value")
    later = now + timedelta(minutes=1)
    with database.write() as connection:
        assert access.take_single_use(connection, digest, later, now)
        assert not access.take_single_use(connection, digest, later, now)
    with database.write() as connection:
        assert access.take_single_use(connection, digest, later, now)
        connection.commit()
    with database.write() as connection:
        assert not access.take_single_use(connection, digest, later, now)


def test_a_value_whose_time_is_over_is_never_taken(database, now):
    digest = access.single_use_digest("test", "owner", "value")
    with database.write() as connection:
        assert not access.take_single_use(connection, digest, now, now)
        assert not access.take_single_use(connection, digest, now - timedelta(days=1), now)


def test_kind_owner_and_value_cannot_be_mistaken_for_each_other():
    parts = [("ab", "c", "d"), ("a", "bc", "d"), ("a", "b", "cd"), ("abc", "", "d"), ("abcd", "", ""), ("", "", "abcd")]
    assert len({access.single_use_digest(*part) for part in parts}) == len(parts)


def test_purging_keeps_what_may_still_be_presented(world, now):
    http = world.http()
    world.client.token(http)
    database = world.database

    def left():
        return [world.rows(select(func.count()).select_from(table))[0][0] for table in (single_use, access_token)]

    assert left() == [2, 1]
    for minutes, expected in ((4, [2, 1]), (9, [0, 1]), (11, [0, 0])):
        with database.write() as connection:
            access.purge(connection, now + timedelta(minutes=minutes))
            connection.commit()
        assert left() == expected
