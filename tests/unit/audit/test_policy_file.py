"""Trust policies are read as C2SP tlog-policy says, and nothing else is."""

import itertools

import pytest

from crypto.checkpoint import (
    Checkpoint,
    Cosigner,
    NoteSigner,
    NoteVerifier,
    format_checkpoint,
    read_note,
    sign_note,
)
from crypto.errors import MalformedError
from exchange.audit.policy_file import parse_policy

LOG = NoteSigner("log.example/audit", bytes(32))
WITNESSES = {
    name: Cosigner(f"{name.lower()}.example", bytes([number]) * 32)
    for number, name in enumerate(("X1", "X2", "X3", "Y1", "Y2"), start=1)
}

TWO_LEVELS = f"""\
# two organisations
log {LOG.vkey} https://log.example/audit
witness X1 {WITNESSES["X1"].vkey} https://x1.example
witness\tX2   {WITNESSES["X2"].vkey}
  witness X3 {WITNESSES["X3"].vkey}
group X 2 X1 X2 X3

witness Y1 {WITNESSES["Y1"].vkey}
witness Y2 {WITNESSES["Y2"].vkey}
group Y any Y1 Y2
group both all X Y
quorum both
"""


def test_quorum_of_groups():
    policy = parse_policy(TWO_LEVELS)
    assert [party.url for party in policy.logs] == ["https://log.example/audit"]
    assert policy.witnesses["X1"].url == "https://x1.example"
    assert policy.witnesses["X2"].url == ""
    for count in range(6):
        for names in itertools.combinations(WITNESSES, count):
            enough = sum(name[0] == "X" for name in names) >= 2 and any(name[0] == "Y" for name in names)
            assert policy.is_met_by(names) == enough, names


def test_no_quorum_is_always_met():
    assert parse_policy("quorum none\n").is_met_by(())


def test_cosigners_are_told_by_key_and_name():
    policy = parse_policy(TWO_LEVELS)
    text = format_checkpoint(Checkpoint(origin=LOG.name, size=1, root=bytes(32)))
    stranger = Cosigner("x3.example", bytes([9]) * 32)
    note = sign_note(text, [LOG])
    note += "".join(WITNESSES[name].sign(text, time=5) for name in ("X1", "Y2")) + stranger.sign(text, time=5)
    verified = read_note(note, [*policy.witness_verifiers, policy.logs[0].verifier, NoteVerifier.parse(stranger.vkey)])
    assert policy.cosigners(verified) == {"X1", "Y2"}


W = WITNESSES["X1"].vkey
V = WITNESSES["X2"].vkey


@pytest.mark.parametrize(
    "text",
    [
        "",
        "quorum none\nquorum none\n",
        "quorum W\n",
        f"quorum W\nwitness W {W}\n",
        f"witness none {W}\nquorum none\n",
        f"witness W {W}\nwitness W {V}\nquorum W\n",
        f"witness W {W}\nwitness V {W}\nquorum W\n",
        f"witness W {LOG.vkey}\nquorum W\n",
        f"log {W}\nquorum none\n",
        f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n",
        f"log {LOG.vkey} https://a https://b\nquorum none\n",
        f"witness W {W}\ngroup G all\nquorum G\n",
        f"witness W {W}\ngroup G 0 W\nquorum G\n",
        f"witness W {W}\ngroup G 2 W\nquorum G\n",
        f"witness W {W}\ngroup G 01 W\nquorum G\n",
        f"witness W {W}\ngroup G most W\nquorum G\n",
        f"witness W {W}\ngroup G all W W\nquorum G\n",
        f"witness W {W}\ngroup G all W\ngroup H all W\nquorum G\n",
        f"witness W {W}\ngroup G all G\nquorum G\n",
        f"witness W {W}\ngroup G all none\nquorum G\n",
        f"witness W {W}\r\nquorum W\n",
        f"witness W\u00a0{W}\nquorum W\n",
        "quorum none extra\n",
        "Quorum none\n",
        "quorum none\x7f\n",
        "# " + "x" * 2**18 + "\nquorum none\n",
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(MalformedError):
        parse_policy(text)


def test_the_fault_names_its_line():
    with pytest.raises(MalformedError, match="line 2"):
        parse_policy("\nquorum nobody\n")
