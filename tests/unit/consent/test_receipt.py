"""Receipts: every mandatory field of ISO/IEC TS 27560, the published shape, and a signature that one bit breaks."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

import consent
from consent.dpv import CONTEXT, STATUS
from consent.events import EventType as E
from consent.lifecycle import fold
from consent.model import ActorKind, ConsentStatus, LegalBasis
from consent.receipt import build_receipt, receipt_schema, sign_receipt, verify_receipt
from crypto.errors import MalformedError, UnknownKeyError, VerificationError
from crypto.jose import SigningKey, sign_jws
from tests.unit.consent.examples import (
    ACTORS,
    CONTENTS,
    DAY,
    NOW,
    PAPER,
    SCOPE,
    SUBJECT_REF,
    TERMS,
    event,
    history,
)
from tests.unit.consent.receipts import DETAILS, ISSUER, PRINCIPAL, RECEIPT_ID
from tests.unit.consent.test_transitions import ROAD

KEY = SigningKey.generate("answers-1")
# Read off DPV 2.3 (dpv.csv) and its GDPR extension: the terms that a receipt may use.
DPV_TERMS = set(Path(__file__).with_name("dpv-2.3-terms.txt").read_text("ascii").split())
GDPR_TERMS = {"A6-1-a", "A6-1-a-explicit-consent", "A7-3", "A15", "A16", "A17", "A18", "A20", "A77"}


def receipt_of(events, *, now=None, details=DETAILS):
    now = now or events[-1].at
    return build_receipt(events, details, receipt_id=RECEIPT_ID, pii_principal_id=PRINCIPAL, now=now)


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(inner)


GIVEN = history(E.REQUESTED, E.GIVEN)
RECEIPT = receipt_of(GIVEN)


@pytest.mark.parametrize("status", ConsentStatus)
def test_a_receipt_of_every_status_has_the_published_shape(status):
    receipt = receipt_of(history(*ROAD[status]))
    schema = json.loads((Path(consent.__file__).parent / "receipt.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(receipt, schema, jsonschema.Draft202012Validator)
    record = receipt["record"][0]
    assert (record["status"], record["state"]) == (status.value, STATUS[status])
    assert [one["sequence"] for one in record["events"]] == list(range(1, len(ROAD[status]) + 1))
    assert verify_receipt(sign_receipt(receipt, key=KEY, issuer=ISSUER), key=KEY.public_key(), issuer=ISSUER)


def test_the_mandatory_fields_of_the_standard():
    record = RECEIPT["record"][0]
    assert {"schema_version", "receipt_id", "created"} <= RECEIPT.keys()
    assert {"schema_version", "record_id", "pii_principal_id"} <= record.keys()
    assert {
        "privacy_notice", "language", "purposes", "pii_information", "pii_controllers", "storage_locations",
        "retention_period", "jurisdiction", "recipient_third_parties", "withdrawal_method",
        # and by the profile for the GDPR
        "lawful_basis", "collection_method", "processing_method", "processing_locations", "geographic_restrictions",
        "privacy_rights", "authority_party",
    } <= record["processing"][0].keys()  # fmt: skip
    for one in record["parties"]:
        assert {"party_id", "party_name", "party_address", "party_contact", "party_role", "party_type"} <= one.keys()
    for one in record["events"]:
        assert {"event_time", "validity_duration", "entity_id", "event_type", "event_state"} <= one.keys()
    assert RECEIPT["schema_version"] == "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
    assert record["schema_version"] == "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"


def test_it_says_what_was_decided():
    record = RECEIPT["record"][0]
    processing, giving = record["processing"][0], record["events"][1]
    assert processing["privacy_notice"]["version"] == giving["notice_version"] == "housing-2026.1"
    assert processing["lawful_basis"].endswith("#A6-1-a")
    assert [
        (one["pii_attribute_id"], one["pii_form"], one["pii_optional"]) for one in processing["pii_information"]
    ] == [("income", "at_least", False)]
    assert processing["pii_information"][0]["@type"] == "dpv:SensitivePersonalData"
    assert giving["event_time"] == "2026-03-02T10:30:00.123Z"
    assert giving["validity_duration"] == {
        "@type": "dpv:UntilTimeDuration",
        "valid_from": "2026-03-02T09:30:00.123Z",
        "valid_until": "2026-05-31T09:30:00.123Z",
    }
    assert (giving["entity_id"], giving["indication_method"], giving["language"]) == (PRINCIPAL, "portal", "en")
    assert (giving["event_digest"], giving["audit_entry"]) == (GIVEN[1].digest, str(GIVEN[1].entry_id))
    assert record["events"][0]["entity_id"] == "housing"


def test_a_paper_decision_in_another_language_shows_what_was_shown():
    events = [GIVEN[0], event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], manner=PAPER))]
    record = receipt_of(events)["record"][0]
    assert record["processing"][0]["language"] == "fr"
    giving = record["events"][1]
    assert (giving["indication_method"], giving["paper_scan_sha256"]) == ("paper", "ab" * 32)
    assert "clerk" not in json.dumps(record)


def test_a_representative_stands_beside_the_person():
    events = [GIVEN[0], event(E.GIVEN, 2, actor=ACTORS[ActorKind.REPRESENTATIVE])]
    giving = receipt_of(events)["record"][0]["events"][1]
    assert (giving["entity_id"], giving["on_behalf_of"], giving["mandate"]) == ("parent-7", PRINCIPAL, "mandate-3")


def test_a_renewal_says_so():
    old = TERMS.agreement_id
    events = [GIVEN[0], event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], replaces=old))]
    record = receipt_of(events)["record"][0]
    assert record["events"][1]["event_state"] == record["state"] == "dpv:RenewedConsentGiven"
    assert record["replaces"] == str(old)


def test_uses_are_occurrences():
    asked = event(E.REQUESTED, 1, content=replace(CONTENTS[E.REQUESTED], terms=replace(TERMS, uses=1)))
    given = event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], uses=1))
    validity = receipt_of([asked, given])["record"][0]["events"][1]["validity_duration"]
    assert (validity["@type"], validity["uses"]) == ("dpv:FixedOccurrencesDuration", 1)


def test_special_categories_and_explicit_consent():
    ground = LegalBasis.EXPLICIT_CONSENT
    asked = event(E.REQUESTED, 1, content=replace(CONTENTS[E.REQUESTED], terms=replace(TERMS, legal_basis=ground)))
    given = event(E.GIVEN, 2, content=replace(CONTENTS[E.GIVEN], legal_basis=ground))
    special = replace(DETAILS, items=tuple(replace(item, special=True) for item in DETAILS.items))
    record = receipt_of([asked, given], details=special)["record"][0]
    assert record["processing"][0]["lawful_basis"].endswith("#A6-1-a-explicit-consent")
    assert record["processing"][0]["pii_information"][0]["@type"] == "dpv:SpecialCategoryPersonalData"
    assert record["events"][1]["event_type"] == "dpv:ExplicitlyExpressedConsent"


def test_expiry_shows_although_nobody_wrote_it_down():
    record = receipt_of(GIVEN, now=NOW + 100 * DAY)["record"][0]
    assert (record["status"], len(record["events"])) == ("EXPIRED", 2)


def test_a_receipt_of_an_earlier_time_holds_only_what_had_happened():
    record = receipt_of(GIVEN, now=NOW + timedelta(minutes=1))["record"][0]
    assert (record["status"], len(record["events"])) == ("REQUESTED", 1)
    assert len(record["processing"][0]["pii_information"]) == len(SCOPE)


@pytest.mark.invariant(8)
@pytest.mark.parametrize("status", ConsentStatus)
def test_neither_the_person_nor_the_staff_can_be_found_from_it(status):
    text = json.dumps(receipt_of(history(*ROAD[status])))
    for hidden in (str(SUBJECT_REF), "officer-2", '"subject"', "clerk-"):
        assert hidden not in text


def test_every_term_is_in_the_vocabulary_and_every_member_in_the_context():
    receipts = [receipt_of(history(*ROAD[status])) for status in ConsentStatus]
    texts = {text for text in walk([*receipts, CONTEXT]) if isinstance(text, str)}
    assert {text.removeprefix("dpv:") for text in texts if text.startswith("dpv:")} <= DPV_TERMS
    assert {text.removeprefix("eu-gdpr:") for text in texts if text.startswith("eu-gdpr:")} <= GDPR_TERMS
    members = {name for value in walk([one["record"] for one in receipts]) if isinstance(value, dict) for name in value}
    assert members - CONTEXT.keys() <= {"@type", "@id"}
    for target in CONTEXT.values():
        name = target["@id"] if isinstance(target, dict) else target
        assert "://" in name or name.startswith("urn:") or name.split(":")[0] in CONTEXT


def test_an_attribute_without_description_stops_the_receipt():
    with pytest.raises(ValueError, match="income"):
        receipt_of(GIVEN, details=replace(DETAILS, items=DETAILS.items[1:]))


@pytest.mark.parametrize(
    "changes",
    [
        {"retention": "two years"},
        {"retention": "P"},
        {"storage_locations": ()},
        {"withdrawal_url": "javascript:alert(1)"},
        {"notice_url": ""},
        {"purpose_type": "rent"},
        {"controller": replace(DETAILS.controller, address="")},
        {"sources": ()},
    ],
)
def test_a_receipt_that_lacks_something_is_not_made(changes):
    with pytest.raises(ValueError, match="published"):
        receipt_of(GIVEN, details=replace(DETAILS, **changes))


# Signed


TOKEN = sign_receipt(RECEIPT, key=KEY, issuer=ISSUER)
CLAIMS = {"iss": ISSUER, "iat": 1772447400, "jti": str(RECEIPT_ID), "receipt": RECEIPT}


def verify(token, *, key=None, issuer=ISSUER):
    return verify_receipt(token, key=key or KEY.public_key(), issuer=issuer)


def resigned(*path, to=None, remove=False):
    claims = json.loads(json.dumps(CLAIMS))
    place = claims
    for name in path[:-1]:
        place = place[name]
    if remove:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return sign_jws(claims, key=KEY, typ="consent-receipt+jwt")


def test_a_signed_receipt_is_verified():
    verified = verify(TOKEN)
    assert verified.receipt == RECEIPT
    assert (verified.receipt_id, verified.issuer, verified.kid) == (RECEIPT_ID, ISSUER, "answers-1")
    assert verified.issued_at == GIVEN[-1].at
    assert verify(sign_jws(CLAIMS, key=KEY, typ="consent-receipt+jwt")) == verified
    assert fold(GIVEN, verified.issued_at).may_process


def test_one_changed_bit_breaks_it():
    for place in range(0, len(TOKEN), 37):
        for bit in (1, 4):
            spoiled = TOKEN[:place] + chr(ord(TOKEN[place]) ^ bit) + TOKEN[place + 1 :]
            with pytest.raises((MalformedError, VerificationError)):
                verify(spoiled)


def test_another_key_does_not_do():
    with pytest.raises(VerificationError):
        verify(TOKEN, key=SigningKey.generate("answers-1").public_key())
    with pytest.raises(VerificationError):
        verify(TOKEN, key=SigningKey.generate("answers-1", "Ed25519").public_key())


def test_a_key_nobody_knows():
    def find(header):
        raise UnknownKeyError(f"no key {header['kid']}")

    with pytest.raises(UnknownKeyError):
        verify(TOKEN, key=find)


@pytest.mark.parametrize(
    ("fault", "token", "error"),
    [
        ("another type of token", sign_jws(CLAIMS, key=KEY, typ="entry-receipt+jwt"), VerificationError),
        ("no claims", sign_jws(b"[]", key=KEY, typ="consent-receipt+jwt"), MalformedError),
        ("another issuer", sign_receipt(RECEIPT, key=KEY, issuer="https://other.example"), MalformedError),
        ("another id", resigned("jti", to=str(TERMS.agreement_id)), MalformedError),
        ("another time", resigned("iat", to=1772447401), MalformedError),
        ("time as text", resigned("iat", to="1772447400"), MalformedError),
        ("a further claim", resigned("exp", to=1), MalformedError),
        ("no receipt", resigned("receipt", remove=True), MalformedError),
        ("an empty receipt", resigned("receipt", to={}), MalformedError),
        ("the 31st of February", resigned("receipt", "created", to="2026-02-31T10:30:00.123Z"), MalformedError),
        ("no id", resigned("receipt", "receipt_id", to="1"), MalformedError),
        ("no record", resigned("receipt", "record", to=[]), MalformedError),
        ("two records", resigned("receipt", "record", to=RECEIPT["record"] * 2), MalformedError),
        ("no events", resigned("receipt", "record", 0, "events", to=[]), MalformedError),
        ("no rights", resigned("receipt", "record", 0, "processing", 0, "privacy_rights", to=[]), MalformedError),
        ("no words", resigned("receipt", "record", 0, "events", 1, "notice_version", remove=True), MalformedError),
        ("no such term", resigned("receipt", "record", 0, "state", to="dpv:ConsentTerminated"), MalformedError),
        ("an unknown member", resigned("receipt", "record", 0, "note", to="hello"), MalformedError),
        ("only a pointer", resigned("receipt", "record", 0, to="https://exchange.example/records/1"), MalformedError),
        ("cut off", TOKEN[:-1], MalformedError),
        ("too long", TOKEN + "A" * 140_000, MalformedError),
        ("unsigned", "eyJhbGciOiJub25lIn0.e30.", MalformedError),
    ],
)  # fmt: skip
def test_receipts_that_are_refused(fault, token, error):
    with pytest.raises(error):
        verify(token)


def test_the_schema_is_closed():
    for value in walk(receipt_schema()):
        if isinstance(value, dict) and "properties" in value and value.get("type") == "object":
            assert value["additionalProperties"] is False
