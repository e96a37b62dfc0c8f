from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from imports.kinds.annotations.boxes import (
    NO_BOX,
    NO_RECOGNITION,
    TURNED,
    Entries,
    photo_of,
    records,
)
from imports.kinds.kind import KindRecord, RecordProblem
from imports.source.cleaning import Tally
from imports.source.json_flaws import UnreadableValue
from tests.support.annotations import box, entry, key


def read(*entries: tuple[str, Any]) -> tuple[list[KindRecord | RecordProblem], Tally]:
    tally: Tally = Counter()
    return records(Entries(entries), (), tally), tally


def all_rows(made: list[KindRecord | RecordProblem]) -> list[tuple[Any, ...]]:
    """The rows of records, which all are of the first table."""
    found = [row for each in made if isinstance(each, KindRecord) for row in each.rows]
    assert {table for table, _ in found} <= {0}
    return [row for _, row in found]


def rows(found: Any) -> tuple[list[Any], Tally]:
    """The label, place and type of the boxes of an entry, and what was counted."""
    made, tally = read((key(5), found))
    return [row[2:] for row in all_rows(made)], tally


@pytest.mark.parametrize(
    ("path", "photo"),
    [
        (key(7), (7, "camera1.jpg")),
        (key(7, "Qualifying"), (7, "camera2.jpg")),
        ("recognition_7/Main_of_Qualifying.jpg", (7, "camera1.jpg")),
        ("data/Main/recognition_7/photos/x.jpg", (7, "camera2.jpg")),
        ("data\\recognition_7\\photos\\Main.jpg", (7, "camera1.jpg")),
        ("Main\\recognition_7\\photos\\x.jpg", (7, "camera2.jpg")),
        ("recognition_8/photos/recognition_7_Main.jpg", (8, "camera1.jpg")),
        ("recognition_x/recognition_007_Main.jpg", (7, "camera1.jpg")),
        ("recognition_7", (7, "camera2.jpg")),
        (f"recognition_{2**63 - 1}", (2**63 - 1, "camera2.jpg")),
        (f"recognition_{2**63}", None),
        (f"recognition_{'9' * 5_000}", None),
        ("recognition_٣", None),
        ("data/7/Main.jpg", None),
        ("", None),
    ],
)
def test_the_path_of_a_photo_names_recognition_and_camera(path: str, photo: object) -> None:
    assert photo_of(path) == photo


def test_a_photo_is_a_record_of_its_boxes() -> None:
    second = (key(6, "Qualifying"), entry([4]))
    made, tally = read((key(5), entry([1, 2], [3])), second, (key(7), {}))
    assert [record.label for record in made] == ["5/camera1.jpg", "6/camera2.jpg"]
    assert all_rows(made) == [
        (5, "camera1.jpg", "dish_0", {"x": 1, "y": 10, "w": 5, "h": 20}, "FOOD"),
        (5, "camera1.jpg", "dish_0", {"x": 2, "y": 10, "w": 5, "h": 20}, "FOOD"),
        (5, "camera1.jpg", "plate", {"x": 3, "y": 10, "w": 5, "h": 20}, "PLATE"),
        (6, "camera2.jpg", "dish_0", {"x": 4, "y": 10, "w": 5, "h": 20}, "FOOD"),
    ]
    assert not tally


@pytest.mark.parametrize(
    ("corners", "place"),
    [
        ([0.1, 0, 10.3, 1e2], {"x": 0.1, "y": 0, "w": 10.2, "h": 100}),
        ([66.5, 11.25, 118.0, 61.75], {"x": 66.5, "y": 11.25, "w": 51.5, "h": 50.5}),
        ([-5, 1, 5, 2], {"x": -5, "y": 1, "w": 10, "h": 1}),
        ([1, 1, 1, 1], {"x": 1, "y": 1, "w": 0, "h": 0}),
        (
            [12345678901234567890, 0, Decimal("12345678901234567891.125"), 6],
            {"x": 12345678901234567890, "y": 0, "w": 1.125, "h": 6},
        ),
        (
            [1, 0, Decimal("3.00000000000000000000000000000000000000001"), 6],
            {"x": 1, "y": 0, "w": Decimal("2.00000000000000000000000000000000000000001"), "h": 6},
        ),
    ],
)
def test_numbers_are_kept_with_all_their_digits(corners: Any, place: Any) -> None:
    assert rows(entry([box(corners)])) == ([("dish_0", place, "FOOD")], {})


@pytest.mark.parametrize(
    ("corners", "place"),
    [
        ([9, 1, 5, 2], {"x": 5, "y": 1, "w": 4, "h": 1}),
        ([5, 2.5, 9, 1], {"x": 5, "y": 1, "w": 4, "h": 1.5}),
        ([9, 2, 5, 1], {"x": 5, "y": 1, "w": 4, "h": 1}),
    ],
)
def test_turned_corners_are_turned_and_counted(corners: Any, place: Any) -> None:
    assert rows(entry([box(corners)])) == ([("dish_0", place, "FOOD")], {TURNED: 1})


@pytest.mark.parametrize(
    "detection",
    [
        *(box(each) for each in ([5, 5], [1, 2, 3, 4, 5], [], None, "1,2,3,4", {"x": 1})),
        *(box([1, 2, 3, each]) for each in ("4", None, True, [4])),
        {"label": "dish_0"},
        {},
        None,
        [1, 2, 3, 4],
    ],
)
def test_what_is_not_four_numbers_is_left_out_and_counted(detection: Any) -> None:
    found, tally = rows(entry([detection, 8]))
    assert [place["x"] for _, place, _ in found] == [8]
    assert tally == {NO_BOX: 1}


@pytest.mark.parametrize(
    ("label", "stored"),
    [
        ("dish_0", "dish_0"),
        ("Борщ", "Борщ"),
        (" N/A ", " N/A "),
        ("", None),
        (None, None),
        (7, "7"),
    ],
)
def test_a_label_is_kept_and_an_empty_one_is_null(label: object, stored: object) -> None:
    assert rows(entry([box([1, 2, 3, 4], label)]))[0][0][0] == stored


def test_equal_boxes_fall_together() -> None:
    equal = [box(each) for each in ([1, 2, 3, 4], [1.0, 2, 3, 4.0], [3, 4, 1, 2])]
    equal.append(box([1, 2, 3, 4], "dish_1"))
    found, _ = rows(entry(equal, [box([1, 2, 3, 4])]))
    assert [(label, item_type) for label, _, item_type in found] == [
        ("dish_0", "FOOD"),
        ("dish_1", "FOOD"),
    ]


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"dishes": {}},
        {"dishes": {"qwen_detections": []}, "more": 5},
        {"other": {"qwen_detections": [box([1, 2, 3, 4])]}},
    ],
)
def test_a_photo_without_boxes_is_no_record(found: Any) -> None:
    assert read((key(5), found)) == ([], {})


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (None, "is null, not an object"),
        ([1], "is an array, not an object"),
        ({"dishes": None}, "dishes is null, not an object"),
        ({"plates": [1]}, "plates is an array, not an object"),
        ({"plates": {"qwen_detections": {}}}, "plates.qwen_detections is an object, not an array"),
        (entry([box([1, 2, 3, 4], ["a"])]), "dishes: a label is an array, not a string"),
        (UnreadableValue("a occurs twice", {}), "a occurs twice"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_and_the_others_go_on(found: Any, reason: str) -> None:
    made, _ = read((key(5), found), (key(6), entry([1])))
    assert made[0] == RecordProblem(key(5), reason)
    assert made[1].label == "6/camera1.jpg"


def test_photos_of_no_recognition_are_counted() -> None:
    made, tally = read(("data/unsorted/Main.jpg", entry([1])), ("other", None))
    assert made == []
    assert tally == {NO_RECOGNITION: 2}
