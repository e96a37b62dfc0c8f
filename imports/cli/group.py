"""The group of all commands. Each command adds itself to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

EXIT_CODES = """\
\b
Exit codes:
    0  all done
    1  a fatal error; the message says what to do
    2  wrong usage
    3  done, but some items failed, verification or a check found differences, or a
       reset left rows to which others refer
   11  another run holds the ledger or the work state, or uses the server to be
       stopped; or another sync into the same base is active
   75  the target did not answer; run again to resume
  130  interrupted; run again to resume
"""

EVERYWHERE = ("--production", "--staging", "--verbose")
_BEFORE = "The same as after the name of the command."


class CommandGroup(click.Group):
    """A group that takes some options of its commands also before the name of the command.

    A command that does not have such an option refuses it.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.params += [click.Option([flag], is_flag=True, help=_BEFORE) for flag in EVERYWHERE]

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        """Notes which of these options were given."""
        rest = super().parse_args(context, arguments)
        names = {flag: flag.strip("-") for flag in EVERYWHERE}
        context.obj = [flag for flag, name in names.items() if context.params.pop(name)]
        return rest

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, and its arguments, with these options."""
        name, command, rest = super().resolve_command(context, arguments)
        return name, command, [*context.obj, *rest]


@click.group(
    cls=CommandGroup, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="resilient-importer")
def cli() -> None:
    """Imports JSON files and the images they name into PostgreSQL or Supabase.

    Every record and every image is stored once, however often the import is interrupted: the same
    command resumes it.

    Settings (.env), work state and ledger are in the project folder: the folder that
    IMPORTER_PROJECT names, else the nearest folder upwards that has such files, else the checkout
    that this program runs from, else the working folder.
    """
    _check_working_folder()


def _check_working_folder() -> None:
    """Refuses a working folder whose path the ledger and a database cannot store."""
    from imports.errors import UsageError

    try:
        folder = str(Path.cwd())
    except FileNotFoundError:
        raise UsageError("The working folder does not exist any more. Change to another.") from None
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The path of the working folder, {folder}, is not valid UTF-8. Rename that folder, or"
            " work in another one."
        ) from None
