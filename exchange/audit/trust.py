"""What somebody who checks a log trusts: keys of the log, and witnesses under a policy (C2SP tlog-policy). Pure.

A checkpoint counts when a trusted key of the log signed it under the log's own name. Whether the quorum of the policy
cosigned it as well is said beside it: a log publishes before its witnesses have answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from crypto.checkpoint import Checkpoint, NoteVerifier, parse_checkpoint, read_note
from crypto.errors import MalformedError, VerificationError
from crypto.note import ED25519
from exchange.audit.policy_file import Policy, parse_policy

MAX_CHECKPOINT: Final = 2**20
_LAST_SECOND: Final = 253_402_300_799  # the end of the year 9999, where datetime ends too


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A checkpoint whose signature by the log holds.

    Attributes:
        checkpoint, note: what it says, and the whole note.
        signers: the names under which keys of the log signed.
        cosigned: witness (by its name in the policy) → the second since 1970 at which it cosigned.
        has_quorum: whether they are enough for the policy; True without a policy.
        quorum_at: the second from which on they were enough; None where no witness is needed, or they are not enough.
    """

    checkpoint: Checkpoint
    note: str = field(repr=False)
    signers: tuple[str, ...]
    cosigned: Mapping[str, int]
    has_quorum: bool
    quorum_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Keys of one log (several after a rotation, or after a restore under a new name), and a policy or none."""

    logs: tuple[NoteVerifier, ...]
    policy: Policy | None = None

    @classmethod
    def of(cls, *vkeys: str, policy: str | bytes | None = None) -> "Trust":
        """Trust verifier keys, or the logs and witnesses of a policy file.

        Args:
            vkeys: verifier keys of the log; each text may hold several, one a line.
            policy: a policy file. The keys of the log come from there, unless it names none.

        Raises:
            MalformedError: a key or the policy is unusable, no key of the log is named, or both name some.
        """
        parsed = None if policy is None else parse_policy(policy)
        lines = [line.strip() for text in vkeys for line in text.splitlines() if line.strip()]
        logs = [NoteVerifier.parse(line) for line in dict.fromkeys(lines)]
        if any(verifier.kind != ED25519 for verifier in logs):
            raise MalformedError("that is the key of a witness, not of a log")
        if parsed is not None and parsed.logs:
            if logs:
                raise MalformedError("the policy names the keys of the log already: give no others beside it")
            logs = [party.verifier for party in parsed.logs]
        if not logs:
            raise MalformedError("no verifier key of the log is given")
        return cls(logs=tuple(logs), policy=parsed)

    @property
    def names(self) -> str:
        """The names of the log, for people."""
        return ", ".join(dict.fromkeys(verifier.name for verifier in self.logs))

    @property
    def needs_witnesses(self) -> bool:
        """Whether a quorum of witnesses is asked for."""
        return self.policy is not None and self.policy.quorum is not None

    def open(self, note: str | bytes) -> Seen:
        """Check a checkpoint.

        Raises:
            MalformedError: not a checkpoint.
            VerificationError: no trusted key of the log signed it, or a signature by a known key does not hold.
        """
        if len(note) > MAX_CHECKPOINT:
            raise MalformedError(f"a checkpoint of more than {MAX_CHECKPOINT} bytes")
        witnesses = {} if self.policy is None else self.policy.witnesses
        verified = read_note(note, [*self.logs, *(party.verifier for party in witnesses.values())])
        checkpoint = parse_checkpoint(verified.text)
        times = {(signature.name, signature.key_id): signature.time for signature in verified.signatures}
        # A log's key bears the name of its origin, so that a key of one log signs nothing for another.
        own = [key for key in self.logs if (key.name, key.key_id) in times and key.name == checkpoint.origin]
        if not own:
            raise VerificationError(
                f"the checkpoint of the log {checkpoint.origin!r} is not signed by a key of it that is trusted here; "
                f"trusted is {self.names!r}"
            )
        if checkpoint.extensions:
            raise VerificationError("the checkpoint has further lines, which this kind of log never writes")
        found = {
            name: times.get((party.verifier.name, party.verifier.key_id)) for name, party in sorted(witnesses.items())
        }
        cosigned = {name: time for name, time in found.items() if time is not None}
        return Seen(
            checkpoint=checkpoint,
            note=note if isinstance(note, str) else note.decode("utf-8"),
            signers=tuple(key.name for key in own),
            cosigned=cosigned,
            has_quorum=self.policy is None or self.policy.is_met_by(cosigned),
            quorum_at=self._quorum_at(cosigned),
        )

    def tell(self, seen: Seen) -> list[str]:
        """Who signed and cosigned, as sentences."""
        told = [f"the checkpoint over {seen.checkpoint.size} entries is signed by {', '.join(seen.signers)}"]
        told += [f"the witness {name} cosigned it at {moment(time)}" for name, time in seen.cosigned.items()]
        if self.needs_witnesses and seen.has_quorum:
            told.append("that is the quorum of the policy: they saw this history too, and no other one under its name")
        return told

    def missing(self, seen: Seen) -> str:
        """What the quorum lacks, as a sentence."""
        others = [] if self.policy is None else [name for name in self.policy.witnesses if name not in seen.cosigned]
        return (
            f"the quorum of the policy has not cosigned the checkpoint over {seen.checkpoint.size} entries: "
            f"{', '.join(seen.cosigned) or 'nobody'} did, {', '.join(others)} did not"
        )

    def _quorum_at(self, cosigned: Mapping[str, int]) -> int | None:
        if self.policy is None or not self.needs_witnesses:
            return None
        # The newest first: the one that completes the quorum is the oldest of those that are needed.
        names: list[str] = []
        for name, time in sorted(cosigned.items(), key=lambda one: -one[1]):
            names.append(name)
            if self.policy.is_met_by(names):
                return time
        return None


def moment(second: int) -> str:
    """A second since 1970 for people, whatever a witness wrote there."""
    if second > _LAST_SECOND:
        return f"second {second}"
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S} UTC"
