"""The result of a verification, in words that need no explanation: what was checked, what was not, what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

Progress = Callable[[int, int], None]
"""``progress(done, total)``: called now and then, from the thread that verifies."""

MAX_FAULTS: Final = 100
"""A log that is wrong from the first byte must not fill the memory with sentences about it."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What a verification found.

    Attributes:
        subject: what was verified.
        checked, not_checked: sentences; the second is as important as the first.
        faults: each names the place; empty when everything holds.
        size: number of entries of the log, once it is known.
        state: the checkpoint to save for the next time; None when the log did not verify.
    """

    subject: str
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    size: int | None = None
    state: str | None = None

    @property
    def ok(self) -> bool:
        """Whether everything that was checked holds."""
        return not self.faults

    def fault(self, text: str) -> None:
        """Note something that is wrong; beyond 100 they are no longer listed."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(text)
        elif len(self.faults) == MAX_FAULTS:
            self.faults.append("… and more")

    def explain(self) -> list[str]:
        """The whole result as lines of text."""
        verdict = "verified" if self.ok else "NOT VERIFIED"
        return [
            f"{self.subject}: {verdict}",
            *(f"wrong:       {text}" for text in self.faults),
            *(f"checked:     {text}" for text in self.checked),
            *(f"not checked: {text}" for text in self.not_checked),
        ]
