"""The outline of a section: where its headings, bullets and citations are.

The database merges the sections of a contact by their outlines, so that it reads no Markdown: see
`importer_insight_section` in the migration.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_CITATION = re.compile(r"\[[^,\[\]\n]+,[ \t]*([^,\[\]\s](?:[^,\[\]\n]*[^,\[\]\s])?)[^\[\]\n]*\]")
"""A date or `N/A`, the id that is cited, and possibly its source."""

_LINES = re.compile(r"^([^\n]*\S)(?:[^\S\n]*\n[ \t][^\n]*\S)*", re.MULTILINE)
"""A line that is not blank, and the indented lines below it."""

_BULLET = re.compile(r"[ \t]*(?:[*+•–-]|\d{1,3}[.)])(?:\s+|\Z)")
_BOLD = re.compile(r"\*\*(.+?)\*\*")
_ALL_BOLD = re.compile(r"\*\*[^*]+\*\*")
_MARKS = " \t*_:"

Part = list[str | int | None]
"""A part of a section, from a heading to the next one: the key of the heading, and its line; then
the offsets of the part, of the end of its last line that says something, of the end of its last
line that is not blank, and of its end. The first part has no heading. If a heading comes again, its
second part has no key."""

Bullet = tuple[int, int, int]
"""The number of its part, its offset, and its length."""


class Outline(NamedTuple):
    """All ids that a section cites, each with the number of the first bullet that cites it.

    Then its parts, and those bullets: a bullet that cites nothing new in its section is not needed.
    Offsets are in characters. A paragraph counts as a bullet. The lines below a bullet belong to it
    if they are indented, contain only citations, or follow it without a blank line.
    """

    ids: list[str]
    first_in: list[int]
    parts: list[Part]
    bullets: list[Bullet]


@lru_cache(maxsize=256)
def outline_of(text: str) -> Outline | None:
    """The outline of a section; None if it says nothing, like headings and bullets without text.

    Cached, since the files of a contact, which follow each other, have many sections in common.
    """
    part: Part = ["", "", 0, 0, 0, 0]
    parts, numbers, number = [part], {"": 0}, 0
    bullets: list[Bullet] = []
    ids: dict[str, int] = {}
    begin = end = -1  # of the current bullet
    line_end = 0
    says = False
    for match in _LINES.finditer(text):
        last_end = line_end
        offset, line_end = match.span()
        if begin >= 0 and (text[offset] in " \t" or _only_cites(match[1])):
            part[3] = part[4] = end = line_end
            continue
        bullet = _BULLET.match(text, offset, line_end)
        heading = None if bullet is not None else _key(match[1])
        if heading is not None:
            if begin >= 0:
                _close(text, number, begin, end, bullets, ids)
                begin = -1
            part[5] = offset
            number = numbers.setdefault(heading, len(parts))
            key = heading if number == len(parts) else None
            part = [key, match[1], offset, match.end(1), match.end(1), 0]
            parts.append(part)
            if match.end(1) == line_end:
                continue
            offset = match.end(1) + 1  # of indented lines
        elif bullet is None and begin >= 0 and text.count("\n", last_end, offset) == 1:
            part[3] = part[4] = end = line_end
            continue
        if begin >= 0:
            _close(text, number, begin, end, bullets, ids)
            begin = -1
        part[4] = line_end
        if bullet is None or bullet.end() < line_end:
            says = True
            begin, end = offset, line_end
            part[3] = line_end
    if not says:
        return None
    if begin >= 0:
        _close(text, number, begin, end, bullets, ids)
    part[5] = len(text)
    return Outline(list(ids), list(ids.values()), parts, bullets)


def _close(
    text: str, number: int, begin: int, end: int, bullets: list[Bullet], ids: dict[str, int]
) -> None:
    """Adds a bullet, if it cites something new."""
    known = len(ids)
    for each in _CITATION.findall(text, begin, end):
        ids.setdefault(each, len(bullets))
    if len(ids) > known:
        bullets.append((number, begin, end - begin))


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
