"""What the demonstration says: one plain line a step, with a mark once it is proved. Colours on a terminal only."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.text import Text


class WrongError(Exception):
    """Something turned out otherwise than it must. The demonstration stops."""


class Story:
    """Tells a person what happens. ``count`` is the number of steps that were proved."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.count = 0

    def title(self, text: str, subtitle: str) -> None:
        """Begin."""
        if self.console.is_terminal:
            self.console.print(Panel(Text(subtitle), title=f"[bold]{text}[/]", title_align="left", padding=(0, 1)))
        else:
            self._line(text)
            self._line(subtitle)

    def part(self, text: str) -> None:
        """A heading."""
        self.console.print()
        self._line(Text(text, style="bold cyan"))

    def done(self, text: str) -> None:
        """A step of the setting up."""
        self._line(Text.assemble(("  · ", "dim"), text))

    def proved(self, text: str, proof: str) -> None:
        """A step that was checked: what happened, and what that proved."""
        self.count += 1
        self._line(Text.assemble((f"{self.count:>3} ", "dim"), ("✓ ", "bold green"), text, (f" — {proof}", "dim")))

    def say(self, text: str = "") -> None:
        """Anything else; may hold rich's markup."""
        self.console.print(text, soft_wrap=True)

    def failed(self, text: str) -> None:
        """Say what was wrong."""
        self._line(Text.assemble(("    ✗ ", "bold red"), (text, "red")))

    @contextmanager
    def waiting_for(self, text: str) -> Iterator[None]:
        """Show that something takes a moment; nothing is shown where nobody watches."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(text):
            yield

    def _line(self, text: Text | str) -> None:
        # Never broken or cut: a line may be searched for, and a terminal wraps by itself.
        self.console.print(text, soft_wrap=True)


def require(holds: object, message: str) -> None:
    """Go on only if it holds.

    Raises:
        WrongError: it does not.
    """
    if not holds:
        raise WrongError(message)
