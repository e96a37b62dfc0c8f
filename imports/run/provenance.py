"""Files of ours that lie inside a source: are they of our making, or did they come with the data?

A ledger or a data folder that somebody has put into a source could send a run elsewhere, or have
it delete files. So each of them that a run makes inside a source holds a token, and the user's own
state folder remembers it. One without such a token is not used. (A work state inside a source is
used if the ledger knows its run.)
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
    """Whether a file of ours lies in a folder: it, not what a link in its place leads to."""
    return path.parent.resolve().is_relative_to(folder)


def token_inside(settings: Settings, imported: Path) -> str | None:
    """The token for a new ledger, if that lies in the folder that is imported.

    Makes and marks the data folder there, too, where there is none yet.

    Raises:
        UsageError: if what lies there is not of our making.
        LedgerError: if a ledger there cannot be used by anybody.
    """
    ledger, data = settings.ledger_file, settings.data_folder
    token = None
    strange = []
    if lies_in(ledger, imported):
        if holds_nothing(ledger):
            token = _new_token()
        elif not _is_known(_token_of_ledger(ledger)):
            strange.append(ledger)
    if lies_in(data, imported) and not _is_known(_token_of_folder(data)):
        if os.path.lexists(data) and not _is_empty(data):
            strange.append(data)
        elif not strange:
            _mark(data)
    if strange:
        raise _not_ours(strange)
    return token


def refuse_foreign(ledger: Path) -> None:
    """Makes sure that a ledger in a source that it knows is of our making.

    Raises:
        UsageError: if it is not.
        LedgerError: if it cannot be used by anybody.
    """
    with reading(ledger) as connection:
        if connection is None:
            return
        sources = [source for (source,) in connection.execute("select source from scope")]
    inside = any(lies_in(ledger, Path(each)) for each in sources)
    if inside and not _is_known(_token_of_ledger(ledger)):
        raise _not_ours([ledger])


def _not_ours(strange: list[Path]) -> UsageError:
    return UsageError(
        f"{' and '.join(map(str, strange))}: in the folder that is imported, and no run of"
        " yours on this machine has made it there. It may have come with the data, and is not"
        " used. If it is yours, move it out of that folder, with the work state, and run from"
        " where it is then, or name it with --state-file, --db-path and IMPORTER_DATA_FOLDER;"
        " else remove it."
    )


def _is_empty(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a killed run left of marking it."""
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
        raise about_file(f"{folder} cannot be made", error) from error


# What is remembered


def _known_folder() -> Path:
    place = os.environ.get("XDG_STATE_HOME", "")
    home = Path(place) if place.startswith("/") else Path("~/.local/state").expanduser()
    return home / "resilient-importer" / "made"


def _is_known(token: str) -> bool:
    right = len(token) == _TOKEN_LENGTH and token.isascii() and token.isalnum()
    return right and (_known_folder() / token).is_file()


def _new_token() -> str:
    # On demand: most runs keep their files outside of their source.
    import secrets

    token = secrets.token_hex(_TOKEN_LENGTH // 2)
    folder = _known_folder()
    try:
        make_folder(folder)
        with open(folder / token, "x", opener=private):
            return token
    except OSError as error:
        raise about_file(
            f"The work state and the ledger lie in the folder that is imported, and {folder},"
            " which remembers that they are yours, cannot be written",
            error,
            "Name another place with --state-file and IMPORTER_DATA_FOLDER.",
        ) from error
