"""What the ledger remembers of records that were left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.ledger.summary import summarise, warned_items
from imports.work_item import ItemState, LeftOut, Signature
from tests.support.book import TOOK, Book, listed


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db")
    yield book
    book.file.close()


def left_out(book: Book, item_id: int, *numbers: int) -> None:
    """Imports an item without these of its records."""
    records = [LeftOut(item_id, number, f"record {number}") for number in numbers]
    book.queue.record_imported([item_id], [], {}, TOOK, left_out=records)


def test_what_was_left_out_is_counted_and_listed(book: Book) -> None:
    ids = book.add("a", "b", "c")
    left_out(book, ids["a"], 3, 1)
    left_out(book, ids["b"], 2)
    book.imported(ids["c"])
    assert book.left_out.records(2) == (3, [("a", "record 1"), ("a", "record 3")])
    connection = book.file.connection
    assert [(each.path, each.warnings) for each in warned_items(connection, None, None, 2)] == [
        ("a", ["record record 1 is left out: what it refers to is not in the target"]),
        ("a", ["record record 3 is left out: what it refers to is not in the target"]),
    ]
    assert list(warned_items(connection, "people", None, None)) == []
    assert list(warned_items(connection, None, "another", None)) == []
    assert summarise(connection, None, None, 5)[0].left_out == 3


def test_only_another_run_tries_it_again(book: Book) -> None:
    ids = book.add("a", "b")
    left_out(book, ids["a"], 1)
    book.imported(ids["b"])
    assert book.left_out.of_earlier_runs() == []
    book.next_run("another")
    assert book.left_out.of_earlier_runs() == [(ids["a"], Signature(1, 1))]
    book.items.import_again(book.left_out.of_earlier_runs())
    assert book.listed_paths() == ["a"]
    assert book.left_out.records(9) == (0, [])
    book.add()
    book.imported(ids["a"])
    assert book.left_out.records(9) == (0, [])


@pytest.mark.parametrize("grouped", [True, False])
def test_an_item_that_begins_anew_forgets_it(book: Book, grouped: bool) -> None:
    ids = book.add("a", "b", group=1) if grouped else book.add("a")
    left_out(book, ids["a"], 1, 2)
    if grouped:
        book.imported(ids["b"])
        book.items.import_again([(ids["b"], Signature(1, 1))])
    else:
        book.list(listed("a", size=2))
    assert book.rows("select * from record_left_out") == []
    book.add()
    left_out(book, ids["a"], 2)
    assert book.left_out.records(9) == (1, [("a", "record 2")])


def test_what_is_gone_is_forgotten(book: Book) -> None:
    ids = book.add("a", "b")
    left_out(book, ids["a"], 1)
    book.list(listed("b"))
    assert book.rows("select * from record_left_out") == []


def test_pieces_of_a_large_item_add_to_it(book: Book) -> None:
    ids = book.add("a")
    for done, numbers in ((5, (1, 3)), (9, (7,))):
        records = [LeftOut(ids["a"], number, str(number)) for number in numbers]
        book.queue.record_piece(ids["a"], done, {}, TOOK, 0, [], records)
    book.queue.record_imported([ids["a"]], [], {}, TOOK)
    assert book.left_out.records(9) == (3, [("a", "1"), ("a", "3"), ("a", "7")])


def test_a_file_with_such_a_record_stays_in_its_source(book: Book) -> None:
    """Elsewhere the record is not."""
    ids = book.add("a", "b", "c")
    left_out(book, ids["a"], 1)
    book.imported(ids["b"])
    records = [LeftOut(ids["c"], 1, "c")]
    book.queue.record_imported([ids["c"]], [(ids["c"], "bad")], {}, TOOK, left_out=records)
    assert book.items.count(ItemState.FAILED) == 1
    assert [item.path for item in book.disposals.due([*ids.values()])] == ["b", "c"]
