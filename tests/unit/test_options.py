"""What the field of an option says of it is so everywhere: no list here names one."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from imports.cli.main import cli
from imports.configuration.commands import Commands
from imports.configuration.option import Kept, Option
from imports.configuration.values import Choice, Number, WholeNumber, secret
from imports.kinds import all_kinds
from imports.run import next_command
from imports.settings import OPTIONS, Settings

ROOT = Path(__file__).parents[2]
KINDS = all_kinds()
TAKING = {
    "verify": Commands.VERIFY,
    "resume": Commands.RESUME,
    "status": Commands.STATUS,
    "acknowledge": Commands.ACKNOWLEDGE,
    "schema apply": Commands.SCHEMA,
    "reset": Commands.RESET,
    **{name: kind.takes for name, kind in KINDS.items()},
    **{
        kind.wording.single_command: Commands.ITEM
        for kind in KINDS.values()
        if kind.wording.single_command is not None
    },
}
"""Each command that takes options, and what it is."""

each_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda each: each.name)
each_command = pytest.mark.parametrize("command", TAKING)


def taken(command: str) -> dict[str, click.Option]:
    """The options of a command, by the names that they pass on."""
    found: Any = cli
    for word in command.split():
        found = found.get_command(click.Context(found), word)
    parameters = found.get_params(click.Context(found))
    return {each.name: each for each in parameters if isinstance(each, click.Option)}


def help_of(command: str) -> dict[str, str]:
    """What the help of a command says of each flag."""
    found: Any = cli
    for word in command.split():
        found = found.get_command(click.Context(found), word)
    _, *blocks = re.split(r"\n  (?=-)", found.get_help(click.Context(found)).split("\nExit")[0])
    lines = [" ".join(block.split()) for block in blocks]
    return {re.split("[ ,]", line)[0]: line for line in lines}


def row(option: Option) -> list[str]:
    """The cells of its row in the README."""
    for line in (ROOT / "README.md").read_text().splitlines():
        cells = [each.strip() for each in line.replace("\\|", "¦").strip("|").split("|")]
        if len(cells) == 3 and re.search(rf"`{option.flags[0]}[ `]", cells[0]):
            return cells
    raise AssertionError(f"{option.flags[0]} has no row in the README")


def test_every_setting_is_declared_and_every_command_is_known() -> None:
    assert list(OPTIONS) == [each.name for each in fields(Settings)]
    every = Commands.NONE
    for each in OPTIONS.values():
        every |= each.commands
    assert all(each & every for each in TAKING.values())
    flags = [flag for option in OPTIONS.values() for flag in option.flags]
    variables = [variable for option in OPTIONS.values() for variable in option.variables]
    assert len(set(flags)) == len(flags)
    assert len(set(variables)) == len(variables)


@each_option
def test_a_default_is_one_that_may_be_given(option: Option) -> None:
    assert option.default == getattr(Settings, option.name)
    assert option.read(option.default) == option.default


@each_command
def test_a_command_has_the_flags_of_its_options_and_no_others(command: str) -> None:
    found = taken(command)
    for option in OPTIONS.values():
        if not option.commands & TAKING[command]:
            # What chooses among runs is no setting.
            own = {"kind", "tag", "source", "limit", "batch_id"}
            assert option.name not in set(found) - own, option.name
            continue
        assert tuple(found[option.name].opts) == option.flags
        assert found[option.name].multiple == option.is_repeated


@each_command
def test_the_help_of_a_command_has_flags_texts_and_defaults(command: str) -> None:
    shown = help_of(command)
    for option in OPTIONS.values():
        if not option.commands & TAKING[command]:
            continue
        line = shown[option.flags[0]]
        own = [text for each, text in option.own_help.items() if each & TAKING[command]]
        assert " ".join((own or [option.help])[0].split()) in line
        usual = re.search(r"\[default: (.*?)\]", line)
        if option.shown_default or option.default:
            assert usual, line
            assert usual[1] == option.shown_default or option.read_given(usual[1]) == option.default
        else:
            assert usual is None, line


@each_option
def test_a_flag_takes_what_the_setting_takes_and_no_more(option: Option) -> None:
    read = option.read_given
    for command, commands in TAKING.items():
        if not option.commands & commands:
            continue
        convert = taken(command)[option.name].type
        if isinstance(read, WholeNumber):
            wrong = str(read.least - 1)
        elif isinstance(read, Number):
            wrong = str(read.most + 1)
        elif isinstance(read, Choice):
            assert list(convert.choices) == list(map(str, read.choices))
            wrong = "nonsense"
        else:
            continue
        with pytest.raises(click.BadParameter):
            convert.convert(wrong, None, None)
        with pytest.raises(ValueError, match="must be"):
            read(wrong)


@each_option
def test_a_flag_has_its_row_in_the_readme(option: Option) -> None:
    if not option.commands:
        return
    flags, meaning, usual = row(option)
    for flag in option.flags:
        assert f"`{flag}" in flags
    read = option.read_given
    if isinstance(read, Choice):
        assert "¦".join(map(str, read.choices)) in flags
    default = option.shown_default or option.default
    if not flags.startswith(f"`{option.flags[0]}") and not option.shown_default:
        # It is told beside the first one of its row, whose default is there.
        return
    if isinstance(option.default, bool):
        assert usual == "off"
    elif default:
        text = f"{default:g}" if isinstance(default, float) else re.split("[;,]", str(default))[0]
        assert text in usual.replace("`", "")
    else:
        assert usual in ("", "none", "the kind's own")
    of_some = [name for name, kind in KINDS.items() if option.commands & kind.takes]
    if of_some and len(of_some) < len(KINDS):
        assert set(of_some) <= set(re.findall(r"`(\w+)`", meaning)), "it says which kinds have it"


@each_option
def test_a_variable_is_found_in_the_readme(option: Option) -> None:
    """By its flag, as all are called; or by its own name."""
    text = (ROOT / "README.md").read_text()
    for variable in option.variables:
        by_flag = f"--{variable.removeprefix('IMPORTER_').lower().replace('_', '-')}"
        assert f"`{variable}" in text or by_flag in option.flags
        assert f"`{variable}" in text or option.commands, "no flag leads to it"


@each_option
def test_no_secret_is_told_again_or_in_a_work_state(option: Option) -> None:
    if option.read_given is secret:
        assert option.kept is Kept.NOT
        assert not option.resumed_with
        assert str(option.read("x")) != "x"


@each_option
def test_what_must_be_told_again_is_what_the_command_takes(option: Option) -> None:
    assert option.resumed_with & option.commands == option.resumed_with


@each_command
def test_what_is_told_again_is_understood(command: str) -> None:
    """As the words of its flag, whatever it is, and not where it is as usual."""
    for option in OPTIONS.values():
        if not option.resumed_with & TAKING[command]:
            continue
        read = option.read_given
        value: Any = str(read.choices[-1]) if isinstance(read, Choice) else "7"
        if isinstance(option.default, bool):
            value = True
        if isinstance(option.default, tuple):
            value = ["a", "b"]
        found = taken(command)[option.name]
        context = click.Context(click.Command("x", params=[found]))
        words = option.arguments(value)
        click.Command("x", params=[found]).parse_args(context, [*words])
        assert option.read(context.params[option.name]) == option.read(value)
        for usual in (option.default, None, False):
            assert option.arguments(usual) == []
        assert option.arguments([]) == [] or not isinstance(option.default, tuple)


def test_where_settings_are_read_is_told_to_every_command_that_goes_on() -> None:
    """Without --production they would look for their target in another file."""
    production = {"production": True}
    for line in (
        next_command.verify(Path("work_state.json"), production),
        next_command.verify(Path("work_state.json"), production, repair=True),
        next_command.resume_all(Path("work_state.json"), production),
    ):
        assert " --production" in line
        assert " --production" not in line.replace(" --production", "", 1)
    assert "--production" not in next_command.verify(Path("work_state.json"), {"production": False})
