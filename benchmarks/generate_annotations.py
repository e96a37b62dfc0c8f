"""Generates a file of annotations, and the recognitions that it needs, always the same."""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path

import psycopg2

PHOTOS = ("Main", "Qualifying")
BOXES = 10
"""The boxes of a photo: some of each dish, and a few of plates."""

_DISHES, _PLATES = 4, 3
_FIRST = 100_000
_AT_ONCE = 5_000


def generate_annotations(folder: Path, boxes: int) -> None:
    """Writes a file with so many boxes, as `json.dump` does with `indent=2`."""
    folder.mkdir(parents=True)
    chance = random.Random(boxes)
    with (folder / "qwen_annotations.json").open("w", encoding="utf-8") as file:
        file.write("{\n")
        between = ""
        for number in _numbers(boxes):
            for photo in PHOTOS:
                name = f"data/recognition_{number}/photos/recognition_{number}_{photo}.jpg"
                text = json.dumps({name: _entry(number, chance)}, indent=2)
                file.write(f"{between}{text[2:-2]}")
                between = ",\n"
        file.write("\n}")


def _entry(number: int, chance: random.Random) -> dict[str, object]:
    dishes = [_box(f"dish_{each % _DISHES}", chance) for each in range(BOXES - _PLATES)]
    path = f"data/recognition_{number}/correct_dishes.json"
    return {
        "dishes": {"qwen_detections": dishes, "correct_dishes_path": path},
        "plates": {"qwen_detections": [_box("plate", chance) for _ in range(_PLATES)]},
    }


def _box(label: str, chance: random.Random) -> dict[str, object]:
    x, y = chance.randrange(1_800), chance.randrange(1_000)
    corners = [x, y, x + chance.randrange(20, 120), y + chance.randrange(20, 80)]
    return {"bbox_2d": corners, "label": label}


def load_recognitions(url: str, boxes: int) -> None:
    """Puts the recognitions into a database, with a receipt each, as an import does."""
    receipt = [
        {"Count": 1, "Dishes": [{"Name": f"Dish {line}", "ExternalId": f"10{line}"}]}
        for line in range(_DISHES)
    ]
    numbers = _numbers(boxes)
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        for start in range(0, len(numbers), _AT_ONCE):
            some = list(numbers[start : start + _AT_ONCE])
            cursor.execute(
                "insert into raw.recognition_files (recognition_id, batch_id, image1_path,"
                " image2_path)"
                " select id, 'b', 'camera1.jpg', 'camera2.jpg' from unnest(%(ids)s) as id;"
                " insert into raw.recipes (recognition_id, batch_id, payload)"
                " select id, 'b', %(receipt)s from unnest(%(ids)s) as id;"
                " select public.importer_derive_recognitions(%(ids)s::bigint[])",
                {"ids": some, "receipt": json.dumps(receipt)},
            )
            connection.commit()
        connection.autocommit = True
        cursor.execute("analyze")


def _numbers(boxes: int) -> range:
    return range(_FIRST, _FIRST + -(-boxes // (BOXES * len(PHOTOS))))
