"""Our formats, byte by byte: the vectors, and an independent computation of each beside the code."""

import hmac
from datetime import UTC, datetime
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.blind_index import BlindIndex, normalise
from crypto.checkpoint import (
    Checkpoint,
    NoteSigner,
    NoteVerifier,
    cosign,
    format_checkpoint,
    open_note,
    parse_checkpoint,
    read_note,
    sign_note,
)
from crypto.envelope import KeyEncryptionKey, LocalKeyWrapper, unwrap_kek
from crypto.errors import CryptoError
from crypto.fields import DataKey, FieldAddress, FieldContext, open_field, row_binding, seal_field, sealed_kid
from crypto.keyset import Key, KeyPurpose, Keyset, KeyStatus, open_keyset, seal_keyset
from crypto.merkle import Frontier, hash_leaf
from crypto.pseudonym import PseudonymKey
from crypto.xaes import XAES256GCM
from tests.vectors import load

VECTORS = load("cdx_formats.json")
MUST_FAIL = load("cdx_must_fail.json")
FIELD = VECTORS["field"]
ENVELOPE = VECTORS["envelope"]
CHECKPOINT = VECTORS["checkpoint"]


def expand(key, info):
    return HKDFExpand(algorithm=SHA256(), length=32, info=info).derive(key)


def lp16(data):
    return len(data).to_bytes(2, "big") + data


def field_address(version=FIELD["cases"][1]["version"]):
    return FieldAddress(
        installation=UUID(FIELD["installation"]),
        table=FIELD["table"],
        column=FIELD["column"],
        subject_ref=UUID(FIELD["subject_ref"]),
        record_id=UUID(FIELD["record_id"]),
        version=version,
    )


def test_a_data_key_is_named_by_its_commitment():
    material = bytes.fromhex(FIELD["data_key"])
    key = DataKey.from_bytes(material)
    assert key.commitment.hex() == FIELD["commitment"] == expand(material, b"cdx/field/v1 commit").hex()
    assert key.kid.hex() == FIELD["kid"] == FIELD["commitment"][:32]


@pytest.mark.parametrize("case", FIELD["cases"], ids=lambda case: f"{len(case['value'])} characters")
def test_the_published_bytes_of_a_field_open(case):
    key = DataKey.from_bytes(bytes.fromhex(FIELD["data_key"]))
    sealed = bytes.fromhex(case["sealed"])
    assert open_field(key, sealed, address=field_address(case["version"])).decode() == case["value"]
    assert sealed_kid(sealed).hex() == FIELD["kid"]


@pytest.mark.parametrize("case", FIELD["cases"], ids=lambda case: f"{len(case['value'])} characters")
def test_sealing_gives_the_published_bytes_but_for_the_nonce(case):
    material, value = bytes.fromhex(FIELD["data_key"]), case["value"].encode()
    sealed = seal_field(
        DataKey.from_bytes(material), value, address=field_address(case["version"]), pad_to=case["pad_to"]
    )
    aad = (
        b"cdx/field/v1"
        + sealed[:18]
        + UUID(FIELD["installation"]).bytes
        + lp16(b"subject_attribute")
        + lp16(b"value")
        + UUID(FIELD["subject_ref"]).bytes
        + UUID(FIELD["record_id"]).bytes
        + case["version"].to_bytes(4, "big")
    )
    assert aad.hex() == case["aad"]
    padded = b"\x01" + value + b"\x80"
    padded += bytes(-len(padded) % case["pad_to"])
    expected = AESGCM(expand(material, b"cdx/field/v1 enc")).encrypt(sealed[18:30], padded, aad)
    assert sealed == b"\xc1\x01" + bytes.fromhex(FIELD["kid"]) + sealed[18:30] + expected
    assert len(sealed) == len(case["sealed"]) // 2


def test_the_fast_form_and_the_address_name_the_same_place():
    key = DataKey.generate()
    address = field_address()
    context = FieldContext(installation=address.installation, table=address.table, column=address.column)
    row = row_binding(subject_ref=address.subject_ref, record_id=address.record_id, version=address.version)
    assert context.binding + row == address.binding()
    assert context.open(key, seal_field(key, b"x", address=address), row) == b"x"
    assert open_field(key, context.seal(key, b"x", row), address=address) == b"x"


def test_the_published_wrapped_keys_open():
    wrapper = LocalKeyWrapper(bytes.fromhex(ENVELOPE["root_key"]))
    kek = unwrap_kek(wrapper, bytes.fromhex(ENVELOPE["wrapped_kek"]), ENVELOPE["epoch"])
    assert kek.material.hex() == ENVELOPE["kek"]
    key = kek.unwrap_data_key(
        bytes.fromhex(ENVELOPE["wrapped_data_key"]),
        subject_ref=UUID(ENVELOPE["subject_ref"]),
        commitment=bytes.fromhex(ENVELOPE["commitment"]),
    )
    assert key.material().hex() == ENVELOPE["data_key"]


def test_wrapping_binds_person_commitment_and_epoch_in_this_order():
    kek = KeyEncryptionKey(epoch=5, material=bytes.fromhex(ENVELOPE["kek"]))
    key, subject = DataKey.generate(), UUID(ENVELOPE["subject_ref"])
    aad = b"cdx/dek/v1" + subject.bytes + key.commitment + b"\x00\x00\x00\x05"
    opened = XAES256GCM(kek.material).open(kek.wrap_data_key(key, subject_ref=subject), aad=aad)
    assert opened == key.material()


def test_the_published_blind_index():
    vector = VECTORS["blind_index"]
    root = bytes.fromhex(vector["root"])
    index = BlindIndex(key=root, version=vector["version"], table=vector["table"], column=vector["column"])
    assert normalise(vector["identifier"]) == vector["normalised"]
    assert index.compute(vector["scheme"], vector["normalised"]).hex() == vector["index"]
    info = b"cdx/bidx/v1" + lp16(vector["table"].encode()) + lp16(vector["column"].encode()) + b"\x00\x00\x00\x01"
    text = lp16(b"national-id") + lp16(vector["normalised"].encode())
    assert hmac.digest(expand(root, info), text, "sha256")[:16].hex() == vector["index"]


def test_the_published_pseudonym():
    vector = VECTORS["pseudonym"]
    key = PseudonymKey(key=bytes.fromhex(vector["key"]), version=vector["version"])
    assert key.derive(agency=vector["agency"], subject_ref=UUID(vector["subject_ref"])) == vector["pseudonym"]


def test_the_published_frontier():
    vector = VECTORS["frontier"]
    frontier = Frontier()
    for leaf in vector["leaves"]:
        frontier.append(hash_leaf(bytes.fromhex(leaf)))
    assert frontier.to_bytes().hex() == vector["serialised"]
    assert frontier.root().hex() == vector["root"]
    assert Frontier.from_bytes(frontier.to_bytes()) == frontier


def test_the_published_checkpoint_note_and_cosignature():
    checkpoint = Checkpoint(
        origin=CHECKPOINT["origin"], size=CHECKPOINT["size"], root=bytes.fromhex(CHECKPOINT["root"])
    )
    assert format_checkpoint(checkpoint) == CHECKPOINT["text"]
    assert parse_checkpoint(CHECKPOINT["text"]) == checkpoint
    signer = NoteSigner(CHECKPOINT["origin"], bytes.fromhex(CHECKPOINT["seed"]))
    assert signer.vkey == CHECKPOINT["vkey"]
    assert sign_note(CHECKPOINT["text"], [signer]) == CHECKPOINT["note"]
    line = cosign(
        CHECKPOINT["text"],
        name=CHECKPOINT["witness"],
        seed=bytes.fromhex(CHECKPOINT["witness_seed"]),
        time=CHECKPOINT["time"],
    )
    assert line == CHECKPOINT["cosignature"]
    verifiers = [NoteVerifier.parse(CHECKPOINT["vkey"]), NoteVerifier.parse(CHECKPOINT["witness_vkey"])]
    note = read_note(CHECKPOINT["note"] + line, verifiers)
    assert [(signature.name, signature.time) for signature in note.signatures] == [
        (CHECKPOINT["origin"], None),
        (CHECKPOINT["witness"], CHECKPOINT["time"]),
    ]


def test_the_published_keyset_opens():
    vector = VECTORS["keyset"]
    created_at = datetime.fromtimestamp(1764000000, UTC)
    keyset = open_keyset(bytes.fromhex(vector["sealed"]), root_key=bytes.fromhex(vector["root_key"]))
    assert keyset == Keyset(
        keys=(
            Key(
                kid="v1",
                purpose=KeyPurpose.PSEUDONYM,
                algorithm="A256",
                status=KeyStatus.ENABLED,
                is_primary=True,
                material=bytes.fromhex(VECTORS["pseudonym"]["key"]),
                created_at=created_at,
            ),
            Key(
                kid="0011223344556677",
                purpose=KeyPurpose.LOG_SIGNING,
                algorithm="Ed25519",
                status=KeyStatus.DISABLED,
                is_primary=False,
                material=bytes.fromhex(CHECKPOINT["seed"]),
                created_at=created_at,
            ),
            Key(
                kid="8899aabbccddeeff",
                purpose=KeyPurpose.TOKEN_SIGNING,
                algorithm="ES256",
                status=KeyStatus.DESTROYED,
                is_primary=False,
                material=b"",
                created_at=created_at,
            ),
        )
    )
    magic = b"cdx/keyset/v1\n"
    sealed = seal_keyset(keyset, root_key=bytes.fromhex(vector["root_key"]))
    plaintext = XAES256GCM(bytes.fromhex(vector["root_key"])).open(sealed.removeprefix(magic), aad=magic)
    assert plaintext.decode() == vector["plaintext"]


def open_published_field(value):
    key = DataKey.from_bytes(bytes.fromhex(FIELD["data_key"]))
    return open_field(key, bytes.fromhex(value), address=field_address())


def unwrap_published_data_key(value):
    return KeyEncryptionKey(epoch=5, material=bytes.fromhex(ENVELOPE["kek"])).unwrap_data_key(
        bytes.fromhex(value),
        subject_ref=UUID(ENVELOPE["subject_ref"]),
        commitment=bytes.fromhex(ENVELOPE["commitment"]),
    )


READERS = {
    "field": open_published_field,
    "wrapped_data_key": unwrap_published_data_key,
    "keyset": lambda value: open_keyset(bytes.fromhex(value), root_key=bytes.fromhex(VECTORS["keyset"]["root_key"])),
    "frontier": lambda value: Frontier.from_bytes(bytes.fromhex(value)),
    "checkpoint": parse_checkpoint,
    "note": lambda value: open_note(value, [NoteVerifier.parse(CHECKPOINT["vkey"])]),
    "vkey": NoteVerifier.parse,
}


@pytest.mark.parametrize("case", MUST_FAIL, ids=lambda case: f"{case['format']}: {case['fault']}")
def test_one_fault_is_enough(case):
    with pytest.raises(CryptoError) as caught:
        READERS[case["format"]](case["value"])
    assert caught.value.code == case["error"]


def test_every_format_with_a_must_fail_vector_has_a_valid_one():
    assert set(READERS) == {case["format"] for case in MUST_FAIL}
    assert open_published_field(FIELD["cases"][1]["sealed"])
    assert unwrap_published_data_key(ENVELOPE["wrapped_data_key"])
