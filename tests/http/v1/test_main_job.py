"""The main job over HTTP, told by callers that share no code with the service; on both databases."""

import secrets
from base64 import b64decode

import pytest

from demo.transparency import hash_leaf, open_checkpoint, require_included
from tests.house import ANNA, BEN, PARKING
from tests.http.v1.caller import CONSENT_RECEIPT, leaf_hash_of
from tests.http.v1.site import HOUSING, LINES, NAME, NOBODY, asked, plain

PROBLEM = "application/problem+json"


def by_name(claims):
    return {one["name"]: one for one in claims["attributes"]}


def is_problem(answer, status, slug):
    assert answer.status_code == status, answer.text
    assert answer.content_type == PROBLEM
    assert answer.json["type"] == f"urn:cdx:problem:{slug}"
    assert answer.json["status"] == status
    return True


def test_from_the_first_request_to_the_proof_and_the_withdrawal(site, agency, anna):
    asking = agency.ask(asked())
    assert asking.status_code == 202
    assert asking.json["state"] == "waiting"
    assert len(asking.json["reference"]) >= 8
    where = f"/v1/attribute-requests/{asking.json['id']}"
    assert asking.headers["Location"] == where
    assert int(asking.headers["Retry-After"]) > 0
    assert agency.get(where).json["state"] == "waiting"
    early = agency.get(where + "/response")
    assert (early.status_code, early.json["state"]) == (202, "waiting")
    assert early.json["expires_at"] == asking.json["expires_at"]  # RFC 3339 here too

    [waiting] = anna.get("/v1/me/requests").json["requests"]
    assert waiting["id"] == asking.json["id"]
    assert (waiting["agency"], waiting["case_reference"], waiting["officer_role"]) == (
        HOUSING,
        "HB-2026-0042",
        "case worker",
    )
    chosen = plain(line for line in LINES if line["name"] != "other_benefits")
    decided = anna.decide(waiting["id"], attributes=chosen)
    assert (decided.status_code, decided.json["status"]) == (200, "GIVEN")
    assert decided.json["consent"] == waiting["consent"]
    assert agency.get(where).json["state"] == "ready"

    sealed = agency.get(where + "/response")
    assert sealed.status_code == 200
    assert sealed.content_type == "application/jwt"
    assert sealed.headers["Cache-Control"] == "no-store"
    claims = agency.open(sealed.text)
    attributes = by_name(claims)
    assert attributes["full_name"]["value"] == "Anna Example"
    assert attributes["birth_date"]["value"] is True
    assert attributes["annual_income"]["value"] is True
    assert attributes["other_benefits"] == {"name": "other_benefits", "form": "exists", "unavailable": "not_permitted"}
    assert "1984" not in str(claims)
    assert "21500" not in str(claims)
    assert ANNA.id not in str(claims)

    acknowledged = agency.acknowledge(asking.json["id"])
    assert acknowledged.status_code == 200
    assert acknowledged.json["disclosure"] == claims["jti"]
    assert acknowledged.json["acknowledged_at"]
    is_problem(agency.get(where + "/response"), 409, "request-not-ready")

    at_once = agency.ask(asked(attributes=NAME))
    assert (at_once.status_code, at_once.json["state"]) == (200, "released")
    again = agency.open(at_once.json["response"])
    assert again["sub"] == claims["sub"]

    site.house.integrate()
    receipt = agency.receipt(claims["receipt"])
    assert_is_in_the_log(site, receipt["id"], leaf_hash_of(receipt))
    history = anna.get("/v1/me/disclosures").json
    assert [one["id"] for one in history["disclosures"]] == [again["jti"], claims["jti"]]
    checkpoint = open_checkpoint(history["checkpoint"], vkey(site))
    for one in history["disclosures"]:
        assert one["consent"] == decided.json["consent"]
        proof = one["proof"]
        leaf = hash_leaf(proof["leaf"].encode())
        require_included(leaf, proof["index"], [b64decode(step) for step in proof["hashes"]], checkpoint)
    assert history["disclosures"][1]["acknowledged_at"]
    assert hash_leaf(history["disclosures"][1]["proof"]["leaf"].encode()) == leaf_hash_of(receipt)

    withdrawn = anna.post(f"/v1/me/consents/{decided.json['consent']}/withdraw")
    assert (withdrawn.status_code, withdrawn.json["status"]) == (200, "WITHDRAWN")
    is_problem(agency.ask(asked(attributes=NAME)), 403, "not-permitted")


def vkey(site):
    return site.http().get("/audit/vkey").text


def assert_is_in_the_log(site, entry_id, leaf_hash):
    """As a stranger checks it: the published proof, the published checkpoint, the published key."""
    import base64

    answer = site.http().get(f"/audit/proof/inclusion?id={entry_id}").json
    checkpoint = open_checkpoint(site.http().get("/audit/checkpoint").text, vkey(site))
    require_included(leaf_hash, answer["index"], [base64.b64decode(step) for step in answer["hashes"]], checkpoint)


def test_a_repeated_call_has_one_effect_and_tells_the_state_of_now(site, agency, anna):
    key = "the-same-key-1"
    first = agency.ask(asked(), key=key)
    second = agency.ask(asked(), key=key)
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json["id"] == first.json["id"]
    assert second.headers["Location"] == first.headers["Location"]
    assert second.json["state"] == "waiting"
    assert "reference" not in second.json  # told once
    anna.decide(first.json["id"], attributes=plain(LINES))
    ready = agency.ask(asked(), key=key)
    assert (ready.status_code, ready.json["state"]) == (200, "ready")
    assert "response" not in ready.json
    agency.collect(first.json["id"])
    released = agency.ask(asked(), key=key)
    assert (released.status_code, released.json["state"]) == (200, "released")
    assert len(anna.get("/v1/me/disclosures").json["disclosures"]) == 1
    is_problem(agency.ask(asked(attributes=NAME), key=key), 422, "idempotency-conflict")
    other = site.agency()
    assert other.ask(asked(attributes=NAME), key=key).json["state"] == "released"


def test_an_answer_is_for_its_agency_alone(site, agency, anna):
    from joserfc.errors import JoseError

    site.consented(agency)
    sealed = agency.ask(asked(attributes=NAME)).json["response"]
    thief = site.agency()
    with pytest.raises(JoseError):
        thief.open(sealed)
    assert by_name(agency.open(sealed))["full_name"]["value"] == "Anna Example"


def test_a_lost_answer_is_sent_again_for_ten_minutes(site, agency):
    _, request_id = site.consented(agency)
    first, second = (agency.open(agency.collect(request_id).text) for _ in range(2))
    assert second["jti"] == first["jti"]
    assert second["receipt"] != first["receipt"]
    site.clock.move(minutes=10)
    is_problem(agency.collect(request_id), 409, "request-not-ready")


def test_a_request_is_taken_back(site, agency, anna):
    request_id = agency.ask(asked()).json["id"]
    cancelled = agency.call("DELETE", f"/v1/attribute-requests/{request_id}")
    assert (cancelled.status_code, cancelled.json["state"]) == (200, "cancelled")
    assert anna.get("/v1/me/requests").json["requests"] == []
    is_problem(anna.decide(request_id, attributes=plain(LINES)), 404, "unknown-request")
    is_problem(agency.call("DELETE", f"/v1/attribute-requests/{request_id}"), 409, "request-not-ready")
    is_problem(agency.collect(request_id), 409, "request-not-ready")
    is_problem(agency.acknowledge(request_id), 409, "request-not-ready")


def test_a_refusal_of_the_person_is_one_coarse_answer(site, agency, anna):
    request_id = agency.ask(asked()).json["id"]
    refused = anna.decide(request_id, "refuse")
    assert (refused.status_code, refused.json["status"]) == (200, "REFUSED")
    assert agency.state(request_id).json["state"] == "denied"
    collected, asking = agency.collect(request_id), agency.ask(asked())
    assert is_problem(collected, 403, "not-permitted")
    assert is_problem(asking, 403, "not-permitted")
    assert collected.json.keys() == asking.json.keys() == {"type", "title", "status", "correlation_id"}


def test_pause_resume_renew_and_the_receipt(site, agency, anna):
    consent, _ = site.consented(agency)
    where = f"/v1/me/consents/{consent}"
    assert anna.post(where + "/pause").json["status"] == "PAUSED"
    is_problem(agency.ask(asked(attributes=NAME)), 403, "not-permitted")
    assert anna.post(where + "/resume").json["status"] == "GIVEN"
    assert agency.ask(asked(attributes=NAME)).status_code == 200
    renewed = anna.post(where + "/renew", {"language": "en", "notice_version": "2026-1"})
    assert (renewed.status_code, renewed.json["status"]) == (200, "GIVEN")
    assert renewed.json["consent"] != consent
    own = {one["id"]: one for one in anna.get("/v1/me/consents").json["consents"]}
    assert (own[consent]["status"], own[consent]["times_used"]) == ("SUPERSEDED", 1)
    assert own[renewed.json["consent"]]["status"] == "GIVEN"
    answer = anna.get(f"/v1/me/receipts/{consent}")
    assert answer.status_code == 200
    claims = agency.verified(answer.json["signed"], CONSENT_RECEIPT, options={"verify_iat": False, "verify_exp": False})
    assert claims == claims | {"iss": site.issuer}
    assert answer.json["receipt"]["record"][0]["status"] == "SUPERSEDED"
    assert str(site.house.people[ANNA]) not in answer.text
    is_problem(anna.post(where + "/withdraw"), 409, "illegal-consent-transition")


def test_the_catalogue_says_what_can_be_asked(site):
    agency = site.agency(scope="catalogue:read")
    attributes = {one["name"]: one for one in agency.get("/v1/catalogue/attributes").json["items"]}
    assert "at_least" in attributes["birth_date"]["forms"]
    purposes = {one["code"]: one for one in agency.get("/v1/catalogue/purposes").json["items"]}
    assert purposes["housing_benefit"]["legal_bases"] == ["consent", "explicit_consent"]
    agencies = {one["code"]: one for one in agency.get("/v1/catalogue/agencies").json["items"]}
    assert agencies[HOUSING]["status"] == "ACTIVE"


def test_what_a_provider_writes_is_what_an_agency_gets(site, agency):
    site.consented(agency, BEN)
    register = site.agency("population-register", scope="attributes:write")
    subject = {"scheme": "national-id", "id": BEN.id}
    name = {"name": "full_name", "value": "Ben Renamed", "last_updated": "2026-10-30"}
    written = register.call("PUT", "/v1/subjects/attributes", {"subject": subject, "attributes": [name]})
    assert (written.status_code, written.json) == (200, {"created": 0, "written": 1})
    answer = by_name(agency.open(agency.ask(asked(BEN.id, attributes=NAME)).json["response"]))
    assert (answer["full_name"]["value"], answer["full_name"]["last_updated"]) == ("Ben Renamed", "2026-10-30")


def test_a_batch_is_written_as_a_whole_or_not_at_all(site, agency):
    register = site.agency("population-register", scope="attributes:write")

    def record(identifier, **value):
        subject = {"scheme": "national-id", "id": identifier}
        return {"subject": subject, "attributes": [{"name": "full_name", "value": "Somebody New"} | value]}

    def batch(*records):
        return register.post("/v1/subjects/attributes/batch", {"records": list(records)})

    good = batch(record("VAL-200001-1"), record("VAL-200002-9"))
    assert (good.status_code, good.json) == (200, {"created": 2, "written": 2})
    bad = batch(record("VAL-200003-7"), record("VAL-200004-5", name="annual_income"))
    assert is_problem(bad, 422, "invalid-record")
    assert "record 2" in bad.json["detail"]
    assert "VAL" not in bad.text
    third = batch(record("VAL-200003-7"))
    assert third.json == {"created": 1, "written": 1}  # nothing of the bad batch was kept


def test_a_consent_used_up_is_none(site, agency, anna):
    site.consented(agency, uses=1)
    assert agency.ask(asked(attributes=NAME)).status_code == 200
    assert agency.ask(asked(attributes=NAME)).status_code == 202
    [used] = [one for one in anna.get("/v1/me/consents").json["consents"] if one["status"] == "USED_UP"]
    assert (used["uses_left"], used["times_used"]) == (0, 1)


def shape(answer):
    """What of an answer may not differ: status, header names and lengths, and the form of the body."""
    headers = sorted((name, len(value)) for name, value in answer.headers)
    body = answer.get_json(silent=True)
    form = {name: (type(value).__name__, len(str(value))) for name, value in (body or {}).items()}
    return answer.status_code, headers, form, len(answer.data)


@pytest.mark.invariant(6)
def test_a_person_who_is_unknown_looks_like_one_who_is_silent(site, agency):
    agency.ask(asked(BEN.id))  # whatever happens once has happened
    keys = [secrets.token_hex(8) for _ in range(2)]
    pairs = [[agency.ask(asked(who), key=key) for who, key in zip((ANNA.id, NOBODY), keys, strict=True)]]
    ids = [answer.json["id"] for answer in pairs[0]]
    where = [f"/v1/attribute-requests/{request_id}" for request_id in ids]
    pairs.append([agency.ask(asked(who), key=key) for who, key in zip((ANNA.id, NOBODY), keys, strict=True)])

    def look():
        pairs.append([agency.get(path) for path in where])
        pairs.append([agency.get(path + "/response") for path in where])
        pairs.append([agency.post(path + "/receipt-acknowledgement") for path in where])

    look()
    site.clock.move(days=15)  # both lapse
    look()
    pairs.append([agency.call("DELETE", path) for path in where])
    look()
    for known, unknown in pairs:
        assert shape(known) == shape(unknown)
    assert {known.status_code for known, _ in pairs} == {200, 202, 409}


def test_an_agency_that_is_no_party_learns_nothing_of_the_agreement(site):
    parking = site.agency(PARKING)
    theirs, none = (
        parking.ask(asked(agreement=code, purpose="housing_benefit")) for code in ("housing-benefit", "no-agreement")
    )
    assert is_problem(theirs, 422, "unknown-agreement")
    assert shape(theirs) == shape(none)
