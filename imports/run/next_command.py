"""The next commands that messages suggest to the user."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imports.configuration.commands import Commands
from imports.configuration.project_folder import VARIABLE, project_folder
from imports.display_text import shown
from imports.kinds import kind_named
from imports.ledger.work_state import WorkState
from imports.settings import OPTIONS, PATHS, Settings

NAME = "resilient-importer"


def program() -> str:
    """The command of this program: its name if it is on the path, else its file.

    If the project folder is not the working folder, as for cron, the file is absolute.
    """
    here = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == here.resolve():
        return NAME
    if not here.exists():
        return f"{shlex.quote(sys.executable)} -m imports"
    shorter = os.path.relpath(here)
    below = project_folder(os.environ) == Path() and not shorter.startswith("..")
    return shlex.quote(shorter if below else str(here))


def import_again(settings: Settings, *, retry_failed: bool = False) -> str:
    """The command that continues the same work; it contains no secret."""
    return _import(
        settings.kind,
        None if settings.source is None else str(settings.source),
        None if settings.single_file is None else str(settings.single_file),
        str(settings.tag),
        settings.state_file,
        settings.as_json(),
        retry_failed=retry_failed,
    )


def resume(state: WorkState, state_file: Path, *, retry_failed: bool = False) -> str:
    """The command that resumes the run of a work state."""
    return _import(
        state.kind,
        state.source,
        str(Path(state.source) / state.single_file) if state.single_file else None,
        state.tag,
        state_file,
        _from_here(state.parameters),
        retry_failed=retry_failed,
    )


def _from_here(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a work state; paths below the working folder are relative to it."""
    here = Path.cwd()

    def from_here(path: object) -> str:
        place = Path(str(path))
        return str(place.relative_to(here) if place.is_relative_to(here) else place)

    paths = {name: parameters.get(name) for name in PATHS if parameters.get(name)}
    shorter = {
        name: [from_here(each) for each in value] if isinstance(value, list) else from_here(value)
        for name, value in paths.items()
    }
    return {**parameters, **shorter}


def _import(
    kind: str,
    source: str | None,
    single: str | None,
    tag: str,
    state_file: Path,
    parameters: Mapping[str, Any],
    *,
    retry_failed: bool,
) -> str:
    takes, command = kind_named(kind).takes, kind_named(kind).wording.single_command
    if single is not None and command is not None:
        takes = Commands.ITEM
        words = [command, single, *(["--source", source] if source else [])]
    else:
        words = [
            kind,
            *(["--single-file", single] if single else []),
            *([source] if source else []),
        ]
    words += _told_again(takes, {**parameters, "tag": tag})
    if retry_failed and takes & OPTIONS["retry_failed"].commands:
        words.append("--retry-failed")
    return _line(words, state_file, parameters.get("db_path") or None)


def _told_again(commands: Commands, parameters: Mapping[str, Any]) -> list[str]:
    """The options, from a run's parameters, that commands need again to resume it."""
    return [
        word
        for name, option in OPTIONS.items()
        if option.resumed_with & commands
        for word in option.arguments(parameters.get(name))
    ]


def acknowledge(kind: str, tag: str, state_file: Path, db_path: Path | None) -> str:
    """A line with the command that acknowledges all failed items of a kind and a tag."""
    words = ["acknowledge", "--kind", kind, "--tag", tag, "--all"]
    line = _line(words, state_file, db_path)
    return f"To acknowledge the failed ones, so that they no longer count:  {line}"


def verify(
    state_file: Path, parameters: Mapping[str, Any], *options: str, repair: bool = False
) -> str:
    """The command that verifies the last run, or the one that options choose."""
    words = ["verify", *_told_again(Commands.VERIFY, parameters), *options]
    return _line([*words, *(["--repair"] if repair else [])], state_file)


def resume_all(
    state_file: Path, parameters: Mapping[str, Any], ledger_file: Path | None = None
) -> str:
    """The command that resumes all unfinished runs, with the parameters that they share.

    `ledger_file` is needed if it is not the default one.
    """
    return _line(["resume", *_told_again(Commands.RESUME, parameters)], state_file, ledger_file)


def _line(words: list[str], state_file: Path, db_path: object = None) -> str:
    """A command line, with the work state and the ledger if they are not the default ones."""
    if db_path is not None:
        words = [*words, "--db-path", str(db_path)]
    project = project_folder(os.environ)
    if state_file != project / Settings.state_file:
        words = [*words, "--state-file", str(state_file)]
    # In another folder, or in a crontab, it must not use another project's target.
    pinned = f"{VARIABLE}={_quoted(str(project))} " if project != Path() else ""
    return f"{pinned}{program()} {' '.join(map(_quoted, words))}"


def _quoted(word: str) -> str:
    """A word quoted for a shell and escaped for a terminal."""
    if shown(word) == word:
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{shown(escaped)}'"
