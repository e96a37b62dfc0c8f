"""What the ledger knows of files for the progress log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.items.records import RecordFailure
from imports.items.work_item import ItemState, Plan
from imports.ledger import ItemProgress, Scope, item_progress
from imports.source.tree import ListingProblem
from tests.support.book import TOOK, Book, listed


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", kind="people")
    yield book
    book.file.close()


def told(book: Book) -> dict[str, ItemProgress]:
    return {item.path: item for item in item_progress(book.scope)}


def planned(book: Book, path: str = "a", records: int | None = 3) -> int:
    book.list(listed(path), whole=False)
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, records=records, weight=9))
    return item.id


def test_listed_items_are_not_in_the_progress_log(book: Book) -> None:
    assert told(book) == {}
    book.list(listed("a"), listed("b"))
    assert told(book) == {}


def test_what_is_planned_has_begun_when_it_was(book: Book) -> None:
    before = time.time()
    planned(book)
    (item,) = told(book).values()
    assert item._replace(began_at=None) == ItemProgress("a", ItemState.PLANNED, 3, 0, 0, None, None)
    assert item.began_at is not None
    assert before <= item.began_at <= time.time()


def test_an_imported_item_has_its_records_and_times(book: Book) -> None:
    number = planned(book)
    book.queue.record_imported([number], [], {}, (10.0, 12.0), {number: 3})
    assert told(book)["a"] == ItemProgress("a", ItemState.IMPORTED, 3, 3, 0, 10.0, 12.0)


def test_a_failed_item_has_the_number_of_its_imported_records(book: Book) -> None:
    number = planned(book)
    bad = [RecordFailure(number, 1, "p", "bad")]
    before = time.time()
    book.queue.record_imported([number], [(number, "bad")], {}, (10.0, 12.0), {number: 2}, bad)
    item = told(book)["a"]
    assert item[:6] == ("a", ItemState.FAILED, 3, 2, 1, 10.0)
    assert item.ended_at is not None
    assert item.ended_at >= before


def test_a_file_that_cannot_be_read_has_no_records_that_are_known(book: Book) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, failure="is not JSON"))
    found = told(book)["a"]
    assert found[1:5] == (ItemState.FAILED, None, 0, 0)
    assert found.began_at is not None
    assert found.began_at == found.ended_at


def test_a_large_item_has_its_progress(book: Book) -> None:
    number = planned(book, records=None)
    bad = [RecordFailure(number, 4, "p", "bad")]
    book.queue.record_piece(number, 500, {}, (10.0, 11.0), 499, bad)
    book.queue.record_piece(number, 600, {}, (11.0, 12.0), 100, [])
    assert told(book)["a"] == ItemProgress("a", ItemState.PLANNED, None, 599, 1, 10.0, None)


def test_what_is_planned_again_has_neither_ended_nor_any_records(book: Book) -> None:
    number = planned(book)
    book.queue.record_imported([number], [], {}, (10.0, 12.0), {number: 3})
    book.list(listed("a", 2))
    assert told(book) == {}
    planned_again = book.add()
    assert planned_again == {"a": number}
    found = told(book)["a"]
    assert found.state is ItemState.PLANNED
    assert (found.succeeded, found.refused, found.ended_at) == (0, 0, None)
    assert found.began_at is not None
    assert found.began_at > 12.0


def test_a_file_that_is_gone_after_its_import_is_still_told(book: Book) -> None:
    number = planned(book)
    book.queue.record_imported([number], [], {}, TOOK, {number: 3})
    book.disposed(number)
    book.list(listed("b"))
    assert [item.path for item in told(book).values()] == ["a"]


def test_a_file_that_cannot_be_listed_any_more_has_no_times_of_its_import(book: Book) -> None:
    """It failed at once, and none of its records is known now."""
    number = planned(book)
    book.queue.record_imported([number], [], {}, (10.0, 12.0), {number: 3})
    before = time.time()
    book.list(ListingProblem("a", "is not a regular file"))
    found = told(book)["a"]
    assert found.state is ItemState.FAILED
    assert found.began_at is not None
    assert found.began_at >= before, "else its processing time is all the time since"
    assert (found.succeeded, found.refused) == (0, 0)


def test_items_come_in_the_order_in_which_they_were_found(book: Book) -> None:
    for path in "cab":
        planned(book, path)
    assert list(told(book)) == ["c", "a", "b"]


@pytest.mark.parametrize("path", ["it's", "=1+1", "薬局/\U0001f469.json", "a\nb"])
def test_a_run_of_a_single_item_reports_only_that_item(book: Book, path: str) -> None:
    planned(book, path)
    planned(book, "other")
    book.use(Scope(book.file, book.scope_id, "batch", path))
    assert list(told(book)) == [path]


def test_other_sources_are_not_reported(book: Book) -> None:
    planned(book)
    other = book.runs.scope("people", "/other", "tag", "target")
    assert list(item_progress(Scope(book.file, other, "batch"))) == []


def test_items_can_be_written_while_they_are_read(book: Book) -> None:
    """The log is written from a cursor: nothing that is held up is lost."""
    numbers = [planned(book, path) for path in "abc"]
    seen = []
    for item in item_progress(book.scope):
        seen.append(item.path)
        book.queue.record_imported([numbers[0]], [], {}, TOOK)
    assert seen == ["a", "b", "c"]
