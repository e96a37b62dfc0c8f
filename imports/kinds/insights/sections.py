"""The sections of an insight, from the forms in which models answer."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from imports.errors import NotOursError, RecordError
from imports.source.cleaning import Tally, json_type, shortened
from imports.source.json_file import parse_object

SECTIONS = ("personal", "business", "investing", "3i", "deals", "introductions")
"""The names of the sections in files, in their order."""

_NAMES = {**dict.fromkeys(("3i", "three_i"), "3i"), **{name: name for name in SECTIONS}}
_TITLES = r"(personal|business|investing|3i|deals|introductions)"
_TITLE = re.compile(
    rf"^#{{1,4}}[ \t]*\**{_TITLES}\**:?\**[ \t]*#*[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
_FENCE = re.compile(r"```[\w-]*[ \t]*\r?\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")


@dataclass(slots=True)
class Content:
    """What an insight says: its sections by name, and the rest.

    `others` are values that are no section; `unread` are texts, by name, in which no section was
    found, or what stands around the sections in them. `errors` and `warnings` name the values that
    they are about.
    """

    sections: dict[str, str] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def section_named(name: str) -> str | None:
    """The section that a name stands for, in whatever case; None if it is another one."""
    return _NAMES.get(name.strip().lower())


def content_of(value: Any, place: str, tally: Tally) -> Content:
    """The sections in a value: an object of them, or a text in any of the usual forms."""
    content = Content()
    if isinstance(value, str):
        name = place.rpartition(".")[2]
        _add_text(content, name, value, place, tally)
    elif isinstance(value, dict):
        _add_object(content, value, place, tally)
    elif value is not None:
        content.errors.append(f"{place} is {json_type(value)}, not an object")
    return content


def _add_object(content: Content, holder: dict[str, Any], place: str, tally: Tally) -> None:
    """Adds the sections of an object; if it has none, those of its texts."""
    found = False
    for name, value in holder.items():
        section = section_named(name)
        if section is None:
            content.others[name] = value
            continue
        found = True
        if value is None:
            continue
        if not isinstance(value, str):
            content.errors.append(f"{place}.{name} is {json_type(value)}, not a string")
        elif not (text := _without_title(value, section)):
            continue
        elif content.sections.setdefault(section, text) != text:
            content.others[name] = value
            content.warnings.append(f"{place}.{name} is another text for the section {section}")
    if found:
        return
    for name, value in holder.items():
        if name != "member_name" and isinstance(value, str) and value.strip():
            del content.others[name]
            _add_text(content, name, value, f"{place}.{name}", tally)


def _add_text(content: Content, name: str, text: str, place: str, tally: Tally) -> None:
    """Adds the sections in a text: JSON, with or without a fence, or Markdown with headings."""
    fence = _FENCE.search(text)
    inner = text if fence is None else fence[1]
    around = "" if fence is None else f"{text[: fence.start()]}\n{text[fence.end() :]}".strip()
    problem = None
    if inner.lstrip().startswith("{"):
        if _TEMPLATE.fullmatch(inner.strip()):
            problem = "is a template that was never filled"
        else:
            problem = _add_json(content, inner, place, tally)
            if problem is None:
                if around:
                    content.unread[name] = around
                return
    if _TITLE.search(text):
        rest = _add_markdown(content, text)
        if rest:
            content.unread[name] = rest
        return
    if problem is None:
        problem = "is a text without the headings of sections" if text.strip() else "is empty"
    content.unread[name] = text
    content.warnings.append(f"{place} {problem}: no section is read from it")


def _add_json(content: Content, text: str, place: str, tally: Tally) -> str | None:
    """Adds the sections in a JSON text; returns what is wrong with it, if anything."""
    try:
        document = parse_object(text.strip().encode(), tally)
    except (RecordError, NotOursError) as error:
        return str(error)
    inner = document.get("insights")
    if not any(map(section_named, document)) and not isinstance(inner, dict):
        return "is JSON without sections"
    if isinstance(inner, dict):
        content.others |= {name: each for name, each in document.items() if name != "insights"}
        document = inner
    _add_object(content, document, place, tally)
    return None


def _add_markdown(content: Content, text: str) -> str:
    """Adds the sections between the headings of a text; returns what is before the first one."""
    *_, rest = pieces = _TITLE.split(text)
    for title, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        section = title.lower()
        if said := piece.strip():
            before = content.sections.get(section)
            content.sections[section] = said if before is None else f"{before}\n\n{said}"
    return pieces[0].strip() if len(pieces) > 1 else rest


def _without_title(text: str, section: str) -> str:
    """A section without its own heading, with which it may begin."""
    text = text.strip()
    while text.startswith("#") and (title := _TITLE.match(text)):
        if title[1].lower() != section:
            break
        text = text[title.end() :].strip()
    return text


def shown(value: object) -> str:
    """A value for a message, shortened."""
    return shortened(repr(value))
