"""A live provider that is down, slow, talks nonsense or is somebody else: through the whole path of a request."""

import pytest

from exchange import agencies, agreements, erasure, subjects
from exchange.model import Status, SubjectStatus
from tests.house import ANNA, BEN, PARKING
from tests.http.v1.site import asked, plain
from tests.integration.crash.registry import PLATE
from tests.integration.main_job.rows import disclosures, entries, types

LINES = [{"name": name} for name in ("full_name", "home_address", "vehicle_plate", "vehicle_class")]
FAULTS = {
    "down": (503, "provider-unavailable", "provider-unavailable"),
    "slow": (503, "provider-unavailable", "provider-unavailable"),
    "broken": (503, "provider-unavailable", "provider-unavailable"),
    "garbage": (502, "provider-error", "provider-protocol"),
    "wrong key": (502, "provider-error", "provider-protocol"),
    "of another question": (502, "provider-error", "provider-protocol"),
}


@pytest.fixture
def parking(site):
    return site.agency(PARKING)


@pytest.fixture
def anna(site):
    return site.citizen()


def parking_request():
    return asked(agreement="resident-parking", purpose="resident_parking", attributes=LINES)


@pytest.fixture
def allowed(site, parking, anna):
    """A request that Anna has allowed: its answer can be collected, once the registry has answered."""
    request_id = parking.ask(parking_request()).json["id"]
    decided = anna.decide(request_id, attributes=plain(LINES))
    assert decided.status_code == 200, decided.text
    return request_id, decided.json["consent"]


def plate_in(parking, answer):
    assert answer.status_code == 200, answer.text
    [plate] = [one for one in parking.open(answer.text)["attributes"] if one["name"] == "vehicle_plate"]
    return plate["value"]


def test_the_live_value_arrives(site, registry, parking, allowed):
    with registry.serving():
        assert plate_in(parking, parking.collect(allowed[0])) == PLATE
    assert registry.asked == 1
    assert len(disclosures(site.house)) == 1
    assert types(site.house).count("request.received") == 1


@pytest.mark.invariant(7)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_failure_is_told_and_on_record_and_the_answer_comes_later(site, registry, parking, anna, allowed, fault):
    status, slug, reason = FAULTS[fault]
    request_id, consent = allowed
    if fault == "down":
        failed = parking.collect(request_id)
    else:
        with registry.serving():
            if fault == "of another question":
                other = site.agency(PARKING)
                record_an_answer(site, registry, other)
            registry.mode = fault
            failed = parking.collect(request_id)
    assert failed.status_code == status, failed.text
    assert failed.content_type == "application/problem+json"
    assert failed.json["type"] == f"urn:cdx:problem:{slug}"
    assert failed.headers["Location"] == f"/v1/attribute-requests/{request_id}"
    assert int(failed.headers["Retry-After"]) > 0
    assert "Anna" not in failed.text
    assert parking.state(request_id).json["state"] == "failed"
    [entry] = [one for one in entries(site.house) if one.type == "request.failed"]
    assert entry.detail == {"provider": "vehicle-registry", "reason": reason}
    assert str(entry.request) == request_id
    assert not [row for row in disclosures(site.house) if str(row.request_id) == request_id]
    [own] = [one for one in anna.get("/v1/me/consents").json["consents"] if one["id"] == consent]
    assert own["times_used"] == 0

    registry.mode = "good"
    with registry.serving():
        answer = parking.collect(request_id)
        while fault == "slow" and answer.status_code == 503:  # a busy machine is slow by itself
            answer = parking.collect(request_id)
        assert plate_in(parking, answer) == PLATE
    assert parking.state(request_id).json["state"] == "released"


def record_an_answer(site, registry, other):
    """An answer that the registry signed for another question, for somebody in the middle to send again."""
    body = parking_request() | {"subject": {"scheme": "national-id", "id": BEN.id}}
    request_id = other.ask(body).json["id"]
    site.citizen(BEN).decide(request_id, attributes=plain(LINES))
    other.collect(request_id)
    assert registry.asked == 1


@pytest.mark.invariant(7)
def test_asking_at_once_fails_the_same_way_and_is_collected_later(site, registry, parking, anna, allowed):
    """With a consent in force the first call asks the provider itself."""
    failed = parking.ask(parking_request(), key="asked-at-once")
    assert failed.status_code == 503, failed.text
    where = failed.headers["Location"]
    assert parking.ask(parking_request(), key="asked-at-once").json["state"] == "failed"
    with registry.serving():
        assert plate_in(parking, parking.get(where + "/response")) == PLATE
    assert len(disclosures(site.house)) == 1


ENDS = {
    "withdrawal": (lambda site, anna, parking, ids: anna.post(f"/v1/me/consents/{ids[1]}/withdraw"), 403),
    "pause": (lambda site, anna, parking, ids: anna.post(f"/v1/me/consents/{ids[1]}/pause"), 403),
    "end of the agreement": (
        lambda site, *_: agreements.end(site.exchange, "resident-parking", by="officer-a", now=site.clock()),
        403,
    ),
    "suspension of the client": (
        lambda site, anna, parking, ids: agencies.set_client_status(
            site.exchange, parking.client_id, Status.SUSPENDED, site.clock()
        ),
        401,
    ),
    "suspension of the agency": (
        lambda site, *_: agencies.set_agency_status(site.exchange, PARKING, Status.SUSPENDED, site.clock()),
        401,
    ),
    "cancellation": (
        lambda site, anna, parking, ids: parking.call("DELETE", f"/v1/attribute-requests/{ids[0]}"),
        409,
    ),
    "erasure": (lambda site, *_: erasure.erase(site.exchange, site.house.people[ANNA], site.clock()), 202),
}


@pytest.mark.invariant(2)
@pytest.mark.parametrize("end", ENDS)
def test_what_ends_while_the_provider_is_asked_ends_the_request(site, registry, parking, anna, allowed, end):
    change, status = ENDS[end]
    done = []

    def meanwhile():
        outcome = change(site, anna, parking, allowed)
        assert getattr(outcome, "status_code", 200) == 200, outcome.text
        done.append(end)

    parking.current(), anna.current()
    with registry.serving():
        registry.meanwhile = meanwhile
        answer = parking.collect(allowed[0])
    assert done == [end]  # the provider had been asked, and has answered
    assert answer.status_code == status, answer.text
    assert answer.content_type != "application/jwt"
    assert PLATE not in answer.text
    assert disclosures(site.house) == []


@pytest.mark.invariant(2)
@pytest.mark.parametrize("end", ["end of the agreement", "acknowledgement", "time", "death"])
def test_a_provider_is_not_asked_for_an_answer_that_cannot_be_sent_again(site, registry, parking, anna, end):
    """A question about a person is processing too: none without a permission, and none that is not on record."""
    body = asked(
        agreement="disabled-parking", purpose="resident_parking", attributes=[{"name": "disabled_parking_badge"}]
    )
    request_id = parking.ask(body).json["id"]
    decided = anna.decide(request_id, attributes=[{"name": "disabled_parking_badge"}])
    assert decided.status_code == 200, decided.text
    with registry.serving():
        assert parking.collect(request_id).status_code == 200
        assert parking.collect(request_id).status_code == 200  # sent again
        assert registry.asked == 2
        match end:
            case "end of the agreement":
                agreements.end(site.exchange, "disabled-parking", by="officer-a", now=site.clock())
            case "acknowledgement":
                assert parking.acknowledge(request_id).status_code == 200
            case "time":
                site.clock.move(minutes=11)
            case "death":
                subjects.set_status(site.exchange, site.house.people[ANNA], SubjectStatus.DECEASED, site.clock())
        refused = parking.collect(request_id)
    assert refused.status_code == 409, refused.text
    assert registry.asked == 2


@pytest.mark.invariant(7)
def test_a_second_delivery_that_fails_is_on_record(site, registry, parking, allowed):
    with registry.serving():
        assert parking.collect(allowed[0]).status_code == 200
        registry.mode = "broken"
        failed = parking.collect(allowed[0])
        assert failed.status_code == 503, failed.text
        assert types(site.house).count("request.failed") == 1
        assert parking.state(allowed[0]).json["state"] == "released"
        registry.mode = "good"
        assert plate_in(parking, parking.collect(allowed[0])) == PLATE
    assert types(site.house).count("attribute.redelivered") == 1


def test_a_process_that_dies_while_the_provider_is_asked_leaves_a_request_that_can_be_collected(
    site, registry, parking, allowed, monkeypatch
):
    """Between the two transactions: what is durable then says ``taken``, and collecting goes on from there."""

    class Died(BaseException):
        """As far as this process goes."""

    def die(*_args, **_named):
        raise Died

    with monkeypatch.context() as patched:
        patched.setattr("exchange.with_provider.fetch", die)
        with pytest.raises(Died):
            parking.collect(allowed[0])
    assert parking.state(allowed[0]).json["state"] == "taken"
    assert types(site.house).count("request.received") == 1
    with registry.serving():
        assert plate_in(parking, parking.collect(allowed[0])) == PLATE
