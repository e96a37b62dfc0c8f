"""Exporting insights: a JSON and a Markdown file of each contact."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import orjson

from imports.files.private_file import FOLDER
from imports.files.whole_file import replacing, sync_folder
from imports.insights.client import SupabaseInsightsClient
from imports.insights.models import StructuredInsight
from imports.kinds.insights.tables import consolidated_eni_id

_TITLES = {
    "personal": "Personal",
    "business": "Business",
    "investing": "Investing",
    "three_i": "3i",
    "deals": "Deals",
    "introductions": "Introductions",
}
_LONGEST_NAME = 200


def export_insights(client: SupabaseInsightsClient, folder: Path) -> int:
    """Writes two files of each contact into a folder; returns the number of contacts.

    A file is written as a whole, over the one of the same name. A contact has the insight of all
    its source groups, or else the one that was written last.

    Raises:
        OSError: if a file cannot be written.
    """
    folder.mkdir(FOLDER, parents=True, exist_ok=True)
    contacts = 0
    for insight in _one_of_each(client):
        contacts += 1
        name = file_name(insight.metadata.contact_id)
        for end, content in ((".json", as_json(insight)), (".md", as_markdown(insight).encode())):
            with replacing(folder / f"{name}{end}") as file:
                file.write(content)
    sync_folder(folder)
    return contacts


def _one_of_each(client: SupabaseInsightsClient) -> Iterator[StructuredInsight]:
    stored = client.iterate_insights()
    for contact_id, mine in groupby(stored, key=lambda each: each.metadata.contact_id):
        whole = consolidated_eni_id(contact_id)
        yield max(
            mine, key=lambda each: (each.metadata.eni_id == whole, each.updated_at, str(each.id))
        )


def as_json(insight: StructuredInsight) -> bytes:
    """An insight as the JSON of a file: its metadata and its sections."""
    plain = insight.model_dump(mode="json", by_alias=True, include={"metadata", "insights"})
    return orjson.dumps(plain, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def as_markdown(insight: StructuredInsight) -> str:
    """An insight as a text: a title, what it is made from, and the sections that say something."""
    metadata, content = insight.metadata, insight.insights
    title = metadata.contact_id
    if metadata.member_name:
        title = f"{metadata.member_name} ({title})"
    made = [
        f"{metadata.eni_id or 'without an ENI id'}, version {metadata.version}",
        f"{metadata.record_count} records, {metadata.total_eni_ids} ENI ids",
        f"since {metadata.generated_at:%Y-%m-%d}" if metadata.generated_at else "",
        ", ".join(metadata.eni_source_types or ()),
    ]
    lines = [f"# {title}", "", "; ".join(filter(None, made)), ""]
    for name, heading in _TITLES.items():
        text = getattr(content, name)
        if text and text.strip():
            lines += [f"## {heading}", "", text.strip(), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def file_name(contact_id: str) -> str:
    """A name for the files of a contact: other signs than letters, digits and - are escaped."""
    name = quote(contact_id, safe="").replace(".", "%2E").replace("~", "%7E")
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.blake2b(contact_id.encode(), digest_size=8).hexdigest()
    return f"{name[:_LONGEST_NAME]}-{digest}"
