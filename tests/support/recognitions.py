"""Sources of the kind `recognitions`, and what an import of them leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.bench import Bench
from tests.support.database import query
from tests.support.source import jpeg

BUCKET = "rrs-photos"
SOUP, COD, HAKE = (
    {"ExternalId": code, "Name": name}
    for code, name in (("17", "SOUP"), ("24", "COD"), ("31", "HAKE"))
)
MENU = [{**SOUP, "Price": 2.5, "ProtoNames": ["sopa"]}, {**COD, "Price": "7,95"}, HAKE]
RECEIPT = [{"Count": 1, "Dishes": [SOUP]}, {"Count": 2, "Dishes": [COD, HAKE]}]

DERIVED = {
    "recognitions": "id",
    "images": "recognition_id, camera_number, storage_path, width, height",
    "recognition_active_menu_items": "recognition_id, external_id, name, category, price, metadata",
    "recipes": "recognition_id, raw_payload",
    "recipe_lines": "line_number, quantity, has_ambiguity, raw_name",
    "recipe_line_options": "external_id, name, is_selected",
    "initial_tray_items": "recognition_id, item_type, source, menu_item_external_id, metadata",
    "initial_annotations": "bbox, source",
}
"""The tables that are derived, and their columns that are the same on every backend."""


def photo(seed: int = 0, width: int = 16, height: int = 9) -> bytes:
    """A JPEG of this size; another seed makes another file of the same picture."""
    whole = jpeg(width, height)
    return whole[:2] + b"\xff\xfe\0\x06" + seed.to_bytes(4, "big") + whole[2:]


def add(
    source: Path,
    path: str | int,
    menu: object = MENU,
    receipt: object = RECEIPT,
    photos: Mapping[str, bytes] | Sequence[bytes] | None = None,
) -> Path:
    """Writes a recognition; `photos` by name, or in the order of the cameras. None: no such file.

    Menu and receipt may be bytes, which are written as they are.
    """
    name = f"recognition_{path}" if isinstance(path, int) else path
    folder = source / name
    number = int(folder.name.removeprefix("recognition_"))
    if photos is None:
        photos = (photo(2 * number), photo(2 * number + 1))
    if not isinstance(photos, Mapping):
        cameras = ("Main", "Qualifying")
        names = [f"recognition_{number}_2025-10-11_{camera}.jpg" for camera in cameras]
        photos = dict(zip(names, photos, strict=False))
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    for each, content in photos.items():
        (folder / "photos" / each).write_bytes(content)
    for each, value in (("AM", menu), ("correct_dishes", receipt)):
        if value is not None:
            content = value if isinstance(value, bytes) else json.dumps(value).encode()
            (folder / f"{number}_recognition_2025-10-11_{each}.json").write_bytes(content)
    return folder


def add_many(source: Path, count: int) -> None:
    """Recognitions in two exports."""
    for number in range(1, count + 1):
        add(source, f"export_{number % 2}/recognition_{number}", menu=MENU[: 1 + number % 3])


def stored(bench: Bench) -> dict[str, bytes]:
    """All that is in the bucket, hidden copies included, by path."""
    if bench.target.supabase_url is None:
        folder = bench.data_folder / BUCKET
        return {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        }
    names = query(
        bench.url, "select name from storage.objects where bucket_id = %s order by 1", BUCKET
    )
    return {
        name: bench.api("GET", f"/storage/v1/object/{BUCKET}/{name}").content for (name,) in names
    }


def photos_of(bench: Bench, number: int) -> tuple[bytes | None, bytes | None]:
    """What is stored as the photos of a recognition, by camera."""
    found = stored(bench)
    one, other = (found.get(f"recognitions/{number}/camera{camera}.jpg") for camera in (1, 2))
    return one, other


def numbers(bench: Bench) -> tuple[list[int], list[int]]:
    """The recognitions that raw rows are of, and those that the domain has."""
    raw = query(bench.url, "select recognition_id from raw.recognition_files order by 1")
    domain = query(bench.url, "select id from recognitions order by 1")
    return [each for (each,) in raw], [each for (each,) in domain]


def derived(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all derived tables, in an order, without ids and times."""
    return {
        table: sorted(query(url, f"select to_jsonb(t)::text from (select {names} from {table}) t"))
        for table, names in DERIVED.items()
    }


def counts(url: str) -> dict[str, int]:
    """How many rows each derived table has, and each raw one."""
    tables = (*DERIVED, "raw.recognition_files", "raw.recipes", "raw.qwen_annotations")
    return {table: query(url, f"select count(*) from {table}")[0][0] for table in tables}
