"""Readers: each converts the value of a setting to its type.

A reader takes the value of a flag, a variable or an argument in Python. It raises ValueError with
what the value must be. The message shows the value only if it is a path: others may be secrets.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Generic, TypeVar

from imports.display_text import shown

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
    if not _is_utf8(value):
        raise ValueError("must be valid UTF-8")
    return value


def _is_utf8(text: str) -> bool:
    # On demand: `--help` reads no value.
    from imports.source.tree import is_utf8

    return is_utf8(text)


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
    if not _is_utf8(str(found)):
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


def batch_id(value: object) -> str:
    """A batch id for a run."""
    # On demand: `--help` reads no value.
    from imports.items.run_name import may_be_given

    found = text(value)
    if not may_be_given(found):
        raise ValueError(
            "must be 1 to 64 letters, digits, `_`, `-` or `.`, must not begin with `-` or `.`, and"
            " must not end with a dot and digits: that is how the cycles of a run are named"
        )
    return found


class WholeNumber:
    """A whole number, `least` or more."""

    def __init__(self, least: int) -> None:
        self.least = least

    def __call__(self, value: object) -> int:
        """The given number."""
        problem = f"must be a whole number, {self.least} or more"
        if not isinstance(value, (int, str)):
            raise ValueError(problem)
        try:
            number = int(value)
        except ValueError:
            raise ValueError(problem) from None
        if number < self.least:
            raise ValueError(problem)
        return number


class Number:
    """A number from `least` to `most`."""

    def __init__(self, least: float, most: float) -> None:
        self.least = least
        self.most = most

    def __call__(self, value: object) -> float:
        """The given number."""
        problem = f"must be a number from {self.least:g} to {self.most:g}"
        if not isinstance(value, (int, float, str)):
            raise ValueError(problem)
        try:
            found = float(value)
        except (ValueError, OverflowError):
            raise ValueError(problem) from None
        # In this form it refuses nan too.
        if not self.least <= found <= self.most:
            raise ValueError(problem)
        return found


class Choice(Generic[S]):
    """One of some strings, or one member of an enumeration."""

    def __init__(self, *choices: S) -> None:
        self.choices = choices

    def __call__(self, value: object) -> S:
        """The given value."""
        for each in self.choices:
            if each == value:
                return each
        *others, last = self.choices
        raise ValueError(f"must be {' or '.join([', '.join(others), last])}")


class Several(Generic[T]):
    """A list; in a string, `separator` separates its values."""

    def __init__(self, one: Reader[T], separator: str) -> None:
        self.one = one
        self.separator = separator

    def __call__(self, value: object) -> tuple[T, ...]:
        """The given values."""
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise ValueError("must be a list")
        return tuple(map(self.one, value))

    def split(self, text: str) -> tuple[str, ...]:
        """The values in a string."""
        return tuple(part for part in text.split(self.separator) if part.strip())


class OrNone(Generic[T]):
    """A value of another reader, or None."""

    def __init__(self, one: Reader[T]) -> None:
        self.one = one

    def __call__(self, value: object) -> T | None:
        """The given value, or None."""
        return None if value is None else self.one(value)


def absolute(value: Any) -> Any:
    """A path, or several, as absolute paths; None stays None."""
    if isinstance(value, tuple):
        return tuple(map(absolute, value))
    return None if value is None else value.absolute()


def plain(value: object) -> object:
    """A value as a JSON value; secrets are hidden."""
    if isinstance(value, (Path, Secret)):
        return str(value)
    if isinstance(value, StrEnum):
        return value.value
    return list(map(plain, value)) if isinstance(value, tuple) else value


def from_text(read: Reader[Any], text: str, base: Path) -> object:
    """The text of a variable as input for its reader; paths in it are relative to `base`."""
    if isinstance(read, OrNone):
        return from_text(read.one, text, base)
    if isinstance(read, Several):
        return tuple(from_text(read.one, each, base) for each in read.split(text))
    return base / text if is_of_paths(read) and text.strip() else text


def is_of_paths(read: Reader[Any]) -> bool:
    """Whether a reader returns a path or several paths."""
    if isinstance(read, (OrNone, Several)):
        return is_of_paths(read.one)
    return read in (path, file)
