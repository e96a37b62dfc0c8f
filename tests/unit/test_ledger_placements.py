"""The ledger's memory of images at places of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from imports.items.images import Placement
from imports.items.records import RecordFailure
from imports.items.work_item import Plan
from imports.ledger import KnownPlace, PlacementLedger, PlacementStage
from tests.support.book import TOOK, Book, hashed, listed, picture

PUT, COMMITTED = PlacementStage.PUT, PlacementStage.COMMITTED


def place(name: str) -> Placement:
    return Placement("photos", f"{name}.png")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.db")


def ledger(book: Book) -> PlacementLedger:
    return PlacementLedger(book.scope, "target")


def planned(book: Book, path: str, at: str, sha256: str) -> int:
    """An item that is planned, with one image for a place."""
    book.list(listed(path), whole=False, again=True)
    file = picture(sha256)
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, (file,), placements=(place(at),)))
    book.images.record_hashes([hashed(file, sha256)], [])
    return item.id


def put(book: Book, at: str, sha256: str, **more: object) -> KnownPlace:
    known = KnownPlace(place(at), sha256, PUT, **more)  # type: ignore[arg-type]
    ledger(book).note([known], {})
    return known


def undone(book: Book) -> list[str]:
    return [known.place.path for some in ledger(book).undone(1) for known in some]


def stages(book: Book) -> list[tuple[object, ...]]:
    return book.rows("select place, sha256, stage from placement order by place")


def claims(book: Book, *, again: bool = False) -> list[tuple[str, str, PlacementStage | None]]:
    placements = ledger(book)
    count = placements.open_claims(again=again)
    found = [
        (claim.place.path, claim.image.sha256, claim.known and claim.known.stage)
        for some in placements.claims(1)
        for claim in some
    ]
    assert len(found) == count
    return found


def test_an_image_with_a_place_is_not_stored_under_its_hash(book: Book) -> None:
    assert not ledger(book).is_used
    planned(book, "1", "a", "aa")
    assert ledger(book).is_used
    assert book.images.open_unstored() == 0
    assert claims(book) == [("a.png", "aa", None)]


def test_a_run_looks_once_at_a_place_unless_it_repairs(book: Book) -> None:
    planned(book, "1", "a", "aa")
    put(book, "a", "aa")
    assert claims(book) == []
    assert claims(book, again=True) == [("a.png", "aa", PUT)]
    book.next_run("another")
    assert claims(book) == [("a.png", "aa", PUT)]


def test_an_item_that_failed_meanwhile_puts_nothing_more(book: Book) -> None:
    planned(book, "1", "a", "aa")
    planned(book, "2", "b", "bb")
    placements = ledger(book)
    placements.open_claims(again=False)
    pages = placements.claims(1)
    next(pages)
    assert book.items.record_placement_failure("photos/b.png", "refused") == ["2"]
    assert list(pages) == []


def test_an_image_stays_once_rows_of_its_item_are_imported(book: Book) -> None:
    item = planned(book, "1", "a", "aa")
    put(book, "a", "aa", kept="copy", previous="old", previous_stage=COMMITTED)
    ledger(book).commit()
    assert (stages(book), undone(book)) == ([("photos/a.png", "aa", "put")], [])
    book.imported(item)
    ledger(book).commit()
    assert (stages(book), undone(book)) == ([("photos/a.png", "aa", "committed")], [])
    ((copy,),) = ledger(book).with_copies(9)
    assert copy.copy == Placement("photos", "copy")
    ledger(book).forget_copies([copy])
    assert list(ledger(book).with_copies(9)) == []


def test_the_image_of_a_failed_item_is_taken_back_unless_rows_of_it_are_imported(
    book: Book,
) -> None:
    whole, part = planned(book, "1", "a", "aa"), planned(book, "2", "b", "bb")
    put(book, "a", "aa")
    put(book, "b", "bb")
    problem = [RecordFailure(part, 1, "x", "refused")]
    failures = [(whole, "refused"), (part, "refused")]
    book.queue.record_imported([whole, part], failures, {}, TOOK, {part: 1}, problem)
    ledger(book).commit()
    assert undone(book) == ["a.png"]


def test_a_place_is_again_what_it_was(book: Book) -> None:
    replaced = put(book, "a", "new", kept="copy", previous="old", previous_stage=COMMITTED)
    foreign = put(book, "b", "new", kept="copy", previous="old")
    first = put(book, "c", "new")
    assert undone(book) == ["a.png", "b.png", "c.png"]
    ledger(book).record_taken_back([replaced, foreign, first], {})
    assert stages(book) == [("photos/a.png", "old", "committed")]
    assert (undone(book), list(ledger(book).with_copies(9))) == ([], [])


def test_an_import_by_an_earlier_run_does_not_commit_the_image_of_a_later_one(
    book: Book,
) -> None:
    item = planned(book, "1", "a", "aa")
    put(book, "a", "aa")
    book.imported(item)
    ledger(book).commit()
    book.next_run("another")
    put(book, "a", "aa", kept="copy", previous="bb", previous_stage=COMMITTED)
    ledger(book).commit()
    assert undone(book) == ["a.png"]


def test_an_image_of_an_item_with_older_rows_does_not_stay(book: Book) -> None:
    older, newer = planned(book, "1", "a", "aa"), planned(book, "2", "b", "bb")
    put(book, "a", "aa")
    put(book, "b", "bb")
    ledger(book).record_skipped([older, newer], [older])
    book.imported(older, newer)
    ledger(book).commit()
    assert undone(book) == ["a.png"]
    # Once it is planned anew it is not known any more.
    planned(book, "1", "a", "aa")
    assert undone(book) == []


def test_an_image_that_a_changed_item_does_not_have_any_more_is_taken_back(book: Book) -> None:
    planned(book, "1", "a", "aa")
    put(book, "a", "aa")
    planned(book, "1", "a", "bb")
    assert undone(book) == ["a.png"]


def test_an_image_that_an_item_of_another_source_waits_for_is_left(book: Book) -> None:
    planned(book, "1", "a", "aa")
    put(book, "a", "aa")
    other = Book(book.file.path, source="/other", run_name="another")
    assert undone(other) == []
    elsewhere = PlacementLedger(other.scope, "another target")
    assert list(elsewhere.undone(9)) == []


def conflicts(book: Book) -> list[tuple[object, ...]]:
    ledger(book).open_claims(again=False)
    return [tuple(each) for each in ledger(book).conflicts()]


def test_the_last_of_several_items_has_the_place(book: Book) -> None:
    first, second = planned(book, "1", "a", "aa"), planned(book, "2", "a", "bb")
    planned(book, "3", "b", "aa")
    planned(book, "4", "b", "aa")
    assert conflicts(book) == [(first, "photos/a.png", "2")]
    assert book.items.record_conflict(first, "another has it") == ["1"]
    assert conflicts(book) == []
    # One that is imported has it too, one that failed does not.
    book.imported(second)
    planned(book, "1", "a", "aa")
    assert conflicts(book) == [(first, "photos/a.png", "2")]
    book.failed(second)
    assert conflicts(book) == []
