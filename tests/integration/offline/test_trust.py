"""Whom a verifier trusts: keys of the log, one or several, and a quorum of witnesses."""

import pytest

from crypto.checkpoint import Checkpoint, Cosigner, NoteSigner, format_checkpoint, sign_note
from crypto.errors import MalformedError, VerificationError
from crypto.merkle import EMPTY_ROOT
from exchange.audit.report import Finding
from exchange.audit.sources import DirectorySource
from exchange.audit.trust import Trust
from exchange.audit.verify import verify_log, verify_proof
from tests.integration.offline.tree import BODIES, ORIGIN, SIGNER, TIME, WITNESSES, TreeOfFiles, policy

LATER = NoteSigner(ORIGIN, bytes(reversed(range(32))))
RESTORED = NoteSigner(f"{ORIGIN}/2", bytes(range(32)))


@pytest.fixture
def tree(tmp_path):
    return TreeOfFiles(tmp_path / "log").grow(BODIES[:300], a=TIME, c=TIME + 5)


def verify(tree, trust, **options):
    return verify_log(DirectorySource(tree.folder), trust, **options)


def test_a_policy_that_is_met_names_who_cosigned_and_when(tree):
    report = verify(tree, Trust.of(policy=policy()))
    assert report.ok, report.explain()
    assert "the witness a cosigned it at 2026-03-02 09:30:00 UTC" in report.checked
    assert "the witness c cosigned it at 2026-03-02 09:30:05 UTC" in report.checked
    assert any(line.startswith("that is the quorum") for line in report.checked)
    assert not any("nobody else vouches" in line for line in report.not_checked)


def test_one_witness_short(tree):
    tree.publish(a=TIME)
    report = verify(tree, Trust.of(policy=policy()))
    assert report.finding is Finding.UNVERIFIED
    assert "a did, b, c did not" in report.faults[0]
    assert report.state is None
    # Without a policy the same checkpoint holds, and the report says what that leaves open.
    report = verify(tree, Trust.of(SIGNER.vkey))
    assert report.ok
    assert any("nobody else vouches" in line for line in report.not_checked)


def test_a_cosignature_by_a_stranger_counts_for_nothing(tree):
    tree.publish(a=TIME)
    text = tree.note.split("\n\n")[0] + "\n"
    stranger = Cosigner("b.example", bytes(32)).sign(text, time=TIME)
    tree.write("checkpoint", (tree.note + stranger).encode())
    assert "a did, b, c did not" in verify(tree, Trust.of(policy=policy())).faults[0]


def test_a_cosignature_over_another_text_is_a_fault(tree):
    tree.publish(a=TIME, b=TIME)
    other = format_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT))
    tree.write("checkpoint", (tree.note + WITNESSES["c"].sign(other, time=TIME)).encode())
    report = verify(tree, Trust.of(policy=policy()))
    assert report.finding is Finding.UNVERIFIED
    assert report.faults[0].startswith("checkpoint: ")


def test_witnesses_alone_vouch_for_nothing(tree):
    text = tree.note.split("\n\n")[0] + "\n"
    tree.write(
        "checkpoint",
        sign_note(text, [NoteSigner(ORIGIN, bytes(32))]).encode()
        + b"".join(one.sign(text, time=TIME).encode() for one in WITNESSES.values()),
    )
    assert "is not signed by a key of it that is trusted" in verify(tree, Trust.of(policy=policy())).faults[0]


def test_a_time_that_no_calendar_has_does_not_matter(tree):
    tree.publish(a=TIME, b=2**63 - 1)
    report = verify(tree, Trust.of(policy=policy()))
    assert report.ok
    assert f"the witness b cosigned it at second {2**63 - 1}" in report.checked


@pytest.mark.parametrize("signers", [(SIGNER,), (SIGNER, LATER), (LATER,)])
def test_a_log_whose_key_was_rotated(tree, signers):
    tree.signers = signers
    tree.publish()
    assert verify(tree, Trust.of(SIGNER.vkey, LATER.vkey)).ok
    assert verify(tree, Trust.of(f"{SIGNER.vkey}\n{LATER.vkey}\n")).ok
    assert verify(tree, Trust.of(SIGNER.vkey)).ok is (SIGNER in signers)


def test_a_saved_state_under_the_former_key_needs_that_key(tree):
    state = tree.note
    tree.signers = (LATER,)
    tree.grow(BODIES[300:400])
    assert verify(tree, Trust.of(SIGNER.vkey, LATER.vkey), state=state).ok
    with pytest.raises(MalformedError, match="give the former key too"):
        verify(tree, Trust.of(LATER.vkey), state=state)


def test_a_log_that_goes_on_under_a_new_name(tree):
    """As after a restore: the same tree, a new name, and a key of that name."""
    state = tree.note
    tree.origin, tree.signers = RESTORED.name, (RESTORED,)
    tree.grow(BODIES[300:400])
    trust = Trust.of(SIGNER.vkey, RESTORED.vkey)
    assert verify(tree, trust, state=state).ok
    tree.publish(200)
    report = verify(tree, trust, state=state)
    assert report.finding is Finding.SHRUNK
    assert "log.continued" in report.faults[0]


def test_the_key_of_one_name_signs_nothing_for_another(tree):
    tree.origin, tree.signers = "other.example", (SIGNER,)
    tree.publish()
    with pytest.raises(VerificationError):
        Trust.of(SIGNER.vkey).open(tree.note)


def test_proofs_need_the_quorum_too(tree):
    from exchange.audit.prove import prove_entry

    source = DirectorySource(tree.folder)
    text = prove_entry(source, Trust.of(SIGNER.vkey), 7).text
    assert verify_proof(text, Trust.of(policy=policy())).ok
    assert verify_proof(text, Trust.of(policy=policy(quorum="b"))).faults[0].startswith("the quorum")
    tree.publish(a=TIME)
    text = prove_entry(source, Trust.of(SIGNER.vkey), 7).text
    assert not verify_proof(text, Trust.of(policy=policy())).ok


@pytest.mark.parametrize(
    ("vkeys", "text"),
    [
        ((), None),
        (("nonsense",), None),
        ((WITNESSES["a"].vkey,), None),
        ((SIGNER.vkey,), policy()),
        ((), "quorum none\n"),
        ((), "quorum nobody\n"),
    ],
)
def test_what_nobody_can_trust_is_refused(vkeys, text):
    with pytest.raises(MalformedError):
        Trust.of(*vkeys, policy=text)


def test_a_policy_without_a_log_takes_the_key_from_elsewhere(tree):
    lines = [line for line in policy().splitlines() if not line.startswith("log ")]
    assert verify(tree, Trust.of(SIGNER.vkey, policy="\n".join(lines))).ok


def test_further_lines_of_a_checkpoint_are_refused(tree):
    text = tree.note.split("\n\n")[0] + "\nand more\n"
    tree.write("checkpoint", sign_note(text, [SIGNER]).encode())
    assert "further lines" in verify(tree, Trust.of(SIGNER.vkey)).faults[0]
