"""The kind `folders`: its rows and images on both backends, and by what a change is noticed."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import string
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imports import ResilientImporter
from imports.errors import UsageError
from imports.run.last_work import last_work
from imports.run.report import RunReport
from imports.source.local_file import LocalFile
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.device_tests import (
    BROKEN,
    add,
    add_examples,
    add_many,
    ask_ledger,
    row_versions,
    rows,
    run,
    states_of,
    status_file,
)
from tests.support.pictures import bmp, heif, pdf, tiff, webp
from tests.support.source import gif, jpeg, png

FOLDERS = 300


def by_path(bench: Bench) -> dict[str, dict[str, Any]]:
    return {row["folder_path"]: row for row in rows(bench.url)}


def outcomes(report: RunReport) -> tuple[int, int, int]:
    return tuple(report.count(f"import.{name}") for name in ("inserted", "updated", "unchanged"))  # type: ignore[return-value]


def image(name: str, content: bytes, content_type: str) -> dict[str, Any]:
    return {
        "name": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "content_type": content_type,
    }


_watched: list[tuple[str, set[str]]] = []


@contextmanager
def opened(folder: Path) -> Iterator[set[str]]:
    """Every path below a folder that this process opens meanwhile, relative to it."""
    if not _watched:
        sys.addaudithook(_note_open)  # it stays for good
        _watched.append(("", set()))
    found: set[str] = set()
    _watched.append((f"{folder}{os.sep}", found))
    try:
        yield found
    finally:
        _watched.pop()


def _note_open(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or len(_watched) < 2:
        return
    prefix, found = _watched[-1]
    path = os.fsdecode(arguments[0]) if isinstance(arguments[0], (str, bytes, os.PathLike)) else ""
    if path.startswith(prefix):
        found.add(path.removeprefix(prefix))


# --- rows and images ---------------------------------------------------------------------------


def test_the_examples(bench: Bench) -> None:
    source = add_examples(bench.source.folder)
    os.utime(source / "Batch54/stats.json", ns=(0, 1_700_000_000_123_456_789))
    os.utime(source / "Batch54/shot.png", ns=(0, 1_600_000_000_000_000_000))
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (3, (3, 0, 0))
    assert report.count("upload.completed") == 4
    (failure,) = report.failures
    assert (failure.path, failure.tries) == ("Batch57", 1)
    assert "stats.json is not JSON" in failure.reason

    found = by_path(bench)
    assert list(found) == ["Batch54", "Batch55", "nested/line-2/Batch56"]
    first = found["Batch54"]
    assert len(first.pop("content_signature")) == 32
    assert first.pop("last_modified").startswith("2023-11-14T22:13:20.123456")
    assert first == {
        "folder_path": "Batch54",
        "folder_name": "Batch54",
        "device_id": "D-54",
        "device_name": None,
        "device_type": None,
        "test_status": "passed",
        "stats": {
            "device_id": "D-54",
            "test_status": "passed",
            "measurements": {"voltage": [3.3, 3.31]},
        },
        "image_count": 1,
        "images": [image("shot.png", png(54), "image/png")],
        "file_count": 2,
    }
    assert found["Batch55"]["images"] == [
        image("a.jpg", jpeg(), "image/jpeg"),
        image("b.png", png(55), "image/png"),
    ]
    nested = found["nested/line-2/Batch56"]
    assert (nested["folder_name"], nested["stats"], nested["device_id"]) == ("Batch56", None, None)
    assert (nested["image_count"], nested["file_count"]) == (1, 1)
    contents = {jpeg(), png(54), png(55), png(56)}
    images = bench.images()
    assert set(images) == {hashlib.sha256(each).hexdigest() for each in contents}
    assert {bench.stored(place) for place in images.values()} == contents
    assert bench.count("search_results") == 0


def test_both_backends_hold_the_same(postgresql_bench: Bench, supabase_bench_shared: Bench) -> None:
    source = add_examples(postgresql_bench.source.folder)
    add_many(source, 40, images=5)
    add(source, ".", {"device_id": 17, "test_status": 1.5}, {"root.gif": gif()})
    add(source, "empty stats", {})
    add(source, "Prüf 'ß' \\ 薬 \t\"q\"", {"device_id": " D\u0000\u00e9 ", "a": [None, {}]})
    # No larger number: the local Supabase, though not the real one, has JavaScript's.
    add(source, "old", {"x": 1e300, "y": 0.1, "z": 2**53})
    os.utime(source / "old/stats.json", ns=(0, -8_500_000_000 * 10**9))  # in the year 1700
    found = []
    for bench in (postgresql_bench, supabase_bench_shared):
        assert run(bench, source=source, batch_size=20).exit_code == 3
        listed = query(
            bench.url,
            "SELECT to_jsonb(a) - '{first_seen,storage_type}'::text[] FROM image_assets a"
            " ORDER BY content_hash",
        )
        stored = {place: bench.stored(place) for place in bench.images().values()}
        found.append((rows(bench.url), listed, stored))
    assert found[0] == found[1]
    assert len(found[0][0]) == 3 + 40 + 4
    assert len(found[0][2]) == 4 + 5 + 1
    assert None not in found[0][2].values()
    first = found[0][0][0]
    assert (first["folder_path"], first["folder_name"]) == (".", source.name)
    assert (first["device_id"], first["test_status"]) == ("17", "1.5")


def test_an_image_is_known_by_its_content(bench: Bench) -> None:
    contents = {
        "1.jpg": jpeg(),
        "2.JPEG": png(2),
        "3.png": png(3),
        "4.gif": gif(),
        "5.bmp": bmp(),
        "6.webp": webp(),
    }
    add(bench.source.folder, "a", None, {**contents, "7.tiff": b"II*\0", "8.txt": b"text"})
    add(
        bench.source.folder,
        "b",
        {"device_id": "D"},
        {"not an image.png": b"text", "good.png": png(9)},
    )
    report = run(bench)
    assert report.exit_code == 0
    types = ["jpeg", "png", "png", "gif", "bmp", "webp"]
    found = by_path(bench)
    assert found["a"]["images"] == [
        image(name, content, f"image/{type_}")
        for (name, content), type_ in zip(contents.items(), types, strict=True)
    ]
    assert (found["a"]["image_count"], found["a"]["file_count"]) == (6, 8)
    # What is no image is a warning, and the folder goes in without it.
    assert found["b"]["images"] == [image("good.png", png(9), "image/png")]
    assert report.count("sha256.unusable") == 1
    assert [path for path, _ in report.warnings] == ["b"]
    assert len(bench.images()) == 7


def test_other_formats_are_stored_where_the_patterns_name_them(bench: Bench) -> None:
    contents = {
        "a.jpg": (jpeg(), "image/jpeg"),
        "b.tif": (tiff(), "image/tiff"),
        "c.heic": (heif(), "image/heic"),
        "d.avif": (heif(b"avif"), "image/avif"),
        "e.pdf": (pdf(), "application/pdf"),
    }
    svg = {"f.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}
    given = {name: content for name, (content, _) in contents.items()}
    add(bench.source.folder, "x", {"device_id": "1"}, given | svg)
    report = run(bench)
    assert (report.exit_code, report.warnings) == (0, [])
    assert [each["name"] for each in by_path(bench)["x"]["images"]] == ["a.jpg"]
    patterns = ("*.jpg", "*.tif", "*.heic", "*.avif", "*.pdf", "*.svg", "stats.json")
    report = run(bench, patterns=patterns)
    assert report.exit_code == 0
    ((path, warning),) = report.warnings
    assert path == "x"
    assert "f.svg is not a PNG" in warning
    assert by_path(bench)["x"]["images"] == [
        image(name, content, type_) for name, (content, type_) in contents.items()
    ]
    assert {bench.stored(place) for place in bench.images().values()} == set(given.values())
    of_pdf = "SELECT width, height FROM image_assets WHERE content_type = 'application/pdf'"
    assert query(bench.url, of_pdf) == [(None, None)]


def test_a_folder_with_an_image_that_cannot_be_shown_is_imported_with_a_warning(
    bench: Bench,
) -> None:
    add(bench.source.folder, "x", {"device_id": "1"}, {"a.png": png()[:40], "b.png": png()})
    report = run(bench)
    assert report.exit_code == 0
    assert report.count("sha256.flawed") == 1
    folder = bench.source.folder / "x"
    assert report.warnings == [("x", f"image {folder}/a.png is stored as it is, but it is cut off")]
    assert by_path(bench)["x"]["image_count"] == 2


def test_broken_stats_lose_no_image(bench: Bench) -> None:
    folder = add(bench.source.folder, "broken", BROKEN, {"a.png": png(1), "b.png": png(2)})
    add_many(bench.source.folder, 5)
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (3, (5, 0, 0))
    (failure,) = report.failures
    assert (failure.path, failure.phase) == ("broken", "import")
    assert "not JSON" in failure.reason
    assert {bench.stored(place) for place in bench.images().values()} == {png(1), png(2)}

    (folder / "stats.json").write_text('{"device_id": "D"}')
    again = run(bench)
    assert (again.exit_code, outcomes(again)) == (0, (1, 0, 0))
    assert again.count("upload.completed") == 0
    assert by_path(bench)["broken"]["image_count"] == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"[1]", "is an array, not an object"),
        (b"null", "is null, not an object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "UTF-16"),
    ],
)
def test_stats_that_cannot_be_used(bench: Bench, content: bytes, reason: str) -> None:
    add(bench.source.folder, "bad", content)
    add(bench.source.folder, "good", {})
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (3, (1, 0, 0))
    assert reason in report.failures[0].reason
    assert report.failures[0].reason.startswith("stats.json ")


def test_a_device_id_that_is_no_text_is_told_and_left_empty(bench: Bench) -> None:
    add(bench.source.folder, "a", {"device_id": ["D"], "test_status": {"passed": True}})
    report = run(bench)
    assert (report.exit_code, report.warnings_total) == (0, 1)
    (row,) = rows(bench.url)
    assert (row["device_id"], row["test_status"]) == (None, None)
    assert row["stats"] == {"device_id": ["D"], "test_status": {"passed": True}}


def test_a_name_that_is_not_utf_8(bench: Bench) -> None:
    source = bench.source.folder
    add_many(source, 3)
    bad = Path(os.fsdecode(os.fsencode(source) + b"/b\xe9d"))
    try:
        add(bad, ".", {})
    except OSError:
        pytest.skip("this file system takes no such names")
    shutil.copy(
        add(source, "a", {}, {"good.png": png(1)}) / "good.png", source / "a" / "\udce9.png"
    )
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (3, (4, 0, 0))
    assert [each.path for each in report.failures] == ["b\\xe9d"]
    assert [path for path, _ in report.warnings] == ["a"]
    assert by_path(bench)["a"]["images"] == [image("good.png", png(1), "image/png")]


@pytest.mark.parametrize("what", ["source", "item", "above"])
def test_a_source_or_an_item_whose_name_is_not_utf_8_is_refused(
    postgresql_bench: Bench, tmp_path: Path, what: str
) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe9d"))
    try:
        add(odd, "a", {})
    except OSError:
        pytest.skip("this file system takes no such names")
    add_many(tmp_path / "good", 1)
    flags: dict[str, Any] = {
        "source": {"source": odd},
        "item": {"source": tmp_path, "single_file": odd},
        "above": {"source": tmp_path, "single_file": odd / "a"},
    }[what]
    with pytest.raises(UsageError, match=r"b\\xe9d.* not valid UTF-8"):
        run(postgresql_bench, **flags)


def test_an_image_whose_real_path_is_not_utf_8(bench: Bench) -> None:
    source = bench.source.folder
    try:
        add(source, "other", None, {"\udce9.bin": png(2)})
    except OSError:
        pytest.skip("this file system takes no such names")
    folder = add(source, "a", {"device_id": "D"}, {"good.png": png(1)})
    (folder / "plain.png").symlink_to(source / "other" / "\udce9.bin")
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (1, 0, 0))
    assert "'plain.png'" in report.warnings[0][1]
    assert by_path(bench)["a"]["images"] == [image("good.png", png(1), "image/png")]


def test_a_reason_with_a_name_that_is_not_utf_8(bench: Bench) -> None:
    """It is in the report, the ledger, the work state and the status file."""
    try:
        folder = add(bench.source.folder, "a", None, {"\udce9.json": BROKEN})
    except OSError:
        pytest.skip("this file system takes no such names")
    report = run(bench, patterns=("*.json",))
    assert report.exit_code == 3
    assert report.failures[0].reason.startswith("\\xe9.json is not JSON")
    assert "\\xe9.json" in status_file(folder, "failed")["reason"]


def test_what_is_no_regular_file_is_not_opened(bench: Bench) -> None:
    """A pipe would be waited for."""
    source = bench.source.folder
    os.mkfifo(add(source, "pipe") / "stats.json")
    (add(source, "lost", None, {"a.png": png(1)}) / "stats.json").symlink_to("gone")
    os.mkfifo(add(source, "image", {"device_id": "D"}) / "b.png")
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (3, (1, 0, 0))
    assert {each.path: each.reason for each in report.failures} == {
        "pipe": "stats.json is not a regular file",
        "lost": "stats.json is not a regular file",
    }
    assert [path for path, _ in report.warnings] == ["image"]
    assert by_path(bench)["image"]["images"] == []
    (source / "lost" / "gone").write_text('{"device_id": "E"}')
    again = run(bench)
    assert (outcomes(again), [each.path for each in again.failures]) == ((1, 0, 0), ["pipe"])


def test_a_folder_of_which_nothing_can_be_told_for_once_is_not_forgotten(
    postgresql_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = postgresql_bench
    folders = add_many(bench.source.folder, 3)
    run(bench)

    def no_status(file: LocalFile) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(LocalFile, "as_part", no_status)
        report = run(bench, max_workers=1)
    assert (report.exit_code, len(report.failures)) == (3, len(folders))
    assert {each.reason for each in report.failures} == {"cannot be listed: Input/output error"}
    assert states_of(bench.settings().ledger_file) == {"failed": 3}
    again = run(bench)
    assert (again.exit_code, outcomes(again)) == (0, (0, 0, 3))
    assert states_of(bench.settings().ledger_file) == {"success": 3}


@pytest.mark.parametrize("length", [2_000, 5_000])
def test_a_device_id_of_any_length(bench: Bench, length: int) -> None:
    """Random, so that the database cannot make it shorter."""
    signs = random.Random(length).choices(string.ascii_letters + string.digits, k=length)
    stats = {"device_id": "".join(signs), "test_status": "".join(reversed(signs))}
    add(bench.source.folder, "a", stats)
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (1, 0, 0))
    (row,) = rows(bench.url)
    assert (row["device_id"], row["test_status"]) == (stats["device_id"], stats["test_status"])


@pytest.mark.parametrize("seconds", [-62_135_596_800, 10**11])
def test_a_time_that_no_ledger_can_hold_stops_nobody(bench: Bench, seconds: int) -> None:
    add_many(bench.source.folder, 3)
    odd = add(bench.source.folder, "odd", {}) / "stats.json"
    os.utime(odd, ns=(0, seconds * 10**9))
    if odd.stat().st_mtime_ns != seconds * 10**9:
        pytest.skip("this file system has no such times")
    report = run(bench)
    assert {row["folder_name"] for row in rows(bench.url)} >= {f"Test{n:05}" for n in range(3)}
    assert [each.path for each in report.failures] in ([], ["odd"])


def test_links(bench: Bench, tmp_path: Path) -> None:
    """A link to what is listed anyway lists nothing twice; images are read below the roots."""
    source = bench.source.folder
    add(source, "real", {"device_id": "D"}, {"a.png": png(1)})
    (source / "link").symlink_to(source / "real")
    (source / "real" / "circle").symlink_to(source)
    elsewhere = add(tmp_path, "elsewhere", None, {"secret.png": png(2)})
    (source / "real" / "0.png").symlink_to(elsewhere / "secret.png")
    (source / "real" / "c.png").symlink_to(elsewhere / "gone.png")
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (1, 0, 0))
    (row,) = rows(bench.url)
    assert (row["folder_path"], row["image_count"], row["file_count"]) == ("real", 1, 4)
    assert row["images"] == [image("a.png", png(1), "image/png")]
    assert "--image-root" in report.warnings[0][1]


def test_a_source_without_folders_of_the_kind(bench: Bench) -> None:
    add(bench.source.folder, "a", None, {"notes.txt": b"x"})
    with pytest.raises(Exception, match=r"No folders found: .* holds stats\.json or \*\.jpg"):
        run(bench)


# --- again -------------------------------------------------------------------------------------


def test_what_is_imported_is_not_even_opened(bench: Bench) -> None:
    source = bench.source.folder
    add_many(source, FOLDERS, images=4)
    assert outcomes(run(bench)) == (FOLDERS, 0, 0)
    before = bench.versions()
    with opened(source) as paths:
        report = run(bench)
    assert report.nothing_to_do
    assert report.count("planning.unchanged") == FOLDERS
    assert (bench.versions(), paths) == (before, set())


def test_a_touched_file_imports_exactly_its_folder(bench: Bench) -> None:
    source = bench.source.folder
    folders = add_many(source, FOLDERS, images=4)
    run(bench)
    before = row_versions(bench.url)
    touched = folders[217].relative_to(source).as_posix()
    os.utime(folders[217] / "stats.json", ns=(0, 1_700_000_000_000_000_000))
    with opened(source) as paths:
        report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (0, 1, 0))
    assert (report.count("planning.to_import"), report.count("planning.unchanged")) == (1, 299)
    after = row_versions(bench.url)
    assert {path for path in after if after[path] != before[path]} == {touched}
    assert paths == {touched, f"{touched}/stats.json"}
    assert run(bench).nothing_to_do


@pytest.mark.parametrize("what", ["stats", "added", "removed", "other", "notes", "renamed"])
def test_any_change_of_its_files_replaces_the_row(bench: Bench, what: str) -> None:
    source = bench.source.folder
    add_many(source, 5, images=5)
    folder = add(source, "mine", {"device_id": "D"}, {"a.png": png(90), "b.png": png(91)})
    run(bench)
    before = row_versions(bench.url)
    names = ["a.png", "b.png"]
    files = 3
    uploaded = 0
    if what == "stats":
        (folder / "stats.json").write_text('{"device_id": "E"}')
    elif what == "added":
        (folder / "c.png").write_bytes(png(92))
        names, files, uploaded = [*names, "c.png"], 4, 1
    elif what == "removed":
        (folder / "a.png").unlink()
        names, files = ["b.png"], 2
    elif what == "other":
        (folder / "a.png").write_bytes(png(93))
        uploaded = 1
    elif what == "notes":
        (folder / "notes.txt").write_text("not an image, and yet a file of the folder")
        files = 4
    else:
        (folder / "a.png").rename(folder / "z.png")
        names = ["b.png", "z.png"]
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (0, 1, 0))
    assert report.count("upload.completed") == uploaded
    after = row_versions(bench.url)
    assert {path for path in after if after[path] != before[path]} == {"mine"}
    row = by_path(bench)["mine"]
    assert [each["name"] for each in row["images"]] == names
    assert (row["image_count"], row["file_count"]) == (len(names), files)
    assert row["device_id"] == ("E" if what == "stats" else "D")
    for each in row["images"]:
        content = (folder / each["name"]).read_bytes()
        assert each == image(each["name"], content, "image/png")
        assert bench.stored(bench.images()[each["sha256"]]) == content
    assert bench.verify(kind="folders", deep=True).clean


def test_a_folder_that_was_moved_or_removed(bench: Bench) -> None:
    """The row of a folder that is gone stays; verification tells of it."""
    source = bench.source.folder
    folders = add_many(source, 6)
    run(bench)
    shutil.rmtree(folders[0])
    folders[1].rename(source / "moved")
    report = run(bench)
    assert (report.exit_code, outcomes(report)) == (0, (1, 0, 0))
    assert report.state.total_files == 5
    assert len(rows(bench.url)) == 7
    found = bench.verify(kind="folders")
    assert found.found == {"orphaned": 2}
    paths = ask_ledger(bench.settings().ledger_file, "SELECT folder_name FROM folder_status")
    assert sorted(paths) == [
        ("Test00002",),
        ("Test00003",),
        ("Test00004",),
        ("Test00005",),
        ("moved",),
    ]


def test_a_folder_that_loses_what_made_it_one(bench: Bench) -> None:
    folder = add(bench.source.folder, "a", {}, {"notes.txt": b"x"})
    add(bench.source.folder, "b", {})
    run(bench)
    (folder / "stats.json").unlink()
    report = run(bench)
    assert (report.exit_code, report.state.total_files) == (0, 1)


def test_other_patterns_are_other_items(bench: Bench) -> None:
    source = bench.source.folder
    for number in range(3):
        add(
            source, f"Test{number}", {"device_id": "stats"}, {"a.png": png(number), "b.jpg": jpeg()}
        )
        (source / f"Test{number}" / "result.json").write_text('{"device_id": "result"}')
    add(source, "no result", {"device_id": "stats"})
    assert outcomes(run(bench)) == (4, 0, 0)
    patterns = ("result.json", "*.png")
    report = run(bench, patterns=patterns)
    assert (report.exit_code, outcomes(report), report.state.total_files) == (0, (0, 3, 0), 3)
    row = by_path(bench)["Test1"]
    assert (row["device_id"], [each["name"] for each in row["images"]]) == ("result", ["a.png"])
    assert run(bench, patterns=patterns).nothing_to_do
    found = bench.verify(kind="folders", patterns=patterns)
    assert (found.records, found.found) == (3, {"orphaned": 1})


def test_options_name_the_device_of_all_folders(bench: Bench) -> None:
    source = bench.source.folder
    add(source, "a", {"device_name": "Ann", "result": [1]}, {"a.png": png(1)})
    add(source, "b", {"mean": 1.5})
    add(source, "c", None, {"c.png": png(2)})

    def devices() -> list[tuple[str | None, str | None, str]]:
        return [
            (row["device_name"], row["device_type"], row["test_status"]) for row in rows(bench.url)
        ]

    run(bench)
    assert devices() == [
        ("Ann", None, "passed"),
        (None, None, "failed"),
        (None, None, "pending"),
    ]
    assert outcomes(run(bench, device_name="Bea", device_type="lamp")) == (0, 3, 0)
    assert devices() == [("Bea", "lamp", each) for each in ("passed", "failed", "pending")]
    assert run(bench, device_name="Bea", device_type="lamp").nothing_to_do
    settings = last_work(bench.settings(tag=None, source=None))
    assert (settings.device_name, settings.device_type) == ("Bea", "lamp")
    assert bench.verify(kind="folders", device_name="Bea", device_type="lamp").clean


def test_patterns_of_another_kind(bench: Bench) -> None:
    bench.source.add("a", name="A")
    bench.source.write("b_result.json", (bench.source.folder / "a_parse.json").read_bytes())
    report = bench.run(patterns=("*_result.json",))
    assert (report.exit_code, report.state.total_files) == (0, 1)
    assert bench.count() == 1


# --- verification ------------------------------------------------------------------------------


def test_verification_and_repair(bench: Bench) -> None:
    source = bench.source.folder
    folders = add_many(source, 20, images=3)
    assert run(bench, verify_writes=True, deep=True).exit_code == 0
    query(bench.url, "UPDATE device_test SET image_count = 9 WHERE folder_name = 'Test00004'")
    (found,) = bench.verify(kind="folders").findings
    assert "image_count is 9, should be 0" in found.detail
    assert bench.verify(kind="folders", repair=True).clean

    os.utime(folders[1] / "shot.png", ns=(0, 1_700_000_000_000_000_000))
    (folders[6] / "stats.json").write_text('{"device_id": "other"}')
    found = bench.verify(kind="folders")
    assert sorted((each.found, each.path) for each in found.findings) == [
        ("different", "line-1/Test00001"),
        ("different", "line-6/Test00006"),
    ]
    before = row_versions(bench.url)
    assert bench.verify(kind="folders", repair=True).clean
    after = row_versions(bench.url)
    assert {path for path in after if after[path] != before[path]} == {
        "line-1/Test00001",
        "line-6/Test00006",
    }
    assert run(bench).nothing_to_do


def test_a_row_that_nothing_vouches_for_is_an_orphan_only_if_all_went_in(bench: Bench) -> None:
    source = bench.source.folder
    add_many(source, 4)
    gone = add(source, "gone", {})
    broken = add(source, "broken", {"device_id": "D"})
    assert run(bench, verify_writes=True).exit_code == 0
    shutil.rmtree(gone)
    (broken / "stats.json").write_bytes(BROKEN)
    report = run(bench, verify_writes=True)
    assert report.exit_code == 3
    assert report.verification is not None
    assert report.verification.found == {"unaccounted": 2}
    assert not report.verification.repairable
    assert not any("--repair" in each for each in report.next_commands)
    assert "1 items that failed" in report.verification.findings[0].detail
    found = bench.verify(kind="folders")
    assert (found.found, found.repairable) == ({"unaccounted": 2}, False)
    (broken / "stats.json").write_text('{"device_id": "D"}')
    run(bench)
    found = bench.verify(kind="folders")
    assert (found.found, found.repairable) == ({"orphaned": 1}, False)
    assert found.findings[0].subject == "gone"


def test_what_a_finished_run_left_is_told_and_no_finding_by_itself(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    folders = add_many(bench.source.folder, 6)
    run(bench, limit=4)
    found = bench.verify(kind="folders")
    assert (found.found, found.left, found.repairable) == ({}, 2, False)
    run(bench)
    os.utime(folders[0] / "stats.json", (0, 0))
    add(bench.source.folder, "new", {})
    run(bench, scan_only=True)
    found = bench.verify(kind="folders")
    assert (found.found, found.left) == ({"unaccounted": 1}, 2)


def test_verification_suggests_a_repair_only_where_it_helps(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    add_many(bench.source.folder, 3, images=1)
    run(bench)
    assert not bench.verify(kind="folders").repairable
    bench.store(next(iter(bench.images().values())), None)
    found = bench.verify(kind="folders")
    assert (found.found, found.repairable) == ({"missing": 1}, True)
    assert bench.verify(kind="folders", repair=True).clean
    query(bench.url, "DELETE FROM device_test WHERE folder_name = 'Test00002'")
    report = run(bench, force=True, limit=1, verify_writes=True)
    assert report.verification is not None
    assert any("--repair" in each for each in report.next_commands) is (
        report.verification.repairable
    )


def test_verification_after_a_run_that_found_nothing(bench: Bench) -> None:
    """Its work state has no dataset yet."""
    source = bench.source.folder
    add_many(source, 3, images=1)
    run(bench)
    source.rename(source.with_name("away"))
    source.mkdir()
    with pytest.raises(UsageError, match="No folders found"):
        run(bench)
    source.rmdir()
    source.with_name("away").rename(source)
    found = bench.verify(kind="folders")
    assert (found.found, found.records, found.images) == ({}, 3, 1)


def test_a_single_folder_is_verified_with_its_own_images(bench: Bench) -> None:
    folders = add_many(bench.source.folder, 4, images=3)
    run(bench)
    images = bench.images()
    own, other = (images[hashlib.sha256(png(number)).hexdigest()] for number in (1, 2))
    bench.store(other, None)
    flags: dict[str, Any] = {"single_file": folders[0], "verify_writes": True, "deep": True}
    report = run(bench, **flags)
    assert report.exit_code == 0
    assert report.verification is not None
    assert (report.verification.images, report.verification.records) == (1, 1)
    assert report.state.total_images == 1
    assert bench.stored(other) is None, "another folder's image is not uploaded"
    assert bench.stored(own) == png(1)
    assert bench.verify(kind="folders").found == {"missing": 1}


def test_a_single_folder_leaves_what_others_wait_for_alone(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    folders = add_many(bench.source.folder, 6, images=6)
    (folders[1] / "text.png").write_bytes(b"text")
    assert run(bench, scan_only=True).exit_code == 0
    single = run(bench, single_file=folders[0], state_file=bench.folder / "single.json")
    assert (single.exit_code, outcomes(single)) == (0, (1, 0, 0))
    assert (single.count("upload.completed"), len(bench.images())) == (1, 1)
    assert (single.warnings_total, single.failures_total) == (0, 0)
    whole = run(bench)
    assert (whole.exit_code, whole.count("import.inserted")) == (0, 5)
    assert [path for path, _ in whole.warnings] == ["line-1/Test00001"]
    again = run(bench, single_file=folders[0], state_file=bench.folder / "single.json")
    assert (again.warnings_total, again.failures_total) == (0, 0)


def test_two_kinds_in_one_target(bench: Bench, tmp_path: Path) -> None:
    bench.source.add_many(3, images=True)
    tests = tmp_path / "tests"
    add(tests, "a", {"device_id": "D"}, {"shot.png": png(1)})  # also an image of the searches
    assert bench.run().count("import.inserted") == 3
    report = run(bench, source=tests)
    assert (outcomes(report), report.count("upload.completed")) == ((1, 0, 0), 0)
    assert query(bench.url, "SELECT kind, tag FROM datasets ORDER BY 1") == [
        ("folders", "test"),
        ("states", "test"),
    ]
    assert bench.run().nothing_to_do
    assert run(bench, source=tests).nothing_to_do


# --- from Python -------------------------------------------------------------------------------


def test_the_phases_one_by_one(bench: Bench) -> None:
    add_examples(bench.source.folder)
    with ResilientImporter(bench.settings(kind="folders")) as importer:
        listing = importer.plan_work()
        assert (listing.total, listing.new, listing.unchanged) == (4, 4, 0)
        importer.compute_sha256_hashes()
        importer.upload_images()
        importer.import_search_results()
        assert importer.verify_writes(deep=True).clean
    assert len(rows(bench.url)) == 3
    report = run(bench)
    assert report.exit_code == 3
    assert outcomes(report) == (3, 0, 0)
    assert report.failures[0].path == "Batch57"
    assert report.failures[0].tries == 1
