"""What the row of a contact must be, computed from all that was delivered, in the simplest way.

Sections are built from lists of headings and bullets, so nothing here reads Markdown. Bullets are
taken one after the other; the database does both in another way.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from imports.kinds.insights.insight import insight_in, rows_of

HEADINGS = (None, "**Looking to meet:**", "Member **Has Experience** with:", "### Notes")
NAMES = ("personal", "3i", "introductions")
FIRST = datetime(2025, 5, 1, tzinfo=UTC)

Bullet = tuple[str, tuple[str, ...]]
Section = list[tuple[str | None, list[Bullet]]]


@dataclass(frozen=True)
class Delivery:
    """The content of a file, and its mtime in seconds."""

    contact: str
    eni_id: str
    dated: datetime | None
    mtime: int
    records: int
    kind: str
    sections: dict[str, Section]
    name: str

    @property
    def document(self) -> dict[str, Any]:
        """The file."""
        return {
            "metadata": {
                "contact_id": self.contact,
                "eni_id": self.eni_id,
                "member_name": self.name,
                "generated_at": None if self.dated is None else self.dated.isoformat(),
                "record_count": self.records,
                "total_eni_ids": 1,
                "eni_source_types": [self.kind, "all"],
                "note": self.name,
            },
            "insights": {name: text_of(section) for name, section in self.sections.items()},
        }


def text_of(section: Section) -> str:
    """A section as Markdown."""
    parts = []
    for heading, bullets in section:
        lines = [] if heading is None else [heading]
        lines += [bullet_text(each) for each in bullets] or (["-"] if heading else [])
        if lines:
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def bullet_text(bullet: Bullet) -> str:
    """A bullet and its citations."""
    words, ids = bullet
    return "\n".join([f"* {words}", *(f"  - [N/A,{each},notes]" for each in ids)])


def delivery(chance: random.Random, contacts: int = 2) -> Delivery:
    """Any delivery; many are of the same group, of the same date, or have no date."""
    return Delivery(
        f"CNT-Any{chance.randrange(contacts):06d}",
        f"ENI-{chance.randrange(3)}",
        chance.choice((None, *(FIRST + timedelta(days=day) for day in range(3)))),
        1_750_000_000 + chance.randrange(4),
        chance.randrange(9),
        chance.choice(("recurroo", "airtable_notes", "null")),
        {name: _section(chance) for name in NAMES if chance.randrange(5)},
        chance.choice(("", "Ada", "Bo")),
    )


def _section(chance: random.Random) -> Section:
    headings = sorted(chance.sample(range(len(HEADINGS)), chance.randint(0, len(HEADINGS))))
    if 0 in headings:
        headings.remove(0)
        headings.insert(0, 0)
    return [
        (
            HEADINGS[each],
            [
                (
                    f"{chance.choice('abcdef')} {chance.randrange(3)}",
                    tuple(
                        f"ENI-{n}" for n in sorted(chance.sample(range(7), chance.randint(0, 2)))
                    ),
                )
                for _ in range(chance.randint(0, 3))
            ],
        )
        for each in headings
    ]


def expected(delivered: list[Delivery], contact: str) -> dict[str, Any]:
    """The row of a contact, without what depends on the time of the import."""
    mine = [each for each in delivered if each.contact == contact]
    groups: dict[str, list[Delivery]] = {}
    for each in mine:
        groups.setdefault(each.eni_id, []).append(each)
    newest = sorted(
        (max(versions, key=_precedence) for versions in groups.values()),
        key=lambda each: (each.dated or datetime.min.replace(tzinfo=UTC), each.eni_id),
        reverse=True,
    )
    oldest = newest[::-1]
    dates = [each.dated for each in mine if each.dated is not None]
    sections = {}
    for name in NAMES:
        found = [each.sections[name] for each in newest if _says(each.sections.get(name, []))]
        if found:
            sections[name] = text_of(_merged(found))
    return {
        "version": len({_content(each) for each in mine}),
        "record_count": sum(each.records for each in newest),
        "total_eni_ids": len(newest),
        "eni_source_types": list(
            dict.fromkeys(kind for each in oldest for kind in (each.kind, "all"))
        ),
        "member_name": next((each.name for each in oldest if each.name), None),
        "generated_at": min(dates, default=None),
        "insights": sections,
        "additional_metadata": {"note": newest[0].name},
    }


def _content(each: Delivery) -> tuple[Any, ...]:
    document = each.document
    return each.eni_id, repr(document)


def _precedence(each: Delivery) -> tuple[Any, ...]:
    dated = each.dated or datetime.fromtimestamp(each.mtime, UTC)
    return dated, each.mtime, content_hash(each)


def content_hash(each: Delivery) -> str:
    """The hash that decides between contents of the same date and mtime: any order will do."""
    return str(rows_of(insight_in(each.document, Counter()), each.mtime * 10**9)[1][3])


def _says(section: Section) -> bool:
    return any(bullets for _, bullets in section)


def _merged(found: list[Section]) -> Section:
    """The newest text, and what older ones cite besides."""
    merged = [(heading, list(bullets)) for heading, bullets in found[0]]
    cited = {each for _, bullets in merged for _, ids in bullets for each in ids}
    own = set(cited)
    for section in found[1:]:
        added: list[tuple[str | None, Bullet]] = []
        for heading, bullets in section:
            for bullet in bullets:
                if not cited.issuperset(bullet[1]):
                    cited.update(bullet[1])
                    added.append((heading, bullet))
        for heading, bullet in added:
            here = next((part for name, part in merged if name == heading), None)
            if here is None:
                here = []
                if heading is None:
                    merged.insert(0, (heading, here))
                else:
                    merged.append((heading, here))
            here.append(bullet)
    assert own <= cited
    return merged
