"""The project folder: it has the .env files, the work state and all files that a run writes.

It is found from any folder below it, as git finds a repository: a job that runs in another working
folder must not start a second project there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from imports.errors import UsageError

VARIABLE = "IMPORTER_PROJECT"

_ENV_FILES = (".env", ".env.local", ".env.staging", ".env.production")
_OWN_FILES = ("work_state.json", "upload_tracker.db")
_OWN_FOLDER = ".importer"


def project_folder(environment: Mapping[str, str]) -> Path:
    """The project folder; an empty path if it is the working folder.

    It is the folder that IMPORTER_PROJECT names; else the nearest folder, from the working folder
    upwards, that has a file of a project; else the checkout that this program runs from; else the
    working folder.

    Raises:
        UsageError: if IMPORTER_PROJECT names no folder.
    """
    here = Path.cwd()
    named = environment.get(VARIABLE, "").strip()
    if not named:
        found = _upwards(here) or _checkout() or here
    elif not (found := Path(named).resolve()).is_dir():
        raise UsageError(f"{VARIABLE} is {named}: the folder does not exist. Correct or unset it.")
    return Path() if found == here else found


def _upwards(here: Path) -> Path | None:
    """The nearest project folder: the working folder or one above it.

    The search stops at a folder that other users can write to.
    """
    if _is_project(here):
        return here
    for folder in here.parents:
        if not _is_ours(folder):
            return None
        if _is_project(folder, own_only=folder in (_home(), Path(folder.anchor))):
            return folder
    return None


def _is_project(folder: Path, *, own_only: bool = False) -> bool:
    """Whether a folder has a file of a project.

    With `own_only`, an .env file does not count: in a home folder it may belong to any program.
    """
    files = _OWN_FILES if own_only else (*_ENV_FILES, *_OWN_FILES)
    try:
        return any(map(_is_file, map(folder.joinpath, files))) or (folder / _OWN_FOLDER).is_dir()
    except OSError as error:
        raise UsageError(
            f"The folder {folder} cannot be searched for the project: {error.strerror}. Make it"
            f" searchable, or name the project folder with {VARIABLE}."
        ) from None


def _is_file(path: Path) -> bool:
    """Whether the path is a file or a broken link; the code that reads the link reports it."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _is_ours(folder: Path) -> bool:
    """Whether a folder belongs to this user and is not writable for everybody."""
    try:
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not status.st_mode & stat.S_IWOTH


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:
        return None


def _checkout() -> Path | None:
    """The checkout that this program runs from, if the installation is editable."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "pyproject.toml").is_file() and _is_ours(folder) else None
