"""Recognitions: photos and rows are in together or not at all; what the target has is skipped."""

from __future__ import annotations

import hashlib
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from imports.ledger import LedgerFile
from imports.ledger.acknowledged import acknowledge
from imports.phases.resetting import open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.run.report import RunReport
from imports.run.session import RunSession
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.killing import killed_after
from tests.support.kinds_under_contract import RECOGNITIONS
from tests.support.proxy import http_answer
from tests.support.recognitions import (
    BUCKET,
    COD,
    HAKE,
    MENU,
    SOUP,
    add,
    counts,
    derived,
    numbers,
    photo,
    photos_of,
    stored,
)
from tests.support.source import png
from tests.support.target import Target

LONG = secrets.token_hex(4_000)
"""A code that the unique index of menus refuses."""


def run(bench: Bench, **flags: Any) -> RunReport:
    return bench.run(kind="recognitions", **flags)


def hashes(bench: Bench) -> dict[int, tuple[str, str]]:
    """Which photos the rows name, by recognition."""
    rows = query(
        bench.url, "select recognition_id, image1_sha256, image2_sha256 from raw.recognition_files"
    )
    return {number: (one, other) for number, one, other in rows}


def check_whole(bench: Bench) -> None:
    """Every photo is named by a row, every row names photos that are there, and all agree."""
    there = stored(bench)
    found = {
        number: tuple(
            hashlib.sha256(there.pop(f"recognitions/{number}/camera{camera}.jpg")).hexdigest()
            for camera in (1, 2)
        )
        for number in hashes(bench)
    }
    assert found == hashes(bench)
    assert there == {}
    raw, domain = numbers(bench)
    assert raw == domain


# What an import leaves


def test_what_folders_say_becomes_rows(bench: Bench) -> None:
    source = bench.source.folder
    menu = [*MENU, {"ExternalId": "48", "Name": "СОК"}, {"ExternalId": "55", "Name": "TEA"}]
    receipt = [
        {"Count": 1, "Dishes": [SOUP]},
        {"Count": 1, "Dishes": [COD, HAKE]},
        {"Count": 2, "Dishes": [menu[3]]},
    ]
    sizes = [photo(1, 160, 90), photo(2, 160, 90)]
    add(source, "export_1/recognition_101", menu, receipt, sizes)
    add(source, "export_1/recognition_102", MENU[:2], None, [photo(3, 16, 9), photo(4, 9, 16)])
    add(source, "export_1/recognition_103", None, [])
    absent = [{"Count": 1, "Dishes": [{"ExternalId": "99", "Name": "?"}]}]
    add(source, "export_2/104", [], absent)
    assert run(bench).exit_code == 0
    assert counts(bench.url) == {
        "recognitions": 4,
        "images": 8,
        "recognition_active_menu_items": 7,
        "recipes": 2,
        "recipe_lines": 4,
        "recipe_line_options": 5,
        "initial_tray_items": 4,
        "initial_annotations": 0,
        "raw.recognition_files": 4,
        "raw.recipes": 2,
        "raw.qwen_annotations": 0,
    }
    assert query(
        bench.url,
        "select recognition_id, array_agg(width || 'x' || height order by camera_number)"
        " from images group by 1 order by 1 limit 2",
    ) == [(101, ["160x90", "160x90"]), (102, ["16x9", "9x16"])]
    assert query(
        bench.url,
        "select quantity, has_ambiguity, array(select external_id from recipe_line_options"
        " where recipe_line_id = line.id and is_selected) from recipe_lines line"
        " join recipes on recipes.id = recipe_id where recognition_id = 101 order by line_number",
    ) == [(1, False, ["17"]), (1, True, []), (2, False, ["48"])]
    assert query(
        bench.url,
        "select menu_item_external_id from initial_tray_items where recognition_id = 104",
    ) == [(None,)]
    check_whole(bench)
    assert bench.verify(kind="recognitions", deep=True).clean


def test_both_backends_derive_the_same_rows(
    shared_database_url: str, supabase_bench_shared: Bench, tmp_path: Path
) -> None:
    other = Bench(Target("postgresql", shared_database_url), tmp_path / "postgresql")
    other.target.empty()
    found = []
    for bench in (supabase_bench_shared, other):
        RECOGNITIONS.add_examples(bench.source.folder)
        run(bench)
        found.append((derived(bench.url), stored(bench)))
    assert found[0] == found[1]


@one_backend
def test_a_dish_may_have_a_long_name(bench: Bench) -> None:
    add(bench.source.folder, 1, menu=[{"ExternalId": "1", "Name": LONG}])
    assert run(bench).exit_code == 0
    assert query(bench.url, "select name from recognition_active_menu_items") == [(LONG,)]


def test_photos_may_be_behind_a_link_that_stays_in_the_source(bench: Bench) -> None:
    source = bench.source.folder
    for number, place in ((1, source / "photos_of_1"), (2, bench.folder / "elsewhere")):
        photos = add(source, number) / "photos"
        photos.rename(place)
        photos.symlink_to(place)
    report = run(bench)
    assert [(each.path, each.reason[:13]) for each in report.failures] == [
        ("recognition_2", "has no photos")
    ]
    assert numbers(bench)[0] == [1]
    assert run(bench, max_retries=0).nothing_to_do is False


# What the target has already


def test_what_another_machine_has_imported_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = bench.source.folder
    for number in range(1, 4):
        add(source, number)
    run(bench)
    for number in range(4, 7):
        add(source, f"export_1/{number}")
    add(source, 1, menu=b"no JSON any more")
    bench.forget()
    asked = []
    ask = RunSession.ask
    monkeypatch.setattr(
        RunSession,
        "ask",
        lambda self, *args, **flags: (asked.append(args), ask(self, *args, **flags))[1],
    )
    report = run(bench, limit=2)
    assert (report.exit_code, report.count("planning.known")) == (0, 3)
    assert (report.count("planning.to_import"), report.count("import.inserted")) == (2, 2)
    assert numbers(bench) == ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])
    assert sum(getattr(each[0], "__name__", "") == "page" for each in asked) == 1
    assert bench.verify(kind="recognitions").records == 2
    # It is not for this ledger to say that they are still there.
    query(bench.url, "delete from recognitions where id = 3")
    query(bench.url, "delete from raw.recognition_files where recognition_id = 3")
    assert run(bench).count("import.inserted") == 2
    assert numbers(bench)[1] == [1, 2, 3, 4, 5, 6]


def test_a_failure_is_over_when_another_machine_has_imported_the_recognition(bench: Bench) -> None:
    """Also of one that failed too often to be tried again, or is acknowledged."""
    source = bench.source.folder
    for number in (1, 2, 3):
        add(source, number, menu=b"[")
    report = run(bench)
    assert len(report.failures) == 3
    with closing(LedgerFile(bench.settings().ledger_file)) as ledger:
        ((acknowledged,),) = ledger.connection.execute(
            "select id from item where path = 'recognition_2'"
        )
        acknowledge(ledger, [acknowledged], "somebody", None)
    elsewhere = Bench(bench.target, bench.folder / "elsewhere")
    for number in (1, 2):
        add(elsewhere.source.folder, number)
    elsewhere.data_folder = bench.data_folder
    assert run(elsewhere).exit_code == 0
    report = run(bench, max_retries=1)
    assert [each.path for each in report.failures] == ["recognition_3"]
    names = ("known", "given_up", "acknowledged")
    assert [report.count(f"planning.{name}") for name in names] == [2, 1, 0]
    assert report.acknowledged == 0
    (folder,) = source.glob("*3")
    shutil.rmtree(folder)
    report = run(bench, max_retries=1)
    assert (report.exit_code, report.nothing_to_do) == (0, True)


def test_force_replaces_all_of_a_recognition(bench: Bench) -> None:
    folder = add(bench.source.folder, 5)
    add(bench.source.folder, 6)
    run(bench)
    ids = query(bench.url, "select id, recognition_id from images order by 1")
    before = stored(bench)
    (folder / "5_recognition_2025-10-11_correct_dishes.json").unlink()
    add(bench.source.folder, 5, MENU[:1], None, [photo(50, 20, 10), photo(51, 20, 10)])
    report = run(bench)
    assert report.count("planning.known") == 1
    assert stored(bench) == before
    # The receipt is gone, and its raw row is not.
    assert bench.verify(kind="recognitions").found == {"different": 1, "orphaned": 1}

    report = run(bench, force=True)
    assert (report.exit_code, report.count("import.updated")) == (0, 1)
    assert photos_of(bench, 5) == (photo(50, 20, 10), photo(51, 20, 10))
    assert query(bench.url, "select id, recognition_id from images order by 1") == ids
    assert query(bench.url, "select recognition_id from recipes") == [(6,)]
    assert query(bench.url, "select recognition_id from raw.recipes") == [(6,)]
    assert counts(bench.url)["recognition_active_menu_items"] == 4
    check_whole(bench)
    assert bench.verify(kind="recognitions", deep=True).clean


@pytest.fixture
def tables_of_people(bench: Bench) -> Iterator[None]:
    """Those of the users' application, in which people work."""
    query(
        bench.url,
        "create table work_items (initial_item_id bigint references initial_tray_items (id));"
        " create table work_annotations"
        " (initial_annotation_id bigint references initial_annotations (id));"
        " do $$ begin if exists (select from pg_roles where rolname = 'service_role') then"
        " grant select on work_items, work_annotations to service_role; end if; end $$",
    )
    yield
    query(bench.url, "drop table work_items, work_annotations")


@pytest.mark.usefixtures("tables_of_people")
def test_what_people_work_on_is_left_with_its_photos(bench: Bench) -> None:
    for number in (1, 2, 3):
        add(bench.source.folder, number)
    run(bench)
    box = query(
        bench.url,
        "insert into initial_annotations (image_id, initial_tray_item_id, bbox)"
        " select images.id, item.id, '{}' from images join initial_tray_items item"
        " using (recognition_id) where recognition_id = 2 limit 1 returning id",
    )
    query(bench.url, "insert into work_annotations values (%s)", box[0][0])
    query(
        bench.url,
        "insert into work_items select id from initial_tray_items where recognition_id = 1 limit 1",
    )
    before, rows = stored(bench), derived(bench.url)
    # Of one the rows stay the same, but for the hash of the photo.
    add(bench.source.folder, 1, photos=[photo(10), photo(11)])
    add(bench.source.folder, 2, MENU[:1], photos=[photo(20), photo(21)])
    add(bench.source.folder, 3, photos=[photo(30), photo(31)])
    report = run(bench, force=True)
    assert (report.exit_code, report.count("import.guarded")) == (0, 2)
    assert report.count("import.updated") == 1
    assert [path for path, _ in report.guarded.first] == ["recognition_1", "recognition_2"]
    assert photos_of(bench, 3) == (photo(30), photo(31))
    left = {path: content for path, content in stored(bench).items() if "/3/" not in path}
    assert left == {path: content for path, content in before.items() if "/3/" not in path}
    assert derived(bench.url) == rows
    check_whole(bench)


@pytest.mark.usefixtures("tables_of_people")
def test_a_reset_leaves_what_people_work_on_whole(bench: Bench) -> None:
    for number in (1, 2, 3):
        add(bench.source.folder, number)
    run_name = run(bench).state.run_name
    query(
        bench.url,
        "insert into work_items select id from initial_tray_items where recognition_id = 2 limit 1",
    )
    flags: dict[str, Any] = {"kind": "recognitions", "tag": None, "source": None}
    to_reset = run_to_reset(bench.settings(**flags), run_name, None)
    with open_reset(to_reset, threading.Event(), SilentDisplay()) as reset:
        report = reset.delete()
    assert (report.complete, report.images) == (False, 4)
    assert numbers(bench) == ([2], [2])
    assert counts(bench.url)["recipes"] == counts(bench.url)["raw.recipes"] == 1
    check_whole(bench)
    query(bench.url, "delete from work_items")
    assert run(bench).count("import.inserted") == 2
    assert numbers(bench) == ([1, 2, 3], [1, 2, 3])
    check_whole(bench)


# All or nothing


def test_a_refused_row_leaves_neither_photos_nor_rows(bench: Bench) -> None:
    refused = [{"ExternalId": LONG, "Name": "x"}]
    add(bench.source.folder, 1)
    add(bench.source.folder, 2, menu=refused)
    report = run(bench)
    assert (report.exit_code, [each.path for each in report.failures]) == (3, ["recognition_2"])
    assert numbers(bench) == ([1], [1])
    assert photos_of(bench, 2) == (None, None)
    check_whole(bench)
    # Where it was in before, it is as it was.
    add(bench.source.folder, 1, menu=refused, photos=[photo(10), photo(11)])
    before = derived(bench.url)
    assert run(bench, force=True).exit_code == 3
    assert photos_of(bench, 1) == (photo(2), photo(3))
    assert derived(bench.url) == before
    check_whole(bench)


def test_a_photo_that_is_no_image_leaves_neither_photos_nor_rows(bench: Bench) -> None:
    add(bench.source.folder, 1, photos=[photo(1), b"no image"])
    add(bench.source.folder, 2, photos={"a.jpg": photo(1), "b.jpg": photo(2), "c.jpg": photo(3)})
    add(bench.source.folder, 3, photos={"a.JPG": png(1), "._a.jpg": b"", "b.jpeg": photo(2)})
    add(bench.source.folder, 4, menu=b"[")
    report = run(bench)
    assert [(each.path, each.reason.split(" (")[0]) for each in report.failures] == [
        ("recognition_1", "photos/recognition_1_2025-10-11_Qualifying.jpg is no image, so neither"
         " photo is stored"),
        ("recognition_2", "has 3 photos"),
        ("recognition_4", report.failures[2].reason.split(" (")[0]),
    ]  # fmt: skip
    assert numbers(bench) == ([3], [3])
    check_whole(bench)


def test_a_store_that_fails_at_the_second_photo_leaves_neither(bench: Bench) -> None:
    add(bench.source.folder, 1)
    add(bench.source.folder, 2)
    path = "recognitions/2/camera2.jpg"
    if bench.target.supabase_url is None:
        blocked = bench.data_folder / BUCKET / path
        blocked.mkdir(parents=True)
    else:
        answer = http_answer("400 Bad Request", b'{"statusCode":"400","error":"InvalidKey"}')
        post = f"POST /storage/v1/object/{BUCKET}/{path}".encode()
        fault = bench.proxied().add(post, action="answer", answer=answer, times=10**6)
    report = run(bench)
    assert (report.exit_code, [each.path for each in report.failures]) == (3, ["recognition_2"])
    if bench.target.supabase_url is None:
        blocked.rmdir()
    else:
        fault.times = 0
    assert photos_of(bench, 2) == (None, None)
    check_whole(bench)
    assert run(bench).exit_code == 0
    assert numbers(bench)[1] == [1, 2]
    check_whole(bench)


MOST_STEPS = 20
KILLED = [("postgresql", case) for case in ("new", "replaced", "refused")]


@pytest.mark.parametrize(("bench", "case"), [*KILLED, ("supabase", "replaced")], indirect=["bench"])
def test_killed_after_any_step_a_recognition_is_whole_after_the_next_run(
    bench: Bench, case: str
) -> None:
    source = bench.source.folder
    if case != "new":
        add(source, 5)
        run(bench)
    menu = [{"ExternalId": LONG, "Name": "x"}] if case == "refused" else MENU[:1]
    before: tuple[bytes | None, ...] = photos_of(bench, 5)
    for step in range(1, MOST_STEPS):
        number = 100 + step if case == "new" else 5
        photos = photo(100 + step), photo(200 + step)
        folder = add(source, number, menu, photos=photos)
        flags = {"single_file": folder, "force": True}
        was_killed = killed_after(step, partial(run, bench, **flags))
        there = stored(bench)
        for each in hashes(bench):
            assert {f"recognitions/{each}/camera{camera}.jpg" for camera in (1, 2)} <= there.keys()
        # By the same command, or by one that replaces nothing: it only goes on, or takes back.
        again = bool(step % 2)
        run(bench, **flags) if again else run(bench)
        check_whole(bench)
        if case == "refused":
            assert photos_of(bench, number) == before
            add(source, number)
        elif again or case == "new":
            assert photos_of(bench, number) == photos
        if not was_killed:
            break
    assert 7 < step < MOST_STEPS - 1


# The bucket


@pytest.mark.parametrize("public", [False, True])
def test_a_new_bucket_is_private_unless_it_is_to_be_public(
    supabase_bench_shared: Bench, public: bool
) -> None:
    bench = supabase_bench_shared
    add(bench.source.folder, 1)
    report = run(bench, public_bucket=public)
    address = f"/storage/v1/bucket/{BUCKET}"
    assert (report.exit_code, report.notices) == (0, [])
    assert bench.api("GET", address).json()["public"] is public
    # One that is there stays as it is, and the user hears of it.
    add(bench.source.folder, 2)
    (notice,) = run(bench, public_bucket=not public).notices
    assert ("is public" if public else "is private: it stays so") in notice
    assert bench.api("GET", address).json()["public"] is public
