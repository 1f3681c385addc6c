"""The result of a verification, in words that need no explanation: what was checked, what was not, what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

Progress = Callable[[int, int], None]
"""``progress(done, total)``: called now and then, from the thread that verifies."""

MAX_FAULTS: Final = 100
"""A log that is wrong from the first byte must not fill the memory with sentences about it."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


class Finding(IntEnum):
    """What came out, also as the exit status of a command (2 is a command that was used wrongly).

    FINE: everything that was checked holds. UNVERIFIED: something is malformed, missing or not signed as it must be.
    FORK: two histories under one name. STALE: nothing new for too long. SHRUNK: fewer entries than were seen before.
    UNREACHABLE: nothing could be read.
    """

    FINE = 0
    UNVERIFIED = 1
    FORK = 3
    STALE = 4
    SHRUNK = 5
    UNREACHABLE = 6


VERDICTS: Final = {
    Finding.FINE: "verified",
    Finding.UNVERIFIED: "NOT VERIFIED",
    Finding.FORK: "NOT VERIFIED (FORK)",
    Finding.STALE: "STALE",
    Finding.SHRUNK: "NOT VERIFIED (SHRUNK)",
    Finding.UNREACHABLE: "NOT REACHED",
}


@dataclass(slots=True, kw_only=True)
class Report:
    """What a verification found.

    Attributes:
        subject: what was verified.
        checked, not_checked: sentences; the second is as important as the first.
        faults: each names the place; empty when everything holds.
        finding: the worst of them: a fork before all else, then what came first.
        size: number of entries of the log, once it is known.
        state: the checkpoint to save for the next time; None when the log did not verify.
    """

    subject: str
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    finding: Finding = Finding.FINE
    size: int | None = None
    state: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.faults

    def fault(self, text: str, finding: Finding = Finding.UNVERIFIED) -> None:
        """Note something that is wrong; beyond 100 they are no longer listed."""
        if self.finding is Finding.FINE or finding is Finding.FORK:
            self.finding = finding
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(text)
        elif len(self.faults) == MAX_FAULTS:
            self.faults.append("… and more")

    def explain(self) -> list[str]:
        """The whole result as lines of text."""
        return [
            f"{self.subject}: {VERDICTS[self.finding]}",
            *(f"wrong:       {text}" for text in self.faults),
            *(f"checked:     {text}" for text in self.checked),
            *(f"not checked: {text}" for text in self.not_checked),
        ]
