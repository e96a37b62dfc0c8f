"""The kind `recognitions`: which folders and files it takes, and what it says of their values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from imports.errors import RecordError
from imports.items.source import Signature, Source
from imports.items.work_item import ListedItem
from imports.kinds.recognitions.kind import RECOGNITIONS, key_of, plan, read, records, sign
from imports.kinds.recognitions.layout import PATTERNS, all_files, copy_elsewhere, named, sorted_out
from imports.kinds.recognitions.tables import RECOGNITION_FILES
from imports.kinds.recognitions.values import warnings_of
from imports.phases.listed_folders import MOST_ENTRIES, Links, ListJob, list_folders, read_large
from imports.source.image_finder import image_finder
from imports.source.tree import FolderFile, ListedEntry, ListingProblem
from tests.support import recognitions
from tests.support.pictures import turned

MENU = [
    {"ExternalId": "1", "Name": "Soup", "Price": 2.5},
    {"ExternalId": "2", "Name": "Cod", "Price": "12,50", "ProtoNames": []},
]


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(str(tmp_path), PATTERNS)


def file(name: str) -> FolderFile:
    return FolderFile(name, Signature(1, 1))


# Folders


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("recognition_100024", 100024),
        ("200105", 200105),
        ("export_20251024_121255/recognition_7", 7),
        ("export_1/0012", 12),
        ("recognition_9223372036854775807", 2**63 - 1),
    ],
)
def test_a_recognition_is_a_folder_with_its_number(path: str, number: int) -> None:
    found = named(path)
    assert found is not None
    assert found.id == number


@pytest.mark.parametrize(
    "path",
    ["recognition_100024_copy", "recognition_", "recognition_9223372036854775808",
     "export_1/recognition_-5", "recognition_\u0661"],
)  # fmt: skip
def test_a_recognition_without_a_number_is_reported(path: str) -> None:
    found = named(path)
    assert found is not None
    assert found.id is None


@pytest.mark.parametrize(
    "path",
    ["notes", ".", "recognition_1/photos", "other/recognition_1", "export_1", "a/export_1/5",
     "export_1/recognition_1/photos", "12a", "99999999999999999999"],
)  # fmt: skip
def test_other_folders_are_none(path: str) -> None:
    assert named(path) is None


@pytest.mark.parametrize(
    ("path", "elsewhere"),
    [
        ("recognition_5", "export_2/5"),
        ("export_1/recognition_5", "export_2/5"),
        ("export_2/5", None),
        ("recognition_6", None),
        ("6", "recognition_6"),
        ("export_1/7", "export_1/recognition_7"),
        ("export_1/recognition_7", None),
    ],
)
def test_of_several_folders_of_a_number_the_last_export_counts(
    source: Source, path: str, elsewhere: str | None
) -> None:
    for each in ("recognition_5", "export_1/recognition_5", "export_2/5", "recognition_6", "6"):
        Path(source.folder, each).mkdir(parents=True)
    for each in ("export_1/7", "export_1/recognition_7"):
        Path(source.folder, each).mkdir(parents=True)
    found = named(path)
    assert found is not None
    assert found.id is not None
    assert copy_elsewhere(source, path, found.id) == elsewhere


# Files


def test_files_are_told_by_their_names() -> None:
    found = sorted_out(
        [
            file("5_recognition_AM.json"),
            file("5_recognition_correct_dishes.json"),
            file("z.jpg"),
            file("photos/b_Qualifying.JPEG"),
            file("photos/a_Main.jpg"),
            file("photos/notes.txt"),
            file("readme.json"),
        ]
    )
    assert [each.name for each in found.photos] == ["photos/a_Main.jpg", "photos/b_Qualifying.JPEG"]
    assert found.menu == file("5_recognition_AM.json")
    assert found.receipt == file("5_recognition_correct_dishes.json")
    assert found.unused == ()


def test_photos_beside_count_where_the_folder_has_none() -> None:
    found = sorted_out([file("photos/readme.txt"), file("b.jpg"), file("a.jpeg"), file("AM.json")])
    assert [each.name for each in found.photos] == ["a.jpeg", "b.jpg"]
    assert found.menu == file("AM.json")


def test_of_several_menus_the_first_by_name_is_taken_and_the_others_are_told() -> None:
    names = ["b_AM.json", "a_AM.json", "AM.json", "b_correct_dishes.json", "a_correct_dishes.json"]
    found = sorted_out([file(name) for name in names])
    assert found.menu == file("a_AM.json")
    assert found.receipt == file("a_correct_dishes.json")
    assert found.unused == ("b_AM.json", "b_correct_dishes.json")


def test_hidden_files_are_none(source: Source) -> None:
    photos = Path(source.folder, "5", "photos")
    photos.mkdir(parents=True)
    for name in ("a.jpg", "._a.jpg", ".DS_Store", "../AM.json", "../.b_AM.json"):
        (photos / name).write_bytes(b"x")
    names = sorted(each.name for each in all_files(source, "5"))
    assert names == ["AM.json", "photos/a.jpg"]


# Values


@pytest.mark.parametrize("form", ["list", "object"])
def test_good_values_are_told_of_nothing(form: str) -> None:
    menu = MENU if form == "list" else {"Dishes": MENU}
    line = {"Count": "2", "Dishes": [{"Name": "Soup", "ExternalId": 1}]}
    receipt = [line] if form == "list" else {"Dishes": [{**line["Dishes"][0], "Count": 1}]}  # type: ignore[index, dict-item]
    tally: Counter[str] = Counter()
    assert warnings_of(menu, receipt, tally) == []
    assert not tally


@pytest.mark.parametrize("price", ["n/a", "1e5", "--", True, [1], 1e12, "100000000", "9" * 30])
def test_a_price_that_is_none_is_counted(price: object) -> None:
    tally: Counter[str] = Counter()
    assert warnings_of([{"ExternalId": "1", "Name": "x", "Price": price}], None, tally) == []
    assert sum(tally.values()) == 1


@pytest.mark.parametrize("price", [0, 12.5, "12,50", " 7.95 ", "-1", "+3", 99999999.99, None])
def test_a_price_is_none_that_is_off(price: object) -> None:
    tally: Counter[str] = Counter()
    assert warnings_of([{"ExternalId": "1", "Name": "x", "Price": price}], None, tally) == []
    assert not tally


def test_what_is_off_is_told() -> None:
    menu = [*MENU, MENU[0], {"Name": "x"}, {"ExternalId": "3"}, 5, {"ExternalId": "", "Name": "y"}]
    receipt = [
        {"Count": 1, "Dishes": [{"ExternalId": "9", "Name": "z"}, {"Name": "no code"}]},
        {"Dishes": [{"ExternalId": "1"}]},
        {"Count": 1.5, "Dishes": []},
        None,
    ]
    assert warnings_of(menu, receipt, Counter()) == [
        "entry 4 of the menu is left out: it has no ExternalId",
        "entry 5 of the menu is left out: it has no Name",
        "entry 6 of the menu is left out: it is a number",
        "entry 7 of the menu is left out: it has no ExternalId",
        "1 is 2 times in the menu: the last one counts",
        "9 in line 1 of the receipt is not in the menu",
        "a dish in line 1 of the receipt has no ExternalId",
        "line 2 of the receipt has no Count that is a whole number: 1 is taken",
        "line 3 of the receipt has no Count that is a whole number: 1 is taken",
        "line 3 of the receipt has no dish",
        "line 4 of the receipt is null: it has no dish",
    ]


def test_many_that_are_off_are_told_as_a_number() -> None:
    found = warnings_of([{}] * 1_000, None, Counter())
    assert len(found) == 21
    assert found[-1] == "980 more values of menu and receipt are off"


# As the engine calls it


def listed(source: Source, prefix: str) -> list[ListedEntry]:
    """What a listing finds in a folder, whether it is read at once or as a large one."""
    found = list_folders(ListJob("recognitions", source, [prefix]))
    large = list(read_large(RECOGNITIONS, source, prefix, {}, Links()))
    assert found.large or found.entries == large
    assert all(not each.endswith("/photos/") for each in found.subfolders)
    return large


def test_a_listed_recognition_has_the_signature_that_it_is_read_with(source: Source) -> None:
    folder = recognitions.add(Path(source.folder), 5)
    (folder / "photos" / "._a.jpg").write_bytes(b"hidden")
    (item,) = listed(source, "recognition_5/")
    assert item == ListedItem("recognition_5", sign(source, "recognition_5"))
    before = item.signature
    (folder / "photos" / "third.jpg").write_bytes(b"x")
    assert sign(source, "recognition_5") != before
    for number in range(MOST_ENTRIES):
        (folder / f"{number}.txt").touch()
    assert listed(source, "recognition_5/") == [
        ListedItem("recognition_5", sign(source, "recognition_5"))
    ]


def test_a_folder_is_a_recognition_by_its_name_whatever_is_in_it(source: Source) -> None:
    for name in ("recognition_5", "recognition_5_copy", "notes"):
        Path(source.folder, name).mkdir()
    (empty,) = listed(source, "recognition_5/")
    assert isinstance(empty, ListedItem)
    with pytest.raises(RecordError, match="has no photos, and must have two"):
        read(source, empty.path, empty.signature, Counter())
    (problem,) = listed(source, "recognition_5_copy/")
    assert problem == ListingProblem(
        "recognition_5_copy",
        "is no recognition: a whole number must follow `recognition_`; rename the folder",
    )
    assert listed(source, "notes/") == []


def test_patterns_say_which_files_count(source: Source) -> None:
    photos = {"a_Main.jpg": b"1", "b_Qualifying.jpg": b"2", "c_Third.jpg": b"3", "d.png": b"4"}
    recognitions.add(Path(source.folder), 5, photos=photos)
    own = replace(source, patterns=("*_Main.jpg", "*.png", "*_AM.json"))
    found = read(own, "recognition_5", sign(own, "recognition_5"), Counter())
    assert found.photos == ("photos/a_Main.jpg", "photos/d.png")
    assert (found.menu, found.receipt) == (recognitions.MENU, None)
    # With other patterns, it is another item.
    assert sign(own, "recognition_5") != sign(source, "recognition_5")


def test_records_are_weighed_without_images(source: Source) -> None:
    recognitions.add(Path(source.folder), 5)
    found = read(source, "recognition_5", sign(source, "recognition_5"), Counter())
    ((record,), images) = records(found, (), Counter()), (None, None)
    assert [table for table, _ in record.rows] == [0, 1]
    assert {len(row) for table, row in record.rows if table == 0} == {
        len(RECOGNITION_FILES.columns)
    }
    with pytest.raises(RecordError, match=r"Main\.jpg is no image, so neither photo is stored"):
        records(found, images, Counter())


def test_the_key_of_a_row_is_in_the_path() -> None:
    paths = ("export_1/recognition_7", "0012", "recognition_x", "notes")
    assert [key_of(path) for path in paths] == [7, 12, None, None]


def test_a_turned_photo_is_told(source: Source) -> None:
    photos = [turned(recognitions.photo(1), 6), recognitions.photo(2)]
    recognitions.add(Path(source.folder), 5, photos=photos)
    found = read(source, "recognition_5", sign(source, "recognition_5"), Counter())
    planned = plan(source, "recognition_5", found, image_finder(Path(source.folder), ()))
    (warning,) = planned.warnings
    assert warning.startswith("photos/recognition_5_2025-10-11_Main.jpg is turned by its EXIF")
    assert [str(each) for each in planned.placements] == [
        "rrs-photos/recognitions/5/camera1.jpg",
        "rrs-photos/recognitions/5/camera2.jpg",
    ]
