import json
from datetime import timedelta

import pytest

from crypto.encoding import b64u_decode, b64u_encode
from crypto.errors import MalformedError, VerificationError
from crypto.jose import SigningKey, sign_jws
from exchange.audit.receipts import RECEIPT_TYPE, issue_receipt, verify_receipt
from tests.unit.audit.samples import NOW, an_entry

KEY = SigningKey.generate("receipts", "Ed25519")
ENTRY = an_entry()
TOKEN = issue_receipt(ENTRY, origin="example.org/log", integrate_within=timedelta(minutes=1), key=KEY)


def claims(**changes: object) -> dict[str, object]:
    found: dict[str, object] = json.loads(b64u_decode(TOKEN.split(".")[1]))
    return {name: value for name, value in (found | changes).items() if value is not None}


def test_a_receipt_promises_the_exact_entry():
    receipt = verify_receipt(TOKEN, key=KEY.public_key())
    assert (receipt.origin, receipt.id, receipt.leaf_hash) == ("example.org/log", ENTRY.id, ENTRY.leaf_hash)
    assert receipt.accepted_at == NOW
    assert receipt.integrate_by == NOW + timedelta(minutes=1)
    assert not receipt.is_overdue(NOW + timedelta(minutes=1))
    assert receipt.is_overdue(NOW + timedelta(minutes=1, milliseconds=1))


def test_a_receipt_has_exactly_these_members():
    assert b64u_decode(TOKEN.split(".")[0]) == b'{"alg":"Ed25519","typ":"entry-receipt+jwt","kid":"receipts"}'
    assert b64u_decode(TOKEN.split(".")[1]).decode() == (
        f'{{"origin":"example.org/log","id":"{ENTRY.id}","leaf_hash":"{b64u_encode(ENTRY.leaf_hash)}",'
        '"accepted_at":1772443800123,"integrate_by":1772443860123}'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": None},
        {"origin": 5},
        {"more": 1},
        {"id": "x"},
        {"id": str(ENTRY.id).upper()},
        {"id": 5},
        {"leaf_hash": "AAAA"},
        {"leaf_hash": 5},
        {"accepted_at": "1772443800123"},
        {"accepted_at": True},
        {"integrate_by": 10**30},
        {"integrate_by": 2**52},
    ],
)
def test_a_receipt_of_another_form_is_refused(changes):
    token = sign_jws(claims(**changes), key=KEY, typ=RECEIPT_TYPE)
    with pytest.raises(MalformedError):
        verify_receipt(token, key=KEY.public_key())


def test_a_receipt_by_another_key_or_of_another_type_is_refused():
    with pytest.raises(VerificationError):
        verify_receipt(TOKEN, key=SigningKey.generate("receipts", "Ed25519").public_key())
    with pytest.raises(VerificationError):
        verify_receipt(sign_jws(claims(), key=KEY, typ="at+jwt"), key=KEY.public_key())
