"""Trust policies (C2SP tlog-policy): which logs and witnesses are known, and how many witnesses make a quorum. Pure.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name> …       of names defined above it; each name is a member once
    quorum <name>|none

A checkpoint is good when one of the logs signed it, under its own name, and the quorum cosigned it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from crypto.checkpoint import NoteVerifier, VerifiedNote
from crypto.errors import MalformedError
from crypto.note import COSIGNATURE, ED25519

MAX_POLICY_BYTES: Final = 2**18
_NONE: Final = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A log or a witness: its key, and where it is reached (empty: not said)."""

    verifier: NoteVerifier
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Counts as a witness when at least ``threshold`` of its members do."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy; ``quorum`` names a witness or a group, or nothing when no witness is needed."""

    logs: tuple[Party, ...]
    witnesses: Mapping[str, Party]
    groups: Mapping[str, Group]
    quorum: str | None

    @property
    def witness_verifiers(self) -> tuple[NoteVerifier, ...]:
        """The keys of all witnesses."""
        return tuple(party.verifier for party in self.witnesses.values())

    def is_met_by(self, names: Collection[str]) -> bool:
        """Whether these witnesses (by their names in this policy) are a quorum."""
        return self.quorum is None or self._counts(self.quorum, names)

    def cosigners(self, note: VerifiedNote) -> frozenset[str]:
        """The names of the witnesses whose cosignatures a verified note bears."""
        signed = {(signature.name, signature.key_id) for signature in note.signatures if signature.time is not None}
        return frozenset(
            name for name, party in self.witnesses.items() if (party.verifier.name, party.verifier.key_id) in signed
        )

    def _counts(self, name: str, names: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum(self._counts(member, names) for member in group.members) >= group.threshold


def parse_policy(text: str | bytes) -> Policy:
    """Read a policy file.

    Raises:
        MalformedError: any deviation from the format; names the line.
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > MAX_POLICY_BYTES:
        raise MalformedError(f"a policy of more than {MAX_POLICY_BYTES} bytes")
    if any((byte < 0x20 and byte not in b"\t\n") or byte == 0x7F for byte in data):
        raise MalformedError("a policy holds no control characters but tabs and newlines")
    # Octets above 0x7F are opaque: one character each, whatever their encoding is.
    reader = _Reader()
    for number, line in enumerate(data.decode("latin-1").split("\n"), start=1):
        words = line.replace("\t", " ").split(" ")
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reader.take(words)
        except MalformedError as exc:
            raise MalformedError(f"line {number} of the policy: {exc}") from None
    return reader.policy()


class _Reader:
    def __init__(self) -> None:
        self._logs: list[Party] = []
        self._witnesses: dict[str, Party] = {}
        self._groups: dict[str, Group] = {}
        self._quorum: list[str | None] = []
        self._grouped: set[str] = set()

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey, *url] if len(url) < 2:
                self._logs.append(_party(vkey, url, ED25519, self._logs))
            case ["witness", name, vkey, *url] if len(url) < 2:
                self._new(name)
                self._witnesses[name] = _party(vkey, url, COSIGNATURE, self._witnesses.values())
            case ["group", name, threshold, *members] if members:
                self._new(name)
                self._groups[name] = Group(threshold=_threshold(threshold, len(members)), members=self._free(members))
            case ["quorum", name]:
                self._quorum.append(None if name == _NONE else self._known(name))
            case _:
                raise MalformedError("neither a log, a witness, a group nor the quorum")

    def policy(self) -> Policy:
        if len(self._quorum) != 1:
            raise MalformedError("a policy has exactly one quorum line")
        return Policy(logs=tuple(self._logs), witnesses=self._witnesses, groups=self._groups, quorum=self._quorum[0])

    def _new(self, name: str) -> None:
        if name == _NONE or name in self._witnesses or name in self._groups:
            raise MalformedError("the name is taken")

    def _known(self, name: str) -> str:
        if name not in self._witnesses and name not in self._groups:
            raise MalformedError("a name that no line above defines")
        return name

    def _free(self, members: list[str]) -> tuple[str, ...]:
        for name in members:
            if self._known(name) in self._grouped:
                raise MalformedError("a name can be a member once only")
            self._grouped.add(name)
        return tuple(members)


def _party(vkey: str, url: list[str], kind: int, others: Collection[Party]) -> Party:
    # Names of keys may hold what a policy file cannot spell in one octet each; ours never do.
    verifier = NoteVerifier.parse(vkey.encode("latin-1").decode("utf-8", errors="replace"))
    if verifier.kind != kind:
        raise MalformedError("a log signs with type 1 (Ed25519), a witness with type 4 (cosignature)")
    if any(other.verifier.public == verifier.public for other in others):
        raise MalformedError("the same key a second time")
    return Party(verifier=verifier, url="".join(url))


def _threshold(text: str, members: int) -> int:
    if text in {"all", "any"}:
        return members if text == "all" else 1
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= members or text[0] == "0":
        raise MalformedError(f"the threshold of a group is all, any, or a number from 1 to {members}")
    return int(text)
