"""What a reset of a run makes importable again: all whose rows may be gone, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.items.work_item import Plan
from imports.ledger import Undone, UndonePlaces, count_undone, known_runs, undo_runs
from tests.support.book import Book, gathered, hashed, listed, picture


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", run_name="first")
    yield book
    book.file.close()


def test_items_of_the_run_and_those_of_it_that_a_later_run_took_again(book: Book) -> None:
    ids = book.add("before", "again")
    book.imported(*ids.values())
    book.next_run("second")
    ids |= book.add("own", "own and again")
    book.list(listed("again", size=2), whole=False)
    book.add()
    book.imported(ids["own"], ids["own and again"], ids["again"])
    book.next_run("third")
    ids |= book.add("later")
    book.list(listed("own and again"), whole=False, again=True)
    book.add()
    book.imported(ids["own and again"], ids["later"])
    assert undo_runs(book.file, ["second"]) == Undone(3, 0)
    assert sorted(book.listed_paths()) == ["again", "own", "own and again"]
    assert undo_runs(book.file, ["second"]) == Undone(0, 0)
    assert undo_runs(book.file, ["nobody's"]) == Undone(0, 0)


def test_a_half_imported_item_begins_again_and_an_item_without_rows_stays(book: Book) -> None:
    ids = book.add("pieces", "some records", "none", "planned")
    book.queue.record_piece(ids["pieces"], 7, {}, (1.0, 2.0), 7, [])
    some = ids["some records"]
    book.queue.record_imported([some], [(some, "1 of 2")], {}, (1.0, 2.0), {some: 1})
    book.failed(ids["none"])
    assert undo_runs(book.file, ["first"]) == Undone(2, 0)
    states = dict(book.rows("select path, state from item"))
    assert states == {
        "pieces": "listed",
        "some records": "listed",
        "none": "failed",
        "planned": "planned",
    }
    assert book.rows("select sum(records_done), sum(succeeded) from item") == [(0, 0)]


def test_an_item_whose_file_is_gone_is_deleted_and_its_disposal_stays(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    book.disposed(ids["a"], moved_to="/done/a")
    assert undo_runs(book.file, ["first"]) == Undone(1, 1)
    assert book.rows("select path from item") == [("b",)]
    assert book.rows("select path, moved_to from disposal") == [("a", "/done/a")]


def test_images_are_checked_again_whichever_run_saw_them(book: Book) -> None:
    shared, other = picture("shared"), picture("other")
    ids = book.add("a", "b")
    book.plan(Plan(ids["a"], images=(shared,)), Plan(ids["b"], images=(other,)))
    book.images.record_hashes([hashed(shared, "1"), hashed(other, "2")], [])
    book.images.record_stored(["1", "2"], {})
    book.imported(ids["a"])
    book.next_run("second")
    book.images.record_stored(["1", "2"], {})
    book.plan(Plan(book.add("c")["c"], images=(shared,)))
    assert [*gathered(book.images, "unstored", 9)] == []
    undo_runs(book.file, ["first"])
    assert book.rows("select distinct sha256 from seen_stored") == [("2",)]
    (images,) = gathered(book.images, "unstored", 9)
    assert [image.sha256 for image in images] == ["1"]


def test_the_run_cannot_be_resumed(book: Book) -> None:
    assert not book.runs.was_reset("first")
    undo_runs(book.file, ["first"])
    assert book.runs.was_reset("first")
    assert not book.runs.was_reset("second")


def test_a_run_has_a_batch_id_for_each_cycle(book: Book) -> None:
    assert book.runs.cycles("first") == ["first"]
    book.runs.add_counts("first", {"cycles": 2})
    assert book.runs.cycles("first") == ["first", "first.2", "first.3"]
    assert book.runs.cycles("nobody's") == ["nobody's"]


def test_counting_what_would_be_undone_undoes_nothing(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    book.disposed(ids["a"], moved_to="/done/a")
    for _ in range(2):
        assert count_undone(book.file, ["first"]) == (Undone(1, 1), UndonePlaces(0, 0))
    assert book.rows("select distinct state from item") == [("imported",)]
    assert not book.runs.was_reset("first")


def test_a_run_is_known_with_its_scope(book: Book) -> None:
    (known,) = known_runs(book.file.connection, "first")
    assert book.rows("select id, kind, source, tag, target_id from scope") == [known[:-1]]
    assert known.run_name == "first"
    assert known_runs(book.file.connection, "nobody's") == []
