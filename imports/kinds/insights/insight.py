"""An insight, read from a document in any of the forms that are in use."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson

from imports.kinds.insights.metadata import Metadata, metadata_of
from imports.kinds.insights.outline import Outline, outline_of
from imports.kinds.insights.sections import SECTIONS, Content, content_of, section_named
from imports.source.cleaning import Tally
from imports.source.json_text import as_json

_BEGIN = datetime.min.replace(tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_EPOCH = (datetime(1970, 1, 1, tzinfo=UTC) - _BEGIN) // _MICROSECOND
_HOLDERS = ("insights", "content")


class Insight(NamedTuple):
    """What one source group says about a contact."""

    metadata: Metadata
    content: Content
    outlines: dict[str, Outline]

    @property
    def errors(self) -> list[str]:
        """Why it cannot be imported, each with the name of a value."""
        return self.content.errors


def insight_in(document: Mapping[str, Any], tally: Tally) -> Insight:
    """The insight in a document; if it has errors, it cannot be imported."""
    holder = next((name for name in _HOLDERS if document.get(name) is not None), None)
    if holder is None:
        given: Any = {name: each for name, each in document.items() if section_named(name)}
        used = frozenset((*given, *_HOLDERS))
        # Without a place of its own, a name is its whole place.
        content = content_of(given or None, "", tally)
        content.errors[:] = [each.removeprefix(".") for each in content.errors]
        content.warnings[:] = [each.removeprefix(".") for each in content.warnings]
    else:
        used = frozenset((holder, *(name for name in _HOLDERS if document.get(name) is None)))
        content = content_of(document[holder], holder, tally)
    metadata = metadata_of(document, used, content, tally)
    outlines = {}
    for name, text in content.sections.items():
        outline = outline_of(text)
        if outline is not None:
            outlines[name] = outline
            if not outline.ids:
                content.warnings.append(f"the section {name} cites no ENI id")
    if not content.sections and not content.errors and not content.warnings:
        content.warnings.append("has no section")
    return Insight(metadata, content, outlines)


def rows_of(insight: Insight, mtime_ns: int) -> tuple[tuple[object, ...], tuple[object, ...]]:
    """The row of its source group, and that of its delivery by a file with this mtime.

    Of two contents of a source group, the newest one is that with the later date. A content without
    a date has that of its file. Among equal dates the later mtime decides, then the hash of the
    content. So it does not matter which one arrives first.
    """
    given, content = insight.metadata, insight.content
    values = (
        *given[3:12],
        *map(content.sections.get, SECTIONS),
        content.others or None,
        content.unread or None,
    )
    hashed = as_json([*values, given.additional], orjson.OPT_SORT_KEYS)
    content_hash = hashlib.blake2b(hashed, digest_size=16).hexdigest()
    if given.generated_at is None:
        dated = _EPOCH + mtime_ns // 1_000
    else:
        dated = (given.generated_at - _BEGIN) // _MICROSECOND
    precedence = f"{max(dated, 0):018d}-{mtime_ns + 2**63:020d}-{content_hash}"
    group = given[:3]
    outlines = {
        name: (outline.ids, orjson.dumps(outline[1:]).decode())
        for name, outline in insight.outlines.items()
    }
    return (
        (*group, precedence, content_hash, *values, outlines or None, given.additional),
        (*group, content_hash, given.generated_at),
    )
