from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.items.work_item import Plan
from imports.ledger import Scope, undo_runs
from imports.ledger.summary import BatchSummary, CauseSummary, ScopeSummary, summarise
from tests.support.book import STATE_FILE, Book, listed


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", kind="folders", tag="line")
    yield book
    book.file.close()


def summaries(
    book: Book, kind: str | None = None, tag: str | None = None, limit: int = 10
) -> list[ScopeSummary]:
    return summarise(book.file.connection, kind, tag, limit)


def summary(book: Book, limit: int = 10) -> ScopeSummary:
    (only,) = summaries(book, limit=limit)
    return only


def another(book: Book, kind: str, source: str, tag: str, run_name: str, *paths: str) -> None:
    """A scope of its own with a run and planned items."""
    scope = book.runs.scope(kind, source, tag, "target")
    book.runs.begin_run(scope, run_name, run_name, STATE_FILE)
    book.use(Scope(book.file, scope, run_name))
    book.add(*paths)


def test_a_ledger_without_items_has_no_summary(book: Book) -> None:
    assert summaries(book) == []


def test_items_are_counted_by_state(book: Book) -> None:
    ids = book.add("a", "b", "c", "d", "e", "f")
    book.imported(ids["a"], ids["b"], ids["c"])
    book.failed(ids["d"])
    book.list(listed("g"), whole=False)
    found = summary(book)
    assert (found.kind, found.source, found.tag) == ("folders", "/data", "line")
    assert (found.total, found.succeeded, found.pending, found.failed) == (7, 3, 3, 1)


def test_the_last_batches_come_first_with_how_long_they_took(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.queue.record_imported([ids["a"], ids["b"]], [(ids["b"], "refused")], {}, (10.0, 12.5))
    book.queue.record_imported([ids["c"]], [], {}, (12.5, 12.5))
    found = summary(book)
    assert found.batches == [
        BatchSummary("batch_00002", 1, 0, 12.5, 12.5),
        BatchSummary("batch_00001", 2, 1, 10.0, 12.5),
    ]
    assert [batch.seconds for batch in found.batches] == [0.0, 2.5]
    assert summary(book, limit=1).batches == found.batches[:1]


def test_the_most_frequent_causes_come_first_with_an_example_each(book: Book) -> None:
    ids = book.add(*"abcdef")
    for path, reason in (
        ("a", "is empty"),
        ("b", "record b: line 7 is bad"),
        ("c", "record c: line 12 is bad"),
        ("d", "record d: line 1 is bad"),
        ("e", "is empty"),
        ("f", "too large"),
    ):
        book.failed(ids[path], reason)
    found = summary(book)
    assert found.causes == [
        CauseSummary("line … is bad", 3, "b", "import", "record b: line 7 is bad", 1),
        CauseSummary("is empty", 2, "a", "import", "is empty", 1),
        CauseSummary("too large", 1, "f", "import", "too large", 1),
    ]
    assert summary(book, limit=2).causes == found.causes[:2]


def test_a_fixed_cause_is_not_reported(book: Book) -> None:
    book.failed(book.add("a", "b")["a"])
    book.list(listed("a"), listed("b"))
    book.imported(*book.add().values())
    assert summary(book).causes == []


def test_an_example_has_its_phase_and_its_number_of_tries(book: Book) -> None:
    book.failed(*book.add("a").values(), "is empty")
    book.next_run("later")
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, failure="is empty"))
    assert summary(book).causes == [CauseSummary("is empty", 1, "a", "planning", "is empty", 2)]


def test_scopes_are_separate_and_the_one_with_the_latest_run_comes_first(book: Book) -> None:
    book.add("a")
    another(book, "states", "/states", "Aug", "batch 2", "x", "y")
    another(book, "folders", "/data", "other", "batch 3", "z")
    assert [(each.kind, each.tag, each.total) for each in summaries(book)] == [
        ("folders", "other", 1),
        ("states", "Aug", 2),
        ("folders", "line", 1),
    ]
    assert [each.tag for each in summaries(book, kind="folders")] == ["other", "line"]
    assert [each.kind for each in summaries(book, tag="Aug")] == ["states"]
    assert [each.tag for each in summaries(book, kind="folders", tag="line")] == ["line"]
    assert summaries(book, kind="states", tag="line") == []
    assert summaries(book, kind="people") == []


def test_a_summary_has_only_the_items_batches_and_causes_of_its_scope(book: Book) -> None:
    book.failed(*book.add("a").values(), "is empty")
    another(book, "states", "/states", "Aug", "batch 2", "x")
    theirs, mine = summaries(book)
    assert (theirs.batches, theirs.causes, theirs.failed) == ([], [], 0)
    assert len(mine.batches) == len(mine.causes) == mine.failed == 1


def test_the_batches_of_a_run_that_was_reset_say_so(book: Book) -> None:
    book.imported(*book.add("a").values())
    undo_runs(book.file, ["batch"])
    book.next_run("next")
    book.imported(*book.add("a").values())
    later, earlier = summary(book).batches
    assert (later.name, later.reset_at) == ("next_00001", None)
    assert (earlier.name, earlier.reset_at is None) == ("batch_00001", False)
