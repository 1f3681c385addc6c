"""Following a log from outside: what each look finds, what is remembered, what is kept as evidence."""

import base64
import hashlib

import pytest

from crypto.errors import MalformedError
from exchange.audit.growth import Fork
from exchange.audit.monitor import SKEW_SECONDS, observe
from exchange.audit.report import Finding
from exchange.audit.sources import DirectorySource, HTTPSource
from exchange.audit.state_file import State, format_fork, format_state, parse_state
from exchange.audit.trust import Trust
from tests.integration.offline.tree import BODIES, OTHERS, SIGNER, TIME, TreeOfFiles, policy, served

TRUST = Trust.of(SIGNER.vkey)
WITNESSED = Trust.of(policy=policy())
SIZES = [1, 2, 255, 256, 257, 300, 511, 512, 513, 700]


@pytest.fixture
def tree(tmp_path):
    return TreeOfFiles(tmp_path / "log")


def look(tree, state=None, *, trust=TRUST, now=TIME, **options):
    return observe(DirectorySource(tree.folder), trust, state, now=now, **options)


@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("after", SIZES)
def test_growing_standing_still_and_shrinking(tree, before, after):
    state = look(tree.grow(BODIES[:before])).state
    tree.bodies = BODIES[:after]
    seen = look(tree.publish(), state, now=TIME + 9)
    expected = Finding.SHRUNK if after < before else Finding.FINE
    assert seen.report.finding is expected, seen.report.explain()
    if after < before:
        assert seen.state is None
        assert seen.report.faults == [f"the log has shrunk: it had {before} entries, and shows {after} now"]
    else:
        assert seen.state == State(note=tree.note, since=TIME + (9 if after > before else 0))


@pytest.mark.parametrize("before", SIZES)
@pytest.mark.parametrize("after", SIZES)
def test_two_histories_signed_by_the_real_key_are_a_fork(tree, before, after):
    if after < before:
        return
    state = look(tree.grow(BODIES[:before])).state
    # The last entry that was seen is another one; all others are the same.
    tree.bodies = [*BODIES[: before - 1], OTHERS[0], *BODIES[before:after]]
    seen = look(tree.publish(), state)
    assert seen.report.finding is Finding.FORK, seen.report.explain()
    assert seen.state is None
    check_evidence(seen.evidence, state.note, tree.note)


def check_evidence(evidence, kept, shown):
    """As docs/formats.md says, with nothing of ours."""
    assert evidence.endswith(f"\n\n{kept}\n{shown}")
    header, *lines = evidence.split("\n\n")[0].split("\n")
    assert header == "cdx/log-fork/v1"
    (old_size, old_root), (new_size, new_root) = (
        (int(size), base64.b64decode(root)) for _, size, root in (note.split("\n")[:3] for note in (kept, shown))
    )
    if old_size == new_size:
        assert not lines
        assert old_root != new_root
        return
    assert [line.split(" ")[0] for line in lines] == ["leaf", *["path"] * (len(lines) - 1)]
    leaf, *path = (base64.b64decode(line.split(" ")[1]) for line in lines)
    node = before = leaf
    place, last = old_size - 1, new_size - 1
    for sibling in path:
        if place & 1 or place == last:
            node = hashlib.sha256(b"\x01" + sibling + node).digest()
            before = hashlib.sha256(b"\x01" + sibling + before).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + sibling).digest()
        place, last = place >> 1, last >> 1
    assert node == new_root
    assert before != old_root


def test_a_fork_is_told_however_little_of_it_is_cosigned(tree):
    state = look(tree.grow(BODIES[:300], a=TIME, b=TIME), trust=WITNESSED).state
    tree.bodies = [*OTHERS[:1], *BODIES[1:400]]
    seen = look(tree.publish(), state, trust=WITNESSED, cosigned_only=True)
    assert seen.report.finding is Finding.FORK


def test_damaged_tiles_are_no_fork(tree):
    state = look(tree.grow(BODIES[:300])).state
    tree.grow(BODIES[300:700])
    tree.flip("tile/0/001", 43 * 32)  # in the tile of the last entry that was seen
    seen = look(tree, state)
    assert seen.report.finding is Finding.UNVERIFIED
    assert seen.state is seen.evidence is None
    (tree.folder / "tile/0/001").unlink()
    assert look(tree, state).report.finding is Finding.UNVERIFIED


def test_a_signature_that_does_not_hold(tree):
    tree.grow(BODIES[:5])
    tree.flip("checkpoint", len(tree.note.encode()) - 10)
    assert look(tree).report.finding is Finding.UNVERIFIED
    tree.write("checkpoint", b"nonsense")
    assert look(tree).report.finding is Finding.UNVERIFIED


@pytest.mark.parametrize(
    "text", ["", "nonsense", "cdx/log-state/v1\nsince x\n\nnote", "cdx/log-state/v1\n", "cdx/log-"]
)
def test_a_state_that_is_none_is_refused(tree, text):
    tree.grow(BODIES[:5])
    with pytest.raises(MalformedError, match="saved state"):
        look(tree, parse_state(text))


def test_a_state_signed_by_somebody_else_is_refused(tree):
    state = look(tree.grow(BODIES[:5])).state
    with pytest.raises(MalformedError, match="saved state"):
        look(tree, State(note=state.note.replace("log.example", "lag.example")))


def test_a_state_survives_its_file(tree):
    tree.grow(BODIES[:5], a=TIME, b=TIME + 1)
    state = look(tree, trust=WITNESSED).state
    assert state == State(note=tree.note, since=TIME, cosigned=TIME)
    assert parse_state(format_state(state)) == state
    assert parse_state(tree.note) == State(note=tree.note)


def test_a_kept_checkpoint_serves_as_a_state(tree):
    kept = tree.grow(BODIES[:5]).note
    assert look(tree.grow(BODIES[5:9]), parse_state(kept)).report.ok


def test_stale_without_witnesses_means_nothing_new(tree):
    state = look(tree.grow(BODIES[:5]), max_age=60).state
    assert look(tree, state, now=TIME + 60, max_age=60).report.ok
    seen = look(tree, state, now=TIME + 61, max_age=60)
    assert seen.report.finding is Finding.STALE
    assert seen.state.since == TIME
    assert look(tree.grow(BODIES[5:6]), seen.state, now=TIME + 62, max_age=60).report.ok


def test_stale_with_witnesses_means_no_quorum(tree):
    """The second witness completes the quorum; a third that goes on alone keeps nothing fresh."""
    state = look(tree.grow(BODIES[:5], a=TIME, b=TIME + 5), trust=WITNESSED, max_age=60).state
    tree.grow(BODIES[5:9], a=TIME + 100)
    seen = look(tree, state, trust=WITNESSED, now=TIME + 60, max_age=60)
    assert seen.report.ok, seen.report.explain()
    assert any(line.startswith("cosignatures of the newest") for line in seen.report.not_checked)
    assert seen.state == State(note=tree.note, since=TIME + 60, cosigned=TIME)
    assert look(tree, seen.state, trust=WITNESSED, now=TIME + 61, max_age=60).report.finding is Finding.STALE
    tree.publish(a=TIME + 100, c=TIME + 101)
    assert look(tree, seen.state, trust=WITNESSED, now=TIME + 110, max_age=60).report.ok


def test_never_cosigned_is_stale(tree):
    assert look(tree.grow(BODIES[:5]), trust=WITNESSED, max_age=60).report.finding is Finding.STALE


def test_cosigned_only_takes_nothing_else(tree):
    state = look(tree.grow(BODIES[:5], a=TIME, b=TIME), trust=WITNESSED, cosigned_only=True).state
    seen = look(tree.grow(BODIES[5:9], a=TIME), state, trust=WITNESSED, cosigned_only=True)
    assert seen.report.finding is Finding.UNVERIFIED
    assert seen.state is None


def test_a_note_that_bears_the_quorum_is_not_given_up_for_one_that_does_not(tree):
    state = look(tree.grow(BODIES[:5], a=TIME, b=TIME), trust=WITNESSED).state
    assert look(tree.publish(), state, trust=WITNESSED).state == state


def test_a_quorum_of_tomorrow_keeps_nothing_fresh(tree):
    far = TIME + SKEW_SECONDS + 1
    seen = look(tree.grow(BODIES[:5], a=far, b=far), trust=WITNESSED, max_age=60)
    assert seen.report.finding is Finding.STALE
    assert seen.state.cosigned is None


def test_unreached_and_after_a_while_stale(tree):
    state = look(tree.grow(BODIES[:5])).state
    (tree.folder / "checkpoint").unlink()
    assert look(tree, state, now=TIME + 60, max_age=60).report.finding is Finding.UNREACHABLE
    assert look(tree, state, now=TIME + 61, max_age=60).report.finding is Finding.STALE
    assert look(tree).report.finding is Finding.UNREACHABLE


@pytest.mark.parametrize("refused", [{"checkpoint": 500}, {"checkpoint": 401}, {"tiles": 503}])
def test_a_server_that_fails_is_not_reached(tree, refused):
    tree.grow(BODIES[:300])
    with served(tree.folder, **refused) as address:
        seen = observe(HTTPSource(address), TRUST, None, now=TIME)
    assert seen.report.finding is Finding.UNREACHABLE
    assert seen.state is None
    assert observe(HTTPSource(address), TRUST, None, now=TIME).report.finding is Finding.UNREACHABLE


def test_an_empty_log_is_followed_from_its_beginning(tree):
    state = look(tree.grow([])).state
    assert look(tree.grow(BODIES[:300]), state).report.ok


def test_evidence_of_equal_sizes_is_the_two_notes_alone():
    assert format_fork("a\n", "b\n", Fork()) == "cdx/log-fork/v1\n\na\n\nb\n"
