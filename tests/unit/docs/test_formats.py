"""The worked examples of docs/formats.md are test vectors: each is taken from the page and held against the code."""

import json
from datetime import date
from hashlib import sha256
from uuid import UUID

import pytest

from consent.events import MEMBERS, ConsentEvent
from consent.events import EventType as LedgerEvent
from crypto import canonical
from crypto.blind_index import BlindIndex, normalise
from crypto.encoding import lp16_text
from crypto.envelope import LocalKeyWrapper, unwrap_kek
from crypto.fields import DataKey, FieldAddress, open_field
from crypto.jose import EncryptionPrivateKey, decrypt_jwe, load_public_jwk, unverified_header, verify_jws
from crypto.keyset import ALGORITHM_OF
from crypto.merkle import Frontier, hash_leaf
from crypto.pseudonym import PseudonymKey
from exchange.access import single_use_digest
from exchange.answers import ANSWER_TYPE, envelopes
from exchange.audit.commitments import check_openings, commitment, parse_openings
from exchange.audit.entry import decode_entry
from exchange.audit.receipts import verify_receipt
from exchange.audit.state_file import format_state, parse_state
from exchange.audit.tiles import decode_bundle
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_openings, verify_proof
from exchange.catalogue import catalogue_from_body, parse_catalogue
from exchange.model import HeldValue, RequestedAttribute, SubjectName
from exchange.providers.protocol import subject_digest
from exchange.providers.vault import decode_value, encode_value
from tests.architecture.tree import ROOT
from tests.unit.docs.documents import examples, flowing, names, read, table
from tests.vectors import load

PAGE = read("docs/formats.md")
EXAMPLES = examples(PAGE)
PUBLISHED = {name: text for name, text in EXAMPLES.items() if "#" in name}
OWN = {name: text for name, text in EXAMPLES.items() if "#" not in name}
SUBJECT = UUID("01990000-0000-7000-8000-000000000002")


def shown(path):
    return EXAMPLES[f"cdx_formats.json#{path}"]


def raw(path):
    return bytes.fromhex(shown(path))


def test_the_page_has_its_examples():
    assert len(PUBLISHED) >= 15
    assert len(OWN) >= 15


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_example_from_the_vectors_is_the_one_that_is_published(name):
    file, _, path = name.partition("#")
    value = load(file)
    for part in path.split("."):
        value = value[int(part)] if part.isdigit() else value[part]
    assert PUBLISHED[name].rstrip("\n") == str(value).rstrip("\n")


def test_the_sealed_field_opens_at_the_place_that_the_page_names_only():
    key = DataKey.from_bytes(raw("field.data_key"))
    assert key.commitment == raw("field.commitment")
    place = {"installation": UUID(int=SUBJECT.int - 1), "subject_ref": SUBJECT, "record_id": UUID(int=SUBJECT.int + 1)}
    address = FieldAddress(table="subject_attribute", column="value", version=7, **place)
    sealed = raw("field.cases.1.sealed")
    assert open_field(key, sealed, address=address) == b"1984-05-17"
    assert b"cdx/field/v1" + sealed[:18] + address.binding() == raw("field.cases.1.aad")


def test_the_wrapped_keys_open():
    kek = unwrap_kek(LocalKeyWrapper(raw("envelope.root_key")), raw("envelope.wrapped_kek"), 5)
    assert kek.material == raw("envelope.kek")
    key = kek.unwrap_data_key(raw("envelope.wrapped_data_key"), subject_ref=SUBJECT, commitment=raw("field.commitment"))
    assert key.material() == raw("field.data_key")


def test_the_purposes_of_keys_are_those_of_the_code():
    from api.keyfiles import PURPOSES

    said = {names(row["purpose"])[0]: (row["algorithm"], row["keyset"]) for row in table(PAGE, "purpose", "algorithm")}
    sets = {purpose: name for name, purposes in PURPOSES.items() for purpose in purposes}
    assert said == {purpose.value: (algorithm, sets[purpose]) for purpose, algorithm in ALGORITHM_OF.items()}


def test_the_blind_index_and_the_pseudonym_come_out():
    index = BlindIndex(key=raw("blind_index.root"), version=1, table="subject_identifier", column="value")
    assert index.compute("national-id", normalise(" 0105-984 715023 ")) == raw("blind_index.index")
    pseudonyms = PseudonymKey(key=raw("pseudonym.key"), version=1)
    assert pseudonyms.derive(agency="tax-administration", subject_ref=SUBJECT) == shown("pseudonym.pseudonym")


def test_the_single_use_digest_comes_out():
    digest = single_use_digest("dpop-proof", "Vn3kJ0mZcC2V4b0K3R6bWQyHkqYw4N1m1Y8jYyq0X2E", "4f1c")
    assert digest.hex() == OWN["single_use"]
    parts = ("dpop-proof", "Vn3kJ0mZcC2V4b0K3R6bWQyHkqYw4N1m1Y8jYyq0X2E", "4f1c")
    assert sha256(b"".join(map(lp16_text, parts))).hexdigest() == OWN["single_use"]


@pytest.mark.parametrize(("name", "state"), [("vault", "present"), ("vault_absent", "absent")])
def test_the_content_of_a_sealed_value_is_read_and_written_alike(name, state):
    held = decode_value(OWN[name].encode(), "birth_date", "population-register")
    assert held.state == state
    assert encode_value(held).decode() == OWN[name]


def test_the_entry_has_the_leaf_hash_and_its_openings_fit():
    entry = decode_entry(OWN["entry"].encode())
    assert entry.leaf_hash.hex() == OWN["leaf"] == hash_leaf(OWN["entry"].encode()).hex()
    openings = parse_openings(OWN["openings"].encode())
    check_openings(entry, openings)
    for fact in openings.facts:
        text = b"cdx/sd/v1" + fact.salt + lp16_text(fact.name) + lp16_text(fact.value)
        assert sha256(text).digest() == commitment(fact.salt, fact.name, fact.value) == entry.commitments[fact.index]
    assert verify_openings(OWN["entry"].encode(), OWN["openings"].encode()).ok


def test_the_table_of_an_entrys_members_is_the_order_of_the_bytes():
    said = [names(row["member"])[0] for row in table(PAGE, "member", "content")]
    entry = list(json.loads(OWN["entry"]))
    assert said == sorted(said)
    assert [name for name in said if name in entry] == entry


def test_the_frontier_and_the_bundle_are_read():
    frontier = Frontier()
    for leaf in range(5):
        frontier.append(hash_leaf(bytes([leaf])))
    assert frontier.to_bytes() == raw("frontier.serialised")
    assert decode_bundle(bytes.fromhex(OWN["bundle"]), 2) == [b"ab", b"c"]


def test_the_proof_file_verifies_under_the_verifier_key_of_the_page():
    report = verify_proof(OWN["proof"], Trust.of(shown("checkpoint.vkey")))
    assert report.ok, report.explain()
    assert OWN["entry"].encode() in canonical_extra(OWN["proof"])
    broken = OWN["proof"].replace("index 1", "index 0")
    assert not verify_proof(broken, Trust.of(shown("checkpoint.vkey"))).ok


def test_the_state_of_a_verifier_is_read_and_its_checkpoint_verifies():
    state = parse_state(OWN["log_state"])
    assert (state.since, state.cosigned) == (1772443800, 1772443790)
    assert Trust.of(shown("checkpoint.vkey")).open(state.note).checkpoint.size == 3
    assert format_state(state) == OWN["log_state"]


def canonical_extra(proof):
    from exchange.audit.proof_file import parse_proof

    extra = parse_proof(proof).extra
    assert extra is not None
    return extra


def test_the_receipt_promises_the_entry():
    receipt = verify_receipt(OWN["receipt"], key=load_public_jwk(json.loads(OWN["receipt_key"]), use="sig"))
    assert receipt.leaf_hash.hex() == OWN["leaf"]
    verified = verify_jws(
        OWN["receipt"], key=load_public_jwk(json.loads(OWN["receipt_key"]), use="sig"), typ="entry-receipt+jwt"
    )
    assert verified.payload.decode() == OWN["receipt_payload"]


def test_the_answer_opens_verifies_and_is_padded():
    key = EncryptionPrivateKey.from_jwk(json.loads(OWN["client_key"]))
    assert {"alg", "enc", "kid", "cty", "epk"} == unverified_header(OWN["jwe"]).keys()
    signed = decrypt_jwe(OWN["jwe"], key=key).decode()
    verified = verify_jws(signed, key=load_public_jwk(json.loads(OWN["answer_key"]), use="sig"), typ=ANSWER_TYPE)
    assert verified.payload.decode() == OWN["claims"]
    assert len(verified.payload) % 192 == 0
    assert verified.claims()["receipt"] == OWN["receipt"]
    listed = names(flowing(PAGE).partition("Claims in this order: ")[2].partition(".")[0])
    assert listed == list(verified.claims())


def test_the_items_of_the_answer_are_what_is_made_of_such_a_value():
    attributes = json.loads(OWN["claims"])["attributes"]
    body = parse_catalogue((ROOT / "demo/country/catalogue.yaml").read_text(encoding="utf-8"))
    held = HeldValue(
        name="birth_date",
        provider="population-register",
        state="present",
        value="1984-05-17",
        last_updated="2026-01-15",
    )
    line = RequestedAttribute(name="birth_date", form="at_least:18")
    made = envelopes([line], [], {"birth_date": held}, catalogue_from_body(1, body), today=date(2026, 3, 2))
    assert attributes == made
    facts = parse_openings(OWN["openings"].encode()).values()
    assert facts["answer"] == sha256(canonical.encode(attributes)).hexdigest()


def test_the_consent_event_is_read_and_has_the_digest():
    event = ConsentEvent.read(OWN["consent"].encode(), entry_id=UUID(int=1))
    assert event.digest == OWN["consent_digest"]
    assert canonical.encode(canonical.decode(OWN["consent"].encode())).decode() == OWN["consent"]


def test_the_members_of_consent_events_are_those_of_the_code():
    said = {}
    for row in table(PAGE, "type", "must have", "may have"):
        for name in names(row["type"]):
            said[name] = (set(names(row["must have"])), set(names(row["may have"])))
    assert said == {kind.value: (set(must), set(may)) for kind, (must, may) in MEMBERS.items()}
    assert set(said) == {kind.value for kind in LedgerEvent}


def test_the_name_of_a_person_in_a_providers_answer_comes_out():
    assert subject_digest(SubjectName(scheme="national-id", id="0105-984 715023")) == OWN["subject_digest"]


def test_every_example_is_used():
    used = {
        "single_use",
        "vault",
        "vault_absent",
        "entry",
        "leaf",
        "openings",
        "bundle",
        "proof",
        "log_state",
        "receipt_key",
        "receipt",
        "receipt_payload",
        "answer_key",
        "client_key",
        "claims",
        "jwe",
        "consent",
        "consent_digest",
        "subject_digest",
    }
    assert used == OWN.keys(), "give each example of docs/formats.md a test here"
