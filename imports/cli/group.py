"""The group of all commands. Each command adds itself to it."""

from __future__ import annotations

from pathlib import Path

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


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
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
