"""The boxes of photos: from the entries of a file to rows.

An entry has a path, such as `data/recognition_100024/photos/recognition_100024_Main.jpg`:

- `dishes` and `plates`: an object with the list `qwen_detections`, of objects with
  - `bbox_2d`: the corners `[x1, y1, x2, y2]`, in pixels of the stored photo
  - `label`: `dish_0` for the first line of the receipt; `plate`
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Any

from imports.errors import RecordError
from imports.items.images import Image
from imports.kinds.kind import KindAggregate, KindRecord, RecordProblem
from imports.source.cleaning import Tally, json_type
from imports.source.json_flaws import MOST_DECIMALS, MOST_DIGITS, UnreadableValue
from imports.source.json_text import as_json, exact_number

NO_RECOGNITION = "(photos of no recognition)"
NO_BOX = "(boxes that are not four numbers)"
TURNED = "(boxes with turned corners)"
"""What the tally calls photos and boxes that are left out, or changed."""

_DETECTIONS, _BOX, _LABEL = "qwen_detections", "bbox_2d", "label"
_ITEM_TYPES = {"dishes": "FOOD", "plates": "PLATE"}
_NUMBERED = re.compile(r"recognition_([0-9]+)")
_LARGEST_ID = 2**63 - 1

Number = int | float | Decimal
_NUMBERS = frozenset({int, float, Decimal})  # not bool, which is an int

_EXACT = Context(prec=MOST_DIGITS + MOST_DECIMALS + 1)
"""Loses no digit of a difference of two numbers that PostgreSQL can store."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Some entries of a file: the path of a photo, and what is said of it."""

    entries: Sequence[tuple[str, Any]]


def records(
    found: Entries, images: Sequence[Image | None], tally: Tally
) -> list[KindRecord | RecordProblem]:
    """A record for each photo that has boxes, or its problem."""
    made: list[KindRecord | RecordProblem] = []
    for path, entry in found.entries:
        photo = photo_of(path)
        if photo is None:
            tally[NO_RECOGNITION] += 1
            continue
        try:
            boxes = boxes_of(entry, tally)
        except RecordError as error:
            made.append(RecordProblem(path, str(error)))
            continue
        if boxes:
            number, name = photo
            rows = tuple([(0, (number, name, *box)) for box in boxes])
            made.append(KindRecord(f"{number}/{name}", (KindAggregate(rows),)))
    return made


def photo_of(path: str) -> tuple[int, str] | None:
    """The number of the recognition and the name of the stored photo; None if it has none."""
    match = _NUMBERED.search(path)
    if match is None or (number := int(match[1][:20])) > _LARGEST_ID:
        return None
    name = path[max(path.rfind("/"), path.rfind("\\")) + 1 :]
    return number, "camera1.jpg" if "Main" in name else "camera2.jpg"


def boxes_of(entry: Any, tally: Tally) -> list[tuple[str | None, dict[str, Number], str]]:
    """The boxes of a photo, each once: its label, its place in the photo, and its item type.

    Raises:
        RecordError: if the entry cannot be used.
    """
    if type(entry) is UnreadableValue:
        raise RecordError(entry.reason)
    if type(entry) is not dict:
        raise RecordError(f"is {json_type(entry)}, not an object")
    boxes: dict[object, tuple[str | None, dict[str, Number], str]] = {}
    for name, item_type in _ITEM_TYPES.items():
        for detection in _detections(entry, name):
            corners = detection.get(_BOX) if type(detection) is dict else None
            if type(corners) is not list or len(corners) != 4:
                tally[NO_BOX] += 1
                continue
            x1, y1, x2, y2 = corners
            # Nearly all numbers are whole, and a file has millions.
            whole = type(x1) is type(y1) is type(x2) is type(y2) is int
            if not (whole or _NUMBERS.issuperset(map(type, corners))):
                tally[NO_BOX] += 1
                continue
            if x1 > x2 or y1 > y2:
                tally[TURNED] += 1
                x1, x2 = (x2, x1) if x1 > x2 else (x1, x2)
                y1, y2 = (y2, y1) if y1 > y2 else (y1, y2)
            label = detection.get(_LABEL)
            if type(label) is not str:
                label = _label(name, label)
            if whole:
                width, height = x2 - x1, y2 - y1
            else:
                width, height = _difference(x2, x1), _difference(y2, y1)
            boxes.setdefault(
                (label, x1, y1, width, height),
                (label or None, {"x": x1, "y": y1, "w": width, "h": height}, item_type),
            )
    return list(boxes.values())


def _detections(entry: dict[str, Any], name: str) -> list[Any]:
    """What was detected of a type; empty if nothing is said of it."""
    if name not in entry:
        return []
    found = entry[name]
    if type(found) is not dict:
        raise RecordError(f"{name} is {json_type(found)}, not an object")
    detections = found.get(_DETECTIONS, [])
    if type(detections) is not list:
        raise RecordError(f"{name}.{_DETECTIONS} is {json_type(detections)}, not an array")
    return detections


def _label(name: str, label: Any) -> str:
    """A label that is no string, as text; empty if there is none."""
    if label is None:
        return ""
    if type(label) in _NUMBERS:
        return as_json(label).decode()
    raise RecordError(f"{name}: a label is {json_type(label)}, not a string")


def _difference(one: Number, other: Number) -> Number:
    """The difference as people would write it: 10.3 - 0.1 is 10.2."""
    if type(one) is type(other) is int:
        return one - other
    found = _EXACT.subtract(_decimal(one), _decimal(other))
    return exact_number(found)


def _decimal(number: Number) -> Decimal:
    return Decimal(repr(number)) if type(number) is float else Decimal(number)
