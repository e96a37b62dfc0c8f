"""The minimal work of an import of insights: see `limit.py`, which calls it."""

from __future__ import annotations

import gc
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg2

COLUMNS = (
    *("contact_id", "generator", "eni_id", "batch_id", "precedence", "content_hash"),
    *("eni_source_types", "eni_source_subtypes", "system_prompt_key", "context_files"),
    *("record_count", "total_eni_ids", "generated_at"),
    *("personal", "business", "investing", "three_i", "deals", "introductions"),
)
SECTIONS = ("personal", "business", "investing", "3i", "deals", "introductions")

_NEWEST = ", ".join(
    f"(array_agg({name} order by generated_at desc) filter (where {name} is not null))[1] as {name}"
    for name in COLUMNS[-6:]
)
_MERGE = f"""\
insert into elvis__structured_insights (contact_id, eni_id, eni_source_types, eni_source_subtypes,
  record_count, total_eni_ids, generated_at, version, insights, {", ".join(COLUMNS[-6:])})
select contact_id, 'COMBINED-' || contact_id || '-ALL', types, subtypes, records, ids, dated,
  version, jsonb_build_object('personal', personal, 'business', business, 'investing', investing,
    '3i', three_i, 'deals', deals, 'introductions', introductions), {", ".join(COLUMNS[-6:])}
from (
  select contact_id, array_agg(distinct eni_source_types[1]) as types,
    array_agg(distinct eni_source_subtypes[1]) as subtypes, sum(record_count) as records,
    sum(total_eni_ids) as ids, min(generated_at) as dated, count(*) as version, {_NEWEST}
  from elvis__insight_sources group by contact_id
) as merged
"""


def insights_into_postgresql(source: Path, url: str) -> tuple[int, float]:
    """Reads and parses each file once; then COPY, and one insert of a row for each contact.

    Returns the number of files, and the seconds. Nothing is checked. Of each section, the newest
    text counts.
    """
    began = time.perf_counter()
    gc.disable()
    content = io.BytesIO()
    content.writelines(_lines(source))
    content.seek(0)
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        names = ", ".join(COLUMNS)
        cursor.copy_expert(f"copy elvis__insight_sources ({names}) from stdin", content, 1 << 18)
        count = cursor.rowcount
        cursor.execute(_MERGE)
    connection.close()
    return count, time.perf_counter() - began


def _lines(source: Path) -> Iterator[bytes]:
    for entry in os.scandir(source):
        with open(entry.path, "rb") as file:
            document = orjson.loads(file.read())
        yield "\t".join(map(_field, _row(document))).encode() + b"\n"


def _row(document: dict[str, Any]) -> tuple[Any, ...]:
    metadata, sections = document["metadata"], document["insights"]
    return (
        metadata["contact_id"],
        metadata["generator"],
        metadata["eni_id"],
        *("limit", "", ""),
        f"{{{metadata['eni_source_type']}}}",
        f"{{{metadata['eni_source_subtype']}}}",
        metadata["system_prompt_key"],
        metadata["context_files"],
        metadata["record_count"],
        metadata["total_eni_ids"],
        metadata["generated_at"],
        *(sections.get(name) for name in SECTIONS),
    )


def _field(value: Any) -> str:
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
