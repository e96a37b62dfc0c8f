"""The statements of `docs/coming-from.md` bring the rows of earlier systems into our tables."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.servers.schema import apply_schema, set_aside_earlier
from tests.support import device_tests, earlier
from tests.support.bench import Bench
from tests.support.command import ROOT
from tests.support.database import query
from tests.support.recognitions import BUCKET, add, numbers, photo, photos_of
from tests.support.source import png
from tests.support.target import Target

_DOCUMENT = (ROOT / "docs" / "coming-from.md").read_text()


def blocks(heading: str) -> list[str]:
    """The SQL blocks of a chapter of the document."""
    (chapter,) = re.findall(
        rf"^## {heading}\n(.*?)(?=^## |\Z)", _DOCUMENT, re.DOTALL | re.MULTILINE
    )
    return re.findall(r"^```sql\n(.*?)^```", chapter, re.DOTALL | re.MULTILINE)


TAKE, COUNTS, LEFT = blocks("Recognitions")
TAKE_TESTS, COUNT_TESTS = blocks("Device tests")


@pytest.fixture
def bench(empty_database_url: str, tmp_path: Path) -> Iterator[Bench]:
    """A database that the earlier systems made, whose tables are set aside."""
    url = empty_database_url
    for statements in (
        earlier.RECOGNITIONS,
        earlier.RECOGNITION_ROWS,
        earlier.DEVICE_TESTS,
        earlier.DEVICE_TEST_ROWS,
    ):
        query(url, statements)
    set_aside_earlier(url)
    apply_schema(url)
    with closing(Bench(Target("postgresql", url), tmp_path)) as bench:
        yield bench


def rows(bench: Bench, columns: str, table: str) -> list[tuple[Any, ...]]:
    return query(bench.url, f"select {columns} from {table} order by 1")


def test_recognitions_have_all_rows_that_somebody_would_miss(bench: Bench) -> None:
    query(bench.url, TAKE)
    old = "before_importer"
    # Nothing is changed or left out of these, but for nulls that we do not have.
    for table in ("recognition_active_menu_items", "images", "recognitions"):
        fill = "- '{batch_id,width,height}'::text[]"
        assert rows(bench, f"id, to_jsonb(t) {fill}", f"{table} t") == rows(
            bench, f"id, to_jsonb(t) {fill}", f"{old}.{table} t"
        )
    assert rows(bench, "id, batch_id", "recognitions") == [
        (1, "batch_20251024_121255"),
        (2, "before_importer"),
        (3, "batch_20251026_080000"),
    ]
    assert rows(bench, "id, width, height", "images")[:2] == [(41, 160, 90), (42, 1920, 1080)]
    for table in ("recipes", "recipe_lines"):
        columns = "id, to_jsonb(t)"
        assert rows(bench, columns, f"{table} t") == [
            row for row in rows(bench, columns, f"{old}.{table} t") if row[0] not in (62, 73)
        ]
    assert rows(bench, "id, recipe_line_id, is_selected", "recipe_line_options") == [
        (81, 71, True),
        (83, 72, False),
        (84, 72, None),
    ]
    columns = "id, item_type::text, source::text, recipe_line_option_id, menu_item_external_id"
    assert rows(bench, f"{columns}, bottle_orientation::text", "initial_tray_items") == [
        (92, "FOOD", "RECIPE_LINE_OPTION", 81, "17", None),
        (94, "PLATE", "MODEL", None, None, None),
        (95, "BOTTLE", "MODEL", None, None, "vertical"),
        (96, "BOTTLE", "MODEL", None, None, "horizontal"),
        (97, "FOOD", "MENU_ITEM", None, "17", None),
        (98, "FOOD", "MENU_ITEM", None, "17", None),
    ]
    boxes = "id, image_id, initial_tray_item_id, bbox ->> 'x', is_occluded"
    assert rows(bench, boxes, "initial_annotations") == [
        (102, 41, 92, "1", None),
        (103, 41, 92, "2", True),
        (105, 42, 94, "2.50", False),
        (106, 45, 97, "1", False),
        (107, 45, 98, "1", False),
    ]
    raw = "id, recognition_id, batch_id, inserted_by, active_menu, image1_path, image2_width"
    assert rows(bench, raw, "raw.recognition_files") == [
        (12, 1, "batch_20251024_121255", None, [2], "camera1.jpg", None),
        (13, 2, "before_importer", None, None, "camera1.jpg", None),
        (15, 3, "batch_20251026_080000", None, None, "camera1.jpg", 16),
    ]
    assert rows(bench, "id, batch_id, payload", "raw.recipes") == [
        (22, "batch_20251024_121255", [2])
    ]
    assert rows(bench, "id, class_name", "raw.qwen_annotations") == [
        (31, "dish_0"),
        (32, None),
        (35, "plate"),
        (36, "plate"),
    ]


def test_rows_of_people_point_to_the_new_tables(bench: Bench) -> None:
    query(bench.url, TAKE)
    assert rows(bench, "id, initial_item_id", "work_items") == [
        (1, 92),
        (2, 94),
        (3, 94),
        (4, None),
    ]
    assert rows(bench, "id, initial_annotation_id", "work_annotations") == [(1, 102), (2, 105)]
    links = query(
        bench.url,
        "select conrelid::regclass::text, confrelid::regclass::text, condeferred"
        " from pg_constraint where contype = 'f' and conrelid in ('work_items'::regclass,"
        " 'work_annotations'::regclass, 'validation_work_log'::regclass) order by 1, 2",
    )
    assert links == [
        ("validation_work_log", "recognitions", False),
        ("work_annotations", "initial_annotations", False),
        ("work_items", "initial_tray_items", True),
        ("work_items", "validation_work_log", False),
    ]
    with pytest.raises(psycopg2.errors.ForeignKeyViolation):
        query(bench.url, "delete from initial_tray_items where id = 92")
    query(bench.url, "delete from recognitions where id = 3")
    query(bench.url, "insert into work_annotations values (9, 103)")


def test_items_of_lines_that_have_several_dishes_keep_their_line(bench: Bench) -> None:
    """Later versions have the column, and did not have its unique key at first."""
    query(
        bench.url,
        "alter table before_importer.initial_tray_items add column recipe_line_id bigint"
        " references before_importer.recipe_lines;"
        "insert into before_importer.initial_tray_items"
        " (id, recognition_id, item_type, source, recipe_line_id, metadata) values"
        " (201, 1, 'FOOD', 'RECIPE_LINE_OPTION', 72, '{\"qwen_label\": \"dish_1\"}'),"
        " (202, 1, 'FOOD', 'RECIPE_LINE_OPTION', 72, '{\"qwen_label\": \"dish_1\"}'),"
        " (203, 1, 'FOOD', 'RECIPE_LINE_OPTION', 71, '{\"qwen_label\": \"dish_1\"}')",
    )
    query(bench.url, TAKE)
    items = rows(bench, "id, recipe_line_id", "initial_tray_items where id > 200")
    assert items == [(201, 72), (203, 71)]


def test_the_counts_tell_what_became_of_each_row(bench: Bench) -> None:
    query(bench.url, TAKE)
    assert {row[0]: row[1:] for row in query(bench.url, COUNTS)} == {
        "recognitions": (3, 3, 0, 0),
        "images": (6, 6, 0, 0),
        "recognition_active_menu_items": (3, 3, 0, 0),
        "recipes": (2, 1, 0, 1),
        "recipe_lines": (3, 2, 0, 1),
        "recipe_line_options": (5, 3, 1, 1),
        "initial_tray_items": (9, 6, 3, 0),
        "initial_annotations": (7, 5, 2, 0),
        "raw.recognition_files": (4, 3, 0, 1),
        "raw.recipes": (3, 1, 0, 2),
        "raw.qwen_annotations": (6, 4, 0, 2),
    }
    assert query(bench.url, LEFT) == [(4,)]


def test_a_second_time_and_after_an_import_nothing_is_taken_over(bench: Bench) -> None:
    add(bench.source.folder, 8)
    assert bench.run(kind="recognitions").exit_code == 0
    with pytest.raises(psycopg2.errors.RaiseException, match="before the first import"):
        query(bench.url, TAKE)
    assert numbers(bench) == ([8], [8])
    query(bench.url, "truncate recognitions, recipes, raw.recipes, raw.recognition_files cascade")
    query(bench.url, TAKE)
    with pytest.raises(psycopg2.errors.RaiseException, match="before the first import"):
        query(bench.url, TAKE)
    assert numbers(bench) == ([1, 2, 3], [1, 2, 3])


def test_the_importer_goes_on_with_what_was_taken_over(bench: Bench) -> None:
    query(bench.url, TAKE)
    for number in range(1, 5):
        add(bench.source.folder, number)
    stored = bench.data_folder / BUCKET / "recognitions" / "3"
    stored.mkdir(parents=True)
    for camera in (1, 2):
        (stored / f"camera{camera}.jpg").write_bytes(b"encoded again")
    before = rows(bench, "id, xmin::text", "initial_tray_items")

    report = bench.run(kind="recognitions")
    assert (report.exit_code, report.count("planning.known")) == (0, 3)
    assert (report.count("import.inserted"), numbers(bench)[1]) == (1, [1, 2, 3, 4])
    assert set(before) < set(rows(bench, "id, xmin::text", "initial_tray_items"))
    assert bench.verify(kind="recognitions").records == 1
    # New ids are after all old ones.
    assert rows(bench, "min(id)", "initial_tray_items where recognition_id = 4") == [(100,)]

    # People work on the first one.
    report = bench.run(kind="recognitions", force=True)
    assert (report.exit_code, report.count("import.updated")) == (0, 2)
    assert [path for path, _ in report.guarded.first] == ["recognition_1"]
    assert photos_of(bench, 3) == (photo(6), photo(7))
    assert rows(bench, "recognition_id, inserted_by", "raw.recognition_files")[:3] == [
        (1, None),
        (2, "before_importer"),
        (3, "batch_20251026_080000"),
    ]


def test_an_old_batch_can_be_reset(bench: Bench) -> None:
    query(bench.url, TAKE)
    stored = bench.data_folder / BUCKET / "recognitions" / "3"
    stored.mkdir(parents=True)
    for camera in (1, 2):
        (stored / f"camera{camera}.jpg").write_bytes(b"encoded again")
    for batch, complete, left in (
        ("batch_20251026_080000", True, [1, 2]),
        ("before_importer", True, [1]),
        ("batch_20251024_121255", False, [1]),
    ):
        settings = bench.settings(kind=None, tag=None, source=None)
        run = run_to_reset(settings, batch, "recognitions")
        with open_reset(run, threading.Event(), SilentDisplay()) as reset:
            assert reset.delete().complete is complete
        assert numbers(bench) == (left, left)
    assert photos_of(bench, 3) == (b"encoded again", b"encoded again")
    add(bench.source.folder, 3)
    (failure,) = bench.run(kind="recognitions").failures
    assert "somebody else has put another image" in failure.reason
    assert bench.run(kind="recognitions", force=True).exit_code == 0
    assert photos_of(bench, 3) == (photo(6), photo(7))


def test_annotations_that_come_later_are_put_on_old_items(bench: Bench) -> None:
    query(bench.url, TAKE)
    query(
        bench.url,
        "insert into raw.qwen_annotations (recognition_id, image_path, bbox, class_name, item_type)"
        " values (1, 'camera1.jpg', '{\"x\": 7}', 'plate', 'PLATE')",
    )
    ((made,),) = query(bench.url, "select public.importer_derive_annotations('{1,2,3}')")
    assert made == {"plates": 0, "initial_annotations": 1}
    new = rows(bench, "initial_tray_item_id", "initial_annotations where id > 107")
    assert new == [(94,)]


def test_device_tests_have_a_row_for_each_folder(bench: Bench) -> None:
    query(bench.url, TAKE_TESTS)
    one, other = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
    columns = (
        "folder_path, folder_name, device_id, test_status, batch_id, stats::text, image_count,"
        " file_count, array(select image ->> 'name' from jsonb_array_elements(images) image)"
    )
    assert rows(bench, columns, "device_test") == [
        (f"{one}/Batch56", "Batch56", one, "failed", "b", "{}", 0, 1, []),
        (f"{other}/Batch56", "Batch56", other, "incomplete", "b", "{}", 1, 2, ["c.jpg"]),
        ("Batch54", "Batch54", None, "passed", "quick_batch_2", '{"result": [1.50]}', 2, 3,
         ["a.jpg", "b.jpg"]),
        ("Batch55", "Batch55", None, "pending", "before_importer", None, 0, 0, []),
        ("Batch57", "Batch57", one, None, "b", None, 1, 1, ["d.jpg"]),
    ]  # fmt: skip
    assert query(bench.url, COUNT_TESTS) == [(7, 5, 0)]
    query(bench.url, TAKE_TESTS)
    assert query(bench.url, COUNT_TESTS) == [(7, 5, 0)]


def test_an_import_of_the_folders_replaces_old_rows(bench: Bench) -> None:
    query(bench.url, TAKE_TESTS)
    device_tests.add(bench.source.folder, "Batch54", {"result": [2]}, {"a.jpg": png(1)})
    report = bench.run(kind="folders", tag="device tests")
    assert (report.exit_code, report.count("import.updated")) == (0, 1)
    assert bench.verify(kind="folders", tag="device tests", deep=True).clean
    columns = "stats ->> 'result', images -> 0 ->> 'sha256' is not null, inserted_by"
    assert query(bench.url, f"select {columns} from device_test where folder_name = 'Batch54'") == [
        ("[2]", True, "quick_batch_2")
    ]
    settings = bench.settings(kind=None, tag=None, source=None)
    with open_reset(
        run_to_reset(settings, "b", "folders"), threading.Event(), SilentDisplay()
    ) as reset:
        assert reset.delete().deleted == {"device_test": 3}
    assert rows(bench, "folder_path", "device_test") == [("Batch54",), ("Batch55",)]
