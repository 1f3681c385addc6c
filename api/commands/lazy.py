"""Commands that are imported when they are used.

So that `cdx --help` is quick, and so that what needs no installation runs where its libraries are not installed.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Final

import click

OWN_PACKAGES: Final = ("api", "exchange", "consent", "crypto")


class LazyGroup(click.Group):
    """A group that knows commands by their module and one line of help; the module lists them in ``COMMANDS``.

    The line is written down a second time because a command that cannot be imported is listed as well;
    tests/unit/api/test_lazy.py holds it against the command's own. Commands may also be added as to any group.
    """

    def __init__(self, *args: Any, rooms: Mapping[str, tuple[str, str]], **kwargs: Any) -> None:
        """Take ``rooms``: command → (module below api.commands, one line of help)."""
        super().__init__(*args, **kwargs)
        self.rooms = rooms

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """The names, in the order of the alphabet."""
        return sorted({*self.rooms, *self.commands})

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command.

        Raises:
            click.ClickException: a library that it needs is not installed.
        """
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name not in self.rooms:
            return None
        found: Sequence[click.Command] = use(self.rooms[cmd_name][0], "COMMANDS")
        return next(command for command in found if command.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing any."""
        lines = {name: line for name, (_module, line) in self.rooms.items()}
        lines |= {name: one_line(command) for name, command in self.commands.items()}
        with formatter.section("Commands"):
            formatter.write_dl([(name, lines[name]) for name in self.list_commands(ctx)])


def one_line(command: click.Command) -> str:
    """What a command says of itself in a list."""
    return command.get_short_help_str(limit=120)


def use(module: str, name: str) -> Any:
    """Something of a module below api.commands, imported now.

    Raises:
        click.ClickException: a library that it needs is not installed.
    """
    try:
        return getattr(import_module(f"api.commands.{module}"), name)
    except ModuleNotFoundError as exc:
        missing = (exc.name or "").partition(".")[0]
        if missing in OWN_PACKAGES:
            raise
        raise click.ClickException(f"this needs a whole installation; the library {missing} is not there") from exc
