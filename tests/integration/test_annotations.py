"""Annotations: boxes of recognitions that are in, from a file that may be corrected."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from imports.errors import NoParentsError, UsageError
from imports.items.records import ExemptRecords
from imports.phases import prepare
from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from imports.run.reset import ResetReport
from tests.support.annotations import (
    NAME,
    add_recognitions,
    box,
    boxes,
    entry,
    key,
    linked,
    plates,
    write,
)
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.killing import killed_after
from tests.support.kinds_under_contract import EXAMPLES


def run(bench: Bench, **flags: Any) -> RunReport:
    return bench.run(kind="annotations", **{"source": bench.source.folder / NAME, **flags})


def put(bench: Bench, content: dict[str, Any]) -> Path:
    return write(bench.source.folder / NAME, content)


def versions(bench: Bench) -> list[tuple[Any, ...]]:
    """The transaction that wrote each row, raw and derived."""
    tables = ("raw.qwen_annotations", "initial_annotations", "initial_tray_items")
    selects = (f"select '{table}', ctid::text, xmin::text from {table}" for table in tables)
    return query(bench.url, f"{' union all '.join(selects)} order by 1, 2")


def undo(bench: Bench, report: RunReport) -> ResetReport:
    settings = bench.settings(kind="annotations", tag=None, source=None)
    to_reset = run_to_reset(settings, report.state.run_name, None)
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as reset:
        return reset.delete()


# What an import leaves


def test_entries_become_rows_and_what_is_derived_of_them(bench: Bench) -> None:
    add_recognitions(bench.url, 1, 2, 3)
    content = {
        key(1): entry(
            [1, 1, box([6, 5, 2, 1], "dish_1"), box([7, 7, 9, 9], "dish_7"), box([5, 5])],
            [2, 3],
        ),
        key(1, "Qualifying"): entry([box([66.5, 11.25, 118.0, 61.75], "dish_1")]),
        key(2): entry([box([1, 2, 3, 4], "")], [5]),
        "data/unsorted/Main.jpg": entry([1]),
        key(3): {},
    }
    put(bench, content)
    report = run(bench)
    assert (report.exit_code, report.count("import.inserted")) == (0, 3)
    assert boxes(bench.url) == [
        (1, "camera1.jpg", "dish_0", '{"h": 20, "w": 5, "x": 1, "y": 10}', "FOOD"),
        (1, "camera1.jpg", "dish_1", '{"h": 4, "w": 4, "x": 2, "y": 1}', "FOOD"),
        (1, "camera1.jpg", "dish_7", '{"h": 2, "w": 2, "x": 7, "y": 7}', "FOOD"),
        (1, "camera1.jpg", "plate", '{"h": 20, "w": 5, "x": 2, "y": 10}', "PLATE"),
        (1, "camera1.jpg", "plate", '{"h": 20, "w": 5, "x": 3, "y": 10}', "PLATE"),
        (1, "camera2.jpg", "dish_1", '{"h": 50.5, "w": 51.5, "x": 66.5, "y": 11.25}', "FOOD"),
        (2, "camera1.jpg", "plate", '{"h": 20, "w": 5, "x": 5, "y": 10}', "PLATE"),
        (2, "camera1.jpg", None, '{"h": 2, "w": 2, "x": 1, "y": 2}', "FOOD"),
    ]
    assert linked(bench.url) == [
        (1, 1, "dish_0", 1),
        (1, 1, "dish_1", 2),
        (1, 1, "plate", 2),
        (1, 1, "plate", 3),
        (1, 2, "dish_1", 66.5),
        (2, 1, "plate", 5),
    ]
    assert plates(bench.url) == [1, 2]
    assert report.count("import.derived.initial_annotations") == 6
    assert report.count("import.derived.initial_tray_items") == 2
    cleaned = {name.partition(".")[2]: n for name, n in report.counts.items() if "cleaned." in name}
    assert cleaned == {
        "(boxes that are not four numbers)": 1,
        "(boxes with turned corners)": 1,
        "(photos of no recognition)": 1,
    }


# Again


def test_the_same_file_twice_writes_nothing(bench: Bench) -> None:
    add_recognitions(bench.url, 1)
    put(bench, {key(1): entry([1], [2])})
    run(bench)
    before = versions(bench)
    assert run(bench).nothing_to_do
    # Also if it was written again, forced, or comes from another machine.
    put(bench, {key(1): entry([1], [2])}).touch()
    assert run(bench).count("import.unchanged") == 1
    assert run(bench, force=True).count("import.unchanged") == 1
    bench.forget()
    assert run(bench).count("import.unchanged") == 1
    assert versions(bench) == before


def test_a_corrected_file_adds_what_is_new_and_changes_and_deletes_nothing(bench: Bench) -> None:
    add_recognitions(bench.url, 1, 2)
    put(bench, {key(1): entry([1, 4], [2]), key(2): entry([9])})
    run(bench)
    before = versions(bench)
    # One box is gone, one moved to the plates, one is new; so is the plate of another photo.
    corrected = entry([3], [2, box([4, 10, 9, 30], "dish_0")])
    put(bench, {key(1): corrected, key(2, "Qualifying"): entry([], [5])})
    report = run(bench)
    assert report.exit_code == 0
    assert report.count("import.inserted") + report.count("import.updated") == 2
    assert set(before) < set(versions(bench))
    assert [(each[0], each[2], each[4]) for each in boxes(bench.url)] == [
        (1, "dish_0", "FOOD"),
        (1, "dish_0", "FOOD"),
        (1, "dish_0", "FOOD"),
        (1, "plate", "PLATE"),
        (2, "dish_0", "FOOD"),
        (2, "plate", "PLATE"),
    ]
    assert linked(bench.url) == [
        (1, 1, "dish_0", 1),
        (1, 1, "dish_0", 3),
        (1, 1, "dish_0", 4),
        (1, 1, "plate", 2),
        (2, 1, "dish_0", 9),
        (2, 2, "plate", 5),
    ]


# Recognitions that are not there


def test_boxes_of_recognitions_that_are_not_there_wait_for_them(bench: Bench) -> None:
    add_recognitions(bench.url, 1)
    put(bench, {key(1): entry([1]), key(2): entry([1], [2]), key(2, "Qualifying"): entry([3])})
    report = run(bench)
    assert (report.exit_code, report.count("import.left_out")) == (0, 2)
    assert report.left_out == ExemptRecords(2, [(NAME, "2/camera1.jpg"), (NAME, "2/camera2.jpg")])
    assert bench.verify(kind="annotations", source=bench.source.folder / NAME).clean
    again = run(bench)
    assert (again.count("import.left_out"), again.count("import.inserted")) == (2, 0)
    add_recognitions(bench.url, 2)
    later = run(bench)
    assert (later.count("import.left_out"), later.count("import.inserted")) == (0, 2)
    assert linked(bench.url) == [
        (1, 1, "dish_0", 1),
        (2, 1, "dish_0", 1),
        (2, 1, "plate", 2),
        (2, 2, "dish_0", 3),
    ]
    assert run(bench).nothing_to_do


def test_without_any_recognition_nothing_is_read(bench: Bench) -> None:
    put(bench, {}).write_bytes(b"not read")
    with pytest.raises(NoParentsError, match="is empty, so that nothing can be imported") as told:
        run(bench)
    assert "Import the recognitions first: resilient-importer recognitions" in str(told.value)
    assert told.value.exit_code == 1


# What people work on


def test_the_work_of_people_is_not_touched_and_a_reset_leaves_it_whole(bench: Bench) -> None:
    add_recognitions(bench.url, 1, 2)
    put(bench, {key(1): entry([1], [2]), key(2): entry([3], [4])})
    first = run(bench)
    query(
        bench.url,
        "create table public.work_annotations (bbox jsonb,"
        " initial_annotation_id bigint references initial_annotations (id))",
    )
    try:
        query(
            bench.url,
            "insert into work_annotations select '{}', min(id) from initial_annotations",
        )
        worked_on = query(bench.url, "select * from work_annotations")
        before = versions(bench)
        put(bench, {key(1): entry([1, 7])})
        assert run(bench).count("import.updated") == 1
        assert set(before) < set(versions(bench))
        # The box of the second run is newer; what people work on stays whole all the same.
        report = undo(bench, first)
        assert (report.complete, report.deleted.total()) == (False, 2)
        assert [each[0] for each in boxes(bench.url)] == [1, 1, 1]
        assert len(linked(bench.url)) == 3
        assert plates(bench.url) == [1]
        assert query(bench.url, "select * from work_annotations") == worked_on
    finally:
        query(bench.url, "drop table work_annotations")


# Reset


def test_a_reset_takes_the_boxes_of_its_run_and_plates_without_any(bench: Bench) -> None:
    add_recognitions(bench.url, 1, 2)
    put(bench, {key(1): entry([1], [2]), key(2): entry([], [3])})
    run(bench)
    put(bench, {key(1): entry([4], [5]), key(1, "Qualifying"): entry([], [6])})
    second = run(bench)
    report = undo(bench, second)
    assert (report.complete, report.deleted.total()) == (True, 3)
    assert linked(bench.url) == [(1, 1, "dish_0", 1), (1, 1, "plate", 2), (2, 1, "plate", 3)]
    assert plates(bench.url) == [1, 2]
    put(bench, {key(1): entry([4], [5])})
    third = run(bench)
    query(bench.url, "delete from raw.qwen_annotations where (bbox ->> 'x')::float in (2, 3)")
    # The plate of a run goes with its last box. Boxes that no raw row explains stay, with theirs.
    query(bench.url, "delete from initial_annotations where (bbox ->> 'x')::float = 2")
    undo(bench, third)
    assert linked(bench.url) == [(1, 1, "dish_0", 1), (2, 1, "plate", 3)]
    assert plates(bench.url) == [2]


# Large files


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is large, and a piece has two photos."""
    monkeypatch.setattr(prepare, "LARGE_BYTES", 0)
    monkeypatch.setattr("imports.phases.pieces.PIECE_RECORDS", 2)


MANY = {key(number): entry([number, number + 20], [number]) for number in range(1, 8)}


@pytest.mark.usefixtures("in_pieces")
def test_a_large_file_that_was_killed_anywhere_goes_on_in_its_middle(bench: Bench) -> None:
    add_recognitions(bench.url, *range(1, 6))
    put(bench, MANY)
    step = 1
    while killed_after(step, lambda: run(bench)):
        step += 1
    assert step > 5
    assert [each[0] for each in boxes(bench.url)] == [
        each for each in range(1, 6) for _ in range(3)
    ]
    assert len(linked(bench.url)) == 15
    assert bench.count("import_merges") == 0
    assert run(bench).count("import.left_out") == 2


@pytest.mark.usefixtures("in_pieces")
def test_records_before_broken_text_are_in_and_the_file_tells_the_place(bench: Bench) -> None:
    add_recognitions(bench.url, *range(1, 8))
    file = put(bench, {**MANY, key(8): None})
    file.write_bytes(file.read_bytes()[:-20])
    report = run(bench)
    assert report.exit_code == 3
    (failure,) = report.failures
    assert (failure.path, failure.phase) == (NAME, "import")
    assert failure.reason.startswith("is not JSON in record 7, at bytes ")
    assert [each[0] for each in linked(bench.url)] == [
        each for each in range(1, 8) for _ in range(3)
    ]
    before = versions(bench)
    put(bench, {**MANY, key(8): None})
    report = run(bench)
    (failure,) = report.failures
    assert failure.reason == f"record {key(8)}: is null, not an object"
    assert versions(bench) == before


# The source


@one_backend
def test_a_folder_has_the_file_itself_and_not_in_folders_of_it(bench: Bench) -> None:
    add_recognitions(bench.url, 1)
    put(bench, {key(1): entry([1])})
    write(bench.source.folder / "folder" / NAME, {key(1): entry([2])})
    write(bench.source.folder / "other.json", {key(1): entry([3])})
    (bench.source.folder / "link").symlink_to(bench.source.folder / "folder")
    assert run(bench, source=bench.source.folder).state.total_files == 1
    assert [each[3] for each in linked(bench.url)] == [1]


@one_backend
def test_a_file_of_any_name_is_a_source_of_its_own(bench: Bench) -> None:
    add_recognitions(bench.url, 1)
    file = write(bench.source.folder / "corrected.json", {key(1): entry([1])})
    put(bench, {key(1): entry([2])})
    report = run(bench, source=file)
    assert (report.state.source, report.state.total_files) == (str(file.resolve()), 1)
    assert [each[3] for each in linked(bench.url)] == [1]
    assert run(bench, source=file).nothing_to_do
    assert bench.verify(kind="annotations", source=file).clean
    file.unlink()
    with pytest.raises(UsageError, match=r"corrected\.json does not exist"):
        run(bench, source=file)


@one_backend
def test_a_folder_without_the_file_is_told(bench: Bench) -> None:
    add_recognitions(bench.url, 1)
    with pytest.raises(UsageError, match=r"No JSON files found: nothing below "):
        run(bench, source=bench.source.folder)


def test_the_examples_of_users_go_with_those_of_recognitions(bench: Bench) -> None:
    assert bench.run(kind="recognitions", source=EXAMPLES[0] / "recognitions").exit_code == 0
    report = run(bench, source=EXAMPLES[0] / "annotations")
    assert (report.exit_code, report.left_out.total) == (0, 1)
    assert linked(bench.url) == [
        (300101, 1, "dish_0", 8),
        (300101, 1, "dish_1", 62),
        (300101, 1, "dish_2", 120),
        (300101, 1, "plate", 4),
        (300101, 1, "plate", 58),
        (300101, 2, "dish_0", 12.5),
        (300101, 2, "dish_1", 66),
        (300103, 1, "dish_0", 5),
        (300103, 1, "plate", 1),
    ]
