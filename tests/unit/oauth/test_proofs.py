"""Proofs without an application around them: any altered byte, and what a proof brings."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.oauth.dpop import MAX_AGE_SECONDS, verify_proof
from api.oauth.errors import MissingProofError, ProofError
from tests.http.oauth.clients import Device

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
URL = "https://exchange.example/v1/me"
DEVICE = Device(lambda: NOW)
PROOF = DEVICE.proof("GET", URL)


def check(*values, now=NOW, ath=None):
    return verify_proof(values, method="GET", url=URL, now=now, ath=ath)


def test_a_proof_brings_its_holder_and_what_to_insert():
    proof = check(PROOF)
    assert proof.jkt == DEVICE.jkt
    assert proof.use.kind == "dpop-proof"
    assert proof.use.digest == check(PROOF).use.digest
    assert proof.use.digest != check(DEVICE.proof("GET", URL)).use.digest


def test_what_is_inserted_outlives_the_proof():
    expires_at = check(PROOF).use.expires_at
    last = NOW + timedelta(seconds=MAX_AGE_SECONDS)
    check(PROOF, now=last)
    assert expires_at > last
    with pytest.raises(ProofError):
        check(PROOF, now=expires_at)


def test_no_proof_is_its_own_error():
    with pytest.raises(MissingProofError):
        check()


@given(st.integers(0, len(PROOF) - 1), st.characters(codec="ascii"))
def test_any_altered_sign_makes_another_proof(place, sign):
    altered = PROOF[:place] + sign + PROOF[place + 1 :]
    if altered.strip(" ") != PROOF:
        with pytest.raises(ProofError):
            check(altered)


@given(st.text(max_size=200))
def test_no_text_breaks_the_check(text):
    with pytest.raises(ProofError):
        check(text)


def test_where_no_token_came_along_ath_is_not_asked_for():
    check(DEVICE.proof("GET", URL, ath="whatever"))
    with pytest.raises(ProofError):
        check(PROOF, ath="whatever")
