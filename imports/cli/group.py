"""The command line as a whole, to which each command adds itself."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_CODES = """\
\b
Exit codes:
    0  all done
    1  a fatal error; the message says what to do
    2  wrong usage
    3  done, but some items failed, verification found differences, or a reset
       left rows to which others refer
   11  another run holds the ledger or the work state, or uses the server to be stopped
   75  the target stayed away; run again to resume
  130  interrupted; run again to resume
"""


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="resilient-importer")
def cli() -> None:
    """Imports JSON files and the images they name into PostgreSQL or Supabase.

    Every record once, every image once, however often it is interrupted: the same command again
    picks up where it stopped.

    Settings (.env), work state and ledger are those of the project folder: what IMPORTER_PROJECT
    names, else the nearest folder upwards that has them, else the checkout that this program is run
    from, else the working folder.
    """
    _check_working_folder()


def _check_working_folder() -> None:
    """Refuses a working folder whose path neither the ledger nor a database can keep."""
    from imports.errors import UsageError

    try:
        folder = str(Path.cwd())
    except FileNotFoundError:
        raise UsageError("The working folder is gone. Change to one that is there.") from None
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"The path of the working folder, {folder}, is no valid UTF-8. Rename that folder, or"
            " work in another one."
        ) from None
