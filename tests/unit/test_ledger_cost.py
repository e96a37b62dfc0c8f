"""What the ledger asks of SQLite, in steps of its machine: it must not grow with what is done.

Steps are counted, not seconds: other work on the machine does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from imports.items.records import ExemptRecord, RecordFailure, RowOutcome
from imports.items.work_item import ItemState, Plan
from imports.ledger import DisposedItem, StableSince, item_progress
from imports.ledger.queue import MOST_WEIGHT
from tests.support.book import TOOK, Book, hashed, listed, picture

FEW, MANY = 600, 6_000
_STEPS = 20


def full(folder: Path, count: int, state: str, *, disposed: bool) -> Book:
    """A ledger with so many items of a state, and none else."""
    folder.mkdir(exist_ok=True)
    book = Book(folder / f"{count}.db", kind="people")
    moment = 1.0 if disposed else None
    with book.file.transaction() as connection:
        connection.executemany(
            "insert into item (scope_id, path, size, mtime_ns, state, phase, reason, cause, tries,"
            " updated_at, disposed_at) values (?, ?, 4000, 1, ?, 'import', 'r', 'c', 3, 1, ?)",
            [
                (book.scope_id, f"{number % 97}/{number:06}.json", state, moment)
                for number in range(count)
            ],
        )
    return book


def steps(book: Book, work: Callable[[Book], object]) -> int:
    """The steps of SQLite's machine that some work takes, more or less."""
    seen = 0

    def count() -> int:
        nonlocal seen
        seen += _STEPS
        return 0

    book.file.connection.set_progress_handler(count, _STEPS)
    work(book)
    book.file.connection.set_progress_handler(None, 0)
    return seen


def growth(
    folder: Path, work: Callable[[Book], object], state: str, *, disposed: bool = False
) -> float:
    """How many times as much some work is among ten times as many items."""
    found = []
    for count in (FEW, MANY):
        book = full(folder, count, state, disposed=disposed)
        found.append(steps(book, work))
        book.file.close()
    return (found[1] + 500) / (found[0] + 500)


def dispose_some(book: Book) -> None:
    items = [
        DisposedItem(number, problem=None if number % 3 else "denied") for number in range(1, 65)
    ]
    book.disposals.record(items)


def all_pages(book: Book) -> None:
    after = 0
    while page := book.disposals.left(after, 100, 3):
        after = page[-1].id


def record_piece(book: Book) -> None:
    failures = [RecordFailure(7, number, "x", "bad") for number in range(20)]
    book.queue.record_piece(7, 500, {"import.inserted": 480}, TOOK, 480, failures)
    assert len(book.queue.record_failures(7)) == 20


def record_batch(book: Book) -> None:
    ids = list(range(1, 51))
    failures = [RecordFailure(number, 0, "x", "bad") for number in ids[:9]]
    book.queue.record_imported(
        ids,
        [(number, "bad") for number in ids[:9]],
        {"import.inserted": 41},
        TOOK,
        dict.fromkeys(ids, 1),
        failures,
    )


def look_again(book: Book) -> None:
    book.list(*(listed(f"new/{number}") for number in range(5)), most_tries=0)


def list_twice(book: Book) -> None:
    """As a source is listed whose files all stay."""
    entries = [
        listed(str(path), 4_000)
        for (path,) in book.file.connection.execute("select path from item").fetchall()
    ]
    book.list(*entries)
    book.list(*entries, most_tries=0)


@pytest.mark.parametrize("state", ["imported", "failed"])
def test_what_is_due_of_a_batch_costs_the_same_among_any_number_of_items(
    tmp_path: Path, state: str
) -> None:
    """It is asked for after every batch: else all batches together are quadratic."""

    def work(book: Book) -> None:
        assert len(book.disposals.due(list(range(401, 465)))) == 64

    assert growth(tmp_path, work, state) < 1.5


def record_flawed(book: Book) -> None:
    """Each of some images, of which half had been hashed before, is named by one item."""
    files = [picture(str(number)) for number in range(64)]
    plans = [Plan(number, images=(files[number],)) for number in range(1, 64)]
    for images in (files[:32], files):
        book.items.record_plans(plans, {})
        book.images.record_hashes([hashed(file, "1")._replace(flaw="x") for file in images], [])


@pytest.mark.parametrize(
    "work",
    [dispose_some, record_piece, record_batch, record_flawed],
    ids=lambda each: str(each.__name__),
)
@pytest.mark.parametrize("state", ["imported", "planned"])
def test_recording_a_batch_costs_the_same_with_any_number_of_items(
    tmp_path: Path, work: Callable[[Book], object], state: str
) -> None:
    assert growth(tmp_path, work, state) < 1.5


@pytest.mark.parametrize("state", ["imported", "failed"])
@pytest.mark.parametrize("disposed", [False, True])
def test_all_pages_of_what_is_left_cost_as_much_as_there_are_items(
    tmp_path: Path, state: str, disposed: bool
) -> None:
    assert growth(tmp_path, all_pages, state, disposed=disposed) < 15


@pytest.mark.parametrize(
    "work",
    [
        lambda book: book.items.listed(StableSince(5.0, 5.0)),
        lambda book: list(book.listed_items(None, 250, 4_000_000, StableSince(5.0, 5.0))),
        lambda book: book.items.failures(10),
        lambda book: book.items.unfinished(10),
        lambda book: book.disposals.problems(10),
        lambda book: book.disposals.forget_problems(),
        lambda book: book.queue.open(ItemState.PLANNED, None, 64_000_000),
        lambda book: book.queue.large(),
        lambda book: book.queue.record_failures(7),
    ],
    ids=[
        "listed",
        "items",
        "failures",
        "unfinished",
        "problems",
        "forget",
        "open",
        "large",
        "failed",
    ],
)
def test_what_is_imported_and_gone_costs_nothing_any_more(
    tmp_path: Path, work: Callable[[Book], object]
) -> None:
    def prepared(book: Book) -> object:
        book.queue.open(ItemState.PLANNED, None)
        return work(book)

    assert growth(tmp_path, prepared, "imported", disposed=True) < 1.5


def test_another_look_at_a_source_costs_next_to_nothing_for_what_was_in_it(tmp_path: Path) -> None:
    """With `--watch` there is one for every few files that come: an index alone may count them."""
    book = full(tmp_path, MANY, "imported", disposed=True)
    assert steps(book, look_again) / MANY < 10
    assert steps(book, look_again) / MANY < 10
    book.file.close()


@pytest.mark.parametrize(
    ("work", "state"),
    [
        (list_twice, "imported"),
        (list_twice, "failed"),
        (list_twice, "listed"),
        (lambda book: list(book.listed_items(None, 250, 400_000, StableSince(5.0, 5.0))), "listed"),
        (lambda book: book.items.failures(10), "failed"),
        (lambda book: list(item_progress(book.scope)), "imported"),
        (lambda book: book.batches(100), "planned"),
        (lambda book: book.batches(100, ItemState.IMPORTED), "imported"),
    ],
    ids=[
        "list imported",
        "list failed",
        "list listed",
        "listed_items",
        "failures",
        "progress",
        "batches",
        "batches to verify",
    ],
)
def test_what_goes_through_all_items_costs_as_much_as_there_are(
    tmp_path: Path, work: Callable[[Book], object], state: str
) -> None:
    assert growth(tmp_path, work, state) < 15


def test_the_batches_of_items_with_many_rows_cost_as_much_as_there_are_items(
    tmp_path: Path,
) -> None:
    def work(book: Book) -> None:
        book.file.connection.execute("update item set weight = 400, chunk = id / 250 + 1")
        assert max(len(batch) for batch in book.batches(500)) == MOST_WEIGHT // 400

    assert growth(tmp_path, work, "planned") < 15


def test_the_failed_records_of_one_item_are_found_among_those_of_many(tmp_path: Path) -> None:
    def work(book: Book) -> None:
        assert len(book.queue.record_failures(5)) == 2

    found = []
    for count in (10, 5_000):
        book = Book(tmp_path / f"{count}.db")
        with book.file.transaction() as connection:
            connection.executemany(
                "insert into record_failure values (?, ?, '', 'bad')",
                [(item, number) for item in range(count) for number in range(2)],
            )
        found.append(steps(book, work))
        book.file.close()
    assert found[1] <= found[0] + 2 * _STEPS


def look_for_what_came(book: Book) -> None:
    book.lacking.begin()
    assert book.lacking.count().items == 0
    assert book.lacking.count_items(ItemState.IMPORTED) == 0
    assert book.images.open_planned() == 0
    assert book.items.warnings(9) == (0, [])


def test_where_no_image_is_missing_looking_for_them_costs_the_same_among_any_number_of_items(
    tmp_path: Path,
) -> None:
    assert growth(tmp_path, look_for_what_came, "imported") < 1.5


def test_a_piece_costs_the_same_however_many_records_of_the_item_were_left_out(
    tmp_path: Path,
) -> None:
    found = []
    for count in (FEW, MANY):
        book = full(tmp_path, 1, "planned", disposed=False)
        (before, after) = (
            [ExemptRecord(1, number, "7/camera1.jpg", RowOutcome.LEFT_OUT) for number in numbers]
            for numbers in (range(count), range(count, count + 64))
        )
        book.queue.record_piece(1, count, {}, TOOK, 0, [], before)

        def last_piece(book: Book, after: list[ExemptRecord] = after) -> None:
            book.queue.record_piece(1, 1, {}, TOOK, 0, [], after)

        found.append(steps(book, last_piece))
        assert book.exempt.records(RowOutcome.LEFT_OUT, 0).total == count + 64
        book.file.close()
        (tmp_path / "1.db").unlink()
    assert found[1] < 1.5 * found[0]
