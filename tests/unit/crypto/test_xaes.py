from hashlib import shake_128
from threading import Thread

import pytest

from crypto.errors import DecryptionError, MalformedError
from crypto.xaes import NONCE_BYTES, OVERHEAD_BYTES, XAES256GCM
from tests.vectors import load

VECTORS = load("xaes_256_gcm.json")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=["msb of L is zero", "msb of L is one"])
def test_the_published_vectors(vector):
    aead = XAES256GCM(bytes.fromhex(vector["key"]))
    nonce, aad = bytes.fromhex(vector["nonce"]), bytes.fromhex(vector["aad"])
    plaintext, ciphertext = bytes.fromhex(vector["plaintext"]), bytes.fromhex(vector["ct"])
    assert aead.encrypt(nonce, plaintext, aad=aad) == ciphertext
    assert aead.open(nonce + ciphertext, aad=aad) == plaintext


def test_the_published_accumulated_vector():
    vector = VECTORS["accumulated"]
    # One read of the whole stream: the library has no incremental SHAKE output.
    stream = shake_128(b"").digest(vector["iterations"] * (32 + NONCE_BYTES + 2 + 512))
    position = 0
    results = bytearray()

    def take(count):
        nonlocal position
        position += count
        return stream[position - count : position]

    for _ in range(vector["iterations"]):
        key, nonce = take(32), take(NONCE_BYTES)
        plaintext = take(take(1)[0])
        aad = take(take(1)[0])
        aead = XAES256GCM(key)
        sealed = aead.encrypt(nonce, plaintext, aad=aad)
        assert aead.open(nonce + sealed, aad=aad) == plaintext
        results += sealed
    assert shake_128(bytes(results)).hexdigest(32) == vector["shake128_out32"]


def test_a_sealed_value_opens_and_is_never_the_same():
    aead = XAES256GCM(bytes(32))
    first, second = aead.seal(b"secret", aad=b"a"), aead.seal(b"secret", aad=b"a")
    assert first != second
    assert aead.open(first, aad=b"a") == aead.open(second, aad=b"a") == b"secret"
    assert len(first) == len(b"secret") + OVERHEAD_BYTES


@pytest.mark.parametrize("length", [0, 1, 23, 24, 39])
def test_what_is_too_short_does_not_open(length):
    with pytest.raises(DecryptionError):
        XAES256GCM(bytes(32)).open(bytes(length), aad=b"")


def test_another_key_or_other_data_does_not_open():
    sealed = XAES256GCM(bytes(32)).seal(b"secret", aad=b"a")
    with pytest.raises(DecryptionError):
        XAES256GCM(bytes(31) + b"\x01").open(sealed, aad=b"a")
    with pytest.raises(DecryptionError):
        XAES256GCM(bytes(32)).open(sealed, aad=b"")


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33), "x" * 32, None])
def test_a_key_has_32_bytes(key):
    with pytest.raises(MalformedError):
        XAES256GCM(key)


@pytest.mark.parametrize("length", [0, 12, 23, 25])
def test_a_nonce_has_24_bytes(length):
    with pytest.raises(MalformedError):
        XAES256GCM(bytes(32)).encrypt(bytes(length), b"", aad=b"")


def test_one_object_serves_many_threads():
    aead = XAES256GCM(bytes(range(32)))
    failures = []

    def seal_and_open(number):
        for _ in range(300):
            text = str(number).encode()
            if aead.open(aead.seal(text, aad=text), aad=text) != text:
                failures.append(number)

    threads = [Thread(target=seal_and_open, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_key_is_not_shown():
    assert repr(XAES256GCM(bytes(32))) == "XAES256GCM(<redacted>)"
