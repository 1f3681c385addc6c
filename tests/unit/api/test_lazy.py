"""Commands are imported when they are used, listed when they are not, and say why when they cannot be."""

import click
import pytest

from api.cli import cdx
from api.commands.lazy import LazyGroup, one_line, use


def lazy_groups(group=cdx):
    yield group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, LazyGroup):
            yield from lazy_groups(command)


def test_the_line_in_the_list_is_the_commands_own():
    groups = list(lazy_groups())
    assert [group.name for group in groups] == ["cdx", "log"]
    for group in groups:
        for name, (_module, line) in group.rooms.items():
            assert line == one_line(group.get_command(click.Context(group), name)), name


def test_an_unknown_command_is_none():
    assert cdx.get_command(click.Context(cdx), "nonsense") is None


def test_a_fault_of_our_own_is_not_taken_for_a_missing_library():
    with pytest.raises(ModuleNotFoundError):
        use("nonsense", "COMMANDS")
