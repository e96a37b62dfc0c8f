"""What the ledger remembers of files that are done with, and of those that come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from imports.items.records import RecordFailure
from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState, Plan
from imports.ledger import DisposedItem, DueItem, Listing, Scope, disposal
from imports.source.tree import ListingProblem
from tests.support.book import STATE_FILE, TOOK, Book, listed


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", kind="people")
    yield book
    book.file.close()


def due(book: Book, *ids: int) -> list[str]:
    return [item.path for item in book.disposals.due(ids)]


def left(
    book: Book, most_tries: int | None = 3, *, limit: int = 1_000, after: int = 0
) -> list[str]:
    return [item.path for item in book.disposals.left(after, limit, most_tries)]


def states(book: Book) -> dict[object, object]:
    return dict(book.rows("select path, state from item order by path"))  # type: ignore[arg-type]


# What is due


def test_finished_items_are_due_with_what_is_wrong_with_them(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.imported(ids["a"])
    book.failed(ids["b"], "record 1: bad")
    assert book.disposals.due(list(ids.values())) == [
        DueItem(ids["a"], "a", Signature(1, 1), None, again=False),
        DueItem(ids["b"], "b", Signature(1, 1), "record 1: bad", again=False, own=False),
    ]


def test_only_items_that_were_asked_for_are_due(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    assert due(book, ids["b"]) == ["b"]
    assert due(book) == []
    assert due(book, 999) == []


def test_what_is_still_to_be_done_is_not_due(book: Book) -> None:
    ids = book.add("planned")
    book.list(listed("listed"), whole=False)
    assert due(book, *ids.values(), ids["planned"] + 1) == []
    assert left(book) == []


def test_what_was_disposed_of_is_not_due_again(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    book.disposed(ids["a"])
    assert due(book, *ids.values()) == ["b"]
    assert left(book) == ["b"]


def test_what_could_not_be_disposed_of_stays_due(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposals.record([DisposedItem(ids["a"], problem="cannot be deleted: denied")])
    assert due(book, *ids.values()) == left(book) == ["a"]


def test_items_of_other_sources_are_not_due(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    other = book.runs.scope("people", "/other", "tag", "target")
    book.use(Scope(book.file, other, "batch"))
    assert due(book, *ids.values()) == left(book) == []


@pytest.mark.parametrize("path", ["it's", "a' or '1'='1", "薬局/people \U0001f469.json", "."])
def test_a_run_over_a_single_item_disposes_of_it_alone(book: Book, path: str) -> None:
    ids = book.add(path, "other")
    book.imported(*ids.values())
    book.disposals.record([DisposedItem(ids["other"], problem="denied")])
    book.use(Scope(book.file, book.scope_id, "batch", path))
    assert due(book, *ids.values()) == left(book) == [path]
    assert book.disposals.problems(9) == (0, [])
    book.disposed(ids[path])
    assert book.disposals.disposed() == 1
    book.disposals.forget_problems()
    book.use(Scope(book.file, book.scope_id, "batch"))
    assert book.disposals.problems(9)[0] == 1, "the others are left alone"


@pytest.mark.parametrize(("most_tries", "again"), [(None, True), (1, False), (2, False), (3, True)])
def test_an_item_that_failed_before_says_whether_this_run_retries_it(
    book: Book, most_tries: int | None, again: bool
) -> None:
    """`bad` has failed in two runs before this one."""
    for run in ("first", "second"):
        book.next_run(run)
        book.list(listed("bad"), listed("good"), whole=False)
        ids = book.add()
        book.failed(ids["bad"])
    ((good,),) = book.rows("select id from item where path = 'good'")
    assert isinstance(good, int)
    book.imported(good)
    book.next_run("third")
    found = {item.path: item.again for item in book.disposals.left(0, 9, most_tries)}
    assert found == {"bad": again, "good": False}


@pytest.mark.parametrize("most_tries", [None, 1, 9])
def test_what_failed_in_this_run_is_not_tried_again_however_often_it_may_be(
    book: Book, most_tries: int | None
) -> None:
    book.failed(*book.add("a").values())
    assert [item.again for item in book.disposals.left(0, 9, most_tries)] == [False]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 99])
def test_what_is_left_comes_in_pages_that_miss_nothing(book: Book, limit: int) -> None:
    ids = book.add(*"fedcb")
    book.imported(*ids.values())
    found, after = [], 0
    while page := book.disposals.left(after, limit, 3):
        assert len(page) <= limit
        after = page[-1].id
        found += [item.path for item in page]
        # Those in between are not passed over either.
        book.disposed(*(item.id for item in page))
    assert found == list("bcdef")


# What became of files


def test_files_are_counted_as_deleted_or_as_moved_and_others_not_at_all(book: Book) -> None:
    ids = book.add(*"abcd")
    book.imported(ids["a"], ids["b"], ids["d"])
    book.failed(ids["c"])
    book.disposals.record(
        [
            DisposedItem(ids["a"]),
            DisposedItem(ids["b"], "/done/b"),
            DisposedItem(ids["c"], "/failed/c"),
            DisposedItem(ids["d"], problem="cannot be deleted: denied"),
        ]
    )
    book.disposals.record([])
    assert book.runs.counts("batch") == {"import.files_deleted": 1, "import.files_moved": 2}
    assert book.rows(
        "select path, moved_to from item where disposed_at is not null order by path"
    ) == [
        ("a", None),
        ("b", "/done/b"),
        ("c", "/failed/c"),
    ]
    assert book.disposals.disposed() == 2, "of those that are imported"


def test_problems_are_reported_by_path_up_to_a_limit_until_they_are_forgotten_or_gone(
    book: Book,
) -> None:
    ids = book.add(*"cab")
    book.imported(*ids.values())
    book.disposals.record(
        [DisposedItem(number, problem=f"cannot: {path}") for path, number in ids.items()]
    )
    count, problems = book.disposals.problems(2)
    assert (count, problems) == (
        3,
        [Failure("a", "import", "cannot: a"), Failure("b", "import", "cannot: b")],
    )
    assert book.disposals.problems(0) == (3, [])
    book.disposed(ids["b"])
    assert book.disposals.problems(9)[0] == 2
    book.disposals.forget_problems()
    assert book.disposals.problems(9) == (0, [])
    assert left(book) == ["a", "c"]


def test_an_interrupted_listing_is_not_recorded(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = book.add("a")
    book.imported(*ids.values())

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(disposal, "add_counts", broken)
    with pytest.raises(KeyboardInterrupt):
        book.disposed(ids["a"])
    assert left(book) == ["a"]
    assert book.runs.counts("batch") == {}


@pytest.mark.parametrize("moved_to", ["/failed/薬局 \U0001f469.json", "/failed/it's;--.json", ""])
def test_files_may_be_moved_to_any_path(book: Book, moved_to: str) -> None:
    ids = book.add("a")
    book.failed(*ids.values())
    book.disposed(ids["a"], moved_to=moved_to)
    assert book.rows("select moved_to from item") == [(moved_to,)]


def test_files_are_disposed_of_even_if_the_clock_is_at_zero(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    monkeypatch.setattr(disposal, "time", SimpleNamespace(time=lambda: 0.0))
    book.disposed(ids["a"])
    assert left(book) == []


def test_what_vanished_is_forgotten_and_counted_as_nothing(book: Book) -> None:
    ids = book.add("a", "b")
    for number in ids.values():
        book.failed(number, "cannot be read: No such file or directory")
    book.disposals.record([DisposedItem(ids["a"], vanished=True)])
    assert states(book) == {"b": "failed"}
    assert book.items.failures(9)[0] == 1
    assert book.rows("select item_id from failure") == [(ids["b"],)]
    assert book.runs.counts("batch") == {}


def test_a_disposal_stays_when_a_new_file_appears_at_the_path(
    book: Book,
) -> None:
    ids = book.add("a", "b", "c")
    book.imported(ids["a"], ids["c"])
    book.failed(ids["b"], "bad")
    found = [DisposedItem(ids["a"]), DisposedItem(ids["b"], "/failed/b")]
    book.disposals.record([*found, DisposedItem(ids["c"], gone=True)])
    book.next_run("next")
    again = book.add("a")
    book.failed(again["a"], "worse")
    book.disposed(again["a"], moved_to="/failed/a")
    query = "select path, what, reason, moved_to, batch_id from disposal order by id"
    assert book.rows(query) == [
        ("a", "deleted", None, None, "batch"),
        ("b", "moved", "bad", "/failed/b", "batch"),
        ("c", "gone", None, None, "batch"),
        ("a", "moved", "worse", "/failed/a", "next"),
    ]


def test_a_file_that_was_put_back_has_its_new_signature_and_stays_due(book: Book) -> None:
    """Else the next listing takes it for another one, and it is imported again."""
    book.list(listed("a", 1, 1, "5.1"), listed("b", 1, 1, "6.1"))
    ids = book.add()
    book.imported(*ids.values())
    signed = Signature(1, 1, digest="5.2")
    book.disposals.record([DisposedItem(ids["a"], problem="denied", signature=signed)])
    book.disposals.sign(ids["b"], Signature(1, 1, digest="6.2"))
    assert [each.signature.digest for each in book.disposals.due([*ids.values()])] == ["5.2", "6.2"]
    assert book.list(listed("a", 1, 1, "5.2"), listed("b", 1, 1, "6.2")).unchanged == 2


def test_a_replacing_file_with_a_new_name_is_not_disposed_of(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposals.record([DisposedItem(ids["a"], kept_as="/data/a.1.json")])
    assert left(book) == ["a"]
    assert book.rows("select * from disposal") == []
    assert book.runs.counts("batch") == {}


def test_the_item_of_a_path_is_found_if_it_is_due(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(ids["a"])
    found = book.disposals.due_at("a")
    assert found is not None
    assert (found.id, found.path) == (ids["a"], "a")
    assert book.disposals.due_at("b") is None
    assert book.disposals.due_at("nowhere") is None


# Listings of a source that is consumed


def work_off(book: Book, *paths: str, **options: bool) -> Listing:
    return book.list(*map(listed, paths), most_tries=3, **options)


def test_what_was_disposed_of_is_remembered_though_it_is_gone(book: Book) -> None:
    ids = book.add(*"abc")
    book.imported(ids["a"])
    book.failed(ids["b"])
    book.disposed(ids["a"], ids["b"])
    for _ in range(2):
        assert book.list(listed("c")) == Listing(1, 0, 1, 0, 0, 0)
        assert states(book) == {"a": "imported", "b": "failed", "c": "planned"}


def test_what_is_finished_and_gone_but_not_by_us_is_forgotten(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(ids["a"])
    book.failed(ids["b"])
    book.list(listed("new"))
    assert states(book) == {"new": "listed"}


def test_the_records_that_failed_are_forgotten_with_their_item(book: Book) -> None:
    ids = book.add("a", "b")
    for number in ids.values():
        book.queue.record_piece(number, 1, {}, TOOK, 0, [RecordFailure(number, 0, "x", "bad")])
    book.list(listed("b"))
    assert book.rows("select item_id from record_failure") == [(ids["b"],)]


@pytest.mark.parametrize("changed", [False, True])
def test_a_file_that_comes_back_is_new(book: Book, changed: bool) -> None:
    ids = book.add("a", "b")
    book.imported(ids["a"])
    book.failed(ids["b"])
    book.disposals.record([DisposedItem(ids["a"]), DisposedItem(ids["b"], "/failed/b")])
    entries = [listed(path, 2 if changed else 1) for path in "ab"]
    found = book.list(*entries, most_tries=0)
    assert found == Listing(total=2, new=2, changed=0, unchanged=0, given_up=0, problems=0)
    assert sorted(book.listed_paths()) == ["a", "b"]
    assert book.rows("select moved_to, disposed_at, disposal_problem from item") == [
        (None, None, None),
        (None, None, None),
    ]
    assert book.disposals.disposed() == 0


def test_a_file_that_comes_back_is_tried_again_however_often_it_failed(book: Book) -> None:
    for run in ("first", "second", "third", "fourth"):
        book.next_run(run)
        assert work_off(book, "a").given_up == 0
        ((number,),) = [book.add().values()]
        book.failed(number)
        book.disposed(number, moved_to="/failed/a")
        assert book.items.failures(9)[0] == 1
    assert book.rows("select tries from item") == [(4,)]


def test_a_file_that_comes_back_twice_in_one_run_is_one_try_of_it(book: Book) -> None:
    for _ in range(3):
        work_off(book, "a")
        ((number,),) = [book.add().values()]
        book.failed(number)
        book.disposed(number, moved_to="/failed/a")
    assert book.items.failures(9) == (1, [Failure("a", "import", "refused", 1)])


def test_a_disposed_file_that_cannot_be_listed_when_it_comes_back_is_a_failure(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposed(ids["a"])
    book.list(ListingProblem("a", "is not a regular file"), listed("b"))
    assert book.items.failures(9)[1] == [Failure("a", "planning", "is not a regular file", 1)]


def test_a_problem_that_was_there_before_is_not_one_of_a_file_that_changed(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposals.record([DisposedItem(ids["a"], problem="cannot be deleted: denied")])
    book.list(listed("a", 2))
    assert book.disposals.problems(9) == (0, [])
    assert left(book) == []


def test_listing_again_in_a_run_tries_nothing_twice(book: Book) -> None:
    ids = book.add("bad", "good")
    book.failed(ids["bad"])
    book.imported(ids["good"])
    found = book.list(listed("bad"), listed("good"), most_tries=0)
    assert found == Listing(total=2, new=0, changed=0, unchanged=1, given_up=1, problems=0)
    assert book.listed_paths() == []


def test_a_folder_that_cannot_be_listed_fails_once_in_a_run_however_often_it_is_looked_at(
    book: Book,
) -> None:
    problem = ListingProblem("GA/", "cannot be listed: denied")
    for _ in range(3):
        book.list(problem, listed("a"), most_tries=0)
    assert book.items.failures(9) == (
        1,
        [Failure("GA/", "planning", "cannot be listed: denied", 1)],
    )
    assert book.rows("select count(*) from failure") == [(1,)]


def test_an_empty_source_keeps_all_that_is_known(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(ids["a"])
    book.disposed(ids["a"])
    assert work_off(book) == Listing(0, 0, 0, 0, 0, 0)
    assert states(book) == {"a": "imported", "b": "planned"}


# What is told of them, and what becomes of them later


def test_failures_whose_files_were_moved_are_in_one_report(book: Book) -> None:
    ids = book.add("moved", "here")
    book.failed(ids["moved"], "first")
    book.failed(ids["here"], "second")
    book.disposed(ids["moved"], moved_to="/failed/moved")
    assert book.items.failures(9)[0] == 2
    assert [each.path for each in book.items.failures(1)[1]] == ["here"]
    here = [Failure("here", "import", "second", 1)]
    book.next_run("next")
    assert book.items.failures(9)[0] == 2
    book.runs.record_reported("next")
    assert book.items.failures(9)[0] == 2, "that run told of another item"
    book.runs.record_reported("next", book.scope_id + 1)
    assert book.items.failures(9)[0] == 2, "nor is it another source that is meant"
    book.runs.record_reported("next", book.scope_id)
    assert book.items.failures(9) == (1, here)
    # Its own run, which is gone on with, tells of it at its end; one that verifies it does not.
    book.runs.begin_run(book.scope_id, "run", "batch", STATE_FILE, only_verified=True)
    assert book.items.failures(9) == (1, here)
    book.runs.begin_run(book.scope_id, "run", "batch", STATE_FILE)
    assert book.items.failures(9)[0] == 2


def test_what_was_disposed_of_is_not_verified(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.imported(*ids.values())
    book.disposed(ids["b"])
    assert book.batches(9, ItemState.IMPORTED) == [["a", "c"]]
    assert book.queue.open(ItemState.IMPORTED, None, 0) == 2
    assert [item.path for item in book.queue.large()] == ["a", "c"]


def test_a_plan_of_a_file_that_exists_again_is_imported(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposed(ids["a"])
    work_off(book, "a")
    assert book.add() == ids
    assert book.batches(9) == [["a"]]
    book.imported(ids["a"])
    assert due(book, ids["a"]) == ["a"]


def test_the_size_of_a_file_that_exists_again_is_the_current_one(book: Book) -> None:
    ids = book.add("a")
    book.imported(*ids.values())
    book.disposed(ids["a"])
    book.list(listed("a", 7, 8))
    for items in book.listed_items(None, 9):
        book.plan(*(Plan(item.id) for item in items))
    book.imported(ids["a"])
    assert [item.signature for item in book.disposals.due([ids["a"]])] == [Signature(7, 8)]


# A ledger that must be on disk


def test_a_run_that_deletes_brings_what_it_commits_to_disk(book: Book) -> None:
    normal, full = 1, 2
    assert book.rows("pragma synchronous") == [(normal,)]
    book.file.bring_to_disk()
    assert book.rows("pragma synchronous") == [(full,)]
    assert book.rows("pragma journal_mode") == [("wal",)]


def test_an_item_found_wrong_is_not_due_until_it_is_found_right_or_begins_again(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.imported(*ids.values())
    book.disposals.record_verified({"a", "b"}, whole=True)
    assert due(book, *ids.values()) == left(book) == ["c"]
    book.next_run("next")
    book.disposals.forget_problems()
    assert [failure.path for failure in book.disposals.problems(9)[1]] == ["a", "b"]
    book.disposals.record_verified({"c"}, whole=False)
    assert left(book) == []
    book.list(listed("a", 2), whole=False)
    assert [failure.path for failure in book.disposals.problems(9)[1]] == ["b", "c"]
    book.disposals.record_verified(set(), whole=True)
    assert left(book) == ["b", "c"]
    assert book.disposals.problems(9) == (0, [])
