"""A line of the first table of docs/benchmarks.md."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the first table."""

    id: str
    what: str
    figure: str
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        met = {True: "yes", False: "**no**", None: ""}[self.met]
        return f"| {self.id} | {self.what} | {self.figure} | {self.ratio} | {self.target} | {met} |"
