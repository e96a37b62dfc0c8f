"""The ledger's memory of images that what is imported lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from imports.items.images import ImageFile
from imports.items.source import Signature
from imports.items.work_item import ItemState, Lacking, LackingItem, Plan
from imports.ledger import Scope
from imports.ledger.summary import warned_items
from tests.support.book import Book, gathered, hashed, listed, picture


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.db")


def items(book: Book, size: int = 9) -> list[LackingItem]:
    return [item for some in book.lacking.items(ItemState.IMPORTED, size) for item in some]


def lacking(book: Book, *paths: str, not_found: int = 1, **fields: object) -> dict[str, int]:
    """Imported items that lack images which were not found."""
    book.list(*map(listed, paths), whole=False)
    ids = {}
    for some in book.listed_items(None, 100):
        warnings = tuple(f"image {number} was not found" for number in range(not_found))
        book.plan(
            *(
                Plan(item.id, warnings=warnings, images_missing=not_found, **fields)  # type: ignore[arg-type]
                for item in some
            )
        )
        ids |= {item.path: item.id for item in some}
    book.imported(*ids.values())
    return ids


def bad(book: Book, path: str = "a", *names: str) -> int:
    """An imported item with an image that is none, and others that are good."""
    book.list(listed(path), whole=False)
    ((item,),) = book.listed_items(None, 9)
    files = tuple(map(picture, names))
    book.plan(Plan(item.id, images=(picture("bad"), *files)))
    book.images.record_hashes(
        [hashed(file, name) for file, name in zip(files, names, strict=True)],
        [(picture("bad"), "is no image")],
    )
    book.imported(item.id)
    return item.id


def test_what_is_missing_is_counted_until_the_item_is_imported_with_it(book: Book) -> None:
    assert book.lacking.count() == Lacking(0, 0, 0)
    ids = lacking(book, "a", "b", not_found=2)
    bad(book, "c")
    assert book.lacking.count() == Lacking(3, 4, 1)
    assert book.lacking.count().images == 5
    book.next_run("another")
    assert book.lacking.count() == Lacking(3, 4, 1)
    book.items.import_again([(ids["a"], Signature(1, 1))])
    assert book.lacking.count() == Lacking(3, 4, 1), "it is not there yet"
    book.plan(Plan(ids["a"], images=(picture("a"),)))
    assert book.lacking.count() == Lacking(2, 2, 1)


def test_a_plain_item_has_no_missing_images_any_more(book: Book) -> None:
    ids = lacking(book, "a")
    book.items.import_again([(ids["a"], Signature(1, 1))])
    book.items.record_plans([], {}, {ids["a"]: None}, 1)
    assert book.lacking.count() == Lacking(0, 0, 0)


def test_items_that_lack_nothing_failed_or_are_in_work_are_not_looked_at(book: Book) -> None:
    ids = lacking(book, "a", "b", "c", "d")
    book.add("whole")
    book.items.import_again([(ids["a"], Signature(1, 1)), (ids["b"], Signature(1, 1))])
    book.failed(ids["b"])
    book.disposed(ids["c"])
    assert [item.path for item in items(book)] == ["d"]
    assert book.lacking.count().items == 3, "a failed one is told as failed"


def test_they_come_with_the_images_that_they_were_imported_with_or_for(book: Book) -> None:
    number = bad(book, "a", "one", "two")
    assert items(book) == [
        LackingItem(
            number,
            "a",
            Signature(1, 1),
            frozenset({picture("bad"), picture("one"), picture("two")}),
            has_usable=False,
        )
    ]


def test_they_come_in_lists_in_their_order(book: Book) -> None:
    lacking(book, *"abcde")
    assert [[item.path for item in some] for some in book.lacking.items(ItemState.IMPORTED, 2)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]


def test_one_image_under_two_names_is_missing_once(book: Book) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, images=(picture("bad"), picture("bad"))))
    book.images.record_hashes([], [(picture("bad"), "is no image")])
    book.imported(item.id)
    assert book.lacking.count() == Lacking(1, 0, 1)
    assert [item.has_usable for item in items(book)] == [False]


def test_an_image_that_another_item_made_usable_is_known(book: Book) -> None:
    bad(book, "a")
    book.list(listed("b"), whole=False)
    ((other,),) = book.listed_items(None, 9)
    better = ImageFile(picture("bad").path, Signature(99, 2))
    book.plan(Plan(other.id, images=(better,)))
    book.images.record_hashes([hashed(better, "11")], [])
    assert [(item.path, item.has_usable) for item in items(book)] == [("a", True)]


def test_an_image_that_is_read_again_gives_one_warning(book: Book) -> None:
    """As after a crash, with another item that names it."""
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, images=(picture("bad"),)))
    for _ in range(2):
        book.images.record_hashes([], [(picture("bad"), "is no image")])
    book.imported(item.id)
    assert book.lacking.count() == Lacking(1, 0, 1)
    assert book.items.warnings(9) == (1, [("a", "is no image")])


def test_an_image_that_another_scope_found_to_be_none_is_hashed_for_this_one_too(
    book: Book,
) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, images=(picture("bad"),)))
    other = book.runs.scope("states", "/data", "another tag", "target")
    mine = book.scope
    book.use(Scope(book.file, other, "other batch"))
    bad(book, "a")
    book.use(mine)
    assert list(gathered(book.images, "unhashed", 9)) == [[picture("bad")]]
    book.images.record_hashes([], [(picture("bad"), "is no image")])
    assert list(gathered(book.images, "unhashed", 9)) == []
    assert book.lacking.count() == Lacking(1, 0, 1)


def test_what_was_found_is_noted_and_changes_nothing(book: Book) -> None:
    ids = lacking(book, *"abc")
    book.lacking.begin()
    book.lacking.note([ids["c"], ids["a"]])
    book.lacking.note([ids["c"]])
    assert book.lacking.noted() == 2
    assert [[path for _, path, _ in some] for some in book.lacking.found(1)] == [["a"], ["c"]]
    assert len(items(book)) == 3
    book.lacking.begin()
    assert list(book.lacking.found(9)) == []


def test_with_an_item_come_the_others_of_its_group(book: Book) -> None:
    ids = lacking(book, "a", "b", group=7)
    others = lacking(book, "c", group=8) | lacking(book, "d")
    book.items.import_again([(ids["a"], Signature(1, 1))])
    assert book.listed_paths() == ["a", "b"]
    assert {item.path for item in items(book)} == others.keys()


def test_an_image_that_cannot_be_read_fails_its_items_in_this_scope(book: Book) -> None:
    book.list(listed("a"), listed("b"), listed("c"))
    (some,) = book.listed_items(None, 9)
    for item, name in zip(some, ("same", "same", "other"), strict=True):
        book.plan(Plan(item.id, images=(picture(name),)))
    assert book.items.record_unread_image(picture("same").path, "cannot be read") == ["a", "b"]
    total, failures = book.items.failures(9)
    assert (total, {each.phase for each in failures}) == (2, {"sha256"})
    assert list(gathered(book.images, "unhashed", 9)) == [[picture("other")]]
    book.next_run("next")
    book.list(listed("a"), listed("b"), listed("c"))
    assert book.listed_paths() == ["a", "b"]


def test_stored_images_of_failed_items_are_verified_and_those_of_other_targets_are_not(
    book: Book,
) -> None:
    book.list(listed("a"), listed("b"))
    (some,) = book.listed_items(None, 9)
    for item in some:
        book.plan(Plan(item.id, images=(picture(item.path),)))
    images = [hashed(picture("a"), "aa"), hashed(picture("b"), "bb")]
    book.images.record_hashes(images, [])
    book.images.record_stored(["aa"], {})
    other = Book(book.file.path, source="/other", run_name="other batch")
    other.images.record_stored(["bb"], {})
    for item in some:
        book.failed(item.id)
    assert list(gathered(book.images, "stored", 9)) == [[images[0]]]


def test_warnings_are_listed_one_by_one_of_a_kind_and_a_tag(book: Book) -> None:
    ids = lacking(book, "b", "a", "c", not_found=2)
    book.items.import_again([(ids["c"], Signature(1, 1))])
    book.failed(ids["c"])
    other = Book(book.file.path, kind="folders", tag="other")
    lacking(other, "x")
    connection = book.file.connection
    assert [(each.kind, each.path) for each in warned_items(connection, None, None, None)] == [
        ("states", "a"),
        ("states", "b"),
        ("folders", "x"),
    ]
    (first,) = warned_items(connection, "states", None, 1)
    assert first == (
        "states",
        "/data",
        "tag",
        "a",
        ["image 0 was not found", "image 1 was not found"],
    )
    assert [each.path for each in warned_items(connection, None, "other", None)] == ["x"]
    rows = warned_items(connection, None, None, None)
    assert next(rows).path == "a", "without reading the others"


def test_images_of_planned_items_come_each_with_its_item(book: Book) -> None:
    book.list(listed("a"), listed("b"), listed("c"))
    (some,) = book.listed_items(None, 9)
    for item, names in zip(some, (("x", "y"), ("x",), ()), strict=True):
        book.plan(Plan(item.id, images=tuple(map(picture, names))))
    found = [pair for page in gathered(book.images, "planned", 2) for pair in page]
    first, second = some[0].id, some[1].id
    assert sorted(found) == [
        (first, picture("x")),
        (first, picture("y")),
        (second, picture("x")),
    ]
    book.imported(*(item.id for item in some))
    assert list(gathered(book.images, "planned", 2)) == []
