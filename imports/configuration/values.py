"""Readers: each converts the value of a setting to its type.

A reader takes the value of a flag, a variable or an argument in Python. It raises ValueError with
what the value must be. The message shows the value only if it is a path: others may be secrets.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from imports.display_text import shown
from imports.source.tree import is_utf8

T = TypeVar("T")
S = TypeVar("S", bound=str)

Reader = Callable[[object], T]

_SWITCHES = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}

_NO_FILES = re.compile(r"/(dev(?!/shm/)|proc|sys)/")
"""Folders of the system with devices and similar things, not files."""


class Secret:
    """A string that `repr` and `str` hide."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hides `text`."""
        self._text = text

    def get_secret_value(self) -> str:
        """The string itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def text(value: object) -> str:
    """A string that is not empty; blanks around it are removed."""
    found = any_text(value).strip()
    if not found:
        raise ValueError("must not be empty")
    return found


def any_text(value: object) -> str:
    """A string in valid UTF-8."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    if not is_utf8(value):
        raise ValueError("must be valid UTF-8")
    return value


def secret(value: object) -> Secret:
    """A string that no message may show; blanks around it are removed."""
    return value if isinstance(value, Secret) else Secret(text(value))


def address(value: object) -> str:
    """A URL without secrets, since it is shown and stored."""
    found = text(value)
    if any(char in found for char in "@?#"):
        raise ValueError("must be https:// and the host only, without user or password")
    return found


def path(value: object) -> Path:
    """A file or a folder."""
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError("must be a path")
    if isinstance(value, str) and not value.strip():
        raise ValueError("is empty")
    found = Path(value)
    if not is_utf8(str(found)):
        # Neither the ledger nor JSON can store it.
        raise ValueError(f"{shown(str(found))}: its name is not valid UTF-8; rename it")
    return found


def file(value: object) -> Path:
    """A file of ours, which need not exist yet.

    We create others beside it, and replace it as a whole: so it must not be a device, nor be in a
    folder of devices.
    """
    found = path(value)
    if _NO_FILES.match(os.path.realpath(found.parent) + "/"):
        raise ValueError(f"{shown(str(found))} is in a system folder, which cannot have files")
    try:
        mode = found.stat().st_mode
    except OSError:
        # It does not exist yet; or the code that opens it reports the problem.
        return found
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        raise ValueError(f"{shown(str(found))} is {what}; name a file, which need not exist")
    return found


def switch(value: object) -> bool:
    """On or off."""
    found = _SWITCHES.get(str(value).strip().lower()) if isinstance(value, (str, int)) else None
    if found is None:
        raise ValueError("must be true or false")
    return found


def whole_number(least: int) -> Reader[int]:
    """A whole number, `least` or more."""

    def read(value: object) -> int:
        problem = f"must be a whole number, {least} or more"
        if not isinstance(value, (int, str)):
            raise ValueError(problem)
        try:
            number = int(value)
        except ValueError:
            raise ValueError(problem) from None
        if number < least:
            raise ValueError(problem)
        return number

    return read


def number(least: float, most: float) -> Reader[float]:
    """A number from `least` to `most`."""

    def read(value: object) -> float:
        problem = f"must be a number from {least:g} to {most:g}"
        if not isinstance(value, (int, float, str)):
            raise ValueError(problem)
        try:
            found = float(value)
        except (ValueError, OverflowError):
            raise ValueError(problem) from None
        # In this form it refuses nan too.
        if not least <= found <= most:
            raise ValueError(problem)
        return found

    return read


def choice(*choices: S) -> Reader[S]:
    """One of the given words, or members of an enumeration."""

    def read(value: object) -> S:
        for each in choices:
            if each == value:
                return each
        raise ValueError(f"must be {' or '.join([', '.join(choices[:-1]), choices[-1]])}")

    return read


def several(one: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list of values that `one` reads."""

    def read(value: object) -> tuple[T, ...]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ValueError("must be a list")
        return tuple(map(one, value))

    return read


def optional(one: Reader[T]) -> Reader[T | None]:
    """A value that `one` reads, or None."""

    def read(value: object) -> T | None:
        return None if value is None else one(value)

    return read
