"""Flaws: what keeps a value that was read from being stored as it stands in its file.

A name that stands twice, text that cannot be decoded, lists and objects that are nested too deeply,
and numbers that PostgreSQL has no place for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from imports.source.json_text import MAX_DEPTH

SPOILED = "\ufdd0\ufdd1"
HALF, NOT_UTF_8 = f"{SPOILED}\ufdd2", f"{SPOILED}\ufdd3"
"""These stand in a text for what is no character: half of a surrogate pair, and bytes that are not
UTF-8. They are made of code points that are no characters either."""

MOST_DIGITS, MOST_DECIMALS = 131_072, 16_383
"""How many digits PostgreSQL's numeric has before the point, and behind it."""

MOST_READ = 4_300
"""Python reads no whole number of more digits, since that takes long."""

TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"

_PLAIN_NAME = re.compile(r"[\w-]{1,80}")
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """Stands in a list in place of an element with a flaw.

    `reason` says what is wrong with it, `value` is what could be read of it.
    """

    reason: str
    value: Any


class NamedTwice(dict[str, Any]):
    """An object in which `name` stands more than once, with the last value of it."""

    def __init__(self, values: dict[str, Any], name: str) -> None:
        """Takes over the values."""
        super().__init__(values)
        self.name = name


class NestedTooDeeply:
    """Stands where a value began that is nested too deeply; it is not read."""


def is_flawed_number(number: Decimal) -> bool:
    """Whether PostgreSQL would refuse a number, or it is NaN: Python could not read it."""
    if not number.is_finite():
        return True
    return number.adjusted() >= MOST_DIGITS or -int(number.as_tuple().exponent) > MOST_DECIMALS


def flaw_in(value: Any) -> str | None:
    """The first flaw of a value, in words, with the path in it; None if it has none."""
    # Not recursive: then the depth of a value does not matter.
    to_see: list[tuple[Any, str]] = [(value, "")]
    while to_see:
        each, path = to_see.pop()
        if isinstance(each, dict):
            if isinstance(each, NamedTwice):
                return twice(member(path, each.name))
            for name in each:
                if SPOILED in name:
                    return spoiled(f"the name {member(path, name)}", name)
            to_see.extend((each[name], member(path, name)) for name in reversed(each))
        elif isinstance(each, list):
            to_see.extend(
                (each[index], f"{path}[{index}]") for index in range(len(each) - 1, -1, -1)
            )
        elif isinstance(each, str):
            if SPOILED in each:
                return spoiled(path, each)
        elif isinstance(each, NestedTooDeeply):
            return TOO_DEEP
        elif isinstance(each, Decimal) and is_flawed_number(each):
            return beyond(path, each)
    return None


def member(path: str, name: str) -> str:
    """The path of a value by its name in the object that has a path."""
    shown = readable(name)
    if not _PLAIN_NAME.fullmatch(shown):
        shown = repr(shown[:_LONGEST_NAME])
    return f"{path}.{shown}" if path else shown


def twice(path: str) -> str:
    """The flaw of a name that stands twice."""
    return f"{path} occurs twice"


def spoiled(path: str, text: str) -> str:
    """The flaw of a text in which a mark stands for what is no character."""
    if HALF in text:
        return f"{path} contains half of a surrogate pair (an emoji cut in two)"
    return f"{path} contains bytes that are not UTF-8"


def readable(text: str) -> str:
    """A text with U+FFFD for what is no character."""
    return text.replace(HALF, "\ufffd").replace(NOT_UTF_8, "\ufffd")


def beyond(path: str, number: Decimal) -> str:
    """The flaw of a number, see `is_flawed_number`."""
    if not number.is_finite():
        return (
            f"{path} is a number that is too large: of more than {MOST_READ:,} digits, or with"
            " more than 18 in its exponent"
        )
    return (
        f"{path} is a number that PostgreSQL cannot hold: of more than {MOST_DIGITS:,} digits"
        f" before the point, or {MOST_DECIMALS:,} behind it"
    )
