"""The entry point of the command line: all commands, and an exit code for every error.

Slow imports happen only when a command runs, so `--help` is fast.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from imports.cli.commands import (  # noqa: F401  # each adds itself
    acknowledge,
    airtable_sync,
    check,
    db,
    earlier,
    import_source,
    insights,
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
    """Runs a command and exits with its code. The default of `arguments` is `sys.argv`."""
    try:
        # With standalone_mode=False, click returns the code of an Exit instead of raising it.
        code = cli.main(arguments, prog_name="resilient-importer", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        # An argument may be a file name with control characters, from a shell's pattern.
        error.message = shown(error.message)  # type: ignore[misc]  # nothing reads it later
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.stdout.flush()
        # Not sys.exit: if the signal came while `exec` ran (in a dataclass, for example), Python
        # would end by the signal. Nothing is open yet that must be closed.
        os._exit(130)
    except UnreadError as unread:
        end_unread(unread.error)
    except Exception as error:  # noqa: BLE001 - the last resort
        from imports.cli import faults

        known = faults.as_importer_error(error, _log_folder())
        tell_error(known)
        sys.exit(known.exit_code)


def _log_folder() -> Path:
    """The folder for the log of a command that failed before it had its settings."""
    from imports.configuration.project_folder import project_folder
    from imports.errors import UsageError

    try:
        return project_folder(os.environ)
    except (UsageError, OSError):
        return Path()
