"""What is derived from raw recognitions: menus, receipts, items and boxes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.database import query

SOUP, COD, HAKE, COLA = (
    {"ExternalId": code, "Name": name}
    for code, name in (("17", "SOUP"), ("24", "COD"), ("31", "HAKE"), ("48", "COLA"))
)
MENU = [
    {**SOUP, "Category": "Soups", "Price": 2.5, "ProtoNames": ["sopa"]},
    {**COD, "Price": "7,95"},
    {**HAKE, "Price": "n/a"},
    {**COLA, "Price": 1e12},
]
RECEIPT = [
    {"Count": 1, "Dishes": [SOUP]},
    {"Count": "1", "Dishes": [COD, HAKE]},
    {"Count": 2, "Dishes": [COLA]},
]


def add(url: str, number: int, menu: Any = None, receipt: Any = None) -> None:
    query(
        url,
        "insert into raw.recognition_files (recognition_id, batch_id, active_menu, image1_path,"
        " image2_path, image1_width, image1_height)"
        " values (%s, 'b', %s, 'camera1.jpg', 'camera2.jpg', 160, 90)"
        " on conflict (recognition_id) do update set active_menu = excluded.active_menu",
        number,
        json.dumps(menu),
    )
    if receipt is not None:
        query(
            url,
            "insert into raw.recipes (recognition_id, payload) values (%s, %s)"
            " on conflict (recognition_id) do update set payload = excluded.payload",
            number,
            json.dumps(receipt),
        )


def annotate(url: str, number: int, *boxes: tuple[str, str | None, str]) -> None:
    for place, (camera, label, item_type) in enumerate(boxes):
        query(
            url,
            "insert into raw.qwen_annotations (recognition_id, image_path, bbox, class_name,"
            " item_type) values (%s, %s, %s, %s, %s)",
            number,
            f"{camera}.jpg",
            json.dumps({"x": place, "y": 0, "w": 1, "h": 1.5}),
            label,
            item_type,
        )


def derive(url: str, *numbers: int, function: str = "recognitions") -> dict[str, int]:
    ((made,),) = query(url, f"select public.importer_derive_{function}(%s::bigint[])", [*numbers])
    found: dict[str, int] = made
    return found


def lines(url: str) -> list[tuple[Any, ...]]:
    return query(
        url,
        "select recognition_id, line_number, quantity, has_ambiguity, raw_name, array("
        "  select external_id || case when is_selected then '!' else '' end"
        "  from recipe_line_options where recipe_line_id = recipe_lines.id order by 1)"
        " from recipe_lines join recipes on recipes.id = recipe_id order by 1, 2",
    )


def items(url: str) -> list[tuple[Any, ...]]:
    return query(
        url,
        "select item_type::text, menu_item_external_id, recipe_line_option_id is not null,"
        " recipe_line_id is not null, metadata from initial_tray_items order by id",
    )


def test_menus_and_receipts_become_rows(database_url: str) -> None:
    add(database_url, 5, MENU, RECEIPT)
    assert derive(database_url, 5) == {
        "recognitions": 1,
        "images": 2,
        "recognition_active_menu_items": 4,
        "recipes": 1,
        "recipe_lines": 3,
        "recipe_line_options": 4,
        "initial_tray_items": 3,
        "plates": 0,
        "initial_annotations": 0,
    }
    assert query(
        database_url,
        "select external_id, name, category, price::text, metadata"
        " from recognition_active_menu_items order by 1",
    ) == [
        ("17", "SOUP", "Soups", "2.50", {"ProtoNames": ["sopa"]}),
        ("24", "COD", None, "7.95", {}),
        ("31", "HAKE", None, None, {}),
        ("48", "COLA", None, None, {}),
    ]
    assert query(
        database_url, "select camera_number, storage_path, width, height from images order by 1"
    ) == [
        (1, "recognitions/5/camera1.jpg", 160, 90),
        (2, "recognitions/5/camera2.jpg", 1920, 1080),
    ]
    assert lines(database_url) == [
        (5, 1, 1, False, "SOUP", ["17!"]),
        (5, 2, 1, True, "COD", ["24", "31"]),
        (5, 3, 2, False, "COLA", ["48!"]),
    ]
    assert items(database_url) == [
        ("FOOD", "17", True, False, {"name": "SOUP", "item_number": 1, "qwen_label": "dish_0"}),
        ("FOOD", None, False, True, {"name": None, "item_number": 1, "qwen_label": "dish_1"}),
        ("FOOD", "48", True, False, {"name": "COLA", "item_number": 1, "qwen_label": "dish_2"}),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"Dishes": [SOUP]}, (1, False, "SOUP", ["17!"])),
        ({"Count": "x", "Dishes": [SOUP]}, (1, False, "SOUP", ["17!"])),
        ({"Count": 1e30, "Dishes": [SOUP]}, (1, False, "SOUP", ["17!"])),
        ({"Count": 2, "Dishes": [SOUP, SOUP]}, (2, True, "SOUP", ["17"])),
        ({"Count": 1, "Dishes": [{"ExternalId": 17, "Name": "N"}]}, (1, False, "N", ["17!"])),
        ({"Count": 1, "Dishes": [{"Name": "N"}]}, (1, False, "N", [])),
        ({"Count": 1, "Dishes": [{"ExternalId": "17"}]}, (1, False, None, ["17!"])),
        ({"Count": 1, "Dishes": [5, None, SOUP]}, (1, False, "SOUP", ["17!"])),
        ({"Count": 1, "Dishes": "SOUP"}, (1, False, None, [])),
        ({"Count": 1}, (1, False, None, [])),
        (None, (1, False, None, [])),
    ],
)
def test_a_line_that_is_off_is_kept(database_url: str, line: Any, expected: Any) -> None:
    add(database_url, 5, MENU, [line])
    assert derive(database_url, 5)["recipe_lines"] == 1
    assert lines(database_url) == [(5, 1, *expected)]


def test_a_line_of_none_makes_no_item(database_url: str) -> None:
    add(database_url, 5, MENU, [{"Count": 0, "Dishes": [SOUP]}])
    assert derive(database_url, 5)["initial_tray_items"] == 0


@pytest.mark.parametrize("menu", [None, [], {}, {"Dishes": []}, [5, {"Name": "x"}], "text", 5])
def test_a_menu_without_dishes_makes_no_row(database_url: str, menu: Any) -> None:
    add(database_url, 5, menu)
    made = derive(database_url, 5)
    assert (made["recognitions"], made["recognition_active_menu_items"]) == (1, 0)


def test_of_a_code_that_comes_twice_the_last_counts(database_url: str) -> None:
    add(database_url, 5, [SOUP, {**SOUP, "Name": "LATER"}, COD])
    derive(database_url, 5)
    assert query(
        database_url, "select external_id, name from recognition_active_menu_items order by 1"
    ) == [("17", "LATER"), ("24", "COD")]


def test_dishes_that_are_lines_of_their_own(database_url: str) -> None:
    add(database_url, 5, {"Dishes": [SOUP, COD]}, {"Count": 9, "Dishes": [
        {**SOUP, "Count": 1}, {**COD, "Count": 3}, {"ExternalId": "99", "Name": "?"}
    ]})  # fmt: skip
    derive(database_url, 5)
    assert lines(database_url) == [
        (5, 1, 1, False, "SOUP", ["17!"]),
        (5, 2, 3, False, "COD", ["24!"]),
        (5, 3, 1, False, "?", ["99!"]),
    ]
    # The menu lacks the last one: its option keeps the code.
    assert [code for _, code, *_ in items(database_url)] == ["17", "24", None]


def test_boxes_hang_on_the_items_of_their_labels(database_url: str) -> None:
    add(database_url, 5, MENU, RECEIPT)
    derive(database_url, 5)
    annotate(
        database_url,
        5,
        ("camera1", "dish_0", "FOOD"),
        ("camera1", "dish_0", "FOOD"),
        ("camera2", "dish_2", "FOOD"),
        ("camera1", "dish_7", "FOOD"),
        ("camera1", None, "FOOD"),
        ("camera1", "plate", "PLATE"),
        ("camera2", "plate", "PLATE"),
    )
    annotate(database_url, 6, ("camera1", "plate", "PLATE"))
    assert derive(database_url, 5, 6, function="annotations") == {
        "plates": 1,
        "initial_annotations": 5,
    }
    assert query(
        database_url,
        "select camera_number, metadata ->> 'qwen_label', bbox ->> 'x', initial_annotations.source"
        " from initial_annotations join images on images.id = image_id"
        " join initial_tray_items on initial_tray_items.id = initial_tray_item_id order by 1, 2, 3",
    ) == [
        (1, "dish_0", "0", "MODEL"),
        (1, "dish_0", "1", "MODEL"),
        (1, "plate", "5", "MODEL"),
        (2, "dish_2", "2", "MODEL"),
        (2, "plate", "6", "MODEL"),
    ]
    again = derive(database_url, 5, 6, function="annotations")
    assert again == {"plates": 0, "initial_annotations": 0}


def test_derived_again_a_recognition_is_what_its_raw_rows_say_now(database_url: str) -> None:
    add(database_url, 5, MENU, RECEIPT)
    add(database_url, 6, MENU, RECEIPT)
    annotate(database_url, 5, ("camera1", "dish_2", "FOOD"), ("camera1", "plate", "PLATE"))
    derive(database_url, 5, 6)
    images = query(database_url, "select id, recognition_id from images order by 1")
    add(database_url, 5, MENU[:1], RECEIPT[:1])
    made = derive(database_url, 5)
    assert (made["recipe_lines"], made["plates"], made["initial_annotations"]) == (1, 1, 1)
    assert query(database_url, "select id, recognition_id from images order by 1") == images
    assert [number for number, *_ in lines(database_url)] == [5, 6, 6, 6]
    assert query(
        database_url,
        "select recognition_id, count(*) from recognition_active_menu_items group by 1 order by 1",
    ) == [(5, 1), (6, 4)]
