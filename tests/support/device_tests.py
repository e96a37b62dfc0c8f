"""Sources of the kind `folders`, the results of their import, and the ledger's views."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imports.run.report import RunReport
from tests.support.bench import Bench
from tests.support.command import ROOT
from tests.support.database import query
from tests.support.source import png

BROKEN = b"{not json"
FAILED_QUERY = "SELECT folder_name, error_message FROM folder_status WHERE upload_status='failed';"
BATCHES_QUERY = (
    "SELECT batch_name, successful_uploads, failed_uploads FROM upload_batches"
    " ORDER BY start_time DESC LIMIT 5;"
)
"""Both as the document prints them."""


def add(
    source: Path, path: str, stats: object = None, images: Mapping[str, bytes] | None = None
) -> Path:
    """Writes a folder: stats as JSON (bytes unchanged, None for no file), and other files."""
    folder = source / path
    folder.mkdir(parents=True, exist_ok=True)
    if stats is not None:
        content = stats if isinstance(stats, bytes) else json.dumps(stats).encode()
        (folder / "stats.json").write_bytes(content)
    for name, content in (images or {}).items():
        (folder / name).write_bytes(content)
    return folder


def add_many(source: Path, count: int, *, images: int = 0) -> list[Path]:
    """`line-0/Test00000` and so on, each with stats; the first `images` have a photo too."""
    return [
        add(
            source,
            f"line-{number % 10}/Test{number:05}",
            {
                "device_id": f"D-{number:05}",
                "test_status": "failed" if number % 7 == 0 else "passed",
                "measurements": [number, number / 2],
            },
            {"shot.png": png(number + 1)} if number < images else None,
        )
        for number in range(count)
    ]


def run(bench: Bench, **flags: Any) -> RunReport:
    """Imports the source of a bench as `folders`."""
    return bench.run(kind="folders", **flags)


def add_examples(source: Path) -> Path:
    """Our awkward examples: five folders, of which four are work items, and one of these fails."""
    shutil.copytree(ROOT / "tests" / "examples" / "folders", source, dirs_exist_ok=True)
    return source


def rows(url: str, tag: str | None = None) -> list[dict[str, Any]]:
    """All rows of device_test, or those of a tag, without what differs from run to run."""
    found = query(
        url,
        "SELECT to_jsonb(t) - '{id,dataset_id,batch_id,inserted_by,created_at,updated_at}'::text[]"
        " FROM public.device_test t JOIN public.datasets d ON d.id = t.dataset_id"
        " WHERE %s IS NULL OR d.tag = %s ORDER BY folder_path",
        tag,
        tag,
    )
    return [row[0] for row in found]


def row_versions(url: str) -> dict[str, str]:
    """The transaction that wrote the row of each folder."""
    return dict(query(url, "SELECT folder_path, xmin::text FROM public.device_test"))


def ask_ledger(ledger: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """The result of a query on the ledger, as with `sqlite3 upload_tracker.db`."""
    with contextlib.closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(sql, values).fetchall()


def states_of(ledger: Path) -> dict[str, int]:
    """The number of folders in each state, from the view of the document."""
    counted = "SELECT upload_status, count(*) FROM folder_status GROUP BY upload_status"
    return dict(ask_ledger(ledger, counted))


def status_file(folder: Path, name: str = "success") -> dict[str, Any]:
    """The content of a folder's only status file: `success.json` or `failed.json`."""
    other = "failed" if name == "success" else "success"
    assert not (folder / f"{other}.json").exists()
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    return content


def status_files(source: Path) -> dict[str, bytes]:
    """All files that the importer has written below a source, including drafts."""
    return {
        path.relative_to(source).as_posix(): path.read_bytes()
        for name in ("success.json", "failed.json", ".*.part")
        for path in source.rglob(name)
        if path.is_file()
    }
