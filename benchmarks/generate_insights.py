"""Generates a source of the kind `insights`; `generate.py insights` calls it.

A file has 3 KB: the six sections of a member, with bullets and their citations. Each contact has
three or four files. As in real ones, the text of a file contains that of the file before it, and
one of four begins afresh.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILES_OF_TEN_CONTACTS = (3, 4, 3, 3, 4, 3, 3, 4, 3, 3)
FIRST_BULLETS, NEW_BULLETS = 12, 4

GROUPS = (
    ("airtable_notes", "investing_preferences"),
    ("recurroo", "biography"),
    ("pipedrive_notes", "null"),
    ("whatsapp_messages", "sailing"),
)
PLACES = (
    ("personal", ""),
    ("business", ""),
    ("investing", ""),
    ("3i", ""),
    ("deals", "Member **Has Experience** with:"),
    ("deals", "Member **Is Interested In Exploring**:"),
    ("deals", "Member **Wants to Avoid**:"),
    ("introductions", "**Looking to meet:**"),
    ("introductions", "**Avoid introductions to:**"),
)
WORDS = [
    "keeps",
    "bees",
    "on",
    "the",
    "roof",
    "of",
    "a",
    "ferry",
    "harbour",
    "and",
    "advises",
    "founders",
    "about",
    "debt",
    "orchards",
    "timber",
    "mills",
    "hydrogen",
    "boards",
    "choirs",
    "maps",
    "glass",
    "vineyards",
    "sailing",
    "grants",
    "pensions",
    "bridges",
    "freight",
    "cheese",
]


def generate_insights(folder: Path, items: int) -> None:
    """Writes this number of files, always the same ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in insights(items):
        content = json.dumps(document, indent=2, ensure_ascii=False)
        (folder / name).write_text(content, encoding="utf-8")


def insights(items: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The names and contents of the files."""
    contact = made = 0
    while made < items:
        chance = random.Random(contact)
        contact_id = f"CNT-{contact * 7_919 % 36**6:09d}"
        bullets: list[tuple[int, str]] = []
        for number in range(FILES_OF_TEN_CONTACTS[contact % 10]):
            if made == items:
                return
            if number and not chance.randrange(4):
                bullets = []
            count = NEW_BULLETS if bullets else FIRST_BULLETS
            bullets = [*bullets, *(_bullet(chance) for _ in range(count))]
            yield _file(contact_id, number, bullets)
            made += 1
        contact += 1


def _bullet(chance: random.Random) -> tuple[int, str]:
    """The place of a bullet, and its text."""
    said = " ".join(chance.choices(WORDS, k=10)).capitalize()
    cited = "\n".join(f"  - {_citation(chance)}" for _ in range(chance.choice((1, 1, 2))))
    return chance.randrange(len(PLACES)), f"* {said}\n{cited}"


def _citation(chance: random.Random) -> str:
    day = f"2025-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}"
    return f"[{day},ENI-{chance.getrandbits(60):020d},airtable_notes]"


def _file(
    contact_id: str, number: int, bullets: list[tuple[int, str]]
) -> tuple[str, dict[str, Any]]:
    kind, subkind = GROUPS[number]
    eni_id = f"COMBINED-{kind}-{subkind}-{contact_id}-{number + 2}ENI"
    sections: dict[str, str] = {}
    for place, (section, heading) in enumerate(PLACES):
        lines = [heading] if heading else []
        lines += [text for its, text in bullets if its == place] or (["- "] if heading else [])
        if lines:
            said = "\n".join(lines)
            sections[section] = f"{sections[section]}\n\n{said}" if section in sections else said
    return f"{contact_id}_{eni_id}.json", {
        "metadata": {
            "contact_id": contact_id,
            "eni_id": eni_id,
            "member_name": None,
            "eni_source_type": kind,
            "eni_source_subtype": subkind,
            "generated_at": f"2025-08-1{number}T13:02:11.104233",
            "generator": "structured_insight",
            "system_prompt_key": "structured_insight",
            "context_files": f"{kind}/{subkind}",
            "record_count": number + 2,
            "total_eni_ids": number + 2,
        },
        "insights": sections,
    }
