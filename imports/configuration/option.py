"""Option: the declaration of a setting, at its field.

It defines the flags of commands and their help, the variables, the check of a value, whether the
work state stores it, and whether messages repeat it in a command.
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
"""Every setting can also be set by a variable: IMPORTER_BATCH_SIZE for --batch-size."""

_KEY = "option"
_NOTHING: Mapping[Any, Any] = {}


class Kept(IntEnum):
    """Whether a work state stores a setting among its parameters, and what for."""

    NOT = auto()
    """Not stored there: it has a field of its own, or is a secret."""
    TO_SHOW = auto()
    """Only shown. A resumed run does not take it from the parameters."""
    TO_RESUME = auto()
    """A resumed run uses the stored value."""
    TO_VERIFY = auto()
    """A verification uses the stored value, too, so it reads the source as the run did."""


class Option(NamedTuple):
    """The declaration by `option`; `name` is the name of the field."""

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
    resumed_with: Commands
    kept: Kept

    @property
    def flags(self) -> tuple[str, ...]:
        """Its flags; messages use the first one."""
        return self.own_flags or (f"--{self.name.replace('_', '-')}",)

    @property
    def variables(self) -> tuple[str, ...]:
        """Its variables; the first one that is set counts."""
        if self.own_variables is None:
            return (PREFIX + self.name.upper(),)
        return self.own_variables

    @property
    def read_given(self) -> Reader[Any]:
        """The reader of a given value, not None."""
        return self.read.one if isinstance(self.read, OrNone) else self.read

    @property
    def is_repeated(self) -> bool:
        """Whether each of several values has a flag of its own; else one flag has all of them."""
        read = self.read_given
        return isinstance(read, Several) and read.one is path

    def arguments(self, value: object) -> list[str]:
        """The command line arguments for a value from a work state; none for the default."""
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
        return [argument for each in several for argument in (self.flags[0], each)]


def option(
    default: T,
    read: Reader[T],
    help: str = "",  # click's name for it
    commands: Commands = Commands.NONE,
    *,
    own_help: Mapping[Commands, str] = _NOTHING,
    shown_default: str = "",
    metavar: str | None = None,
    flags: tuple[str, ...] = (),
    variables: tuple[str, ...] | None = None,
    resumed_with: Commands = Commands.NONE,
    kept: Kept = Kept.TO_RESUME,
) -> T:
    """Declares a setting, as a field of a dataclass with a default value.

    `read` converts and checks a value. `commands` take the setting as a flag with the text `help`,
    or with their own text in `own_help`. The help also shows `shown_default`, or the default.

    `flags` and `variables` follow from the field's name if they are not given: `--batch-size`,
    `IMPORTER_BATCH_SIZE`.

    The commands in `resumed_with` need the flag again to resume a run. `kept` says whether the
    work state stores the setting.
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
        resumed_with,
        kept,
    )
    return field(default=default, metadata={_KEY: declared})


def declared_option(of: Field[Any]) -> Option:
    """The declaration at a field."""
    found: Option = of.metadata[_KEY]
    return found._replace(name=of.name)


def checked(values: Mapping[str, Any], options: Mapping[str, Option]) -> dict[str, Any]:
    """The converted values of settings by name, without those that are unchanged defaults.

    Raises:
        SettingsError: if a value is invalid.
    """
    read = {}
    problems = {}
    for name, option in options.items():
        # Defaults are valid, except paths: for example, a folder may be in the place of a file.
        if values[name] is option.default and not isinstance(option.default, Path):
            continue
        try:
            read[name] = option.read(values[name])
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        raise SettingsError(problems, {})
    return read
