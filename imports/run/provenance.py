"""Our files inside a source: checks whether a run of ours created them, or they came with the data.

A ledger or a data folder that came with the data could make a run delete files, or use another
target. So each one that a run creates inside a source has a token, which the user's state folder
also has. Those without such a token are not used. (A work state inside a source is used if the
ledger knows its run.)
"""

from __future__ import annotations

import os
from pathlib import Path

from imports.errors import UsageError
from imports.files.file_error import about_file
from imports.files.private_file import make_folder, private, read_own
from imports.files.whole_file import replacing
from imports.ledger.file import holds_nothing, reading
from imports.settings import Settings

_TOKEN_NAME = "token"  # noqa: S105
_TOKEN_LENGTH = 32


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path is in a folder; a link at the path itself is not followed."""
    return path.parent.resolve().is_relative_to(folder)


def token_inside(settings: Settings, imported: Path) -> str | None:
    """The token for a new ledger, if it is in the imported folder.

    Also creates the data folder with a token, if it is there and does not exist yet.

    Raises:
        UsageError: if no run of this user has created them.
        LedgerError: if a ledger there is unusable.
    """
    ledger, data = settings.ledger_file, settings.data_folder
    token = None
    foreign = []
    if lies_in(ledger, imported):
        if holds_nothing(ledger):
            token = _new_token()
        elif not _is_known(_token_of_ledger(ledger)):
            foreign.append(ledger)
    if lies_in(data, imported) and not _is_known(_token_of_folder(data)):
        if os.path.lexists(data) and not _is_empty(data):
            foreign.append(data)
        elif not foreign:
            _mark(data)
    if foreign:
        raise _not_ours(foreign)
    return token


def refuse_foreign(ledger: Path) -> None:
    """Checks a ledger inside one of its own sources: a run of ours must have created it.

    Raises:
        UsageError: if none has.
        LedgerError: if the ledger is unusable.
    """
    with reading(ledger) as connection:
        if connection is None:
            return
        sources = [source for (source,) in connection.execute("select source from scope")]
    inside = any(lies_in(ledger, Path(each)) for each in sources)
    if inside and not _is_known(_token_of_ledger(ledger)):
        raise _not_ours([ledger])


def _not_ours(foreign: list[Path]) -> UsageError:
    return UsageError(
        f"{' and '.join(map(str, foreign))}: this is in the imported folder, and no run of yours on"
        " this machine has created it. It may have come with the data, and is not used. If it is"
        " yours, move it out of that folder, with the work state; then run from the new place, or"
        " name it with --state-file, --db-path and IMPORTER_DATA_FOLDER. Otherwise remove it."
    )


def _is_empty(folder: Path) -> bool:
    """Whether a folder is empty, except for an unfinished token of a killed run."""
    return folder.is_dir() and all(
        each.name.startswith(f".{_TOKEN_NAME}.") for each in folder.iterdir()
    )


def _token_of_ledger(path: Path) -> str:
    with reading(path) as connection:
        if connection is None:
            return ""
        row: tuple[str] | None = connection.execute("select token from origin").fetchone()
        return "" if row is None else str(row[0])


def _token_of_folder(folder: Path) -> str:
    try:
        return read_own(folder / _TOKEN_NAME).decode("ascii", "replace")
    except OSError:
        return ""


def _mark(folder: Path) -> None:
    token = _new_token()
    try:
        make_folder(folder)
        with replacing(folder / _TOKEN_NAME) as file:
            file.write(token.encode())
    except OSError as error:
        raise about_file(f"{folder} cannot be created", error) from error


# The tokens of the user's state folder


def _known_folder() -> Path:
    place = os.environ.get("XDG_STATE_HOME", "")
    home = Path(place) if place.startswith("/") else Path("~/.local/state").expanduser()
    return home / "resilient-importer" / "made"


def _is_known(token: str) -> bool:
    right = len(token) == _TOKEN_LENGTH and token.isascii() and token.isalnum()
    return right and (_known_folder() / token).is_file()


def _new_token() -> str:
    # On demand: most runs have their files outside the source.
    import secrets

    token = secrets.token_hex(_TOKEN_LENGTH // 2)
    folder = _known_folder()
    try:
        make_folder(folder)
        with open(folder / token, "x", opener=private):
            return token
    except OSError as error:
        raise about_file(
            f"The work state and the ledger are in the imported folder, and {folder}, which records"
            " that they are yours, cannot be written",
            error,
            "Name another place with --state-file and IMPORTER_DATA_FOLDER.",
        ) from error
