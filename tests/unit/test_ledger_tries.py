"""How often a failed item is tried, and what is remembered of each failure and each batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from imports.items.images import ImageFile
from imports.items.phase import Phase
from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState, Plan
from imports.ledger import Listing, Scope
from imports.source.tree import ListingProblem
from tests.support.book import TOOK, Book, hashed, listed, picture


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db")
    yield book
    book.file.close()


def runs_until_given_up(book: Book, most_tries: int | None, at_most: int = 6) -> int:
    """How many runs try an item that always fails."""
    for number in range(at_most):
        book.next_run(f"batch {number}")
        book.list(listed("a"), most_tries=most_tries)
        planned = book.add()
        if not planned:
            return number
        book.failed(planned["a"])
    return at_most


def tries(book: Book, path: str = "a") -> int:
    ((found,),) = book.rows(f"select tries from item where path = '{path}'")
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("most_tries", "runs"), [(0, 1), (1, 1), (2, 2), (3, 3), (5, 5), (None, 6)]
)
def test_an_item_is_tried_by_so_many_runs_and_no_more(
    book: Book, most_tries: int | None, runs: int
) -> None:
    assert runs_until_given_up(book, most_tries) == runs
    assert tries(book) == runs


def test_what_failed_too_often_is_counted_as_given_up_and_stays_a_failure(book: Book) -> None:
    runs_until_given_up(book, 3)
    book.next_run("another")
    found = book.list(listed("a"), listed("b"), most_tries=3)
    assert found == Listing(total=2, new=1, changed=0, unchanged=0, given_up=1, problems=0)
    assert book.listed_paths() == ["b"]
    assert book.items.failures(9) == (1, [Failure("a", "import", "refused", 3)])


def test_a_run_that_is_resumed_does_not_import_good_records_of_a_failed_item_twice(
    book: Book,
) -> None:
    """Else they are counted twice: the target answers as it did before."""
    book.next_run("first")
    ids = book.add("none went in", "one went in")
    for path, number in ids.items():
        succeeded = {number: 1} if path == "one went in" else {}
        book.queue.record_imported([number], [(number, "refused")], {}, TOOK, succeeded)
    entries = [listed(path) for path in ids]
    book.list(*entries, most_tries=3)
    assert book.listed_paths() == ["none went in"]
    assert book.items.failures(9)[0] == 1, "it is still a failure of this run"
    book.next_run("second")
    book.list(*entries, most_tries=3)
    assert book.listed_paths() == ["none went in", "one went in"]


def test_a_higher_limit_or_none_has_it_tried_again(book: Book) -> None:
    runs_until_given_up(book, 3)
    book.next_run("another")
    assert book.list(listed("a"), most_tries=4).given_up == 0
    assert book.listed_paths() == ["a"]
    book.failed(*book.add().values())
    book.next_run("yet another")
    assert book.list(listed("a"), most_tries=4).given_up == 1
    assert book.list(listed("a"), most_tries=None).given_up == 0
    assert book.listed_paths() == ["a"]


def test_a_scan_alone_tries_nothing_again_and_has_what_failed_stay_failed(book: Book) -> None:
    book.failed(*book.add("a").values())
    book.next_run("scan")
    found = book.list(listed("a"), listed("b"), most_tries=0)
    assert found == Listing(total=2, new=1, changed=0, unchanged=0, given_up=1, problems=0)
    assert book.items.failures(9) == (1, [Failure("a", "import", "refused", 1)])
    assert book.listed_paths() == ["b"]
    book.list(listed("a"), listed("b"), most_tries=3)
    assert book.listed_paths() == ["b", "a"]


def test_force_has_it_tried_again_however_often_it_failed(book: Book) -> None:
    runs_until_given_up(book, 3)
    book.next_run("another")
    found = book.list(listed("a"), again=True, most_tries=3)
    assert (found.given_up, found.changed) == (0, 1)
    assert book.listed_paths() == ["a"]


@pytest.mark.parametrize(
    "changed", [listed("a", size=2), listed("a", mtime_ns=2), listed("a", digest="other")]
)
def test_a_change_of_the_item_gives_it_all_its_tries_again(book: Book, changed: object) -> None:
    runs_until_given_up(book, 3)
    book.next_run("another")
    assert book.list(changed, most_tries=3).given_up == 0  # type: ignore[arg-type]
    assert tries(book) == 0
    book.failed(*book.add().values())
    assert tries(book) == 1


def test_a_run_that_is_resumed_is_one_try_however_often_it_is(book: Book) -> None:
    for _ in range(4):
        book.list(listed("a"), most_tries=3)
        book.failed(*book.add().values())
        assert tries(book) == 1
    book.next_run("another")
    book.list(listed("a"), most_tries=3)
    book.failed(*book.add().values())
    assert tries(book) == 2


def test_a_changed_item_that_fails_in_the_same_run_once_more_is_one_try(book: Book) -> None:
    book.failed(*book.add("a").values())
    book.list(listed("a", size=2), most_tries=3)
    assert tries(book) == 0
    book.failed(*book.add().values())
    assert tries(book) == 1


def test_a_failure_of_any_phase_is_a_try(book: Book) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, failure="is not JSON"))
    assert tries(book) == 1

    book.next_run("2")
    book.list(listed("a"), most_tries=3)
    book.plan(Plan(item.id, images=(picture("one"),)))
    book.images.record_hashes([hashed(picture("one"), "11")], [])
    assert book.items.record_upload_failure("11", "too large") == ["a"]
    assert tries(book) == 2

    book.next_run("3")
    book.list(listed("a"), most_tries=3)
    book.failed(*book.add().values())
    assert book.items.failures(9) == (1, [Failure("a", "import", "refused", 3)])


def test_several_failures_in_one_run_are_one_try_and_all_remembered(book: Book) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    files = [
        ImageFile("/images/1.png", Signature(1, 1)),
        ImageFile("/images/2.png", Signature(1, 1)),
    ]
    book.plan(Plan(item.id, images=tuple(files)))
    book.images.record_hashes([hashed(files[0], "11"), hashed(files[1], "22")], [])
    for sha256 in ("11", "22"):
        assert book.items.record_upload_failure(sha256, f"image {sha256}: too large") == ["a"]
    assert tries(book) == 1
    assert len(book.rows("select 1 from failure")) == 2


# Problems of listing

PROBLEM = ListingProblem("a", "cannot be listed: Permission denied")


def test_a_problem_of_listing_is_a_failure_that_is_counted_and_limited(book: Book) -> None:
    for number in (1, 2, 3):
        book.next_run(f"batch {number}")
        found = book.list(listed("b"), PROBLEM, most_tries=3)
        assert (found.total, found.problems, found.given_up) == (2, 1, 0)
        reason = "cannot be listed: Permission denied"
        assert book.items.failures(9) == (1, [Failure("a", "planning", reason, number)])
    book.next_run("batch 4")
    found = book.list(listed("b"), PROBLEM, most_tries=3)
    assert (found.problems, found.given_up) == (1, 1)
    assert tries(book) == 3
    assert len(book.rows("select 1 from failure")) == 3


def test_a_problem_of_listing_in_a_resumed_run_is_one_try(book: Book) -> None:
    for _ in range(3):
        book.list(PROBLEM, most_tries=3)
    assert tries(book) == 1


def test_an_item_that_can_be_listed_again_begins_again(book: Book) -> None:
    for number in range(5):
        book.next_run(f"batch {number}")
        book.list(PROBLEM, most_tries=3)
    book.list(listed("a"), most_tries=3)
    assert book.listed_paths() == ["a"]
    assert tries(book) == 0


def test_an_imported_item_that_cannot_be_listed_any_more_fails_and_none_is_forgotten(
    book: Book,
) -> None:
    book.imported(*book.add("a", "a/b").values())
    book.list(PROBLEM, most_tries=3)
    assert book.items.failures(9)[0] == 1
    assert book.items.count(ItemState.IMPORTED) == 1, "what is below it is not gone"


# The history of errors


def test_every_failure_is_remembered_with_its_run_phase_and_reason(book: Book) -> None:
    ids = book.add("a", "b")
    book.failed(ids["a"], "the first")
    book.failed(ids["b"], "of another")
    book.next_run("later")
    book.list(listed("a"), listed("b"), most_tries=3)
    ((a, b),) = book.listed_items(None, 9)
    book.plan(Plan(a.id, failure="the second"), Plan(b.id))
    book.imported(b.id)
    assert book.rows(
        "select path, batch_id, failure.phase, failure.reason from failure"
        " join item on item.id = item_id order by failure.id"
    ) == [
        ("a", "batch", "import", "the first"),
        ("b", "batch", "import", "of another"),
        ("a", "later", "planning", "the second"),
    ]
    ((first,), *_, (last,)) = book.rows("select failed_at from failure order by id")
    assert isinstance(first, float)
    assert isinstance(last, float)
    assert 1.7e9 < first <= last
    assert book.items.failures(9) == (1, [Failure("a", "planning", "the second", 2)])


def test_an_item_that_is_imported_later_has_no_reason_but_a_history(book: Book) -> None:
    book.failed(*book.add("a").values())
    book.list(listed("a"))
    book.imported(*book.add().values())
    assert book.rows("select state, phase, reason, cause from item") == [
        ("imported", None, None, None)
    ]
    assert len(book.rows("select 1 from failure")) == 1


def test_the_cause_is_kept_beside_the_reason(book: Book) -> None:
    ids = book.add("a", "b", "c")
    for path, number in zip("abc", count(1), strict=False):
        book.failed(ids[path], f"record {path}: line {number} is bad")
    assert book.rows("select distinct cause from item") == [("line … is bad",)]


# What is gone


def test_items_that_are_gone_are_forgotten_with_their_images_and_failures(book: Book) -> None:
    book.list(listed("a"), listed("b"))
    ((a, b),) = book.listed_items(None, 9)
    book.plan(Plan(a.id, images=(picture("a"),)), Plan(b.id, images=(picture("b"),)))
    book.failed(a.id)
    book.failed(b.id)
    book.list(listed("b"))
    assert book.rows("select path from item") == [("b",)]
    assert book.rows("select item_id, path from item_image") == [(b.id, picture("b").path)]
    assert book.rows("select item_id from failure") == [(b.id,)]
    assert book.rows("select folder_path from folder_errors") == [("/data/b",)]


def test_of_other_sources_nothing_is_forgotten(book: Book) -> None:
    other = Scope(book.file, book.runs.scope("states", "/other", "tag", "target"), "batch")
    mine = book.scope
    book.use(other)
    book.failed(*book.add("x").values())
    book.use(mine)
    book.failed(*book.add("a").values())
    book.list(listed("b"))
    assert book.rows("select path from item order by path") == [("b",), ("x",)]
    assert len(book.rows("select 1 from failure")) == 1


# Batches


def test_batches_are_remembered_with_numbers_of_their_run(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.queue.record_imported([ids["a"], ids["b"]], [(ids["b"], "refused")], {}, (10.0, 12.5))
    book.queue.record_imported([ids["c"]], [], {}, (12.5, 13.0))
    book.next_run("later")
    book.queue.record_imported([ids["b"]], [], {}, (20.0, 21.0))
    assert book.rows(
        "select batch_id, number, items, failed, started_at, finished_at from batch order by id"
    ) == [
        ("batch", 1, 2, 1, 10.0, 12.5),
        ("batch", 2, 1, 0, 12.5, 13.0),
        ("later", 1, 1, 0, 20.0, 21.0),
    ]


def test_a_batch_without_imported_items_is_recorded_too(book: Book) -> None:
    ids = book.add("a", "b")
    failures = [(number, "refused") for number in ids.values()]
    book.queue.record_imported([*ids.values()], failures, {}, TOOK)
    assert book.rows("select items, failed from batch") == [(2, 2)]


# A run over a single item


def test_a_run_over_one_item_leaves_the_others_as_they_are(book: Book) -> None:
    book.list(listed("a"), listed("it's"), listed("c"))
    only = Book(Path(book.file.path), run_name="single", only="it's")
    try:
        only.list(listed("it's", size=2), whole=False, again=True)
        assert only.listed_paths() == ["it's"]
        assert only.items.unfinished(9) == (1, [("it's", "listed")])
        ((item,),) = only.listed_items(None, 9)
        only.plan(Plan(item.id))
        assert only.batches(9) == [["it's"]]
        only.failed(item.id)
        assert only.items.failures(9) == (1, [Failure("it's", "import", "refused", 1)])
        assert only.items.count(ItemState.FAILED) == 1
    finally:
        only.file.close()
    assert book.items.unfinished(9) == (2, [("a", "listed"), ("c", "listed")])


def test_a_phase_has_its_name(book: Book) -> None:
    book.list(PROBLEM)
    assert book.rows("select phase from failure") == [(Phase.PLANNING.value,)]
