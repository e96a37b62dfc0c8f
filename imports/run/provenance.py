"""Files of ours that lie inside a source: are they of our making, or did they come with the data?

A work state, a ledger or a data folder that somebody has put into a source could send a run
elsewhere, or have it delete files. So each ledger and each data folder that a run makes inside a
source holds a token, and the user's own state folder remembers it. One without such a token is
not used, nor is a work state that such a ledger knows nothing of.
"""

from __future__ import annotations

import os
from pathlib import Path

from imports.errors import ImporterError, UsageError
from imports.ledger.file import reading
from imports.private_file import make_folder, private, read_own
from imports.settings import Settings
from imports.work_state import DamagedStateError, WorkState, load_work_state

_TOKEN_NAME = "token"  # noqa: S105
_TOKEN_LENGTH = 32


def token_inside(settings: Settings, imported: Path) -> str | None:
    """The token for a new ledger, if that lies in the folder that is imported.

    Makes and marks the data folder there, too, where there is none yet.

    Raises:
        UsageError: if what lies there is not of our making.
    """
    own = (settings.state_file, settings.ledger_file, settings.data_folder)
    # Where it lies counts, not where a link there leads to.
    inside = [each for each in own if each.parent.resolve().is_relative_to(imported)]
    if not inside:
        return None
    there = [each for each in inside if os.path.lexists(each)]
    strange = [each for each in there if not _is_ours(each, settings)]
    if settings.ledger_file in strange and settings.state_file in there:
        strange = [settings.state_file, *(each for each in strange if each != settings.state_file)]
    if strange:
        raise UsageError(
            f"{', '.join(map(str, strange))}: in the folder that is imported, and no run of"
            " yours on this machine has made it there. It may have come with the data, and is not"
            " used. If it is yours, move it out of that folder, and run from where it is then, or"
            " name it with --state-file, --db-path and IMPORTER_DATA_FOLDER; else remove it."
        )
    if settings.data_folder in inside and not settings.data_folder.exists():
        _mark(settings.data_folder)
    if settings.ledger_file not in inside or settings.ledger_file.exists():
        return None
    return _new_token()


def _is_ours(path: Path, settings: Settings) -> bool:
    if path == settings.data_folder:
        return _is_known(_token_of_folder(path))
    try:
        if path == settings.ledger_file:
            return _is_known(_token_of_ledger(path))
        state = load_work_state(path)
        return state is None or _has_run(settings.ledger_file, state)
    except DamagedStateError:
        # It is set aside, and nothing of it is used.
        return True
    except ImporterError:
        return False


def _has_run(ledger: Path, state: WorkState) -> bool:
    with reading(ledger) as connection:
        if connection is None:
            return False
        row = connection.execute(
            "select 1 from run join scope on scope.id = scope_id where batch_id = ? and run_id = ?"
            " and kind = ? and source = ? and tag = ? and target_id = ?",
            (
                *(state.batch_id, state.run_id, state.kind),
                *(state.source, state.tag, state.target_id),
            ),
        ).fetchone()
        return row is not None


def _token_of_ledger(path: Path) -> str:
    with reading(path) as connection:
        if connection is None:
            return ""
        row: tuple[str] | None = connection.execute("select token from origin").fetchone()
        return "" if row is None else row[0]


def _token_of_folder(folder: Path) -> str:
    try:
        return read_own(folder / _TOKEN_NAME).decode("ascii", "replace")
    except OSError:
        return ""


def _mark(folder: Path) -> None:
    token = _new_token()
    try:
        make_folder(folder)
        with open(folder / _TOKEN_NAME, "x", opener=private) as file:
            file.write(token)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}.") from error


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
        raise UsageError(
            f"The work state and the ledger lie in the folder that is imported, and {folder},"
            f" which remembers that they are yours, cannot be written: {error.strerror}. Name"
            " another place with --state-file and IMPORTER_DATA_FOLDER."
        ) from error
