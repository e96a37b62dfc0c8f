"""Files of annotations, and what an import of them leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.database import query

NAME = "qwen_annotations.json"
RECEIPT = [
    {"Count": count, "Dishes": [{"ExternalId": code, "Name": name}]}
    for count, code, name in ((1, "17", "SOUP"), (2, "24", "COD"))
]


def add_recognitions(url: str, *numbers: int, receipt: Any = RECEIPT) -> None:
    """Puts recognitions into a database, as an import does."""
    query(
        url,
        "insert into raw.recognition_files (recognition_id, batch_id, image1_path, image2_path)"
        " select id, 'other', 'camera1.jpg', 'camera2.jpg' from unnest(%s::bigint[]) as id",
        [*numbers],
    )
    query(
        url,
        "insert into raw.recipes (recognition_id, batch_id, payload)"
        " select id, 'other', %s from unnest(%s::bigint[]) as id",
        json.dumps(receipt),
        [*numbers],
    )
    query(url, "select public.importer_derive_recognitions(%s::bigint[])", [*numbers])


def key(number: object, photo: str = "Main") -> str:
    """The path of a photo in a file."""
    return f"data/recognition_{number}/photos/recognition_{number}_2025-10-11_{photo}.jpg"


def box(corners: object, label: object = "dish_0") -> dict[str, object]:
    """A detection."""
    return {"bbox_2d": corners, "label": label}


def entry(dishes: Sequence[Any] = (), plates: Sequence[Any] = ()) -> dict[str, Any]:
    """The entry of a photo; numbers stand for boxes at this place."""

    def detections(boxes: Sequence[Any], label: str) -> dict[str, Any]:
        made = [
            box([each, 10, each + 5, 30], label) if isinstance(each, int) else each
            for each in boxes
        ]
        return {"qwen_detections": made}

    return {"dishes": detections(dishes, "dish_0"), "plates": detections(plates, "plate")}


def write(file: Path, content: Mapping[str, Any]) -> Path:
    """Writes a file of annotations."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")
    return file


def boxes(url: str) -> list[tuple[Any, ...]]:
    """The raw boxes: recognition, photo, label, place as text, type."""
    return query(
        url,
        "select recognition_id, image_path, class_name, bbox::text, item_type"
        " from raw.qwen_annotations order by 1, 2, 3, bbox",
    )


def linked(url: str) -> list[tuple[Any, ...]]:
    """The boxes of applications: recognition, camera, label, left edge."""
    return query(
        url,
        "select image.recognition_id, camera_number, metadata ->> 'qwen_label',"
        " (bbox ->> 'x')::float from initial_annotations"
        " join images as image on image.id = image_id"
        " join initial_tray_items as item on item.id = initial_tray_item_id order by 1, 2, 3, 4",
    )


def plates(url: str) -> list[int]:
    """The recognitions that have an item of a plate."""
    rows = query(
        url,
        "select recognition_id from initial_tray_items where item_type = 'PLATE' order by 1",
    )
    return [number for (number,) in rows]
