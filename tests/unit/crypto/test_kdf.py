import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from crypto.errors import MalformedError
from crypto.kdf import expand, require_key


def test_expansion_is_the_first_block_of_the_standard():
    # RFC 5869 appendix A.1: pseudorandom key, info and the first 32 bytes of the output.
    key = bytes.fromhex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5")
    info = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9")
    expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
    assert expand(key, info).hex() == expected


@pytest.mark.parametrize("info", [b"", b"x", b"cdx/field/v1 enc", bytes(1000)])
def test_expansion_equals_that_of_the_library(info):
    assert expand(bytes(32), info) == HKDFExpand(SHA256(), 32, info).derive(bytes(32))


@pytest.mark.parametrize("material", [b"", bytes(31), bytes(33), bytearray(32), "x" * 32, None, memoryview(bytes(32))])
def test_a_key_is_32_bytes_and_nothing_else(material):
    with pytest.raises(MalformedError, match="a test key must be 32 bytes"):
        require_key(material, "a test key")
