"""A witness over real HTTP: a published sequence, each status, and what it serves (C2SP tlog-witness)."""

from hashlib import sha256

import httpx
import pytest

from crypto.checkpoint import NoteSigner, NoteVerifier, read_note, sign_note, split_note
from crypto.encoding import b64_decode
from crypto.merkle import root_from_leaves
from crypto.note import ED25519, make_vkey
from exchange.audit.policy_file import parse_policy
from exchange.audit.witness import MAX_REQUEST_BYTES
from tests.witnesses import TinyLog, consistency_of, request_body, running_witness

LOG = TinyLog(NoteSigner("log.example/1", bytes(range(32))))
OTHER = TinyLog(NoteSigner("log.example/2", bytes(range(1, 33))))
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


@pytest.fixture
def witness(tmp_path):
    with running_witness(tmp_path / "witness", LOG.signers[0].vkey, OTHER.signers[0].vkey) as running:
        yield running


@pytest.fixture
def http():
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def add(witness, http):
    return lambda body: http.post(f"{witness.url}/add-checkpoint", content=body)


@pytest.fixture
def grown(add):
    """The witness has cosigned five entries."""
    assert add(LOG.request(0, 5)).status_code == 200
    return add


def size_stored(add):
    """What the witness says when it is asked by somebody who does not know."""
    answer = add(LOG.request(1, 5))
    assert answer.status_code == 409
    return int(answer.text)


# The published sequence (torchwood, litewitness): leaf hashes 2a00…, 2a01…, and three signatures by a key that nobody
# here has. Where it says 403 for an unknown log, the text of the standard says 404.

SIGSUM = "sigsum.org/v1/tree/4d6d8825a6bb689d459628312889dfbb0bcd41b5211d9e1ce768b0ff0309e562"
SIGSUM_KEY = bytes.fromhex("ffdc2d4d98e4124d3feaf788c0c2f9abfd796083d1f0495437f302ec79cf100f")
SIGSUM_LINES = {
    1: "UgIom7fPZTqpxWWhyjWduBvTvGVqsokMbqTArsQilegKoFBJQjUFAmQ0+YeSPM3wfUQMFSzVnnNuWRTYrajXpNUbIQY=",
    3: "UgIom2VbtIcdFbwFAy1n7s6IkAxIY6J/GQOTuZF2ORV39d75cbAj2aQYwyJre36kezNobZs4SUUdrcawfAB8WVrx6go=",
    5: "UgIomw/EOJmWi0i1FQsOj+etB7F8IccFam/jgd6wzRns4QPVmyEZtdvl1U2KEmLOZ/ASRcWJi0tW90dJWAShei7sDww=",
}
LEAVES = [bytes([0x2A, number]).ljust(32, b"\0") for number in range(5)]


def published(old, new, *, origin=SIGSUM, line=None, proof=None):
    from crypto.encoding import b64_encode

    proof = (consistency_of(LEAVES[:new], old) if old else []) if proof is None else proof
    text = f"{origin}\n{new}\n{b64_encode(root_from_leaves(LEAVES[:new]))}\n"
    return request_body(old, proof, f"{text}\n— {origin} {line or SIGSUM_LINES[new]}\n")


def test_the_published_sequence(tmp_path, http):
    broken_line = SIGSUM_LINES[3].replace("6go=", "6gx=")
    strange_origin = SIGSUM[:-1] + "3"
    broken_proof = [LEAVES[1], LEAVES[2][:31] + b"\x10"]
    steps = [
        (published(0, 1), 200, "— example.com/witness "),
        (published(1, 3, line=broken_line), 403, "invalid signature"),
        (published(1, 3, origin=strange_origin), 404, "unknown log"),
        (published(1, 3, proof=[]), 422, "consistency proof"),
        (published(1, 3, proof=broken_proof), 422, "consistency proof"),
        (published(1, 3), 200, "— example.com/witness "),
        (published(1, 5), 409, "3\n"),
        (published(3, 5), 200, "— example.com/witness "),
        (published(0, 5), 409, "5\n"),
    ]
    vkey = make_vkey(SIGSUM, ED25519, SIGSUM_KEY)
    with running_witness(tmp_path / "witness", vkey, name="example.com/witness") as witness:
        for number, (body, status, text) in enumerate(steps):
            answer = http.post(f"{witness.url}/add-checkpoint", content=body)
            assert (answer.status_code, text in answer.text) == (status, True), (number, answer.text)
            if status == 409:
                assert (answer.text, answer.headers["Content-Type"]) == (text, SIZE_TYPE)


# What is cosigned


def test_a_cosignature_holds_for_whoever_trusts_the_witness(witness, grown):
    line = grown(LOG.request(5, 8)).text
    assert line.startswith("— witness.example ")
    assert line.endswith("\n")
    assert line.count("\n") == 1
    policy = parse_policy(f"log {LOG.signers[0].vkey}\n{witness.policy_line}\nquorum witness.example\n")
    note = read_note(LOG.note(8) + line, (*(one.verifier for one in policy.logs), *policy.witness_verifiers))
    assert policy.cosigners(note) == {"witness.example"}


def test_a_log_is_cosigned_again_at_the_same_size(grown):
    for _ in range(2):
        assert grown(LOG.request(5, 5)).status_code == 200
    assert size_stored(grown) == 5


def test_the_empty_tree_is_cosigned_and_grows(add, witness, http):
    assert add(LOG.request(0, 0)).status_code == 200
    assert add(LOG.request(0, 0)).status_code == 200
    assert http.get(place(witness, LOG.origin)).text.splitlines()[1] == "0"
    assert add(LOG.request(0, 3)).status_code == 200


def test_extension_lines_are_cosigned_as_they_are(witness, add):
    answer = add(LOG.request(0, 3, "more 1", "more 2"))
    assert answer.status_code == 200
    signed = read_note(LOG.note(3, "more 1", "more 2") + answer.text, [NoteVerifier.parse(witness.vkey)])
    assert "\nmore 1\nmore 2\n" in signed.text


def test_logs_do_not_know_of_each_other(grown):
    assert grown(OTHER.request(0, 2)).status_code == 200
    assert size_stored(grown) == 5


def test_signatures_of_strangers_are_ignored_and_not_kept(witness, add, http):
    strangers = [NoteSigner(f"stranger{number}.example", bytes([number]) * 32) for number in range(1, 31)]
    text = split_note(LOG.note(4))[0]
    # One of them bears the name of the log, which another key cannot use.
    pretender = NoteSigner(LOG.origin, bytes([99]) * 32)
    note = sign_note(text, [*strangers, pretender, *LOG.signers])
    answer = add(request_body(0, [], note))
    assert answer.status_code == 200
    assert http.get(place(witness, LOG.origin)).text == LOG.note(4) + answer.text


def test_the_same_signature_twice_is_one(witness, add, http):
    note = sign_note(split_note(LOG.note(4))[0], LOG.signers * 3)
    answer = add(request_body(0, [], note))
    assert answer.status_code == 200
    assert http.get(place(witness, LOG.origin)).text == LOG.note(4) + answer.text


def test_a_log_changes_its_key(witness, grown):
    new = NoteSigner(LOG.origin, bytes([7]) * 32)
    old_log, both, new_log = LOG, TinyLog(LOG.signers[0], new), TinyLog(new)
    assert grown(new_log.request(5, 6)).status_code == 403
    witness.witness.store.add_key(NoteVerifier.parse(new.vkey))
    assert grown(new_log.request(5, 6)).status_code == 200
    assert grown(both.request(6, 7)).status_code == 200
    assert grown(old_log.request(7, 8)).status_code == 200
    witness.witness.store.remove_key(NoteVerifier.parse(LOG.signers[0].vkey))
    assert grown(old_log.request(8, 9)).status_code == 403
    assert grown(both.request(8, 9)).status_code == 200


def test_a_log_without_keys_is_unknown_and_what_was_cosigned_is_remembered(witness, grown):
    key = NoteVerifier.parse(LOG.signers[0].vkey)
    witness.witness.store.remove_key(key)
    assert grown(LOG.request(5, 6)).status_code == 404
    witness.witness.store.add_key(key)
    assert size_stored(grown) == 5
    assert grown(LOG.request(5, 6)).status_code == 200


# What is refused

TWISTED = TinyLog(*LOG.signers, forked_at=4)
BAD_LINE = f"— {LOG.origin} {SIGSUM_LINES[1]}\n"


def without_signature_of_the_log(size):
    return sign_note(split_note(LOG.note(size))[0], [NoteSigner("stranger.example", bytes(32))])


def with_broken_signature(size):
    """A line of the log's name and key id, over another text, beside one that holds."""
    other = LOG.note(size + 1).partition("\n\n")[2]
    return LOG.note(size) + other


REFUSED = {
    "unknown origin": (TinyLog(NoteSigner("log.example/9", bytes(range(32)))).request(0, 1), 404, "unknown log"),
    "a stranger's signature only": (request_body(5, [], without_signature_of_the_log(5)), 403, "invalid signature"),
    "a broken signature beside a good one": (request_body(5, [], with_broken_signature(5)), 403, "invalid signature"),
    "a line that is none": (request_body(5, [], LOG.note(5)[:-2] + "!\n"), 403, "invalid signature"),
    "the key of another log": (request_body(5, [], LOG.note(5).replace("/1", "/2")), 403, "invalid signature"),
    "another log's signature": (
        request_body(5, [], sign_note(split_note(LOG.note(5))[0], OTHER.signers)),
        403,
        "invalid signature",
    ),
    "an unknown origin before a bad signature": (
        request_body(9, [], without_signature_of_the_log(5).replace("log.example/1", "log.example/9")),
        404,
        "unknown log",
    ),
    "a bad signature before a size too large": (
        request_body(9, [], without_signature_of_the_log(5)),
        403,
        "invalid signature",
    ),
    "old larger than new": (request_body(5, [], LOG.note(4)), 400, "larger"),
    "old larger than new before a conflict": (request_body(9, [], LOG.note(4)), 400, "larger"),
    "a conflict before a bad proof": (request_body(4, [bytes(32)] * 3, LOG.note(9)), 409, "5\n"),
    "a conflict before a wrong root": (request_body(4, [], TWISTED.note(9)), 409, "5\n"),
    "a size the witness has not seen": (LOG.request(6, 9), 409, "5\n"),
    "no proof": (request_body(5, [], LOG.note(9)), 422, "consistency proof"),
    "a proof of another size": (request_body(5, LOG.proof(4, 9), LOG.note(9)), 422, "consistency proof"),
    "a proof too long": (request_body(5, [*LOG.proof(5, 9), bytes(32)], LOG.note(9)), 422, "consistency proof"),
    "63 lines of proof": (request_body(5, [bytes(32)] * 63, LOG.note(9)), 422, "consistency proof"),
    "another history": (TWISTED.request(5, 9), 422, "consistency proof"),
    "another root of one size": (request_body(5, [], TWISTED.note(5)), 422, "another root"),
    "a proof where there is nothing to prove": (request_body(5, [bytes(32)], LOG.note(5)), 422, "consistency proof"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_continue_the_log_is_refused(grown, case):
    body, status, text = REFUSED[case]
    answer = grown(body)
    assert answer.status_code == status, answer.text
    assert text in answer.text
    assert answer.headers["Content-Type"] == (SIZE_TYPE if status == 409 else TEXT_TYPE)
    assert size_stored(grown) == 5
    assert grown(LOG.request(5, 9)).status_code == 200, "and the log goes on"


def test_a_proof_from_the_empty_tree_is_empty(add):
    answer = add(request_body(0, [bytes(32)], LOG.note(3)))
    assert (answer.status_code, "consistency proof" in answer.text) == (422, True)
    assert add(LOG.request(0, 3)).status_code == 200


def test_an_empty_tree_with_a_root_is_refused(add):
    assert add(request_body(0, [], LOG.note(0, root=bytes(32)))).status_code == 422
    assert add(LOG.request(1, 3)).text == "0\n"


GOOD = LOG.note(5)
MALFORMED = {
    "nothing": b"",
    "only an old size": b"old 0\n",
    "no note": b"old 0\n\n",
    "no empty line": b"old 0\n" + GOOD.encode(),
    "no old size": GOOD.encode(),
    "a leading zero": request_body("00", [], GOOD),
    "a sign": request_body("+0", [], GOOD),
    "two spaces": request_body(" 0", [], GOOD),
    "a space behind": request_body("0 ", [], GOOD),
    "no number": request_body("", [], GOOD),
    "a number of another script": request_body("٣", [], GOOD),
    "a number that no tree has": request_body(2**63, [], GOOD),
    "a number of many digits": request_body("9" * 50_000, [], GOOD),
    "carriage returns": request_body(0, [], GOOD).replace(b"\n", b"\r\n"),
    "64 lines of proof": request_body(0, [bytes(32)] * 64, GOOD),
    "thousands of lines of proof": request_body(0, [bytes(32)] * 5000, GOOD),
    "a short hash": request_body(0, [bytes(31)], GOOD),
    "a long hash": request_body(0, [bytes(33)], GOOD),
    "a hash that is no base64": request_body(0, [], GOOD).replace(b"old 0\n", b"old 0\n!!\n"),
    "a hash spelt in two ways": request_body(0, [], GOOD).replace(b"old 0\n", b"old 0\n" + b"A" * 42 + b"B=\n"),
    "a note without signatures": request_body(0, [], split_note(GOOD)[0]),
    "a note with 101 signatures": request_body(0, [], GOOD + GOOD.partition("\n\n")[2] * 100),
    "a size with a leading zero": request_body(0, [], GOOD.replace("\n5\n", "\n05\n")),
    "a root of 31 bytes": request_body(0, [], f"{LOG.origin}\n5\n{'A' * 42}==\n\n{BAD_LINE}"),
    "an empty extension line": request_body(0, [], GOOD.replace("\n\n", "\n\nmore\n\n")),
    "no UTF-8": request_body(0, [], GOOD).replace(b"log", b"\xff\xfe"),
    "a control character": request_body(0, [], GOOD).replace(b"log", b"lo\x00g"),
    "a line that goes on": request_body(0, [], GOOD)[:-1],
    "JSON": b'{"old": 0}',
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_malformed_is_told_to_be(add, case):
    answer = add(MALFORMED[case])
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, TEXT_TYPE), answer.text
    assert answer.text.startswith("malformed request: ")
    assert add(LOG.request(1, 5)).text == "0\n", "nothing was cosigned"


def test_what_is_too_long_is_not_read(add):
    answer = add(request_body(0, [], GOOD) + bytes(MAX_REQUEST_BYTES))
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, TEXT_TYPE)


def test_a_malformed_request_is_not_repeated_in_the_answer(add):
    assert "VAL-100001-7" not in add(b"old VAL-100001-7\n\n").text


# A log with two histories


def test_the_proof_of_a_second_history_is_kept_once(witness, grown):
    for _ in range(3):
        assert grown(request_body(5, [], TWISTED.note(5))).status_code == 422
    (proof,) = witness.witness.store.forks(LOG.origin)
    assert (proof.size, proof.root) == (5, TWISTED.root(5))
    for note in (proof.cosigned, proof.refused):
        assert len(read_note(note, [NoteVerifier.parse(LOG.signers[0].vkey)]).signatures) == 1
    assert split_note(proof.cosigned)[0] != split_note(proof.refused)[0]


def test_nobody_but_the_log_can_make_it_look_so(witness, grown):
    unsigned = sign_note(split_note(TWISTED.note(5))[0], [NoteSigner("stranger.example", bytes(32))])
    grown(request_body(5, [], unsigned))
    grown(request_body(5, [bytes(32)], LOG.note(5)))
    grown(request_body(5, [], TWISTED.note(9)))
    assert witness.witness.store.forks(LOG.origin) == ()


# What is served


def place(witness, origin):
    return f"{witness.url}/{sha256(origin.encode()).hexdigest()}/checkpoint"


def test_the_last_cosigned_checkpoint_is_served_with_both_signatures(witness, grown, http):
    line = grown(LOG.request(5, 7)).text
    served = http.get(place(witness, LOG.origin))
    assert (served.status_code, served.headers["Content-Type"]) == (200, TEXT_TYPE)
    assert served.text == LOG.note(7) + line
    keys = [NoteVerifier.parse(witness.vkey), NoteVerifier.parse(LOG.signers[0].vkey)]
    assert len(read_note(served.content, keys).signatures) == 2


def test_what_was_never_cosigned_is_not_served(witness, grown, http):
    assert http.get(place(witness, OTHER.origin)).status_code == 404
    assert http.get(place(witness, "log.example/9")).status_code == 404
    assert http.get(place(witness, LOG.origin).replace("/checkpoint", "")).status_code == 404
    upper = place(witness, LOG.origin).replace(sha256(LOG.origin.encode()).hexdigest(), "A" * 64)
    assert http.get(upper).status_code == 404


def test_a_page_for_people_says_who_this_is(witness, grown, http):
    page = http.get(f"{witness.url}/")
    assert page.headers["Content-Type"] == TEXT_TYPE
    for text in (witness.vkey, "witness.example", f"{LOG.origin}: 5 entries", "never an entry"):
        assert text in page.text
    assert http.get(f"{witness.url}/healthz").text == "ok\n"


def test_every_answer_is_plain_text_without_cookies(witness, add, http):
    answers = [
        http.get(f"{witness.url}/"),
        http.get(f"{witness.url}/nowhere"),
        http.get(f"{witness.url}/add-checkpoint"),
        http.delete(f"{witness.url}/"),
        http.request("BREW", f"{witness.url}/add-checkpoint"),
        add(b""),
        add(LOG.request(0, 1)),
        add(LOG.request(0, 1)),
    ]
    assert [answer.status_code for answer in answers] == [200, 404, 405, 405, 405, 400, 200, 409]
    for answer in answers:
        assert answer.headers["Content-Type"] in (TEXT_TYPE, SIZE_TYPE)
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert "<" not in answer.text or "SHA-256 of" in answer.text, "no page of a framework"
    assert answers[2].headers["Allow"]


def test_base64_of_the_published_lines_is_whole():
    assert {len(b64_decode(line)) for line in SIGSUM_LINES.values()} == {4 + 64}
