"""Flaws: reasons why a value cannot be stored exactly as it is in its file.

Duplicate names, strings that cannot be decoded, arrays and objects that are nested too deeply, and
numbers that PostgreSQL cannot store.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from imports.source.json_text import MAX_DEPTH

SPOILED = "\ufdd0\ufdd1"
HALF, NOT_UTF_8 = f"{SPOILED}\ufdd2", f"{SPOILED}\ufdd3"
"""Marks that replace invalid parts of a string: half of a surrogate pair, and bytes that are not
UTF-8. They consist of Unicode noncharacters."""

MOST_DIGITS, MOST_DECIMALS = 131_072, 16_383
"""The most digits of PostgreSQL's numeric before the point, and after it."""

MOST_READ = 4_300
"""Python reads no whole number with more digits, since that is slow."""

TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"

_PLAIN_NAME = re.compile(r"[\w-]{1,80}")
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """Replaces an array element that has a flaw.

    `reason` describes the flaw; `value` is the part that could be read.
    """

    reason: str
    value: Any


class DuplicateName(dict[str, Any]):
    """An object in which `name` occurs more than once; it has the last value of the name."""

    def __init__(self, values: dict[str, Any], name: str) -> None:
        """Copies the values."""
        super().__init__(values)
        self.name = name


class NestedTooDeeply:
    """Replaces a value that is nested too deeply, which is not read."""


def is_flawed_number(number: Decimal) -> bool:
    """Whether PostgreSQL would refuse a number, or it is NaN because Python could not read it."""
    if not number.is_finite():
        return True
    return number.adjusted() >= MOST_DIGITS or -int(number.as_tuple().exponent) > MOST_DECIMALS


def flaw_in(value: Any) -> str | None:
    """A description of the first flaw in a value, with its path; None if it has none."""
    # Not recursive, so that any depth is possible.
    pending: list[tuple[Any, str]] = [(value, "")]
    while pending:
        each, path = pending.pop()
        if isinstance(each, dict):
            if isinstance(each, DuplicateName):
                return duplicate_name(member_path(path, each.name))
            for name in each:
                if SPOILED in name:
                    return encoding_flaw(f"the name {member_path(path, name)}", name)
            pending.extend((each[name], member_path(path, name)) for name in reversed(each))
        elif isinstance(each, list):
            pending.extend(
                (each[index], f"{path}[{index}]") for index in range(len(each) - 1, -1, -1)
            )
        elif isinstance(each, str):
            if SPOILED in each:
                return encoding_flaw(path, each)
        elif isinstance(each, NestedTooDeeply):
            return TOO_DEEP
        elif isinstance(each, Decimal) and is_flawed_number(each):
            return number_flaw(path, each)
    return None


def member_path(path: str, name: str) -> str:
    """The path of the member `name` of the object at `path`."""
    shown = readable(name)
    if not _PLAIN_NAME.fullmatch(shown):
        shown = repr(shown[:_LONGEST_NAME])
    return f"{path}.{shown}" if path else shown


def duplicate_name(path: str) -> str:
    """The flaw of a duplicate name."""
    return f"{path} occurs twice"


def encoding_flaw(path: str, text: str) -> str:
    """The flaw of a string with a mark in it."""
    if HALF in text:
        return f"{path} contains half of a surrogate pair (an emoji cut in two)"
    return f"{path} contains bytes that are not UTF-8"


def readable(text: str) -> str:
    """A string with U+FFFD instead of marks."""
    return text.replace(HALF, "\ufffd").replace(NOT_UTF_8, "\ufffd")


def number_flaw(path: str, number: Decimal) -> str:
    """The flaw of a number, see `is_flawed_number`."""
    if not number.is_finite():
        return (
            f"{path} is a number that is too large: it has more than {MOST_READ:,} digits, or more"
            " than 18 in its exponent"
        )
    return (
        f"{path} is a number that PostgreSQL cannot store: it has more than {MOST_DIGITS:,} digits"
        f" before the point, or {MOST_DECIMALS:,} after it"
    )
