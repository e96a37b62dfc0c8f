"""Option: all that is to say of a setting, at the field that has it.

From it come the flags of commands and their help, the variables, the check of a value, and what
work states and the commands that messages tell say of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, field
from enum import IntEnum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from imports.configuration.commands import Commands
from imports.configuration.values import OrNone, Several, path
from imports.errors import SettingsError

if TYPE_CHECKING:
    from imports.configuration.values import Reader

T = TypeVar("T")

PREFIX = "IMPORTER_"
"""Every setting can also be given as a variable: IMPORTER_BATCH_SIZE is --batch-size."""

_KEY = "option"
_NOTHING: Mapping[Any, Any] = {}


class Kept(IntEnum):
    """What a work state has a setting for, among the parameters of its run."""

    NOT = auto()
    """It has it elsewhere, or not at all: no secret is in it."""
    TO_SHOW = auto()
    """To be seen there. A run that is resumed takes what is set today, or what its state says."""
    TO_RESUME = auto()
    """A run that is resumed takes what it was begun with."""
    TO_VERIFY = auto()
    """A verification does so, too: it reads the source as the run did."""


class Option(NamedTuple):
    """What `option` declares; `name` is that of the field."""

    name: str
    default: Any
    read: Reader[Any]
    help: str
    commands: Commands
    own_help: Mapping[Commands, str]
    shown_default: str
    metavar: str | None
    own_flags: tuple[str, ...]
    own_variables: tuple[str, ...] | None
    told_again: Commands
    kept: Kept

    @property
    def flags(self) -> tuple[str, ...]:
        """How it is called on a command line; the first one is named in messages."""
        return self.own_flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that it may be given by; the first that is set is taken."""
        if self.own_variables is None:
            return (PREFIX + self.name.upper(),)
        return self.own_variables

    @property
    def read_given(self) -> Reader[Any]:
        """The reader of what is given."""
        return self.read.one if isinstance(self.read, OrNone) else self.read

    @property
    def is_repeated(self) -> bool:
        """Whether its flag is given anew for each of several values; else they are one text."""
        read = self.read_given
        return isinstance(read, Several) and read.one is path

    def words(self, value: object) -> list[str]:
        """The words that give a value, which a work state has, on a command line; none if usual."""
        if value is None or value is False or value == self.default:
            return []
        if value is True:
            return [self.flags[0]]
        read = self.read_given
        if not isinstance(read, Several):
            return [self.flags[0], str(value)]
        several = list(map(str, cast("list[object]", value)))
        if several and not self.is_repeated:
            several = [read.separator.join(several)]
        return [word for each in several for word in (self.flags[0], each)]


def option(
    default: T,
    read: Reader[T],
    help: str = "",  # as click calls it
    commands: Commands = Commands.NONE,
    *,
    own_help: Mapping[Commands, str] = _NOTHING,
    shown_default: str = "",
    metavar: str | None = None,
    flags: tuple[str, ...] = (),
    variables: tuple[str, ...] | None = None,
    told_again: Commands = Commands.NONE,
    kept: Kept = Kept.TO_RESUME,
) -> T:
    """Declares a setting, as a field of a dataclass: what it is by default, and all else of it.

    `read` checks a value, and says which there may be. `commands` take it as a flag, with `help`,
    or the `own_help` of one of them; the default is shown behind that, or `shown_default`.

    `flags` and `variables` are made of the field's name where they are left out: `--batch-size`,
    `IMPORTER_BATCH_SIZE`.

    The commands of `told_again` must be told it again, to go on with a run. `kept` says what the
    work state has it for.
    """
    declared = Option(
        "",
        default,
        read,
        help,
        commands,
        own_help,
        shown_default,
        metavar,
        flags,
        variables,
        told_again,
        kept,
    )
    return field(default=default, metadata={_KEY: declared})


def declared_option(of: Field[Any]) -> Option:
    """The option that a field declares."""
    found: Option = of.metadata[_KEY]
    return found._replace(name=of.name)


def checked(values: Mapping[str, Any], options: Mapping[str, Option]) -> dict[str, Any]:
    """The values of settings by their names, read; those that cannot be wrong are left out.

    Raises:
        SettingsError: if one makes no sense.
    """
    read = {}
    problems = {}
    for name, option in options.items():
        # A default is right, but for a path: something else may be in the place of a file.
        if values[name] is option.default and not isinstance(option.default, Path):
            continue
        try:
            read[name] = option.read(values[name])
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise SettingsError(problems, {})
    return read
