"""The options of commands: those that settings declare, and one that several commands have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from imports.configuration.commands import Commands
from imports.kinds.wording import WORDINGS

if TYPE_CHECKING:
    from imports.configuration.option import Option
    from imports.configuration.values import Reader


class PathType(click.Path):
    """A path that is not empty: that would be the working folder, whose files may be deleted."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path that was given."""
        if value == "":
            self.fail("It is empty. The working folder is a dot: `.`", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = PathType(path_type=Path)

kind_option = click.option(
    "--kind", type=click.Choice(list(WORDINGS)), help="Only what is of this kind."
)


class SettingsCommand(click.Command):
    """A command with options of its own, and behind them those of settings that it `takes`.

    These are made when it is called, or asked for them: `--help` of all commands needs none.
    """

    def __init__(self, *arguments: Any, takes: Commands, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._takes = takes

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        """All its options."""
        if self._takes:
            self.params += setting_options(self._takes)
            self._takes = Commands.NONE
        return super().get_params(context)


def setting_options(commands: Commands) -> list[click.Parameter]:
    """The options of settings that some commands take, in the order of their declaration."""
    # On demand: most of `--help` needs no setting.
    from imports.settings import OPTIONS

    return [_parameter(each, commands) for each in OPTIONS.values() if each.commands & commands]


def _parameter(option: Option, commands: Commands) -> click.Option:
    usual = option.shown_default or _shown(option.default)
    told = next((text for each, text in option.own_help.items() if each & commands), option.help)
    return click.Option(
        [*option.flags, option.name],
        help=f"{told}  [default: {usual}]" if usual else told,
        metavar=option.metavar,
        **_taken(option.read_given),
        multiple=option.is_repeated,
    )


def _shown(default: object) -> str:
    """A default as the help has it; nothing of one that is off, or none."""
    return (f"{default:g}" if isinstance(default, float) else str(default)) if default else ""


def _taken(read: Reader[Any]) -> dict[str, Any]:
    """What makes click take what a reader takes. What is not given is None, or off."""
    # On demand, as above.
    from imports.configuration import values

    if read is values.switch:
        return {"is_flag": True}
    if read is values.secret:
        return {"callback": lambda _context, _option, value: _without_password(value)}
    if values.is_of_paths(read):
        return {"type": FOLDER}
    if isinstance(read, values.Several):
        return {"callback": lambda _context, _option, value: value and read.split(value)}
    if isinstance(read, values.Choice):
        return {"type": click.Choice([str(each) for each in read.choices])}
    if isinstance(read, values.WholeNumber):
        return {"type": click.IntRange(read.least)}
    if isinstance(read, values.Number):
        return {"type": click.FloatRange(read.least, read.most)}
    return {}


def _without_password(url: str | None) -> str | None:
    """Warns of a password in a flag, which the list of processes shows."""
    if url is not None and re.search(r"//[^/@]*:[^/@]+@|[?&](ssl)?password=[^&]", url):
        click.echo(
            "Warning: the list of processes shows the password in --database-url to everybody on"
            " this machine. Set DATABASE_URL, in the environment or in .env, or PGPASSWORD.",
            err=True,
        )
    return url
