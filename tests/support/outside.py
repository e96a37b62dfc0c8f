"""No test reads files beside the repository: it would pass only on some machines."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

from tests.support.command import ROOT

_BESIDE = os.path.join(ROOT.parent, "")
_ALLOWED = tuple(
    os.path.join(path, "")
    for path in (ROOT, tempfile.gettempdir(), sys.prefix, sys.base_prefix, "/dev/shm")
    if os.path.join(path, "").startswith(_BESIDE)
)
_READING = frozenset({"open", "os.listdir", "os.scandir"})


class OutsideError(Exception):
    """A test reads a file beside the repository."""


def refuse_what_is_outside(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook that refuses such reads, except for hidden files of a home folder."""
    if event not in _READING or not isinstance(arguments[0], (str, bytes, os.PathLike)):
        return
    path = os.fsdecode(arguments[0])
    if (
        path.startswith(_BESIDE)
        and not path.startswith(_ALLOWED)
        and not path.startswith(".", len(_BESIDE))
        and f"{path}{os.sep}" not in _ALLOWED
    ):
        raise OutsideError(f"{path} is outside the repository. Examples are in tests/examples.")
