"""Everybody who may not, at every way in that is not public: generated from the application's own map.

A new route is tried by itself. One without a guard answers something else than a refusal, and fails here.
"""

import shutil

import jwt
import pytest

from exchange import agencies, subjects
from exchange.model import Status, SubjectStatus
from tests.house import ANNA, BEN, HOUSING, PARKING
from tests.http.oauth.clients import Device, new_key
from tests.http.v1.routes import KEY, ME, SCOPES, guarded
from tests.http.v1.site import ALL_SCOPES, asked

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def lasting_url(tmp_path_factory, sqlite_template):
    """Who calls is checked before any database: the quick one does."""
    path = tmp_path_factory.mktemp("guards") / "cdx.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def almighty(lasting):
    """A client with every scope that there is for clients."""
    return lasting.agency(scope=" ".join(ALL_SCOPES))


@pytest.fixture(scope="module")
def anna_for_long(lasting):
    return lasting.citizen()


@pytest.fixture(scope="module", params=["agency", "citizen"])
def caller(request, almighty, anna_for_long):
    """Faults of a proof must be found whatever the token allows: with the strongest of each kind."""
    return almighty if request.param == "agency" else anna_for_long


def knock(way, caller, *, path=None, **changes):
    """A call that would do something, but for its fault."""
    return caller.call(way.method, path or way.path(), way.body, key=KEY, **changes)


def without(*names):
    """Takes headers away from a call: the test client leaves out none that it was given."""

    def send(way, caller):
        token = caller.current()
        headers = {
            "Authorization": f"DPoP {token}",
            "DPoP": caller.proof_for(way.method, way.path(), token=token),
            "Idempotency-Key": KEY,
        }
        for name in names:
            del headers[name]
        return caller.http.open(way.path(), method=way.method, headers=headers, json=way.body)

    return send


def in_header(text):
    return lambda way, caller: knock(way, caller, headers={"Authorization": text.format(caller.current())})


def with_proof(**claims):
    def send(way, caller):
        token = caller.current()
        return knock(way, caller, proof=caller.proof_for(way.method, way.path(), token=token, **claims))

    return send


def with_foreign_key(way, caller):
    """The proof of somebody who has stolen the token and not the key."""
    thief = Device(caller.clock)
    token = caller.current()
    return knock(way, caller, proof=thief.proof(way.method, caller.issuer + way.path(), token=token))


def with_forged_token(way, caller):
    claims = jwt.decode(caller.current(), options={"verify_signature": False})
    header = jwt.get_unverified_header(caller.current())
    forged = jwt.encode(claims, new_key(), algorithm="ES256", headers=header)
    return knock(way, caller, token=forged, proof=caller.proof_for(way.method, way.path(), token=forged))


FAULTS = {
    "nothing": without("Authorization", "DPoP"),
    "no token": without("Authorization"),
    "no proof": without("DPoP"),
    "scheme Bearer": in_header("Bearer {}"),
    "scheme Basic": in_header("Basic {}"),
    "no scheme": in_header("{}"),
    "two tokens": in_header("DPoP {0}, DPoP {0}"),
    "rubbish": in_header("DPoP rubbish"),
    "another method": with_proof(htm="PATCH"),
    "another path": with_proof(htu="http://127.0.0.1:8000/healthz"),
    "another host": with_proof(htu="https://elsewhere.example/v1/me/requests"),
    "another token's proof": with_proof(ath="47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"),
    "proof names no token": with_proof(ath=None),
    "old proof": with_proof(iat=0),
    "another's key": with_foreign_key,
    "forged token": with_forged_token,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_comes_in_without_a_token_and_its_proof(lasting, caller, fault):
    for way in guarded(lasting.app):
        answer = FAULTS[fault](way, caller)
        assert answer.status_code in (400, 401), f"{way}: {answer.status_code} {answer.text}"
        assert answer.status_code == (400 if fault == "two tokens" else 401), f"{way}: {answer.text}"
        assert answer.content_type == PROBLEM, way
        assert answer.headers["WWW-Authenticate"].startswith("DPoP "), way


def test_a_token_in_the_address_is_refused_beside_a_good_one(lasting, caller):
    for way in guarded(lasting.app):
        token = caller.current()
        answer = knock(way, caller, query_string={"access_token": token})
        assert answer.status_code in (400, 422), f"{way}: {answer.status_code} {answer.text}"
        assert token not in answer.text


def test_a_token_that_ran_out_is_none(lasting, caller):
    token = caller.current()
    lasting.clock.move(minutes=5)
    for way in guarded(lasting.app):
        answer = knock(way, caller, token=token)
        assert answer.status_code == 401, f"{way}: {answer.status_code} {answer.text}"


def test_a_proof_is_good_once_at_every_way(lasting, almighty, anna_for_long):
    for way in guarded(lasting.app):
        caller = anna_for_long if SCOPES[way.name] == ME else almighty
        token = caller.current()
        proof = caller.proof_for(way.method, way.path(), token=token)
        assert knock(way, caller, proof=proof).status_code not in (401, 403), way
        answer = knock(way, caller, proof=proof)
        assert answer.status_code == 401, f"{way}: {answer.status_code} {answer.text}"
        assert answer.json["type"] == "urn:cdx:problem:replayed", way


@pytest.mark.parametrize("scope", ALL_SCOPES)
def test_a_scope_opens_its_own_ways_and_no_other(lasting, scope):
    caller = lasting.agency(scope=scope)
    for way in guarded(lasting.app):
        answer = knock(way, caller)
        if SCOPES[way.name] == scope:
            assert answer.status_code not in (401, 403), f"{way}: {answer.status_code} {answer.text}"
        else:
            assert answer.status_code == 403, f"{way}: {answer.status_code} {answer.text}"
            assert answer.json["type"] == "urn:cdx:problem:insufficient-scope", way
            assert f'scope="{SCOPES[way.name]}"' in answer.headers["WWW-Authenticate"], way


def test_a_persons_token_opens_the_persons_ways_and_no_other(lasting, anna_for_long):
    for way in guarded(lasting.app):
        answer = knock(way, anna_for_long)
        if SCOPES[way.name] == ME:
            assert answer.status_code in (200, 404), f"{way}: {answer.status_code} {answer.text}"
        else:
            assert answer.status_code == 403, f"{way}: {answer.status_code} {answer.text}"


def same_but_for_ids(answers, *ids):
    bodies = []
    for answer in answers:
        text = answer.text.replace(answer.headers["X-Correlation-Id"], "")
        for one in ids:
            text = text.replace(str(one), "ID")
        bodies.append((answer.status_code, text, answer.headers["Content-Length"]))
    return len(set(bodies)) == 1


@pytest.mark.invariant(6)
def test_somebody_elses_request_is_as_unknown_as_none(lasting):
    own = lasting.agency().ask(asked(BEN.id)).json["id"]
    of_request = [way for way in guarded(lasting.app) if "request_id" in way.arguments and SCOPES[way.name] != ME]
    assert len(of_request) >= 4
    for stranger in (lasting.agency(PARKING), lasting.agency(HOUSING)):  # another agency, and another client of it
        for way in of_request:
            none = "019bf2a2-0000-7000-8000-000000000001"
            answers = [knock(way, stranger, path=way.path(request_id=one)) for one in (own, none)]
            assert answers[0].status_code == 404, f"{way}: {answers[0].text}"
            assert same_but_for_ids(answers, own, none), way


@pytest.mark.invariant(6)
def test_somebody_elses_consent_and_question_are_as_unknown_as_none(lasting):
    agency = lasting.agency()
    consent, request_id = lasting.consented(agency, BEN)
    anna = lasting.citizen(ANNA)
    with_object = [way for way in guarded(lasting.app) if SCOPES[way.name] == ME and way.arguments]
    assert len(with_object) >= 6
    for way in with_object:
        none = "019bf2a2-0000-7000-8000-000000000001"
        answers = [
            knock(way, anna, path=way.path(consent_id=one, request_id=other))
            for one, other in ((consent, request_id), (none, none))
        ]
        assert answers[0].status_code == 404, f"{way}: {answers[0].text}"
        assert same_but_for_ids(answers, consent, request_id, none), way
    ben = lasting.citizen(BEN).get("/v1/me/consents").json["consents"]
    assert consent in {one["id"] for one in ben if one["status"] == "GIVEN"}


@pytest.mark.invariant(13)
def test_a_suspended_client_or_agency_comes_in_nowhere(lasting):
    caller = lasting.agency(scope=" ".join(ALL_SCOPES))
    caller.current()
    now = lasting.clock()

    def refused_everywhere():
        for way in guarded(lasting.app):
            if SCOPES[way.name] != ME:
                answer = knock(way, caller)
                assert answer.status_code == 401, f"{way}: {answer.status_code} {answer.text}"
                assert answer.json["type"] == "urn:cdx:problem:access-refused", way

    agencies.set_client_status(lasting.exchange, caller.client_id, Status.SUSPENDED, now)
    refused_everywhere()
    agencies.set_client_status(lasting.exchange, caller.client_id, Status.ACTIVE, now)
    agencies.set_agency_status(lasting.exchange, HOUSING, Status.SUSPENDED, now)
    try:
        refused_everywhere()
    finally:
        agencies.set_agency_status(lasting.exchange, HOUSING, Status.ACTIVE, now)
    assert caller.get("/v1/catalogue/attributes").status_code == 200


@pytest.mark.invariant(13)
def test_a_person_who_has_died_comes_in_nowhere(lasting):
    ben = lasting.citizen(BEN)
    ben.current()
    subjects.set_status(lasting.exchange, lasting.house.people[BEN], SubjectStatus.DECEASED, lasting.clock())
    try:
        for way in guarded(lasting.app):
            if SCOPES[way.name] == ME:
                answer = knock(way, ben)
                assert answer.status_code == 401, f"{way}: {answer.status_code} {answer.text}"
    finally:
        subjects.set_status(lasting.exchange, lasting.house.people[BEN], SubjectStatus.ACTIVE, lasting.clock())
