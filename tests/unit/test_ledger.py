from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imports.errors import LedgerError, UsageError
from imports.items.images import ImageFile
from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState, ListedItem, Plan, WorkItem
from imports.ledger import (
    ImageLedger,
    LedgerFile,
    Listing,
    ListingLedger,
    RunRecord,
    Scope,
    SeenRows,
)
from imports.ledger.file import holds_nothing
from imports.ledger.summary import sources_of, summarise
from imports.source.tree import ListedEntry, ListingProblem
from tests.support.book import STATE_FILE, TOOK, Book, gathered, hashed, listed, picture


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db")
    yield book
    book.file.close()


# Listing


def test_a_first_listing_is_all_new_and_in_the_order_of_its_paths(book: Book) -> None:
    assert book.listing.none_known()
    assert book.list(listed("b"), listed("a"), listed("c")) == Listing(3, 3, 0, 0, 0, 0)
    assert book.listed_paths() == ["a", "b", "c"]
    assert not book.listing.none_known()


def test_imported_items_that_did_not_change_are_left_alone(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    assert book.list(listed("a"), listed("b"), listed("c")) == Listing(3, 1, 0, 2, 0, 0)
    assert book.listed_paths() == ["c"]


@pytest.mark.parametrize("changed", [listed("a", size=2), listed("a", mtime_ns=2)])
def test_a_change_of_size_or_time_has_an_item_read_again(book: Book, changed: ListedItem) -> None:
    book.imported(*book.add("a", "b").values())
    assert book.list(changed, listed("b")) == Listing(2, 0, 1, 1, 0, 0)
    (items,) = book.listed_items(None, 100)
    assert [(item.path, item.signature) for item in items] == [("a", changed.signature)]


def test_an_item_that_was_planned_and_not_imported_is_not_planned_again(book: Book) -> None:
    book.add("a")
    book.list(listed("a"))
    assert book.listed_paths() == []
    assert book.items.count(ItemState.PLANNED) == 1


def test_a_failed_item_is_tried_again_and_its_tries_add_up(book: Book) -> None:
    for tries in (1, 2, 3):
        book.next_run(f"batch {tries}")
        book.failed(*book.add("a").values())
        assert book.items.failures(9) == (1, [Failure("a", "import", "refused", tries)])
        book.list(listed("a"))
        assert book.items.failures(9) == (0, [])
        assert book.listed_paths() == ["a"]


def test_the_tries_begin_again_when_the_file_changes(book: Book) -> None:
    book.failed(*book.add("a").values())
    book.list(listed("a", size=2))
    (items,) = book.listed_items(None, 100)
    book.plan(Plan(items[0].id, failure="bad"))
    assert book.items.failures(9) == (1, [Failure("a", "planning", "bad", 1)])


def test_again_has_everything_read_again(book: Book) -> None:
    book.imported(*book.add("a", "b").values())
    assert book.list(listed("a"), listed("b"), again=True) == Listing(2, 0, 2, 0, 0, 0)
    assert book.listed_paths() == ["a", "b"]


def test_items_that_are_gone_are_forgotten_by_a_whole_listing_alone(book: Book) -> None:
    book.imported(*book.add("a", "b").values())
    book.list(listed("a"), whole=False)
    assert book.items.count(ItemState.IMPORTED) == 2
    book.list(listed("a"))
    assert book.items.count(ItemState.IMPORTED) == 1


def test_an_empty_listing_forgets_nothing(book: Book) -> None:
    book.imported(*book.add("a").values())
    assert book.list() == Listing(0, 0, 0, 0, 0, 0)
    assert book.items.count(ItemState.IMPORTED) == 1


def test_where_a_folder_could_not_be_listed_nothing_is_forgotten(book: Book) -> None:
    book.imported(*book.add("FL/a", "GA/b").values())
    listing = book.list(listed("FL/a"), ListingProblem("GA/", "cannot be listed: denied"))
    assert listing.problems == 1
    assert book.items.count(ItemState.IMPORTED) == 2
    assert book.items.failures(9) == (
        1,
        [Failure("GA/", "planning", "cannot be listed: denied", 1)],
    )


@pytest.mark.parametrize("first", [0, 1])
def test_an_item_wins_against_a_problem_that_is_only_printed_alike(book: Book, first: int) -> None:
    entries = [listed("b\\xe9"), ListingProblem("b\\xe9", "its name is not valid UTF-8")]
    book.list(entries[first], entries[1 - first], listed("c"))
    assert book.listed_paths() == ["b\\xe9", "c"]
    assert book.items.failures(9) == (0, [])


def test_a_problem_of_listing_is_gone_when_the_folder_can_be_listed_again(book: Book) -> None:
    problem = ListingProblem("GA/", "cannot be listed: denied")
    book.list(listed("FL/a"), problem)
    book.next_run("batch 2")
    book.list(listed("FL/a"), problem)
    assert book.items.failures(9)[1][0].tries == 2
    book.list(listed("FL/a"), listed("GA/b"))
    assert book.items.failures(9) == (0, [])
    assert book.listed_paths() == ["FL/a", "GA/b"]


def test_a_file_that_could_not_be_listed_is_read_when_it_can_be(book: Book) -> None:
    book.imported(*book.add("a").values())
    book.list(ListingProblem("a", "is not a regular file"))
    assert book.items.count(ItemState.IMPORTED) == 0
    book.list(listed("a"))
    assert book.items.failures(9) == (0, [])
    assert book.listed_paths() == ["a"]


def test_a_listing_of_many_items_is_taken_in_whole(book: Book) -> None:
    entries = [listed(f"{number:05}") for number in range(5_001)]
    assert book.listing.record(iter(entries), whole=True, again=False).new == 5_001
    assert book.items.count(ItemState.LISTED) == 5_001


def test_a_listing_that_breaks_off_changes_nothing(book: Book) -> None:
    book.imported(*book.add("a", "b").values())

    def entries() -> Iterator[ListedEntry]:
        yield listed("c")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        book.listing.record(entries(), whole=True, again=False)
    assert book.items.count(ItemState.IMPORTED) == 2
    assert book.listed_paths() == []
    assert book.list(listed("a"), listed("b")).unchanged == 2


def test_other_sources_and_targets_have_items_of_their_own(book: Book) -> None:
    book.imported(*book.add("a").values())
    for other in (("states", "/other", "tag", "target"), ("states", "/data", "tag", "new")):
        listing = ListingLedger(Scope(book.file, book.runs.scope(*other), "batch"))
        assert listing.none_known()
        assert listing.record([listed("a")], whole=True).new == 1
    assert book.items.count(ItemState.IMPORTED) == 1
    assert book.runs.scope("states", "/data", "tag", "target") == book.scope_id


def test_listed_items_come_in_lists_and_up_to_a_limit(book: Book) -> None:
    book.list(*(listed(str(number)) for number in range(5)))

    def sizes(limit: int | None, size: int) -> list[int]:
        return [len(items) for items in book.listed_items(limit, size)]

    assert sizes(None, 2) == [2, 2, 1]
    assert sizes(3, 2) == [2, 1]
    assert sizes(9, 5) == [5]
    assert sizes(0, 2) == []


def test_of_listed_items_what_failed_before_comes_last(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.failed(ids["a"])
    book.next_run("next")
    book.list(*map(listed, "abcde"))
    assert book.listed_paths() == ["d", "e", "a"]
    for limit, paths in ((0, []), (2, ["d", "e"]), (3, ["d", "e", "a"]), (9, ["d", "e", "a"])):
        found = list(book.listed_items(limit, 1))
        assert [item.path for items in found for item in items] == paths


def test_listed_items_come_by_path_where_groups_are_neighbours(book: Book) -> None:
    book.failed(*book.add("b").values())
    book.next_run("next")
    book.list(*map(listed, ("e", "c", "b", "d", "a")))
    for limit, size in ((None, 2), (5, 9), (4, 1), (0, 2)):
        found = list(book.listed_items(limit, size, by_path=True))
        paths = [item.path for items in found for item in items]
        assert paths == ["a", "c", "d", "e", "b"][:limit]
        assert all(len(items) <= size for items in found)
    found = list(book.listed_items(None, 9, 2, by_path=True))
    assert [len(items) for items in found] == [2, 2, 1]
    book.plan(Plan(found[0][0].id))
    assert len(list(book.listed_items(None, 1, by_path=True))) == 4


def test_listed_items_can_be_planned_while_they_are_handed_out(book: Book) -> None:
    book.list(*(listed(str(number)) for number in range(6)))
    seen = []
    for items in book.listed_items(None, 2):
        seen += [item.path for item in items]
        book.plan(*(Plan(item.id) for item in items))
    assert seen == [str(number) for number in range(6)]


# Plans


def test_a_plan_that_failed_is_a_failure_and_the_others_are_planned(book: Book) -> None:
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    book.items.record_plans(
        [Plan(items[0].id, failure="is not JSON"), Plan(items[1].id)],
        {"planning.to_import": 2, "planning.failed": 1, "planning.images_missing": 0},
    )
    assert book.items.failures(9) == (1, [Failure("a", "planning", "is not JSON", 1)])
    assert book.batches(9) == [["b"]]
    assert book.runs.counts("batch") == {"planning.to_import": 2, "planning.failed": 1}


def test_only_spooled_items_have_a_chunk(book: Book) -> None:
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    book.items.record_plans([Plan(items[0].id), Plan(items[1].id, chunk=4)], {})
    book.queue.open(ItemState.PLANNED, None)
    (batch,) = book.queue.batches(9)
    assert [item.chunk for item in batch] == [None, 4]
    assert book.items.next_chunk() == 5


def test_warnings_are_reported_by_path_and_by_later_runs_too(book: Book) -> None:
    book.list(listed("b"), listed("a"), listed("c"))
    (items,) = book.listed_items(None, 9)
    book.plan(
        Plan(items[1].id, warnings=("one", "two")),
        Plan(items[0].id, warnings=("three",)),
        Plan(items[2].id),
    )
    assert book.items.warnings(9) == (2, [("a", "three"), ("b", "one; two")])
    assert book.items.warnings(1) == (2, [("a", "three")])
    book.imported(*(item.id for item in items))
    book.next_run("another")
    assert book.items.warnings(9) == (2, [("a", "three"), ("b", "one; two")])


def test_the_order_of_events_is_known_even_if_the_clock_was_set_back(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs and batches are in the order in which they came."""
    clock = iter(range(10_000, 0, -10))
    monkeypatch.setattr("time.time", lambda: float(next(clock)))
    _, ids = two_with_images(book)
    book.queue.record_imported([ids["a"]], [], {}, (9_000.0, 9_100.0))
    book.images.record_hashes([hashed(picture("a"), "aa"), hashed(picture("b"), "bb")], [])
    seen = book.queue.last_batch()
    book.queue.record_imported([ids["b"]], [], {}, (5_000.0, 4_900.0))
    assert book.queue.open(ItemState.IMPORTED, None, since=seen) == 1
    assert [[item.path for item in items] for items in book.queue.batches(9)] == [["b"]]
    assert book.images.open_stored(seen) == 1
    assert book.queue.open(ItemState.IMPORTED, None, since=book.queue.last_batch()) == 0
    assert [each.own for each in book.disposals.left(0, 9, None)] == [True, True]

    book.next_run("next")
    assert [each.own for each in book.disposals.left(0, 9, None)] == [False, False]
    assert book.rows("select batch_id from run order by number") == [("batch",), ("next",)]
    book.runs.begin_run(book.runs.scope("states", "/data", "later", "target"), "z", "z", STATE_FILE)
    book.use(Scope(book.file, book.scope_id + 1, "z"))
    book.add("c")
    tags = [each.tag for each in summarise(book.file.connection, None, None, 9)]
    assert tags == ["later", "tag"]
    assert [each.tag for each in sources_of(book.file.connection, "states", "/data/c")] == tags


def test_a_warning_is_gone_when_its_cause_is(book: Book) -> None:
    book.list(listed("a"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, warnings=("image gone",)))
    book.list(listed("a"), again=True)
    book.plan(Plan(items[0].id))
    assert book.items.warnings(9) == (0, [])


def test_duplicates_are_reported_by_group(book: Book) -> None:
    book.add("z", "a", group=1)
    book.add("m", group=2)
    book.add("y", "x", group=3)
    book.add("p", "q")
    count, groups = book.items.duplicates(9)
    assert count == 2
    assert sorted(groups) == [["a", "z"], ["x", "y"]]
    assert book.items.duplicates(1)[0] == 2
    assert len(book.items.duplicates(1)[1]) == 1


# The queue


def test_batches_come_in_the_order_of_paths_and_of_an_earlier_listing_first(book: Book) -> None:
    book.add("c", "e", "b", "g", "d")
    assert book.batches(2) == [["b", "c"], ["d", "e"], ["g"]]
    book.add("f", "a")
    # What was the last batch, and not full, stays what it was.
    assert book.batches(99) == [["b", "c", "d", "e"], ["g"], ["a", "f"]]


def test_an_empty_queue_has_no_batches(book: Book) -> None:
    assert book.queue.open(ItemState.PLANNED, None) == 0
    assert list(book.queue.batches(2)) == []


def test_the_queue_may_be_limited(book: Book) -> None:
    book.add("a", "b", "c")
    assert book.queue.open(ItemState.PLANNED, 2) == 2
    assert [[item.path for item in items] for items in book.queue.batches(9)] == [["a", "b"]]


def test_items_of_one_group_come_last_by_path_and_are_never_torn_apart(book: Book) -> None:
    book.add("g2", "g1", "g4", "g3", group=7)
    book.add("a", "b", "c")
    assert book.batches(2) == [["a", "b"], ["c", "g1", "g2", "g3", "g4"]]
    assert book.batches(3) == [["a", "b", "c"], ["g1", "g2", "g3", "g4"]]
    assert book.batches(1) == [["a"], ["b"], ["c"], ["g1", "g2", "g3", "g4"]]


def test_undated_items_come_in_batches_of_their_own_behind_all_others(book: Book) -> None:
    book.add("b", "d", "f")
    book.add("z2", "z1", group=7)
    book.list(*map(listed, ("a", "c", "e")), whole=False)
    for items in book.listed_items(None, 100):
        book.plan(*(Plan(item.id, undated=True, warnings=("no date",)) for item in items))

    def batches(size: int, *, undated: bool) -> list[list[str]]:
        return [
            [item.path for item in items] for items in book.queue.batches(size, undated=undated)
        ]

    assert book.queue.open(ItemState.PLANNED, None) == 8
    assert batches(2, undated=False) == [["b", "d"], ["f", "z1", "z2"]]
    assert batches(2, undated=True) == [["a", "c"], ["e"]]
    assert batches(99, undated=False) == [["b", "d", "f", "z1", "z2"]]
    assert book.queue.open(ItemState.PLANNED, 5) == 5
    assert batches(9, undated=True) == []


def test_an_item_that_got_its_date_is_undated_no_more(book: Book) -> None:
    ids = book.add("a", "b")
    book.plan(*(Plan(each, undated=True) for each in ids.values()))
    book.plan(Plan(ids["a"]))
    book.items.record_plans([], {}, {ids["b"]: None}, 1)
    assert book.batches(9) == [["a", "b"]]


def test_two_groups_do_not_mingle(book: Book) -> None:
    book.add("b2", "a1", group=1)
    book.add("b1", "a2", group=2)
    batches = book.batches(1)
    assert sorted(batches) == [["a1", "b2"], ["a2", "b1"]]


def test_a_group_of_one_is_none(book: Book) -> None:
    book.add("b", group=1)
    book.add("a", group=2)
    assert book.batches(1) == [["b"], ["a"]]


def test_what_failed_before_comes_last(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.failed(ids["a"])
    book.list(listed("a"), listed("b"), listed("c"))
    book.add()
    assert book.batches(1) == [["b"], ["c"], ["a"]]


def _with_one_of_a_group_failed_before(book: Book) -> None:
    """`x` and `g1` failed before; `g2`, which is new, is the same search as `g1`."""
    ids = book.add("x") | book.add("g1", group=7)
    book.failed(ids["x"])
    book.failed(ids["g1"])
    book.list(listed("x"), listed("g1"), listed("g2"))
    for items in book.listed_items(None, 9):
        for item in items:
            book.plan(Plan(item.id, group=None if item.path == "x" else 7))


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_every_item_is_queued_once_also_where_one_of_a_group_failed_before(
    book: Book, size: int
) -> None:
    _with_one_of_a_group_failed_before(book)
    queued = [path for batch in book.batches(size) for path in batch]
    assert sorted(queued) == ["g1", "g2", "x"]


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_group_stays_together_by_path_also_where_one_of_it_failed_before(
    book: Book, size: int
) -> None:
    _with_one_of_a_group_failed_before(book)
    (batch,) = [batch for batch in book.batches(size) if "g1" in batch]
    assert "g2" in batch, "or else they may be merged at the same time, in any order"
    assert batch.index("g1") < batch.index("g2"), "the later path wins"


@pytest.mark.parametrize("finished", [[0], [1], [0, 1], [1, 3], [0, 2, 4], [3]])
def test_after_some_batches_the_others_are_what_they_were(book: Book, finished: list[int]) -> None:
    ids = book.add("i", "h", "g", "f", "e", "a")
    ids |= book.add("d", "c", "b", group=1)
    ids |= book.add("z", "y", group=2)
    before = book.batches(2)
    assert len(before) == 5
    for number in finished:
        book.imported(*(ids[path] for path in before[number]))
    rest = [batch for number, batch in enumerate(before) if number not in finished]
    assert book.batches(2) == rest
    # What a resumed run does first.
    book.list(*map(listed, ids))
    assert book.batches(2) == rest


def test_the_queue_of_imported_items_is_that_of_verification(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(ids["a"])
    assert book.batches(9, ItemState.IMPORTED) == [["a"]]


def test_queued_items_bring_what_is_needed_to_import_them(book: Book) -> None:
    book.list(listed("a", 5, 6))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("two"), picture("one"))))
    book.images.record_hashes([hashed(picture("one"), "11")], [(picture("two"), "no image")])
    book.queue.open(ItemState.PLANNED, None)
    assert list(book.queue.batches(9)) == [
        [WorkItem(items[0].id, "a", Signature(5, 6), (None, hashed(picture("one"), "11")), None)]
    ]


# What becomes of items


def test_the_result_of_a_batch_is_recorded_with_its_counts(book: Book) -> None:
    ids = book.add("a", "b")
    book.queue.record_imported(
        list(ids.values()),
        [(ids["b"], "refused")],
        {"import.inserted": 1, "import.updated": 0},
        TOOK,
    )
    book.queue.record_imported([], [], {"import.inserted": 2}, TOOK)
    assert book.items.count(ItemState.IMPORTED) == 1
    assert book.items.failures(9) == (1, [Failure("b", "import", "refused", 1)])
    assert book.runs.counts("batch") == {"import.inserted": 3}


def test_an_item_that_is_imported_later_is_not_a_failure_any_more(book: Book) -> None:
    book.failed(*book.add("a").values())
    book.list(listed("a"))
    book.imported(*book.add().values())
    assert book.items.failures(9) == (0, [])
    assert book.items.count(ItemState.IMPORTED) == 1


def test_failures_are_reported_by_path_up_to_a_limit(book: Book) -> None:
    for number in book.add("b", "a", "c").values():
        book.failed(number)
    count, failures = book.items.failures(2)
    assert count == 3
    assert [failure.path for failure in failures] == ["a", "b"]


def test_unfinished_items_have_their_state(book: Book) -> None:
    ids = book.add("a", "b", "c")
    book.imported(ids["a"])
    book.failed(ids["b"])
    book.list(listed("d"), whole=False)
    assert book.items.unfinished(9) == (2, [("c", "planned"), ("d", "listed")])
    assert book.items.unfinished(1) == (2, [("c", "planned")])


def test_items_can_be_had_imported_again_with_the_files_they_have_now(book: Book) -> None:
    ids = book.add("a", "b")
    book.imported(*ids.values())
    book.items.import_again([(ids["a"], Signature(7, 8))])
    (items,) = book.listed_items(None, 9)
    assert [(item.path, item.signature) for item in items] == [("a", Signature(7, 8))]


def test_rows_are_seen_until_verification_begins_again(book: Book) -> None:
    seen_rows = SeenRows(book.scope)
    seen_rows.begin()
    seen_rows.add(["1", "2", "2"])
    seen_rows.add(["3"])
    assert seen_rows.seen(["2", "3", "4"]) == {"2", "3"}
    assert seen_rows.seen([]) == set()
    seen_rows.begin()
    assert seen_rows.seen(["2"]) == set()


# Images


def test_each_image_is_hashed_once_and_remembered(book: Book) -> None:
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    book.plan(*(Plan(item.id, images=(picture("same"),)) for item in items))
    assert book.images.count() == book.images.open_unhashed() == 1
    assert list(gathered(book.images, "unhashed", 9)) == [[picture("same")]]
    book.images.record_hashes([hashed(picture("same"), "11")], [])
    assert book.images.open_unhashed() == 0
    assert list(gathered(book.images, "unstored", 9)) == [[hashed(picture("same"), "11")]]
    book.list(listed("a"), listed("b"), again=True)
    book.plan(*(Plan(item.id, images=(picture("same"),)) for item in items))
    assert list(gathered(book.images, "unhashed", 9)) == []
    assert book.runs.counts("batch") == {"sha256.processed": 1}


@pytest.mark.parametrize("changed", [picture("same", size=11), picture("same", mtime_ns=2)])
def test_an_image_that_changed_is_hashed_again(book: Book, changed: ImageFile) -> None:
    book.list(listed("a"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("same"),)))
    book.images.record_hashes([hashed(picture("same"), "11")], [])
    book.plan(Plan(items[0].id, images=(changed,)))
    assert list(gathered(book.images, "unhashed", 9)) == [[changed]]


def test_a_flawed_image_is_a_warning_of_all_its_items_whenever_it_was_hashed(book: Book) -> None:
    book.list(listed("a"), listed("b"), listed("c"))
    (items,) = book.listed_items(None, 9)
    flawed = hashed(picture("bad"), "11")._replace(flaw="it is cut off")
    warning = "image /images/bad.png is stored as it is, but it is cut off"
    book.plan(
        Plan(items[0].id, images=(picture("bad"), picture("bad")), warnings=("first",)),
        Plan(items[2].id, images=(picture("good"),)),
    )
    book.images.record_hashes([flawed, hashed(picture("good"), "22")], [])
    assert book.items.warnings(9) == (1, [("a", f"first; {warning}")])
    assert next(gathered(book.images, "unstored", 9))[0] == flawed
    book.plan(Plan(items[1].id, images=(picture("bad"), picture("bad"))))
    assert book.items.warnings(9)[1][1] == ("b", warning)
    # Planned once more, by another run, of which it is known.
    book.next_run("later")
    book.plan(Plan(items[0].id, images=(picture("good"), picture("bad"))))
    assert book.items.warnings(9) == (2, [("a", warning), ("b", warning)])
    assert book.images.count_flawed() == 1
    # The file was mended.
    book.plan(Plan(items[0].id, images=(picture("bad", mtime_ns=2),)))
    assert book.items.warnings(9) == (1, [("b", warning)])
    book.images.record_hashes([hashed(picture("bad", mtime_ns=2), "33")], [])
    assert book.items.warnings(9) == (1, [("b", warning)])


def test_an_item_of_another_scope_that_waits_for_a_flawed_image_is_warned_too(
    book: Book, tmp_path: Path
) -> None:
    other = Book(book.file.path, tag="other", run_name="other")
    for each in (book, other):
        each.list(listed("a"))
        (items,) = each.listed_items(None, 9)
        each.plan(Plan(items[0].id, images=(picture("bad"),)))
    book.images.record_hashes([hashed(picture("bad"), "11")._replace(flaw="it is cut off")], [])
    assert other.images.open_unhashed() == 0
    for each in (book, other):
        assert each.items.warnings(9)[0] == 1
    other.file.close()


def test_an_image_that_cannot_be_used_is_a_warning_of_all_its_items(book: Book) -> None:
    book.list(listed("a"), listed("b"), listed("c"))
    (items,) = book.listed_items(None, 9)
    book.plan(
        Plan(items[0].id, images=(picture("bad"),), warnings=("first",)),
        Plan(items[1].id, images=(picture("bad"),)),
        Plan(items[2].id, images=(picture("good"),)),
    )
    book.images.record_hashes([hashed(picture("good"), "11")], [(picture("bad"), "is no image")])
    assert list(gathered(book.images, "unhashed", 9)) == []
    assert book.items.warnings(9) == (2, [("a", "first; is no image"), ("b", "is no image")])
    assert book.images.open_unstored() == 1


def test_an_image_that_could_not_be_used_is_looked_at_again_with_its_item(book: Book) -> None:
    book.list(listed("a"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("bad"),)))
    book.images.record_hashes([], [(picture("bad"), "is no image")])
    book.plan(Plan(items[0].id, images=(picture("bad"),)))
    assert list(gathered(book.images, "unhashed", 9)) == [[picture("bad")]]
    assert book.items.warnings(9) == (0, [])


def test_images_come_in_lists_each_hash_once(book: Book) -> None:
    book.list(*(listed(str(number)) for number in range(6)))
    (items,) = book.listed_items(None, 9)
    files = [picture(str(number)) for number in range(6)]
    book.plan(*(Plan(item.id, images=(file,)) for item, file in zip(items, files, strict=True)))
    assert [len(some) for some in gathered(book.images, "unhashed", 4)] == [4, 2]
    book.images.record_hashes(
        [hashed(file, str(number // 2)) for number, file in enumerate(files)], []
    )
    assert book.images.open_unstored() == 3
    found = [[image.sha256 for image in images] for images in gathered(book.images, "unstored", 2)]
    assert found == [["0", "1"], ["2"]]


def test_an_image_that_a_run_saw_stored_is_neither_asked_for_nor_counted_again_by_it(
    book: Book,
) -> None:
    book.list(listed("a"), listed("b"), listed("c"))
    (items,) = book.listed_items(None, 9)
    files = [picture(name) for name in ("one", "same", "other")]
    book.plan(*(Plan(item.id, images=(file,)) for item, file in zip(items, files, strict=True)))
    book.images.record_hashes(
        [hashed(files[0], "11"), hashed(files[1], "11"), hashed(files[2], "22")], []
    )
    book.images.record_stored(["11"], {"upload.completed": 1})

    assert book.images.open_unstored() == 1
    assert [[image.sha256 for image in some] for some in gathered(book.images, "unstored", 9)] == [
        ["22"]
    ]
    assert book.runs.counts("batch")["upload.completed"] == 1
    another = ImageLedger(Scope(book.file, book.scope_id, "another run"))
    assert another.open_unstored() == 2
    book.images.forget_stored()
    assert book.images.open_unstored() == 2


def test_what_other_scopes_and_runs_over_one_file_see_stored_is_their_own(book: Book) -> None:
    other = Book(book.file.path, tag="other", run_name="other")
    for each in (book, other):
        each.list(listed("a"))
        (items,) = each.listed_items(None, 9)
        each.plan(Plan(items[0].id, images=(picture("one"),)))
    book.images.record_hashes([hashed(picture("one"), "11")], [])
    book.images.record_stored(["11"], {})
    single = ImageLedger(Scope(book.file, book.scope_id, "single", "a"))
    for each in (other.images, single):
        assert each.open_unstored() == 1
        each.record_stored(["11"], {})
        assert each.open_unstored() == 0
    other.images.forget_stored()
    assert (other.images.open_unstored(), book.images.open_unstored()) == (1, 0)
    other.file.close()


def test_an_image_that_changed_meanwhile_is_not_stored(book: Book) -> None:
    book.list(listed("a"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("one"),)))
    book.images.record_hashes([hashed(picture("one"), "11")], [])
    book.images.record_stored(["11"], {})
    changed = ImageFile(picture("one").path, Signature(9, 9))
    book.plan(Plan(items[0].id, images=(changed,)))
    book.images.record_hashes([hashed(changed, "22")], [])
    assert [[image.sha256 for image in some] for some in gathered(book.images, "unstored", 9)] == [
        ["22"]
    ]


def test_only_unfinished_items_need_their_images_and_only_imported_ones_have_them_stored(
    book: Book,
) -> None:
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("a"),)), Plan(items[1].id, images=(picture("b"),)))
    book.images.record_hashes([hashed(picture("a"), "aa11"), hashed(picture("b"), "bb22")], [])
    book.imported(items[0].id)
    assert [[image.sha256 for image in some] for some in gathered(book.images, "unstored", 9)] == [
        ["bb22"]
    ]
    ((stored,),) = gathered(book.images, "stored", 9)
    assert stored.storage_path == "sha256/aa/11/aa11.png"
    assert stored == hashed(picture("a"), "aa11")
    assert book.images.items_of("aa11") == [items[0].id]
    assert book.images.count() == 2


def test_an_upload_that_failed_fails_the_unfinished_items_with_that_content(book: Book) -> None:
    book.list(listed("a"), listed("b"), listed("c"), listed("d"))
    (items,) = book.listed_items(None, 9)
    for item, name in zip(items, ("one", "two", "one", "other"), strict=True):
        book.plan(Plan(item.id, images=(picture(name),)))
    book.images.record_hashes(
        [
            hashed(picture("one"), "11"),
            hashed(picture("two"), "11"),
            hashed(picture("other"), "22"),
        ],
        [],
    )
    book.imported(items[2].id)
    assert book.items.record_upload_failure("11", "too large") == ["a", "b"]
    assert book.items.failures(9) == (
        2,
        [Failure("a", "upload", "too large", 1), Failure("b", "upload", "too large", 1)],
    )
    assert book.items.count(ItemState.IMPORTED) == 1
    assert book.batches(9) == [["d"]]


def two_with_images(book: Book, *, shared: str | None = None) -> tuple[Book, dict[str, int]]:
    """Items `a` and `b` with an image each, `/images/a.png` (aa) and `b.png` (bb), or the same."""
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    for item in items:
        image = picture(shared or item.path)
        book.plan(Plan(item.id, images=(image,), warnings=(f"of {item.path}",)))
    return book, {item.path: item.id for item in items}


def only(book: Book, path: str) -> Book:
    """Goes on with a run over a single item."""
    book.use(Scope(book.file, book.scope_id, "batch", path))
    return book


def test_a_run_over_a_single_item_sees_its_images_alone(book: Book) -> None:
    _, ids = two_with_images(book)
    only(book, "a")
    assert (book.images.count(), book.images.open_unhashed()) == (1, 1)
    assert list(gathered(book.images, "unhashed", 9)) == [[picture("a")]]
    images = [hashed(picture("a"), "aa"), hashed(picture("b"), "bb")]
    book.images.record_hashes(images, [])
    assert list(gathered(book.images, "unstored", 9)) == [[images[0]]]
    book.imported(*ids.values())
    assert [[image.sha256 for image in some] for some in gathered(book.images, "stored", 9)] == [
        ["aa"]
    ]
    assert book.images.items_of("bb") == []
    assert book.images.items_of("aa") == [ids["a"]]


def test_a_run_over_a_single_item_has_its_warnings_and_failures_alone(book: Book) -> None:
    _, ids = two_with_images(book, shared="same")
    book.images.record_hashes([hashed(picture("same"), "11")], [])
    only(book, "a")
    assert book.items.warnings(9) == (1, [("a", "of a")])
    assert book.images.items_of("11") == [ids["a"]]
    assert book.items.record_upload_failure("11", "too large") == ["a"]
    assert book.items.failures(9) == (1, [Failure("a", "upload", "too large", 1)])
    assert book.items.warnings(9) == (0, [])
    only(book, "b")
    assert book.items.failures(9) == (0, [])
    assert book.items.warnings(9) == (1, [("b", "of b")])


@pytest.mark.parametrize("path", ["it's", 'a "b" \\ c', "a' or '1'='1", "薬局", "."])
def test_a_single_item_may_have_any_path(book: Book, path: str) -> None:
    book.list(listed(path), listed("other"))
    (items,) = book.listed_items(None, 9)
    book.plan(*(Plan(item.id, images=(picture(str(item.id)),)) for item in items))
    only(book, path)
    assert (book.images.count(), book.images.open_unhashed()) == (1, 1)


def test_images_may_be_recorded_while_they_are_handed_out(book: Book) -> None:
    book.list(*(listed(str(number)) for number in range(5)))
    (items,) = book.listed_items(None, 9)
    book.plan(*(Plan(item.id, images=(picture(item.path),)) for item in items))
    seen = []
    for images in gathered(book.images, "unhashed", 2):
        seen += images
        book.images.record_hashes([hashed(image, image.path) for image in images], [])
    assert seen == [picture(str(number)) for number in range(5)]
    found = []
    for some in gathered(book.images, "unstored", 2):
        found += [image.sha256 for image in some]
        book.images.record_stored([image.sha256 for image in some], {})
    assert found == [picture(str(number)).path for number in range(5)]
    assert (book.images.open_unhashed(), book.images.open_unstored()) == (0, 0)


def test_the_images_of_an_item_are_forgotten_with_it(book: Book) -> None:
    book.list(listed("a"), listed("b"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id), Plan(items[1].id, images=(picture("b"),)))
    book.list(listed("a"))
    # SQLite gives the number of what was deleted last to the next one.
    book.list(listed("a"), listed("c"))
    assert book.images.count() == 0


def test_an_item_that_cannot_be_read_any_more_names_no_image(book: Book) -> None:
    book.list(listed("a"))
    (items,) = book.listed_items(None, 9)
    book.plan(Plan(items[0].id, images=(picture("a"),)))
    book.images.record_hashes([hashed(picture("a"), "11")], [])
    book.list(listed("a", size=2))
    book.plan(Plan(items[0].id, failure="is not JSON"))
    assert book.images.count() == 0


# Runs


def test_runs_are_remembered_in_their_order(book: Book) -> None:
    book.runs.end_run("batch", 130, completed=False)
    book.runs.begin_run(book.scope_id, "run2", "batch2", STATE_FILE)
    assert book.rows("select run_id, batch_id, exit_code, completed from run order by number") == [
        ("run", "batch", 130, 0),
        ("run2", "batch2", None, 0),
    ]
    known = RunRecord("run2", "batch2", "states", "/data", "tag", "target")
    assert book.runs.knows(known)
    assert not book.runs.knows(replace(known, run_id="run"))
    assert not book.runs.knows(replace(known, target_id="another"))


def test_a_run_that_is_resumed_is_the_same_one_and_unfinished_again(book: Book) -> None:
    query = "select number, batch_id, finished_at, exit_code, completed, started_at from run"
    before = book.rows(query)
    book.runs.end_run("batch", 3, completed=True)
    ended = "select finished_at is not null, exit_code, completed from run"
    assert book.rows(ended) == [(1, 3, 1)], "what failed is for another run"
    book.runs.begin_run(book.scope_id, "run", "batch", STATE_FILE)
    assert book.rows(query) == before


def test_orphans_are_looked_for_among_the_runs_that_may_have_written(book: Book) -> None:
    scope = book.scope_id
    for run_name in ("wrote", "idle", "open"):
        book.runs.begin_run(scope, run_name, run_name, STATE_FILE)
    book.runs.add_counts("wrote", {"import.inserted": 5})
    book.runs.add_counts("idle", {"planning.unchanged": 5})
    for run_name in ("batch", "wrote", "idle"):
        book.runs.end_run(run_name, 0, completed=True)
    assert sorted(book.runs.batch_ids(scope)) == ["open", "wrote"]
    assert book.runs.batch_ids(scope + 1) == []


def test_counts_add_up_by_name_and_run(book: Book) -> None:
    book.runs.add_counts("batch", {"b": 2, "a": 1, "zero": 0})
    book.runs.add_counts("batch", {"a": 4, "b": -1})
    book.runs.add_counts("other", {"a": 100})
    assert book.runs.counts("batch") == {"a": 5, "b": 1}


# The file


def test_a_ledger_that_is_opened_again_has_everything(tmp_path: Path) -> None:
    book = Book(tmp_path / "ledger.db")
    ids = book.add("a", "b")
    book.imported(ids["a"])
    book.file.close()
    again = Book(tmp_path / "ledger.db")
    assert again.list(listed("a"), listed("b")).unchanged == 1
    assert again.batches(9) == [["b"]]
    again.file.close()


def test_a_transaction_is_undone_when_something_is_raised_in_it(book: Book) -> None:
    def broken_off() -> None:
        with book.file.transaction() as connection:
            connection.execute("insert into run_count values ('batch', 'a', 1)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert book.runs.counts("batch") == {}
    book.runs.add_counts("batch", {"a": 1})
    assert book.runs.counts("batch") == {"a": 1}


def test_a_file_that_is_no_database_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"these are somebody's notes, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="cannot be used"):
        LedgerFile(path)
    assert path.read_bytes() == before


def test_a_folder_in_its_place_and_a_folder_that_is_gone_are_refused(tmp_path: Path) -> None:
    for path, problem in (
        (tmp_path, "it is a folder"),
        (tmp_path / "gone" / "ledger.db", "its folder does not exist"),
    ):
        with pytest.raises(UsageError, match=rf"cannot be used: {problem}\. .* --db-path"):
            LedgerFile(path)
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    LedgerFile(path).close()
    _execute(path, "pragma user_version = 99")
    with pytest.raises(LedgerError, match="has version 99"):
        LedgerFile(path)


def test_another_programs_database_is_refused_and_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "places.sqlite"
    _execute(path, "create table bookmarks (url text)")
    with pytest.raises(LedgerError):
        LedgerFile(path)
    connection = sqlite3.connect(path)
    assert connection.execute("select name from sqlite_master").fetchall() == [("bookmarks",)]
    connection.close()


def test_a_damaged_ledger_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    book = Book(path)
    book.list(*(listed(str(number)) for number in range(500)))
    book.file.close()
    content = bytearray(path.read_bytes())
    content[20:4096] = bytes(4076)
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="move it away"):
        Book(path)


def _execute(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


# Whose it is, and what it is asked with


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_ledger_and_what_sqlite_puts_beside_it_are_for_their_owner(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "upload_tracker.db"
    before = os.umask(umask)
    try:
        for _ in range(2):
            book = Book(path)
            book.add("a")
            modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
            assert modes == {f"{path.name}{end}": 0o600 for end in ("", "-wal", "-shm")}
            book.file.close()
            path.chmod(0o644)  # as an earlier version left it
    finally:
        os.umask(before)


@pytest.mark.parametrize("run_name", ["'", "' or 1=1 --", "a?b:c"])
def test_a_batch_id_is_a_value_and_no_sql(tmp_path: Path, run_name: str) -> None:
    book = Book(tmp_path / "upload_tracker.db", run_name=run_name)
    for item_id in book.add("a", "b").values():
        book.failed(item_id)
    total, failures = book.items.failures(1)
    assert (total, [each.path for each in failures]) == (2, ["a"])
    book.file.close()


def test_a_ledger_that_a_killed_run_had_just_begun_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "upload_tracker.db"
    assert holds_nothing(path)
    path.touch()
    assert holds_nothing(path)
    connection = sqlite3.connect(path)
    connection.execute("pragma journal_mode = wal")
    connection.close()
    assert path.stat().st_size
    assert holds_nothing(path)
    path.write_bytes(b"something else" * 100)
    assert not holds_nothing(path)
    path.unlink()
    book = Book(path)
    assert not holds_nothing(path)
    book.file.close()
