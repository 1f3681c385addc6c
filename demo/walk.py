"""The walk: the main job over HTTP, as an agency and a citizen live it. Every line it prints was checked first.

Only public libraries and the published interface: what works here works for everybody.
"""

import base64
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import jwt

from demo.agency import Agency, Answer
from demo.citizen import Citizen
from demo.device import Device, Response
from demo.servers import wait_until
from demo.story import Story, require
from demo.transparency import hash_leaf, open_checkpoint, require_included

ASKED = [
    {"name": "full_name", "form": "value"},
    {"name": "birth_date", "form": "at_least:18"},
    {"name": "home_address", "form": "value"},
    {"name": "household_size", "form": "value"},
    {"name": "annual_income", "form": "in_range:0-30000"},
    {"name": "other_benefits", "form": "exists", "required": False},
]
LEFT_OUT = "other_benefits"
ADULT = [{"name": "birth_date", "form": "at_least:18"}]
NAME = [{"name": "full_name", "form": "value"}]
PARKING = [
    {"name": "full_name", "form": "value"},
    {"name": "home_address", "form": "value"},
    {"name": "vehicle_plate", "form": "value"},
    {"name": "vehicle_class", "form": "value"},
]
EXPECTED_HISTORY = (
    [("housing-benefit-office", 5)] * 2 + [("housing-benefit-office", 1)] * 2 + [("city-parking-office", 4)]
)
SCOPE = "attributes:request"
_INTEGRATED_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The person whom the walk is about, as far as it checks what is said about her."""

    national_id: str
    name: str
    address: str
    household: int
    plate: str
    born: str
    income: str


@dataclass
class Walk:
    """What the walk needs, and what it found on the way."""

    story: Story
    exchange: str
    identity_provider: str
    audience: str
    vkey: str
    mara: Subject
    nobody: str
    housing: Agency
    parking: Agency

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.exchange, trust_env=False, timeout=20)
        self.citizen = Citizen(self.http, identity_provider=self.identity_provider, client_id=self.audience)
        self.consent = ""
        self.checkpoint = ""  # the one that the first proof led to

    def proof_of(self, entry: str) -> dict[str, Any] | None:
        """Anybody may ask the log for a proof; None: the entry is not integrated yet."""
        answer = self.http.get("/audit/proof/inclusion", params={"id": entry})
        return None if answer.status_code == httpx.codes.NOT_FOUND else _require(answer, 200)

    def ask(self, lines: list[dict[str, Any]], **more: Any) -> Response:
        """The housing office asks about Mara."""
        more.setdefault("case", "HB-2026-0042")
        return self.housing.ask(self.mara.national_id, "housing-benefit", "housing_benefit", lines, **more)


def main_job(walk: Walk) -> None:
    """From keys to an answer, the proof of it, and its end."""
    walk.story.part("An agency introduces itself")
    _introduce(walk)
    walk.story.part("It asks, and has to wait")
    request = _first_request(walk)
    walk.story.part("The citizen decides")
    _decide(walk, request)
    walk.story.part("The answer, and what it is worth")
    answer = _collect(walk, request)
    _prove(walk, answer)
    walk.story.part("Asking again")
    _ask_again(walk)
    walk.story.part("What does not work")
    _attack(walk)


def live_registry(walk: Walk) -> None:
    """Another office, and an attribute that nobody keeps but its registry."""
    walk.story.part("A registry that is asked live")
    office, mara = walk.parking, walk.mara
    _require(office.sign_in(SCOPE), 200)
    asked = office.ask(mara.national_id, "resident-parking", "resident_parking", PARKING, case="RP-77")
    request = _require(asked, 202)["id"]
    waiting = next(one for one in walk.citizen.waiting() if one["id"] == request)
    walk.citizen.allow(waiting, [(one["name"], one["form"]) for one in PARKING])
    answer = office.open(_require_token(office.collect(request)))
    require(answer["vehicle_plate"].get("value") == mara.plate, f"the plate is {answer['vehicle_plate']}")
    require(answer["vehicle_plate"]["source"]["agency"] == "vehicle-registry", "the plate came from elsewhere")
    require(answer["vehicle_class"].get("label") == "Car", f"the class is {answer['vehicle_class']}")
    walk.story.proved(
        f"The parking office gets the number plate {mara.plate}, fetched from the vehicle registry this moment",
        "signed query and signed answer over HTTP; the exchange keeps no copy",
    )
    again = office.ask(mara.national_id, "resident-parking", "resident_parking", PARKING, case="RP-78")
    _require(again, 202)
    walk.story.proved("That permission was for one look: the next request waits again", "202; the consent is used up")


def history_and_withdrawal(walk: Walk) -> None:
    """The citizen looks, and takes the permission back."""
    walk.story.part("The citizen stays in charge")
    page = wait_until(lambda: _proved_history(walk), "all disclosures are in the log", seconds=_INTEGRATED_SECONDS)
    found, checkpoint = page["disclosures"], open_checkpoint(page["checkpoint"], walk.vkey)
    for one in found:
        leaf, hashes = one["proof"]["leaf"].encode(), [base64.b64decode(value) for value in one["proof"]["hashes"]]
        require_included(hash_leaf(leaf), one["proof"]["index"], hashes, checkpoint)
        require(walk.mara.name.encode() not in leaf, "an entry of the log names the person")
    seen = [(one["agency"], len(one["attributes"])) for one in reversed(found)]
    require(seen == EXPECTED_HISTORY, f"the history shows {seen}")
    walk.story.proved(
        f"Mara sees all {len(found)} disclosures: who, when, which attributes, why",
        "each is proved to be in the log, and no entry names her",
    )
    _require(walk.ask(NAME, case="HB-2026-0060"), 200)
    withdrawn = walk.citizen.withdraw(walk.consent)
    require(withdrawn["status"] == "WITHDRAWN", f"the consent is {withdrawn['status']}")
    refused = _require(walk.ask(NAME, case="HB-2026-0061"), 403)
    require(refused["type"].endswith(":not-permitted"), f"refused as {refused['type']}")
    walk.story.proved(
        "Mara withdraws; what was answered a moment ago is refused",
        "403, the same words for every reason that lies in the person",
    )


def _introduce(walk: Walk) -> None:
    office = walk.housing
    public = json.dumps(office.public_keys())
    require('"d"' not in public, "a private key was about to leave the office")
    office.discover()
    walk.parking.discover()
    walk.story.proved("The housing office made its own keys; the exchange knows the public halves", "no shared secret")
    token = _require(office.sign_in(SCOPE), 200)
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    require(token["scope"] == SCOPE, f"the token has the scope {token['scope']}")
    require(claims["cnf"]["jkt"] == office.device.thumbprint, "the token is bound to another key")
    thief = Device(walk.http)
    thief.token = token["access_token"]
    _require(thief.call("GET", "/v1/attribute-requests/00000000-0000-7000-8000-000000000000"), 401)
    walk.story.proved("It gets a token for one scope", "bound to a key: in other hands the same token gives 401")


def _first_request(walk: Walk) -> str:
    known = walk.ask(ASKED)
    waiting = _require(known, 202)
    require("response" not in waiting, "the first request was answered without the citizen")
    walk.story.proved(
        f"The first request about {walk.mara.name} waits for her",
        f"202, no data; the clerk hands over the reference {waiting['reference']}",
    )
    unknown = walk.housing.ask(walk.nobody, "housing-benefit", "housing_benefit", ASKED, case="HB-2026-0043")
    shape = _require(unknown, 202)
    require(shape.keys() == waiting.keys(), f"an unknown person is answered with {sorted(shape)}")
    require(_headers(known) == _headers(unknown), "an unknown person is answered with other headers")
    states = {_require(walk.housing.state(one["id"]), 200)["state"] for one in (waiting, shape)}
    require(states == {"waiting"}, f"the two requests are {states}")
    walk.story.proved(
        "A request about a person who does not exist looks just the same", "same status, members, headers"
    )
    return str(waiting["id"])


def _decide(walk: Walk, request: str) -> None:
    citizen = walk.citizen
    id_token = citizen.fetch_id_token(walk.mara.national_id)
    thief = Citizen(walk.http, identity_provider=walk.identity_provider, client_id=walk.audience)
    _require(thief.exchange_for_token(id_token), 400)
    _require(citizen.exchange_for_token(id_token), 200)
    _require(citizen.exchange_for_token(id_token), 400)
    _require(citizen.sign_in(walk.mara.national_id), 200)
    walk.story.proved(
        "Mara signs in at the country's identity provider", "her ID token serves her device only, and once"
    )
    waiting = citizen.waiting()
    require([one["id"] for one in waiting] == [request], f"{len(waiting)} requests wait for her")
    shown = waiting[0]
    require(shown["agency"] == walk.housing.code and len(shown["attributes"]) == len(ASKED), "another request")
    walk.story.proved(
        f"She reads who asks and why: {shown['agency_name']}, “{shown['purpose_label']}”",
        f"{len(ASKED)} attributes in words, the officer's role, the exact notice",
    )
    chosen = [(one["name"], one["form"]) for one in shown["attributes"] if one["name"] != LEFT_OUT]
    decided = citizen.allow(shown, chosen)
    require(decided["status"] == "GIVEN", f"the consent is {decided['status']}")
    walk.consent = decided["consent"]
    walk.story.proved("She allows it, but leaves out her other benefits", "consent GIVEN for 5 of 6, kept append-only")
    state = _require(walk.housing.state(request), 200)["state"]
    require(state == "ready", f"the request is {state}")


def _collect(walk: Walk, request: str) -> Answer:
    office, mara = walk.housing, walk.mara
    sealed = _require_token(office.collect(request))
    require(mara.name not in sealed, "the answer is not encrypted")
    answer = office.open(sealed)
    require(answer.request == request, "the answer is about another request")
    require(answer["full_name"].get("value") == mara.name, f"the name is {answer['full_name']}")
    require(answer["home_address"].get("value") == mara.address, f"the address is {answer['home_address']}")
    require(answer["household_size"].get("value") == mara.household, f"the size is {answer['household_size']}")
    walk.story.proved(
        f"The office opens the answer: {mara.name}, {mara.address}",
        "decrypts with its key; signature, audience, time hold",
    )
    require(answer["birth_date"].get("value") is True, f"of age: {answer['birth_date']}")
    require(answer["annual_income"].get("value") is True, f"income: {answer['annual_income']}")
    said = json.dumps(answer.attributes)
    require(mara.born not in said and mara.income not in said, "a weaker form betrays the value")
    walk.story.proved("18 or older: yes. Income not above 30,000: yes", "neither birthday nor income is in the answer")
    require(answer[LEFT_OUT].get("unavailable") == "not_permitted", f"left out: {answer[LEFT_OUT]}")
    require(mara.national_id not in json.dumps([answer.subject, said]), "the answer holds the national id")
    walk.story.proved(
        "What she left out is named and empty; she herself is a pseudonym",
        "not_permitted; no national id in the answer",
    )
    acknowledged = _require(office.acknowledge(request), 200)
    require(acknowledged["acknowledged_at"], "the acknowledgement is not noted")
    return answer


def _prove(walk: Walk, answer: Answer) -> None:
    receipt = answer.receipt
    promised = (receipt["integrate_by"] - receipt["accepted_at"]) / 1000
    walk.story.proved("The receipt in the answer holds", f"signed promise: in the log within {promised:.0f} seconds")
    found = wait_until(lambda: walk.proof_of(receipt["id"]), "the log holds the entry", seconds=_INTEGRATED_SECONDS)
    checkpoint = open_checkpoint(found["checkpoint"], walk.vkey)
    hashes = [base64.b64decode(one) for one in found["hashes"]]
    require(receipt["origin"] == checkpoint.origin, "the receipt is for another log")
    require_included(answer.leaf_hash, found["index"], hashes, checkpoint)
    walk.checkpoint = found["checkpoint"]
    walk.story.proved(
        f"The disclosure is entry {found['index']} of {checkpoint.size} in the public log",
        f"checked here: {len(hashes)} hashes lead from the receipt to the signed checkpoint",
    )
    consent = walk.citizen.receipt(walk.consent)
    claims = walk.housing.verify_consent_receipt(consent["signed"])
    require(claims["receipt"] == consent["receipt"], "the signed receipt says something else")
    record = consent["receipt"]["record"][0]
    walk.story.proved(
        "Mara takes her consent receipt home", f"ISO/IEC TS 27560 with {len(record)} members, signature holds"
    )


def _ask_again(walk: Walk) -> None:
    began = time.perf_counter()
    key = str(uuid.uuid4())
    answered = _require(walk.ask(ASKED, case="HB-2026-0051", key=key), 200)
    took = (time.perf_counter() - began) * 1000
    answer = walk.housing.open(answered["response"])
    require(answer["full_name"].get("value") == walk.mara.name, "another answer")
    walk.story.proved("The same request again is answered at once", f"200 in {took:.0f} ms, under the same consent")
    repeated = _require(walk.ask(ASKED, case="HB-2026-0051", key=key), 200)
    require(repeated["id"] == answered["id"] and "response" not in repeated, f"the repetition gave {repeated}")
    walk.story.proved(
        "Sent twice by mistake, it has one effect", "same Idempotency-Key, same request, nothing disclosed"
    )
    weaker = walk.housing.open(_require(walk.ask(ADULT, case="HB-2026-0052"), 200)["response"])
    require([one.get("value") for one in weaker.attributes] == [True], f"answered {weaker.attributes}")
    require(weaker.subject == answer.subject, "the pseudonym changed")
    walk.story.proved("Asked for less, it tells less: “18 or older?” — yes", "one bit, and the same pseudonym")


def _attack(walk: Walk) -> None:
    office = walk.housing
    outside = [*ADULT, {"name": LEFT_OUT, "form": "exists", "required": True}]
    refused = _require(walk.ask(outside), 403)
    require(refused["type"].endswith(":not-permitted") and "response" not in refused, f"refused as {refused['type']}")
    walk.story.proved("What she left out is refused, though the agreement has it", "403, no reason given")
    stronger = _require(walk.ask([{"name": "birth_date", "form": "value"}]), 403)
    require(stronger["type"].endswith(":outside-agreement"), f"refused as {stronger['type']}")
    walk.story.proved("The birthday itself is refused", "403: the agreement has “18 or older” only, and says so")
    proof = office.device.proof("POST", "/v1/attribute-requests")
    first = _require(walk.ask(ADULT, proof=proof), 200)
    replayed = walk.ask(ADULT, proof=proof)
    require("response" in first, "the first use of a proof is refused")
    _require(replayed, 401)
    require("invalid_dpop_proof" in replayed.headers.get("WWW-Authenticate", ""), "the replay is refused otherwise")
    walk.story.proved("A call recorded on the way and sent again is refused", "401: a DPoP proof is good once")
    # That was the fourth answer about her age, which is what the agreement grants in a year.
    refused = _require(walk.ask(ADULT), 403)
    require(refused["type"].endswith(":not-permitted"), f"refused as {refused['type']}")
    walk.story.proved(
        "The fifth question about her age in a year is refused", "403: no asking until the birthday shows"
    )


def _proved_history(walk: Walk) -> dict[str, Any] | None:
    """The history once every line of it has its proof; an entry is integrated a moment after it was accepted."""
    page = walk.citizen.history()
    return page if all(one["proof"] for one in page["disclosures"]) else None


def _require(answer: Response, status: int) -> dict[str, Any]:
    """The body of an answer that has this status."""
    place = f"{answer.request.method} {answer.request.url.path}"
    require(answer.status_code == status, f"{place}: expected {status}, got {answer.status_code} {answer.text}")
    body: dict[str, Any] = answer.json()
    return body


def _require_token(answer: Response) -> str:
    media = answer.headers.get("Content-Type", "")
    require(
        answer.status_code == 200 and media == "application/jwt", f"{answer.status_code} {media} {answer.text[:300]}"
    )
    return answer.text


def _headers(answer: Response) -> set[str]:
    return {name.lower() for name in answer.headers}


CHAPTERS: tuple[Callable[[Walk], None], ...] = (main_job, live_registry, history_and_withdrawal)
