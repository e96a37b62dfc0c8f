"""The outline of a section: where its headings, bullets and citations are.

The database merges the sections of a contact by their outlines, so that it reads no Markdown: see
`importer_insight_section` in the migration.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_CITATION = re.compile(r"\[[^,\[\]\n]+,([^,\[\]\n]+)[^\[\]\n]*\]")
"""A date or `N/A`, the id that is cited, and possibly its source."""

_BULLET = re.compile(r"(?:[*+•–-]|\d{1,3}[.)])(?:\s+|$)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ALL_BOLD = re.compile(r"\*\*[^*]+\*\*")
_MARKS = " \t*_:"

Part = list[str | int | None]
"""A part of a section, from a heading to the next one: the key of the heading, and its line; then
offsets: of the part, of the end of its last line that says something, of the end of its last line that
is not blank, and of the end of the part. The first part has no heading. If a heading comes again, its
second part has no key."""

Bullet = tuple[int, int, int, list[str]]
"""The number of its part, its offset, its length, and the ids that it cites."""


class Outline(NamedTuple):
    """All ids that a section cites, its parts, and its bullets that cite something.

    Offsets are in characters. A paragraph counts as a bullet. The lines below a bullet belong to it if
    they are indented, contain only citations, or follow it without a blank line.
    """

    ids: list[str]
    parts: list[Part]
    bullets: list[Bullet]


def outline_of(text: str) -> Outline | None:
    """The outline of a section; None if it says nothing, like headings and bullets without text."""
    parts: list[Part] = [["", "", 0, 0, 0, 0]]
    numbers = {"": 0}
    bullets: list[Bullet] = []
    ids: dict[str, None] = {}
    part, number = parts[0], 0
    begin = end = -1  # of the current bullet
    says = after_blank = False
    offset = 0
    for line in text.split("\n"):
        first = line[:1]
        if not first or line.isspace():
            after_blank = True
            offset += len(line) + 1
            continue
        line_end = offset + len(line.rstrip())
        heading = None
        if begin >= 0 and (first in " \t" or _only_cites(line)):
            end = line_end
        else:
            stripped = line.strip()
            bullet = _BULLET.match(stripped)
            if bullet is None:
                heading = _key(stripped)
            if heading is not None or bullet is not None or begin < 0 or after_blank:
                if begin >= 0:
                    _close(text, number, begin, end, bullets, ids)
                begin = -1
            if heading is not None:
                part[5] = offset
                number = numbers.setdefault(heading, len(parts))
                key = heading if number == len(parts) else None
                part = [key, stripped, offset, line_end, line_end, 0]
                parts.append(part)
            elif bullet is None or bullet.end() < len(stripped):
                says = True
                if begin < 0:
                    begin = offset
                end = line_end
        if begin >= 0:
            part[3] = line_end
        part[4] = line_end
        after_blank = False
        offset += len(line) + 1
    if not says:
        return None
    if begin >= 0:
        _close(text, number, begin, end, bullets, ids)
    part[5] = len(text)
    return Outline(list(ids), parts, bullets)


def _close(
    text: str, number: int, begin: int, end: int, bullets: list[Bullet], ids: dict[str, None]
) -> None:
    """Adds a bullet, if it cites something."""
    cited = dict.fromkeys(each.strip() for each in _CITATION.findall(text, begin, end))
    cited.pop("", None)
    if cited:
        bullets.append((number, begin, end - begin, list(cited)))
        ids.update(cited)


def _only_cites(line: str) -> bool:
    """Whether a line has citations, and nothing else."""
    if "[" not in line:
        return False
    rest = _CITATION.sub("", line)
    return len(rest) < len(line) and not rest.strip(" \t\r*+•–-,;.")


@lru_cache(maxsize=1_024)
def _key(line: str) -> str | None:
    """The key of a line that is a heading: its bold words if it has some; None if it is none."""
    text = line.rstrip(_MARKS)
    is_heading = line.startswith("#") or ":" in line[len(text) :] or bool(_ALL_BOLD.fullmatch(line))
    if not is_heading or "[" in line:
        return None
    bold = " ".join(_BOLD.findall(line)) or line
    return " ".join(bold.strip(f"{_MARKS}#").casefold().split()) or line
