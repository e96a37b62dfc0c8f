"""What failed and was acknowledged is passed over, until it changes or is tried all the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.items.work_item import Failure
from imports.ledger import Listing, item_progress
from imports.ledger.acknowledged import Acknowledgement, acknowledge, acknowledgements, take_back
from imports.ledger.summary import summarise
from imports.source.tree import ListingProblem
from tests.support.book import Book, listed


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A ledger with two failed items, of which one is acknowledged, in the next run."""
    book = Book(tmp_path / "upload_tracker.db")
    ids = book.add("a", "b")
    for each in ids.values():
        book.failed(each, "broken")
    acknowledge(book.file, [ids["a"]], "nia", "as it came")
    book.next_run("next")
    yield book
    book.file.close()


def acknowledged(book: Book) -> int:
    return book.items.acknowledged()


def test_who_when_and_why_is_kept_with_the_failure(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_764_000_000.5)
    acknowledge(book.file, [1], "nia", "as it came")
    count, (found,) = acknowledgements(book.file.connection, book.scope_id, 9)
    assert (count, acknowledged(book)) == (1, 1)
    assert found == Acknowledgement("a", "import", "broken", 1_764_000_000.5, "nia", "as it came")
    assert acknowledgements(book.file.connection, book.scope_id, 9, "b") == (0, [])


def test_it_does_not_count_as_failed_and_is_not_tried(book: Book) -> None:
    found = book.list(listed("a"), listed("b"), most_tries=3)
    assert found == Listing(2, 0, 1, 0, 0, 0, acknowledged=1)
    assert book.listed_paths() == ["b"]
    book.failed(book.add()["b"], "broken")
    assert book.items.failures(9) == (1, [Failure("b", "import", "broken", 2)])
    found = book.list(listed("a"), listed("b"), most_tries=0)
    assert found == Listing(2, 0, 0, 0, 1, 0, acknowledged=1)


@pytest.mark.parametrize("changed", [listed("a", size=2), listed("a", mtime_ns=2)])
def test_a_change_of_the_file_ends_it(book: Book, changed: object) -> None:
    found = book.list(changed, listed("b"), most_tries=3)  # type: ignore[arg-type]
    assert (found.acknowledged, acknowledged(book)) == (0, 0)
    assert book.listed_paths() == ["a", "b"]
    book.failed(book.add()["a"], "broken")
    assert book.items.failures(0)[0] == 1


@pytest.mark.parametrize("asked", [{"most_tries": None}, {"again": True, "most_tries": 3}])
def test_what_is_tried_all_the_same_counts_again_when_it_fails(
    book: Book, asked: dict[str, bool | int | None]
) -> None:
    found = book.list(listed("a"), listed("b"), **asked)  # type: ignore[arg-type]
    assert (found.acknowledged, acknowledged(book)) == (0, 0)
    for each in book.add().values():
        book.failed(each, "broken")
    assert book.items.failures(0)[0] == 2


def test_it_can_be_taken_back(book: Book) -> None:
    take_back(book.file, [1])
    assert (acknowledged(book), book.items.failures(0)[0]) == (0, 2)
    book.list(listed("a"), listed("b"), most_tries=3)
    assert book.listed_paths() == ["a", "b"]


def test_what_did_not_fail_cannot_be_acknowledged(book: Book) -> None:
    number = book.add("c")["c"]
    acknowledge(book.file, [number], "nia", None)
    book.imported(number)
    acknowledge(book.file, [number], "nia", None)
    assert acknowledged(book) == 1


def test_what_cannot_be_listed_can_be_acknowledged(book: Book) -> None:
    problem = ListingProblem("pipe", "is no regular file")
    assert book.list(listed("a"), listed("b"), problem, most_tries=3).problems == 1
    ((number,),) = book.rows("select id from item where path = 'pipe'")
    acknowledge(book.file, [number], "nia", None)  # type: ignore[list-item]
    book.next_run("third")
    found = book.list(listed("a"), listed("b"), problem, most_tries=3)
    assert (found.total, found.problems, found.acknowledged) == (3, 0, 2)
    assert "pipe" not in [each.path for each in book.items.failures(9)[1]]
    # The listing was not whole: what is not in it may be behind the problem.
    book.list(listed("a"), problem, most_tries=3)
    assert book.rows("select count(*) from item where path = 'b'") == [(1,)]


def test_it_is_forgotten_with_a_file_that_is_gone(book: Book) -> None:
    book.list(listed("b"), most_tries=3)
    assert acknowledged(book) == 0


def test_its_file_is_neither_moved_nor_deleted(book: Book) -> None:
    assert [each.path for each in book.disposals.left(0, 9, 3)] == ["b"]
    assert book.disposals.due_at("a") is None
    assert book.disposals.failed_in_source() == (1, 0)


def test_it_is_counted_apart_in_the_summary_and_the_progress_log(book: Book) -> None:
    (scope,) = summarise(book.file.connection, None, None, 9)
    assert (scope.total, scope.failed, scope.acknowledged, scope.succeeded) == (2, 1, 1, 0)
    assert [(each.items, each.path) for each in scope.causes] == [(1, "b")]
    assert [each.path for each in scope.acknowledgements] == ["a"]
    assert {each.path: each.acknowledged for each in item_progress(book.scope)} == {
        "a": True,
        "b": False,
    }
