"""A token is live only while everything it rests on is in force (invariant 13), on both databases."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import insert, select

from consent.tables import consent
from crypto.ids import new_id
from exchange import access
from exchange.audit.tables import audit_outbox
from exchange.errors import AccessRefusedError, ReplayedError
from exchange.model import Caller, Citizen
from exchange.tables import access_token, agency, client, single_use, subject
from tests.http.oauth.world import AGENCY, PUBLIC_URL

LATER = timedelta(minutes=5)


def audited(world):
    return [json.loads(row.body)["typ"] for row in world.rows(select(audit_outbox.c.body))]


def suspend_client(world):
    world.set(client, {"status": "SUSPENDED"}, client.c.id == world.client.client_id)


def suspend_agency(world):
    world.set(agency, {"status": "SUSPENDED"}, agency.c.code == AGENCY)


def revoke(world):
    world.set(access_token, {"status": "REVOKED"}, access_token.c.client_id == world.client.client_id)


def expire(world):
    world.set(access_token, {"expires_at": world.clock()}, access_token.c.client_id == world.client.client_id)


@pytest.mark.invariant(13)
@pytest.mark.parametrize("end", [suspend_client, suspend_agency, revoke, expire])
def test_whatever_ends_a_clients_permission_ends_its_tokens_at_once(world, end):
    http = world.http()
    token = world.client.token(http)
    assert world.get(token=token).status_code == 200  # verified, and remembered as such
    end(world)
    answer = world.get(token=token)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@pytest.mark.invariant(13)
def test_a_suspension_that_is_lifted_lets_the_token_live_on(world):
    token = world.client.token(world.http())
    suspend_client(world)
    assert world.get(token=token).status_code == 401
    world.set(client, {"status": "ACTIVE"}, client.c.id == world.client.client_id)
    assert world.get(token=token).status_code == 200


def caller_of(world, *, jti="token-1", jkt="jkt-1", proof=b"p" * 32, client_id=None):
    return Caller(
        token_digest=access.token_digest(jti),
        client_id=client_id or world.client.client_id,
        jkt=jkt,
        scopes=frozenset({"attributes:request"}),
        proof_digest=proof,
        proof_expires_at=world.clock() + LATER,
    )


def citizen_of(world, ref, *, jti="token-2", jkt="jkt-1", proof=b"q" * 32):
    return Citizen(
        subject_ref=ref,
        token_digest=access.token_digest(jti),
        jkt=jkt,
        proof_digest=proof,
        proof_expires_at=world.clock() + LATER,
    )


def issue(world, *, jti, **owner):
    now = world.clock()
    token = access.NewToken(
        jti=jti, jkt="jkt-1", scopes=("attributes:request",), issued_at=now, expires_at=now + LATER, **owner
    )
    with world.database.write() as connection:
        access.issue_token(connection, token)
        connection.commit()


def give_consent(world, ref, **changes):
    now = world.clock()
    row = {
        "id": new_id(now),
        "subject_ref": ref,
        "agreement_id": new_id(now),
        "agreement_revision": 1,
        "consumer": AGENCY,
        "purpose": "tax",
        "scope": "[]",
        "status": "GIVEN",
        "version": 2,
        "valid_from": now,
        "valid_until": now + timedelta(days=1),
        "requested_at": now,
    } | changes
    with world.database.write() as connection:
        connection.execute(insert(consent).values(**row))
        connection.commit()
    return row["id"]


def test_a_token_that_rests_on_a_consent_in_force_is_live(world):
    consent_id = give_consent(world, world.person("AB 1"))
    issue(world, jti="token-1", client_id=world.client.client_id, consent_id=consent_id)
    live = access.admit(world.exchange, caller_of(world), world.clock())
    assert (live.agency, live.client_version, live.agency_version, live.consent_id) == (AGENCY, 1, 1, consent_id)


@pytest.mark.invariant(13)
@pytest.mark.parametrize(
    "status", ["REQUESTED", "REFUSED", "PAUSED", "WITHDRAWN", "TERMINATED", "EXPIRED", "INVALIDATED", "USED_UP"]
)
def test_a_consent_that_is_not_in_force_ends_its_tokens_at_once(world, status):
    consent_id = give_consent(world, world.person("AB 1"))
    issue(world, jti="token-1", client_id=world.client.client_id, consent_id=consent_id)
    access.admit(world.exchange, caller_of(world), world.clock())
    world.set(consent, {"status": status}, consent.c.id == consent_id)
    with pytest.raises(AccessRefusedError):
        access.admit(world.exchange, caller_of(world, proof=b"x" * 32), world.clock())


@pytest.mark.invariant(13)
@pytest.mark.parametrize("window", [{"valid_from": timedelta(seconds=1)}, {"valid_until": timedelta(0)}], ids=str)
def test_a_consent_outside_its_window_carries_no_token(world, window):
    moved = {name: world.clock() + offset for name, offset in window.items()}
    consent_id = give_consent(world, world.person("AB 1"), **moved)
    issue(world, jti="token-1", client_id=world.client.client_id, consent_id=consent_id)
    with pytest.raises(AccessRefusedError):
        access.admit(world.exchange, caller_of(world), world.clock())


@pytest.mark.invariant(13)
@pytest.mark.parametrize("status", ["DECEASED", "ERASED", "OPERATOR"])
def test_a_person_who_is_gone_has_no_session(world, status):
    ref = world.person("AB 1")
    issue(world, jti="token-2", subject_ref=ref)
    access.admit_citizen(world.exchange, citizen_of(world, ref), world.clock())
    world.set(subject, {"status": status}, subject.c.ref == ref)
    with pytest.raises(AccessRefusedError):
        access.admit_citizen(world.exchange, citizen_of(world, ref, proof=b"x" * 32), world.clock())


@pytest.mark.parametrize("wrong", [{"jti": "other"}, {"jkt": "other"}, {"client_id": "other"}], ids=str)
def test_a_caller_must_be_the_one_of_the_row(world, wrong):
    issue(world, jti="token-1", client_id=world.client.client_id)
    with pytest.raises(AccessRefusedError):
        access.admit(world.exchange, caller_of(world, **wrong), world.clock())
    assert not world.rows(select(single_use))  # and nothing is used up for it


def test_a_citizen_must_be_the_one_of_the_row(world):
    ref, other = world.person("AB 1"), world.person("AB 2")
    issue(world, jti="token-2", subject_ref=ref)
    for citizen in (citizen_of(world, other), citizen_of(world, ref, jti="x"), citizen_of(world, ref, jkt="x")):
        with pytest.raises(AccessRefusedError):
            access.admit_citizen(world.exchange, citizen, world.clock())


def test_a_clients_token_is_no_persons_token_and_the_reverse(world):
    ref = world.person("AB 1")
    issue(world, jti="token-1", client_id=world.client.client_id)
    issue(world, jti="token-2", subject_ref=ref)
    with pytest.raises(AccessRefusedError):
        access.admit(world.exchange, caller_of(world, jti="token-2"), world.clock())
    with pytest.raises(AccessRefusedError):
        access.admit_citizen(world.exchange, citizen_of(world, ref, jti="token-1"), world.clock())


def test_a_replay_by_a_live_token_is_audited_once(world):
    issue(world, jti="token-1", client_id=world.client.client_id)
    access.admit(world.exchange, caller_of(world), world.clock())
    before = audited(world)
    for _ in range(3):
        with pytest.raises(ReplayedError):
            access.admit(world.exchange, caller_of(world), world.clock())
    assert audited(world)[len(before) :] == ["access.replayed"]


def test_a_replay_by_a_dead_token_is_not_audited(world):
    issue(world, jti="token-1", client_id=world.client.client_id)
    access.admit(world.exchange, caller_of(world), world.clock())
    revoke(world)
    before = audited(world)
    with pytest.raises(AccessRefusedError):
        access.admit(world.exchange, caller_of(world), world.clock())
    assert audited(world) == before


def test_a_persons_replay_stands_in_the_persons_history(world):
    ref = world.person("AB 1")
    issue(world, jti="token-2", subject_ref=ref)
    access.admit_citizen(world.exchange, citizen_of(world, ref), world.clock())
    with pytest.raises(ReplayedError):
        access.admit_citizen(world.exchange, citizen_of(world, ref), world.clock())
    assert world.history(ref).count("access.replayed") == 1


def test_rows_of_a_live_token_can_be_locked(world):
    issue(world, jti="token-1", client_id=world.client.client_id)
    statement = access.LIVE_TOKEN.with_for_update(read=True, of=(client, agency))
    parameters = {"token_digest": access.token_digest("token-1"), "token_now": world.clock()}
    with world.database.write() as connection:
        assert connection.execute(statement, parameters).one().agency == AGENCY


def test_a_client_authenticates_only_while_it_and_its_agency_are_in_force(world):
    def found():
        with world.database.read() as connection:
            return access.client_for_authentication(connection, world.client.client_id)

    assert found().scopes == {"attributes:request", "catalogue:read"}
    assert found().agency == AGENCY
    with world.database.read() as connection:
        for impossible in ("", "\x00", "tax-client\x00", "\ud800", "é", "x" * 600):
            assert access.client_for_authentication(connection, impossible) is None
    suspend_agency(world)
    assert found() is None
    world.set(agency, {"status": "ACTIVE"})
    suspend_client(world)
    assert found() is None


def test_the_row_of_a_token_does_not_hold_what_the_token_holds(world):
    import jwt

    token = world.client.token(world.http())
    claims = jwt.decode(token, options={"verify_signature": False})
    [row] = world.rows(select(access_token))
    assert row.digest == access.token_digest(claims["jti"])
    assert claims["iss"] == PUBLIC_URL
    assert all(claims["jti"] not in str(value) for value in row)
