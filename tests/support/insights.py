"""Sources of the kind `insights`, and what an import of them leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.database import query

COMPUTED = (
    "contact_id, eni_id, member_name, generator, eni_source_types, eni_source_subtypes,"
    " system_prompt_key, context_files, record_count, total_eni_ids, version, generated_at,"
    " processing_status, insights, personal, business, investing, three_i, deals, introductions,"
    " additional_metadata"
)
_LONG_AGO = 1_760_000_000


def document(
    contact_id: str = "CNT-Ab1000001",
    eni_id: str | None = "ENI-1",
    sections: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """An insight in the intended form."""
    if sections is None:
        sections = {"personal": "* Sails [2024-01-01,ENI-1]"}
    return {
        "metadata": {"contact_id": contact_id, "eni_id": eni_id, **metadata},
        "insights": sections,
    }


def write(folder: Path, name: str, content: Any, mtime: float = _LONG_AGO) -> Path:
    """Writes a file; `content` may be a text, which is written as it is."""
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    os.utime(path, (mtime, mtime))
    return path


def add_many(folder: Path, count: int) -> None:
    """Insights of a few contacts, three or four of each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        contact = f"CNT-Fill{number // 4:05d}"
        eni_id = f"ENI-{number if number % 4 < 3 else number - 1}"
        told = document(
            contact,
            eni_id,
            {"personal": f"* Said {number} [2025-01-01,{eni_id}]"},
            record_count=number % 3,
            generated_at=f"2025-05-{1 + number % 28:02d}T00:00:00",
        )
        write(folder, f"{contact}_{number}.json", told)


def computed(url: str) -> dict[str, dict[str, Any]]:
    """The computed rows, by contact."""
    rows = query(
        url,
        f"select to_jsonb(t) from (select {COMPUTED} from elvis__structured_insights"
        " where eni_id = 'COMBINED-' || contact_id || '-ALL') t",
    )
    return {row["contact_id"]: row for (row,) in rows}


def writers(url: str) -> dict[str, tuple[str, ...]]:
    """The transaction that wrote each row of contacts, and its times."""
    rows = query(
        url,
        "select contact_id, xmin::text, ctid::text, created_at::text, updated_at::text"
        " from elvis__structured_insights",
    )
    return {contact_id: tuple(more) for contact_id, *more in rows}
