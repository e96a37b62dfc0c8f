"""The command line as it is called: every command is there, and any error has its exit code.

Nothing heavy is imported before a command runs: `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from imports.cli.commands import (  # noqa: F401  # each adds itself
    acknowledge,
    db,
    import_source,
    reset,
    resume,
    schema,
    status,
    verify,
)
from imports.cli.group import cli
from imports.cli.printing import UnreadError, end_unread
from imports.cli.running import tell_error
from imports.display_text import shown


def main(arguments: list[str] | None = None) -> None:
    """Runs a command and exits with its code. `arguments` are the process's own by default."""
    try:
        # Not standalone, click returns the code of an Exit in place of raising it.
        code = cli.main(arguments, prog_name="resilient-importer", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        # What the user typed may be a name that a shell found.
        error.message = shown(error.message)  # type: ignore[misc]  # it is shown now, and last
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.stdout.flush()
        # Not sys.exit: Python would end itself by the signal if it came while code of a text,
        # a dataclass's for one, was executed. Nothing is open yet that needs to be closed.
        os._exit(130)
    except UnreadError as unread:
        end_unread(unread.error)
    except Exception as error:  # noqa: BLE001 - the last resort
        from imports.cli import faults

        told = faults.told(error, _log_folder())
        tell_error(told)
        sys.exit(told.exit_code)


def _log_folder() -> Path:
    """Where the log is of a command that failed before its settings were known."""
    from imports.configuration.project_folder import project_folder
    from imports.errors import UsageError

    try:
        return project_folder(os.environ)
    except (UsageError, OSError):
        return Path()
