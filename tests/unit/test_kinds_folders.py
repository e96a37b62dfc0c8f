from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.errors import RecordError
from imports.items.images import Image, ImageFile
from imports.items.source import Signature, Source
from imports.items.work_item import ListedItem
from imports.kinds import kind_named
from imports.kinds.folders import DEVICE_TEST, FOLDERS, PATTERNS, Folder
from imports.kinds.kind import ItemPlan
from imports.source.cleaning import NUL_REMOVED, Tally
from imports.source.image_finder import ImageFinder, image_finder
from imports.source.tree import ListingProblem
from imports.tables.row_format import RowFormat, encoder
from tests.support.device_tests import add_examples
from tests.support.source import png
from tests.support.walk import walk

NAMES = [column.name for column in DEVICE_TEST.columns]
EMPTY = (None, False, 0, "", [], {})
MOMENT = 1_700_000_000_123_456_789


class Tree:
    """A source of folders that is filled file by file."""

    def __init__(self, folder: Path, patterns: tuple[str, ...] = PATTERNS) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.source = Source(str(folder.resolve()), patterns)
        self.tally: Tally = Counter()

    def write(self, path: str | bytes, content: bytes | str | Any = b"", ns: int = MOMENT) -> Path:
        """Writes a file: bytes and text as they are, anything else as JSON."""
        file = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), os.fsencode(path))))
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            text = content if isinstance(content, str) else json.dumps(content)
            content = text.encode()
        file.write_bytes(content)
        os.utime(file, ns=(ns, ns))
        return file

    def stats(self, stats: Any, path: str = "Batch54") -> Folder:
        """A folder with these stats, read."""
        self.write(f"{path}/stats.json", stats)
        return self.read(path)

    @property
    def listed(self) -> dict[str, Signature]:
        """The signature of each item that is listed."""
        found = walk(self.source, "folders")
        assert not [entry for entry in found if isinstance(entry, ListingProblem)]
        return {entry.path: entry.signature for entry in found if isinstance(entry, ListedItem)}

    def sign(self, path: str) -> Signature:
        return FOLDERS.sign(self.source, path)

    def read(self, path: str = "Batch54") -> Folder:
        found: Folder = FOLDERS.read(self.source, path, self.sign(path), self.tally)
        return found

    def plan(self, folder: Folder, finder: ImageFinder | None = None) -> ItemPlan:
        finder = finder or image_finder(self.folder, ())
        return FOLDERS.plan(self.source, folder.path, folder, finder)

    def row(self, folder: Folder, images: tuple[Image | None, ...] | None = None) -> dict[str, Any]:
        """The row of a folder, with all its images unless others are given."""
        if images is None:
            images = tuple(map(known, self.plan(folder).images))
        (record,) = FOLDERS.records(folder, images, self.tally)
        assert record.label == folder.path
        ((table, row),) = record.rows
        assert table == 0
        return dict(zip(NAMES, row, strict=True))


def known(file: ImageFile | None) -> Image | None:
    """An image as hashing finds it."""
    if file is None:
        return None
    return Image(file, f"hash of {os.path.basename(file.path)}", "png", "image/png", 2, 3)


def encoded(row: dict[str, Any]) -> tuple[bytes, bytes]:
    """A row as both backends want it."""
    values = [row[name] for name in NAMES]
    as_json = encoder(DEVICE_TEST, RowFormat.JSON)(values)
    return as_json, encoder(DEVICE_TEST, RowFormat.COPY)(values)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "source")


@pytest.fixture
def examples(tmp_path: Path) -> Tree:
    return Tree(add_examples(tmp_path / "source"))


# The examples


def test_the_examples_have_these_items(examples: Tree) -> None:
    expected = {"Batch54", "Batch55", "Batch57", "nested/line-2/Batch56"}
    assert set(examples.listed) == expected, "a folder with notes alone is none"


def test_an_example_with_image_and_stats_becomes_a_row(examples: Tree) -> None:
    folder = examples.read("Batch54")
    row = examples.row(folder)
    stats = json.loads((examples.folder / "Batch54/stats.json").read_bytes())
    image = examples.folder / "Batch54/shot.png"
    assert row | {"last_modified": None} == {
        "folder_path": "Batch54",
        "folder_name": "Batch54",
        "device_id": "D-54",
        "device_name": None,
        "device_type": None,
        "test_status": "passed",
        "stats": stats,
        "image_count": 1,
        "images": [
            {
                "name": "shot.png",
                "sha256": "hash of shot.png",
                "size": image.stat().st_size,
                "content_type": "image/png",
            }
        ],
        "file_count": 2,
        "content_signature": folder.signature.digest,
        "last_modified": None,
    }
    assert examples.plan(folder).warnings == ()


def test_an_example_with_two_images_has_both_by_name(examples: Tree) -> None:
    row = examples.row(examples.read("Batch55"))
    assert [each["name"] for each in row["images"]] == ["a.jpg", "b.png"]
    assert (row["image_count"], row["file_count"], row["test_status"]) == (2, 3, "failed")


def test_an_example_deep_in_the_tree_without_stats_is_imported_for_its_image(
    examples: Tree,
) -> None:
    row = examples.row(examples.read("nested/line-2/Batch56"))
    assert (row["folder_path"], row["folder_name"]) == ("nested/line-2/Batch56", "Batch56")
    assert (row["device_id"], row["test_status"], row["stats"]) == (None, "pending", None)
    assert row["image_count"] == 1


def test_the_example_with_broken_stats_fails_and_says_why(examples: Tree) -> None:
    folder = examples.read("Batch57")
    with pytest.raises(RecordError, match=r"^stats\.json is not JSON: "):
        examples.row(folder)


def test_the_story_of_an_example_is_that_of_the_document(examples: Tree) -> None:
    assert FOLDERS.story(examples.read("Batch54")) == [
        "📁 Uploading folder: Batch54",
        "📸 Found 1 image files",
        "📊 Found stats.json file",
        "✅ Loaded stats.json successfully",
        "🏷️  Test status: passed",
    ]
    assert FOLDERS.story(examples.read("nested/line-2/Batch56")) == [
        "📁 Uploading folder: Batch56",
        "📸 Found 1 image files",
        "🏷️  Test status: pending",
    ]
    *_, found, problem = FOLDERS.story(examples.read("Batch57"))
    assert found == "📊 Found stats.json file"
    assert problem.startswith("❌ stats.json is not JSON: ")


# Which folders


@pytest.mark.parametrize(
    "name",
    ["stats.json", "STATS.JSON", "a.jpg", "a.jpeg", "a.png", "a.gif", "a.bmp", "a.webp"],
)
def test_a_folder_with_such_a_file_is_an_item(tree: Tree, name: str) -> None:
    tree.write(f"a/{name}")
    tree.write(f"b/{name.upper()}")
    assert set(tree.listed) == {"a", "b"}


@pytest.mark.parametrize(
    "name", ["my_stats.json", "stats.json.bak", "a.tif", "notes.txt", "success.json", "failed.json"]
)
def test_a_folder_with_such_a_file_alone_is_none(tree: Tree, name: str) -> None:
    tree.write(f"a/{name}")
    assert tree.listed == {}


def test_a_folder_is_signed_as_it_is_listed(tree: Tree) -> None:
    for path in ("a.png", "a/stats.json", "a/b/c.png"):
        tree.write(path)
    listed = tree.listed
    assert set(listed) == {".", "a", "a/b"}
    for path, signature in listed.items():
        assert tree.sign(path) == signature


def test_a_folder_that_is_gone_cannot_be_signed(tree: Tree) -> None:
    with pytest.raises(FileNotFoundError):
        tree.sign("gone")


def test_with_other_patterns_it_is_another_item(tree: Tree) -> None:
    tree.write("a/x.png")
    one = tree.listed["a"]
    other = Tree(tree.folder, ("*.png",)).listed["a"]
    assert one != other
    assert Tree(tree.folder, PATTERNS).listed["a"] == one
    assert Tree(tree.folder, ("*.png",)).sign("a") == other


# Reading


def test_the_source_itself_is_read_by_its_own_name(tree: Tree) -> None:
    tree.write("a.png", png())
    tree.write("stats.json", {"device_id": "D"})
    row = tree.row(tree.read("."))
    assert (row["folder_path"], row["folder_name"]) == (".", "source")
    assert (row["device_id"], row["image_count"]) == ("D", 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "new.txt").write_bytes(b""),
        lambda folder: (folder / "a.png").unlink(),
        lambda folder: (folder / "a.png").write_bytes(b"longer"),
        lambda folder: os.utime(folder / "a.png", ns=(0, MOMENT + 1)),
        lambda folder: (folder / "a.png").rename(folder / "b.png"),
    ],
    ids=["a file more", "a file less", "another size", "another mtime", "another name"],
)
def test_a_folder_that_changed_since_it_was_listed_is_refused(tree: Tree, change: Any) -> None:
    tree.write("a/a.png")
    tree.write("a/stats.json", {})
    before = tree.listed["a"]
    change(tree.folder / "a")
    with pytest.raises(RecordError, match="changed during the run"):
        FOLDERS.read(tree.source, "a", before, Counter())


def test_a_folder_that_is_gone_or_a_file_now_is_refused(tree: Tree) -> None:
    tree.write("a/a.png")
    tree.write("b/a.png")
    listed = tree.listed
    for path in ("a", "b"):
        shutil.rmtree(tree.folder / path)
    tree.write("b", b"")
    for path, reason in (("a", "No such file or directory"), ("b", "Not a directory")):
        with pytest.raises(RecordError, match=f"^cannot be listed: {reason}$"):
            FOLDERS.read(tree.source, path, listed[path], Counter())


def test_a_status_file_is_no_change_and_no_part(tree: Tree) -> None:
    tree.write("a/a.png", png())
    before = tree.listed["a"]
    tree.write("a/success.json", {"counts": {}})
    tree.write("a/.failed.json.part")
    folder = FOLDERS.read(tree.source, "a", before, Counter())
    assert tree.row(folder)["file_count"] == 1
    assert folder.images == ("a.png",)


# Stats that cannot be used

BROKEN = {
    "broken": (b"{not json", "stats.json is not JSON: "),
    "empty": (b"", "stats.json is empty"),
    "blank": (b" \n", "stats.json is empty"),
    "an array": (b"[1]", "stats.json is an array, not an object"),
    "null": (b"null", "stats.json is null, not an object"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "stats.json is UTF-16, not UTF-8"),
    "Latin-1": ('{"a": "é"}'.encode("latin-1"), "stats.json a contains bytes that are not UTF-8"),
    "half a surrogate": (rb'{"a": "\ud800"}', "stats.json a contains half of a surrogate pair"),
    "too large a number": (b'{"a": 1e131072}', "stats.json a is a number that PostgreSQL cannot"),
    "a name twice": (b'{"a": 1, "a": 2}', "stats.json a occurs twice"),
    "NaN": (b'{"a": NaN}', "stats.json is not JSON: "),
}


@pytest.mark.parametrize(("content", "reason"), BROKEN.values(), ids=BROKEN)
def test_stats_that_cannot_be_used_fail_the_folder_but_its_images_are_found(
    tree: Tree, content: bytes, reason: str
) -> None:
    tree.write("Batch54/stats.json", content)
    picture = tree.write("Batch54/a.png", png())
    folder = tree.read()
    plan = tree.plan(folder)
    assert [image and image.path for image in plan.images] == [str(picture.resolve())]
    assert plan.images_missing == 0
    with pytest.raises(RecordError) as caught:
        tree.row(folder)
    assert str(caught.value).startswith(reason)
    assert any(line.startswith(f"❌ {reason}") for line in FOLDERS.story(folder))


def test_stats_may_be_a_link(tree: Tree) -> None:
    tree.write("real.txt", {"device_id": "D"})
    (tree.folder / "a").mkdir()
    (tree.folder / "a/stats.json").symlink_to("../real.txt")
    assert tree.row(tree.read("a"))["device_id"] == "D"


def lost_link(path: Path) -> None:
    path.symlink_to("gone")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


NO_FILES: dict[str, Callable[[Path], None]] = {
    "a link to nowhere": lost_link,
    "a link to itself": circle,
    "a pipe": os.mkfifo,
}
"""What has the name of a file, and no content. A pipe that is opened is waited for."""


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_stats_that_are_no_regular_file_fail_the_folder_and_are_not_opened(
    tree: Tree, make: Callable[[Path], None]
) -> None:
    tree.write("b/a.png", png())
    make(tree.folder / "b/stats.json")
    folder = tree.read("b")
    assert len(tree.plan(folder).images) == 1
    with pytest.raises(RecordError, match=r"^stats\.json is not a regular file$"):
        tree.row(folder)


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_stats_alone_that_are_no_regular_file_make_a_folder_that_fails(
    tree: Tree, make: Callable[[Path], None]
) -> None:
    (tree.folder / "b").mkdir()
    make(tree.folder / "b/stats.json")
    assert list(tree.listed) == ["b"]
    with pytest.raises(RecordError, match="is not a regular file"):
        tree.row(tree.read("b"))


@pytest.mark.parametrize("make", NO_FILES.values(), ids=NO_FILES)
def test_an_image_that_is_no_regular_file_is_a_warning(
    tree: Tree, make: Callable[[Path], None]
) -> None:
    tree.write("b/a.png", png())
    make(tree.folder / "b/b.png")
    plan = tree.plan(tree.read("b"))
    assert [image is None for image in plan.images] == [False, True]
    (warning,) = plan.warnings
    assert warning.startswith("image 'b.png' cannot be used: ")
    assert plan.images_missing == 1


def test_a_linked_folder_with_the_name_of_stats_or_of_an_image_is_nothing(tree: Tree) -> None:
    tree.write("real/notes.txt", "x")
    tree.write("b/a.png", png())
    before = tree.sign("b")
    for name in ("stats.json", "b.png"):
        (tree.folder / "b" / name).symlink_to("../real")
    assert tree.sign("b") == before
    assert tree.plan(tree.read("b")).warnings == ()
    assert tree.row(tree.read("b"))["stats"] is None


# Names that are not UTF-8, and files of the importer itself


@pytest.mark.parametrize("names", [(b"a\xe9.json",), (b"a\xe9.json", b"b\xe9.json")])
def test_reasons_can_be_printed_whatever_the_name_of_the_stats(
    tree: Tree, names: tuple[bytes, ...]
) -> None:
    tree = Tree(tree.folder, ("*.json",))
    try:
        for name in names:
            tree.write(b"a/" + name, b"{")
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(RecordError) as caught:
        tree.row(tree.read("a"))
    str(caught.value).encode()
    assert "a\\xe9.json" in str(caught.value)


def test_an_image_whose_real_path_is_not_utf_8_is_a_warning(tree: Tree) -> None:
    try:
        tree.write(b"other/\xe9.png", png())
    except OSError:
        pytest.skip("this file system takes no such names")
    tree.write("a/stats.json", {})
    (tree.folder / "a/plain.png").symlink_to(os.fsdecode(b"../other/\xe9.png"))
    plan = tree.plan(tree.read("a"))
    assert plan.images == (None,)
    (warning,) = plan.warnings
    assert "'plain.png'" in warning
    warning.encode()


def test_what_the_importer_left_there_is_no_part_of_a_folder(tree: Tree) -> None:
    tree.write("stats.json", {"device_id": "D"})
    tree.write("a/stats.json", {})
    source = replace(tree.source, left_out={"": ("work_state.", ".importer")})
    before = FOLDERS.sign(source, "."), FOLDERS.sign(source, "a")
    for name in ("work_state.json", "work_state.json.lock", ".importer.log"):
        tree.write(name, "of ours")
    assert (FOLDERS.sign(source, "."), FOLDERS.sign(source, "a")) == before
    assert FOLDERS.read(source, ".", before[0], tree.tally).signature == before[0]
    tree.write("a/work_state.json", "not ours")
    assert FOLDERS.sign(source, "a") != before[1]
    tree.write("notes.txt", "not ours")
    assert FOLDERS.sign(source, ".") != before[0]


def test_more_than_one_file_of_stats_fails_the_folder_and_names_them(tree: Tree) -> None:
    tree = Tree(tree.folder, ("*.json", "*.png"))
    tree.write("a/one.json", {})
    tree.write("a/two.json", {})
    tree.write("a/x.png", png())
    folder = tree.read("a")
    assert len(tree.plan(folder).images) == 1
    with pytest.raises(RecordError, match=r"^has more than one stats file: one\.json, two\.js"):
        tree.row(folder)


def test_two_spellings_of_stats_are_two_files(tree: Tree) -> None:
    tree.write("a/stats.json", {})
    tree.write("a/Stats.JSON", {})
    if len(list((tree.folder / "a").iterdir())) == 1:
        pytest.skip("this file system takes them for one name")
    with pytest.raises(RecordError, match="more than one stats file"):
        tree.row(tree.read("a"))


def test_stats_nested_too_deeply_are_refused_or_taken_but_are_no_defect(tree: Tree) -> None:
    taken = set()
    for number, inmost in enumerate((b"1", rb'"\u0000"')):
        for depth in (100, 600, 2_000):
            path = f"{number}-{depth}"
            nested = b'{"a":' * depth + inmost + b"}" * depth
            # Nothing else than RecordError may come out.
            with contextlib.suppress(RecordError):
                row = tree.row(tree.stats(nested, path))
                encoded(row)
                taken.add(depth)
    assert 100 in taken


# Stats that can be used


def test_nul_characters_in_stats_are_removed_and_counted(tree: Tree) -> None:
    folder = tree.stats(rb'{"device_id": "D\u0000-1", "a\u0000": ["\u0000"]}')
    row = tree.row(folder)
    assert row["device_id"] == "D-1"
    assert row["stats"] == {"device_id": "D-1", "a": [""]}
    assert tree.tally == {NUL_REMOVED: 3}


def test_stats_lose_nothing(tree: Tree) -> None:
    stats = {"device_id": " D ", "a": {"b": [None, True, 1.5, "ü"]}, "empty": {}, "": ""}
    assert tree.row(tree.stats(stats))["stats"] == stats


def test_empty_stats_are_stats(tree: Tree) -> None:
    row = tree.row(tree.stats({}))
    assert row["stats"] == {}
    assert (row["device_id"], row["test_status"]) == (None, "failed")
    assert FOLDERS.story(tree.read())[2:] == [
        "📊 Found stats.json file",
        "✅ Loaded stats.json successfully",
        "🏷️  Test status: failed",
    ]


# What follows from the result, and what options say


@pytest.mark.parametrize("result", ["ok", " ", 0.5, True, [0], {"a": None}])
def test_a_test_with_a_result_has_passed(tree: Tree, result: object) -> None:
    folder = tree.stats({"result": result, "mean": 1.5})
    assert tree.row(folder)["test_status"] == "passed"
    assert FOLDERS.story(folder)[-1] == "🏷️  Test status: passed"
    assert tree.row(tree.stats({"result": result, "test_status": "x"}))["test_status"] == "x"


@pytest.mark.parametrize("stats", [{"mean": 1}, *({"result": each} for each in EMPTY)])
def test_a_test_without_a_result_has_failed(tree: Tree, stats: dict[str, object]) -> None:
    assert tree.row(tree.stats(stats))["test_status"] == "failed"
    assert tree.row(tree.stats({**stats, "test_status": "passed"}))["test_status"] == "passed"


def test_a_test_without_stats_is_pending(tree: Tree) -> None:
    tree.write("Batch54/a.png", png())
    folder = tree.read()
    assert tree.row(folder)["test_status"] == "pending"
    assert FOLDERS.story(folder)[-1] == "🏷️  Test status: pending"


def test_a_device_is_named_by_the_stats_or_for_all_folders_by_options(tree: Tree) -> None:
    tree.write("a/stats.json", {"device_name": " Ann ", "device_type": ["x"]})
    tree.write("b/stats.json", {})

    def named() -> list[tuple[str | None, str | None, int]]:
        folders = [tree.read(path) for path in ("a", "b")]
        rows = [tree.row(folder) for folder in folders]
        return [
            (row["device_name"], row["device_type"], len(tree.plan(folder).warnings))
            for row, folder in zip(rows, folders, strict=True)
        ]

    assert named() == [("Ann", None, 1), (None, None, 0)]
    before = tree.listed
    tree.source = replace(tree.source, options={"device_name": "Bea", "device_type": "lamp"})
    assert named() == [("Bea", "lamp", 0), ("Bea", "lamp", 0)]
    assert {path for path, signature in tree.listed.items() if before[path] != signature} == {
        "a",
        "b",
    }


def test_a_status_file_names_what_is_stored_and_the_status(tree: Tree) -> None:
    for name in ("a.png", "b.png", "c.png"):
        tree.write(f"Batch54/{name}", png())
    folder = tree.stats({"result": [1]})
    first, _, third = map(known, tree.plan(folder).images)
    assert FOLDERS.summary is not None
    assert FOLDERS.summary(folder, (first, None, third)) == {
        "uploaded_files": ["a.png", "c.png", "stats.json"],
        "test_status": "passed",
    }
    told = {"time": MOMENT, "batch_id": "batch_1"}
    more = {"timestamp": MOMENT, "upload_batch": "batch_1"}
    assert FOLDERS.status_file(told) == {**told, **more}
    failed = {**told, "reason": "is broken"}
    assert FOLDERS.status_file(failed) == {**failed, **more, "error": "is broken"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("D-1", "D-1"),
        ("  D-1\t", "D-1"),
        ("", None),
        ("   ", None),
        (None, None),
        (12345, "12345"),
        (0, "0"),
        (-1.5, "-1.5"),
    ],
)
@pytest.mark.parametrize("name", ["device_id", "test_status"])
def test_texts_and_numbers_of_the_stats_are_taken_as_text(
    tree: Tree, name: str, value: object, text: str | None
) -> None:
    folder = tree.stats({name: value})
    derived = "failed" if name == "test_status" else None
    assert tree.row(folder)[name] == (text or derived)
    assert tree.plan(folder).warnings == ()


@pytest.mark.parametrize("value", [True, False, [], ["D-1"], {}, {"id": 1}])
@pytest.mark.parametrize("name", ["device_id", "test_status"])
def test_what_is_no_text_is_left_empty_with_a_warning_and_kept_in_the_stats(
    tree: Tree, name: str, value: object
) -> None:
    folder = tree.stats({name: value})
    row = tree.row(folder)
    assert row[name] is None
    assert row["stats"] == {name: value}
    assert tree.plan(folder).warnings == (
        f"{name} is left empty: in the stats it is neither a string nor a number",
    )
    assert tree.plan(folder).images_missing == 0
    assert len(FOLDERS.story(folder)) == (4 if name == "test_status" else 5)


@pytest.mark.parametrize("name", ["device_id", "test_status"])
def test_a_number_is_a_name_with_all_its_digits(tree: Tree, name: str) -> None:
    row = tree.row(tree.stats(f'{{"{name}": 12345678901234567890123}}'))
    assert row[name] == "12345678901234567890123"


@pytest.mark.parametrize("value", ["9000000000000100000.0", "9000000000000000250.0"])
@pytest.mark.parametrize("name", ["device_id", "test_status"])
def test_a_whole_number_is_a_name_without_a_fraction_however_large(
    tree: Tree, name: str, value: str
) -> None:
    row = tree.row(tree.stats(f'{{"{name}": {value}}}'))
    assert row[name] == value.removesuffix(".0")


@pytest.mark.parametrize("value", ["1e300", "1e100"])
@pytest.mark.parametrize("name", ["device_id", "test_status"])
def test_a_number_that_cannot_be_told_exactly_is_no_name_of_a_device(
    tree: Tree, name: str, value: str
) -> None:
    tree.write("Batch54/a.png", png())
    folder = tree.stats(f'{{"{name}": {value}}}')
    assert len(tree.plan(folder).images) == 1
    with pytest.raises(RecordError, match="a number too large to be read exactly"):
        tree.row(folder)


@pytest.mark.parametrize("value", ["1e300", "12345678901234567890123"])
def test_a_story_is_told_whatever_the_stats_hold(tree: Tree, value: str) -> None:
    folder = tree.stats(f'{{"test_status": {value}, "device_id": {value}}}')
    assert FOLDERS.story(folder)[0] == "📁 Uploading folder: Batch54"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


@given(stats=st.dictionaries(st.sampled_from(["device_id", "test_status", "x"]), json_values))
def test_any_stats_make_a_row_or_a_reason(stats: dict[str, Any]) -> None:
    """What is read is planned, and becomes a row that both backends can take, or a reason."""
    folder = Folder("a", "a", Signature(1, MOMENT, 1, "ab"), (), stats, None)
    source = Source("/nonexistent", FOLDERS.patterns)
    FOLDERS.plan(source, "a", folder, image_finder(Path("/nonexistent"), ()))
    # Nothing else than RecordError may come out.
    with contextlib.suppress(RecordError):
        (record,) = FOLDERS.records(folder, (), Counter())
        for row_format in RowFormat:
            assert encoder(DEVICE_TEST, row_format)(record.rows[0][1])


# Images


def test_the_files_with_the_endings_of_images_are_the_images_by_name(tree: Tree) -> None:
    for name in ("b.PNG", "a.jpg", "c.webp", "notes.txt", "stats.json", "d.tif"):
        tree.write(f"Batch54/{name}", {})
    folder = tree.read()
    assert folder.images == ("a.jpg", "b.PNG", "c.webp")
    assert [os.path.basename(image.path) for image in tree.plan(folder).images if image] == [
        "a.jpg",
        "b.PNG",
        "c.webp",
    ]
    assert tree.row(folder)["file_count"] == 6


def test_images_of_folders_below_are_those_of_the_folders_below(tree: Tree) -> None:
    tree.write("Batch54/a.png", png())
    tree.write("Batch54/deeper/b.png", png())
    assert tree.read("Batch54").images == ("a.png",)
    assert tree.read("Batch54/deeper").images == ("b.png",)


def test_an_image_that_is_gone_by_then_is_missing_and_the_others_are_there(tree: Tree) -> None:
    for name in ("a.png", "b.png", "c.png"):
        tree.write(f"Batch54/{name}", png())
    folder = tree.read()
    (tree.folder / "Batch54/b.png").unlink()
    plan = tree.plan(folder)
    assert [image is not None for image in plan.images] == [True, False, True]
    assert plan.images_missing == 1
    assert len(plan.warnings) == 1
    assert "'b.png'" in plan.warnings[0]
    row = tree.row(folder, tuple(map(known, plan.images)))
    assert [each["name"] for each in row["images"]] == ["a.png", "c.png"]
    assert (row["image_count"], row["file_count"]) == (2, 3)


def test_an_image_that_leads_out_of_the_source_is_not_read_unless_allowed(
    tree: Tree, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.write_bytes(png())
    tree.write("Batch54/a.png", png())
    (tree.folder / "Batch54/leak.png").symlink_to(outside)
    folder = tree.read()
    source = tree.folder / "deeper"
    source.mkdir()
    plan = tree.plan(folder, ImageFinder((), (f"{tree.folder.resolve()}/",)))
    assert [image is not None for image in plan.images] == [True, False]
    assert plan.images_missing == 1
    assert "'leak.png'" in plan.warnings[0]
    assert "--image-root" in plan.warnings[0]
    allowed = tree.plan(folder, image_finder(tree.folder, (outside.parent,)))
    assert [image and image.path for image in allowed.images][1] == str(outside.resolve())
    assert allowed.warnings == ()


def test_a_link_to_another_image_of_the_source_has_its_own_name(tree: Tree) -> None:
    target = tree.write("Batch54/a.png", png())
    (tree.folder / "Batch54/b.png").symlink_to("a.png")
    folder = tree.read()
    assert {image.path for image in tree.plan(folder).images if image} == {str(target.resolve())}
    assert [each["name"] for each in tree.row(folder)["images"]] == ["a.png", "b.png"]


def test_an_image_whose_name_is_not_utf_8_is_left_out_with_a_warning_that_can_be_printed(
    tree: Tree,
) -> None:
    tree.write("Batch54/a.png", png())
    try:
        tree.write(b"Batch54/b\xe9.png", png())
    except OSError:
        pytest.skip("this file system takes no such names")
    folder = tree.read()
    plan = tree.plan(folder)
    assert [image is not None for image in plan.images] == [True, False]
    assert plan.images_missing == 1
    plan.warnings[0].encode()
    assert "b\\" in plan.warnings[0]
    row = tree.row(folder, tuple(map(known, plan.images)))
    assert [each["name"] for each in row["images"]] == ["a.png"]
    encoded(row)


@pytest.mark.parametrize("lacking", [0, 1, 2])
def test_an_image_that_cannot_be_used_is_left_out_of_the_row(tree: Tree, lacking: int) -> None:
    names = ["a.png", "b.png", "c.png"]
    for name in names:
        tree.write(f"Batch54/{name}", png())
    folder = tree.read()
    images = list(map(known, tree.plan(folder).images))
    images[lacking] = None
    row = tree.row(folder, tuple(images))
    assert [each["name"] for each in row["images"]] == [
        name for number, name in enumerate(names) if number != lacking
    ]
    assert row["image_count"] == 2


def test_where_no_image_can_be_used_the_row_has_none(tree: Tree) -> None:
    tree.write("Batch54/a.png", b"no image")
    folder = tree.read()
    for images in ((), (None,)):
        row = tree.row(folder, images)
        assert (row["image_count"], row["images"], row["file_count"]) == (0, [], 1)


# Patterns of the user's own


def test_with_patterns_of_ones_own_other_files_are_stats_and_images(tree: Tree) -> None:
    tree = Tree(tree.folder, ("result*.json", "*.tif"))
    tree.write("a/result-7.json", {"device_id": "D-7"})
    tree.write("a/scan.TIF", png())
    tree.write("a/photo.png", png())
    tree.write("b/stats.json", {})
    tree.write("c/photo.png", png())
    assert set(tree.listed) == {"a"}
    row = tree.row(tree.read("a"))
    assert row["device_id"] == "D-7"
    assert [each["name"] for each in row["images"]] == ["scan.TIF"]
    assert row["file_count"] == 3


def test_broken_stats_are_told_by_their_own_name(tree: Tree) -> None:
    tree = Tree(tree.folder, ("result*.json", "*.tif"))
    tree.write("a/result-7.json", b"[")
    with pytest.raises(RecordError, match=r"^result-7\.json is not JSON: "):
        tree.row(tree.read("a"))


def test_patterns_without_stats_read_none(tree: Tree) -> None:
    tree = Tree(tree.folder, ("*.png",))
    tree.write("a/stats.json", b"{broken")
    tree.write("a/x.png", png())
    row = tree.row(tree.read("a"))
    assert (row["stats"], row["image_count"], row["file_count"]) == (None, 1, 2)


def test_a_file_of_stats_is_no_image_also_where_a_pattern_takes_everything(tree: Tree) -> None:
    tree = Tree(tree.folder, ("stats.json", "*"))
    tree.write("a/stats.json", {"device_id": "D"})
    tree.write("a/x.png", png())
    folder = tree.read("a")
    assert folder.images == ("x.png",)
    assert tree.row(folder)["device_id"] == "D"


# The moment of the last change


def test_the_last_change_is_the_latest_of_its_files_to_the_microsecond(tree: Tree) -> None:
    tree.write("a/a.png", ns=MOMENT - 10**12)
    tree.write("a/stats.json", {}, ns=MOMENT)
    found = tree.row(tree.read("a"))["last_modified"]
    assert found == dt.datetime(2023, 11, 14, 22, 13, 20, 123456, dt.UTC)


@pytest.mark.parametrize(
    ("mtime_ns", "moment"),
    [
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        (-1, dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, dt.UTC)),
        (253_402_300_799 * 10**9, dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)),
        (253_402_300_800 * 10**9, None),
        (2**63 - 1, dt.datetime(2262, 4, 11, 23, 47, 16, 854_775, dt.UTC)),
        (2**80, None),
        (-(2**80), None),
        (10**40, None),
    ],
)
def test_a_moment_beyond_all_calendars_is_none(
    tree: Tree, mtime_ns: int, moment: dt.datetime | None
) -> None:
    folder = Folder("a", "a", Signature(1, mtime_ns, 1, "ab"), (), None, None)
    assert tree.row(folder, ())["last_modified"] == moment


# The kind


def test_it_is_found_by_its_name() -> None:
    assert kind_named("folders") is FOLDERS
    assert FOLDERS.items_are_folders
    assert FOLDERS.wording.items == "folders"


def test_both_encodings_take_its_rows(examples: Tree) -> None:
    row = examples.row(examples.read("Batch54"))
    as_json, line = encoded(row)
    assert json.loads(as_json)["images"][0]["sha256"] == "hash of shot.png"
    assert line.count(b"\t") == len(NAMES) - 1
