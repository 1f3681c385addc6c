import pytest

from crypto.encoding import b64_encode
from crypto.errors import MalformedError
from exchange.audit.proof_file import ProofFile, format_proof, parse_proof

HASHES = (bytes(32), bytes(range(32)))
NOTE = "example.org/log\n3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— example.org/log AAAAAAAAAAA=\n"
TEXT = (
    "c2sp.org/tlog-proof@v1\n"
    "extra aGVsbG8=\n"
    "index 2\n"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"
    "\n" + NOTE
)


def test_a_proof_file_has_exactly_these_bytes():
    assert format_proof(ProofFile(index=2, hashes=HASHES, checkpoint=NOTE, extra=b"hello")) == TEXT
    assert format_proof(ProofFile(index=0, hashes=(), checkpoint=NOTE)) == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{NOTE}"


@pytest.mark.parametrize("extra", [None, b"", b"hello"])
@pytest.mark.parametrize("hashes", [(), HASHES])
def test_a_proof_file_is_read_as_it_was_written(extra, hashes):
    proof = ProofFile(index=73894, hashes=hashes, checkpoint=NOTE, extra=extra)
    assert parse_proof(format_proof(proof)) == proof
    assert parse_proof(format_proof(proof).encode()) == proof


MUST_FAIL = {
    "empty": "",
    "another header": TEXT.replace("@v1", "@v2"),
    "no empty line": "c2sp.org/tlog-proof@v1\nindex 2\n",
    "no index": TEXT.replace("index 2\n", ""),
    "index before extra": TEXT.replace("extra aGVsbG8=\nindex 2\n", "index 2\nextra aGVsbG8=\n"),
    "index with zeros": TEXT.replace("index 2", "index 02"),
    "negative index": TEXT.replace("index 2", "index -2"),
    "index with a sign": TEXT.replace("index 2", "index +2"),
    "index in other digits": TEXT.replace("index 2", "index \uff12"),
    "index with an underscore": TEXT.replace("index 2", "index 1_0"),
    "empty index": TEXT.replace("index 2", "index "),
    "index of 64 bits": TEXT.replace("index 2", f"index {2**63}"),
    "extra that is no base64": TEXT.replace("aGVsbG8=", "aGVsbG8"),
    "a hash that is no base64": TEXT.replace("AAECAw", "!!!!!!"),
    "a hash with 31 bytes": TEXT.replace(b64_encode(HASHES[1]), b64_encode(bytes(31))),
    "65 hashes": TEXT.replace(b64_encode(HASHES[1]), "\n".join([b64_encode(bytes(32))] * 65)),
    "a carriage return": TEXT.replace("\nindex", "\r\nindex"),
    "too long": TEXT + "x" * 2**21,
}


@pytest.mark.parametrize("text", MUST_FAIL.values(), ids=MUST_FAIL)
def test_a_proof_file_with_one_fault_is_refused(text):
    with pytest.raises(MalformedError):
        parse_proof(text)


def test_a_proof_file_that_is_not_utf8_is_refused():
    with pytest.raises(MalformedError):
        parse_proof(TEXT.encode("utf-16"))
