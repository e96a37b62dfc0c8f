"""What the ledger remembers of records that were left out, or are guarded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.items.records import ExemptRecord, ExemptRecords, RowOutcome
from imports.items.source import Signature
from imports.items.work_item import ItemState
from imports.ledger.summary import summarise, warned_items
from tests.support.book import TOOK, Book, listed

LEFT_OUT, GUARDED = RowOutcome.LEFT_OUT, RowOutcome.GUARDED


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db")
    yield book
    book.file.close()


def records(item_id: int, *numbers: int, outcome: RowOutcome = LEFT_OUT) -> list[ExemptRecord]:
    return [ExemptRecord(item_id, number, f"record {number}", outcome) for number in numbers]


def left_out(book: Book, item_id: int, *numbers: int) -> None:
    """Imports an item without these of its records."""
    book.queue.record_imported([item_id], [], {}, TOOK, exempt=records(item_id, *numbers))


def test_what_was_left_out_or_is_guarded_is_counted_and_listed(book: Book) -> None:
    ids = book.add("a", "b", "c")
    exempt = records(ids["a"], 3, 1) + records(ids["a"], 2, outcome=GUARDED)
    exempt += records(ids["b"], 2)
    book.queue.record_imported([*ids.values()], [], {}, TOOK, exempt=exempt)
    first = [("a", "record 1"), ("a", "record 3")]
    assert book.exempt.records(LEFT_OUT, 2) == ExemptRecords(3, first)
    assert book.exempt.records(GUARDED, 2) == ExemptRecords(1, [("a", "record 2")])
    connection = book.file.connection
    assert [(each.path, *each.warnings) for each in warned_items(connection, None, None, 2)] == [
        ("a", "record record 1 is left out: the row that it refers to is not in the target"),
        ("a", "record record 2 is guarded: the stored row is never changed"),
    ]
    assert list(warned_items(connection, "people", None, None)) == []
    assert list(warned_items(connection, None, "another", None)) == []
    (scope,) = summarise(connection, None, None, 5)
    assert (scope.left_out, scope.guarded) == (3, 1)


def test_only_another_run_tries_it_again(book: Book) -> None:
    ids = book.add("a", "b")
    left_out(book, ids["a"], 1)
    book.imported(ids["b"])
    guarded = records(ids["b"], 1, outcome=GUARDED)
    book.queue.record_imported([ids["b"]], [], {}, TOOK, exempt=guarded)
    assert book.exempt.left_out_before() == []
    book.next_run("another")
    assert book.exempt.left_out_before() == [(ids["a"], Signature(1, 1))]
    book.items.import_again(book.exempt.left_out_before())
    assert book.listed_paths() == ["a"]
    assert book.exempt.records(LEFT_OUT, 9) == ExemptRecords()
    book.add()
    book.imported(ids["a"])
    assert book.exempt.records(LEFT_OUT, 9) == ExemptRecords()


@pytest.mark.parametrize("grouped", [True, False])
def test_an_item_that_begins_again_has_no_exempt_records(book: Book, grouped: bool) -> None:
    ids = book.add("a", "b", group=1) if grouped else book.add("a")
    left_out(book, ids["a"], 1, 2)
    if grouped:
        book.imported(ids["b"])
        book.items.import_again([(ids["b"], Signature(1, 1))])
    else:
        book.list(listed("a", size=2))
    assert book.rows("select * from record_exempt") == []
    book.add()
    left_out(book, ids["a"], 2)
    assert book.exempt.records(LEFT_OUT, 9) == ExemptRecords(1, [("a", "record 2")])


def test_what_is_gone_is_forgotten(book: Book) -> None:
    ids = book.add("a", "b")
    left_out(book, ids["a"], 1)
    book.list(listed("b"))
    assert book.rows("select * from record_exempt") == []


def test_pieces_of_a_large_item_add_to_it(book: Book) -> None:
    ids = book.add("a")
    for done, numbers in ((5, (1, 3)), (9, (7,))):
        book.queue.record_piece(ids["a"], done, {}, TOOK, 0, [], records(ids["a"], *numbers))
    book.queue.record_imported([ids["a"]], [], {}, TOOK)
    assert book.exempt.records(LEFT_OUT, 1) == ExemptRecords(3, [("a", "record 1")])


def test_a_file_with_such_a_record_stays_in_its_source(book: Book) -> None:
    """Elsewhere the record is not."""
    ids = book.add("a", "b", "c")
    left_out(book, ids["a"], 1)
    guarded = records(ids["b"], 1, outcome=GUARDED)
    book.queue.record_imported([ids["b"]], [], {}, TOOK, exempt=guarded)
    failed = records(ids["c"], 1)
    book.queue.record_imported([ids["c"]], [(ids["c"], "bad")], {}, TOOK, exempt=failed)
    assert book.items.count(ItemState.FAILED) == 1
    assert [item.path for item in book.disposals.due([*ids.values()])] == ["b", "c"]
