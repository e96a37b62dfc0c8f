"""The options of commands: those that settings declare, and `--kind` of several commands."""

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
    """A path that is not empty: that would be the working folder, whose files a run may delete."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The given path."""
        if value == "":
            self.fail("It is empty. For the working folder, use a dot: `.`", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = PathType(path_type=Path)

kind_option = click.option(
    "--kind", type=click.Choice(list(WORDINGS)), help="Only items of this kind."
)


class SettingsCommand(click.Command):
    """A command with options of its own, followed by those of the settings that it `takes`.

    The latter are created on first use: `--help` of all commands does not need them.
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
    """The options of settings for the given commands, in the order of their declaration."""
    # On demand: `--help` of all commands does not need them.
    from imports.settings import OPTIONS

    return [_parameter(each, commands) for each in OPTIONS.values() if each.commands & commands]


def _parameter(option: Option, commands: Commands) -> click.Option:
    default = option.shown_default or _shown(option.default)
    text = next((text for each, text in option.own_help.items() if each & commands), option.help)
    return click.Option(
        [*option.flags, option.name],
        help=f"{text}  [default: {default}]" if default else text,
        metavar=option.metavar,
        **_click_type(option.read_given),
        multiple=option.is_repeated,
    )


def _shown(default: object) -> str:
    """A default for the help; empty if it is off or None."""
    return (f"{default:g}" if isinstance(default, float) else str(default)) if default else ""


def _click_type(read: Reader[Any]) -> dict[str, Any]:
    """The arguments of `click.Option` for a reader. A flag that is not given is None or off."""
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
    """Warns of a password in a flag, which is visible in the list of processes."""
    if url is not None and re.search(r"//[^/@]*:[^/@]+@|[?&](ssl)?password=[^&]", url):
        click.echo(
            "Warning: every user of this machine can see the password in --database-url, in the"
            " list of processes. Set DATABASE_URL, in the environment or in .env, or PGPASSWORD.",
            err=True,
        )
    return url
