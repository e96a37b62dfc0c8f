"""The commands that messages tell the user to type next."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

from imports.settings import Backend, Settings
from imports.work_state import WorkState

NAME = "resilient-importer"


def program() -> str:
    """How this program is called from where the user is: by its name, if that is on the path."""
    here = Path(sys.executable).with_name(NAME)
    found = shutil.which(NAME)
    if found is not None and Path(found).resolve() == here.resolve():
        return NAME
    if not here.exists():
        return f"{shlex.quote(sys.executable)} -m imports"
    shorter = os.path.relpath(here)
    return shlex.quote(str(here) if shorter.startswith("..") else shorter)


def import_again(settings: Settings) -> str:
    """The command that goes on with the same work; it names no secret."""
    words: list[str] = [settings.kind]
    if settings.single_file is not None:
        words += ["--single-file", str(settings.single_file)]
    if settings.source is not None:
        words.append(str(settings.source))
    words += ["--tag", str(settings.tag)]
    if settings.backend is not Backend.AUTO:
        words += ["--backend", settings.backend.value]
    for root in settings.image_roots:
        words += ["--image-root", str(root)]
    return _line(words, settings.state_file)


def resume(state: WorkState, state_file: Path) -> str:
    """The command that goes on with the work in a work state."""
    words = [state.kind, state.source]
    if state.single_file:
        words += ["--single-file", str(Path(state.source) / state.single_file)]
    words += ["--tag", state.tag]
    if (backend := state.parameters.get("backend", "auto")) != "auto":
        words += ["--backend", str(backend)]
    for root in state.parameters.get("image_roots", ()):
        words += ["--image-root", str(root)]
    return _line(words, state_file)


def verify(state_file: Path, *, repair: bool = False) -> str:
    """The command that verifies the last run."""
    return _line(["verify", *(["--repair"] if repair else [])], state_file)


def _line(words: list[str], state_file: Path) -> str:
    if state_file != Settings.model_fields["state_file"].default:
        words = [*words, "--state-file", str(state_file)]
    return f"{program()} {shlex.join(words)}"
