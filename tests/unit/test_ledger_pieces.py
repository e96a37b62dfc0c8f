"""Batches that are bounded by rows, items that are large, and how far these have come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imports.items.records import RecordFailure
from imports.items.source import Signature
from imports.items.work_item import Failure, ItemState, Plan, WorkItem
from imports.ledger import StableSince, queue
from tests.support.book import TOOK, Book, listed

MTIME = 1_700_000_000
MOST_WEIGHT = 20_000


@pytest.fixture(autouse=True, scope="module")
def most_rows() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "MOST_WEIGHT", MOST_WEIGHT)
        yield


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "upload_tracker.db", kind="people")
    yield book
    book.file.close()


def plan_rows(
    book: Book,
    rows: Sequence[int],
    chunks: Sequence[int | None] = (),
    groups: Sequence[int | None] = (),
) -> dict[str, int]:
    """Items `00`, `01` … with so many rows, in these chunks and groups; their ids."""
    book.list(*(listed(f"{number:02}") for number in range(len(rows))), whole=False)
    ids = {}
    for items in book.listed_items(None, 100):
        for item in items:
            number = int(item.path)
            chunk = chunks[number] if chunks else None
            group = groups[number] if groups else None
            plan = Plan(item.id, group=group, records=1, weight=rows[number], chunk=chunk)
            book.plan(plan)
            ids[item.path] = item.id
    return ids


def cut(book: Book, size: int = 500) -> list[list[int]]:
    """The batches, by the numbers of their items."""
    return [[int(path) for path in batch] for batch in book.batches(size)]


# Rows


@pytest.mark.parametrize(
    ("rows", "batches"),
    [
        ([MOST_WEIGHT], [[0]]),
        ([MOST_WEIGHT + 1], [[0]]),
        ([MOST_WEIGHT, 1], [[0], [1]]),
        ([MOST_WEIGHT - 1, 1], [[0, 1]]),
        ([MOST_WEIGHT - 1, 1, 1], [[0, 1], [2]]),
        ([MOST_WEIGHT // 2, MOST_WEIGHT // 2, 1], [[0, 1], [2]]),
        ([1, MOST_WEIGHT], [[0], [1]]),
        ([1, MOST_WEIGHT * 9, 1], [[0], [1], [2]]),
        ([MOST_WEIGHT * 9] * 3, [[0], [1], [2]]),
        ([0] * 5, [[0, 1, 2, 3, 4]]),
        ([MOST_WEIGHT, 0, 0], [[0, 1, 2]]),
        ([], []),
    ],
)
def test_a_batch_has_no_more_rows_than_that_or_one_item(
    book: Book, rows: list[int], batches: list[list[int]]
) -> None:
    plan_rows(book, rows)
    assert cut(book) == batches


def test_the_number_of_items_bounds_a_batch_too(book: Book) -> None:
    plan_rows(book, [1, 1, 1, MOST_WEIGHT, 1])
    assert cut(book, 2) == [[0, 1], [2], [3], [4]]
    assert cut(book, 1) == [[0], [1], [2], [3], [4]]


@pytest.mark.parametrize(
    ("rows", "chunks", "batches"),
    [
        # A batch ends with a chunk rather than within one.
        ([5_000] * 6, [1, 1, 1, 2, 2, 2], [[0, 1, 2], [3, 4, 5]]),
        ([9_000] * 4, [1, 1, 2, 2], [[0, 1], [2, 3]]),
        ([5_000] * 5, [1, 2, 2, 2, 2], [[0], [1, 2, 3, 4]]),
        # One that has too many rows itself is torn.
        ([9_000] * 5, [1] * 5, [[0, 1], [2, 3], [4]]),
        ([9_000] * 5, [1, 1, 1, 2, 2], [[0, 1], [2], [3, 4]]),
        # Those that are spooled nowhere can be torn anywhere.
        ([9_000] * 5, [None] * 5, [[0, 1], [2, 3], [4]]),
        ([9_000] * 5, [1, None, None, 1, 1], [[0, 1], [2], [3, 4]]),
    ],
)
def test_a_chunk_is_kept_whole_where_it_can_be(
    book: Book, rows: list[int], chunks: list[int | None], batches: list[list[int]]
) -> None:
    plan_rows(book, rows, chunks)
    assert cut(book) == batches


def test_a_damaged_chunk_has_no_items(book: Book) -> None:
    plan_rows(book, [15_000] * 3, [7] * 3)
    book.queue.open(ItemState.PLANNED, None)
    assert [[item.chunk for item in items] for items in book.queue.batches(9)] == [[7], [7], [7]]


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_a_group_is_never_torn_however_many_rows_it_has(book: Book, size: int) -> None:
    groups = [None, 1, 1, 1, 2, 2]
    plan_rows(book, [1, 19_000, 19_000, 19_000, 1, 1], groups=groups)
    found = cut(book, size)
    assert sorted(number for batch in found for number in batch) == list(range(6))
    (with_x,) = [batch for batch in found if 1 in batch]
    (with_y,) = [batch for batch in found if 4 in batch]
    assert [number for number in with_x if number in {1, 2, 3}] == [1, 2, 3]
    assert [number for number in with_y if number in {4, 5}] == [4, 5]


def test_groups_come_in_the_order_of_their_first_paths(book: Book) -> None:
    """So that a batch reads few chunks, where items of a group are neighbours."""
    plan_rows(book, [1] * 7, groups=[9, 9, 5, 5, None, 7, 7])
    assert cut(book, 2) == [[4, 0, 1], [2, 3], [5, 6]]


def test_two_groups_side_by_side_are_cut_between_them(book: Book) -> None:
    plan_rows(book, [9_000] * 4, groups=[1, 1, 2, 2])
    assert sorted(cut(book)) == [[0, 1], [2, 3]]


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 1, 7_000, 10_000, MOST_WEIGHT - 1, MOST_WEIGHT, MOST_WEIGHT + 1]),
            st.sampled_from([None, 1, 2]),
            st.sampled_from([None, None, 5, 6]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_a_cut_takes_some_items_and_splits_no_group(
    items: list[tuple[int, int | None, int | None]],
) -> None:
    # As the queue has them: groups come last and side by side.
    ordered = sorted(items, key=lambda each: (each[2] is not None, each[2] or 0))
    rows = [
        queue._Queued(n, group, n, str(n), chunk, count, None)
        for n, (count, chunk, group) in enumerate(ordered)
    ]
    taken = queue._batch(rows)
    assert 1 <= taken <= len(rows)
    mine, rest = rows[:taken], rows[taken:]
    if rest:
        assert rest[0][1] is None or rest[0][1] != mine[-1][1], "a group is torn"
        has_room = sum(row[5] for row in mine) + rest[0][5] <= MOST_WEIGHT
        # A group goes with its last item, which may be of a chunk where the first is of none.
        unit = [row for row in rest if row is rest[0] or (row[1] and row[1] == rest[0][1])]
        kept_back = any(row[4] is not None for row in unit)
        assert not has_room or kept_back, "only a chunk is kept back"
    units = len({row[2] if row[1] is None else -row[1] for row in mine})
    assert sum(row[5] for row in mine) <= MOST_WEIGHT or units == 1 or mine[-1][1] is not None


@pytest.mark.parametrize("size", [2, 500])
@pytest.mark.parametrize("finished", [[0], [1], [2], [0, 2], [1, 2], [1, 3]])
def test_after_some_batches_the_others_are_what_they_were(
    book: Book, finished: list[int], size: int
) -> None:
    """A merge whose reply was lost is asked for again with the same id, or it counts twice."""
    rows = [15_000, 15_000, 4_000, 5_000, 18_000, 1_000, 1_000]
    ids = plan_rows(book, rows)
    before = cut(book, size)
    for number in finished:
        book.imported(*(ids[f"{each:02}"] for each in before[number]))
    assert cut(book, size) == [
        batch for number, batch in enumerate(before) if number not in finished
    ]


def test_the_rows_of_another_plan_count_from_then_on(book: Book) -> None:
    ids = plan_rows(book, [15_000, 15_000])
    book.plan(Plan(ids["00"], weight=1))
    assert cut(book) == [[0, 1]]


# Large items


def sized(book: Book, *sizes: int) -> dict[str, int]:
    book.list(*(listed(f"{number:02}", size) for number, size in enumerate(sizes)))
    return book.add()


def test_exactly_as_large_as_allowed_is_not_large(book: Book) -> None:
    sized(book, 99, 100, 101)
    assert book.queue.open(ItemState.PLANNED, None, 100) == 3
    assert [[item.path for item in items] for items in book.queue.batches(9)] == [["00", "01"]]
    assert [item.path for item in book.queue.large()] == ["02"]


def test_a_kind_without_pieces_has_no_large_items(book: Book) -> None:
    sized(book, 10**12)
    book.queue.open(ItemState.PLANNED, None)
    assert [[item.path for item in items] for items in book.queue.batches(9)] == [["00"]]
    assert book.queue.large() == []


def test_large_items_among_others_leave_no_gap_in_the_batches(book: Book) -> None:
    sized(book, 1, 999, 1, 999, 999, 1, 1)
    assert book.queue.open(ItemState.PLANNED, None, 100) == 7
    batches = [[item.path for item in items] for items in book.queue.batches(2)]
    assert batches == [["00", "02"], ["05", "06"]]
    assert [item.path for item in book.queue.large()] == ["01", "03", "04"]


def test_where_all_are_large_there_are_no_batches(book: Book) -> None:
    sized(book, 999, 999)
    book.queue.open(ItemState.PLANNED, None, 0)
    assert list(book.queue.batches(1)) == []
    assert len(book.queue.large()) == 2


def test_a_limit_holds_for_large_and_other_items_together(book: Book) -> None:
    sized(book, 999, 1, 999, 1)
    assert book.queue.open(ItemState.PLANNED, 3, 100) == 3
    assert [[item.path for item in items] for items in book.queue.batches(9)] == [["01"]]
    assert [item.path for item in book.queue.large()] == ["00", "02"]


def test_a_large_item_knows_how_far_it_has_come(book: Book) -> None:
    ids = sized(book, 999)
    book.queue.record_piece(ids["00"], 500, {"import.inserted": 499}, TOOK, 499, [])
    book.queue.open(ItemState.PLANNED, None, 100)
    assert book.queue.large() == [WorkItem(ids["00"], "00", Signature(999, 1), records_done=500)]


# How far they have come


def counts_of(book: Book, path: str = "00") -> tuple[object, ...]:
    (found,) = book.rows(
        "select records_done, succeeded, refused, began_at, ended_at from item"
        f" where path = '{path}'"
    )
    return found


def bad(item_id: int, *numbers: int) -> list[RecordFailure]:
    return [RecordFailure(item_id, number, f"p{number}", "bad") for number in numbers]


def test_pieces_add_up_and_what_failed_is_kept_in_its_order(book: Book) -> None:
    ids = sized(book, 999)
    number = ids["00"]
    book.queue.record_piece(number, 3, {"import.inserted": 2}, (10.0, 11.0), 2, bad(number, 2))
    book.queue.record_piece(number, 6, {"import.inserted": 1}, (11.0, 12.0), 1, bad(number, 5, 3))
    assert counts_of(book) == (6, 3, 3, 10.0, None)
    assert book.queue.record_failures(number) == bad(number, 2, 3, 5)
    assert book.runs.counts("batch") == {"import.inserted": 3}
    assert book.items.count(ItemState.PLANNED) == 1, "it is not done yet"
    book.queue.record_imported([number], [], {}, (10.0, 13.0))
    assert counts_of(book) == (6, 3, 3, 10.0, 13.0)


def test_a_large_item_that_failed_begins_again_when_it_is_planned_again(book: Book) -> None:
    ids = sized(book, 999)
    number = ids["00"]
    book.queue.record_piece(number, 3, {}, TOOK, 2, bad(number, 2))
    book.queue.record_imported([number], [(number, "broken at the end")], {}, TOOK)
    assert counts_of(book)[:3] == (3, 2, 1)
    book.next_run("next")
    book.list(listed("00", 999))
    assert book.add() == ids
    assert counts_of(book) == (0, 0, 0, None, None)
    assert book.queue.record_failures(number) == []


def test_an_interrupted_large_item_continues_where_it_stopped(book: Book) -> None:
    ids = sized(book, 999)
    number = ids["00"]
    book.queue.record_piece(number, 3, {}, (10.0, 11.0), 2, bad(number, 2))
    assert book.list(listed("00", 999)).changed == 1
    assert book.listed_paths() == []
    book.queue.open(ItemState.PLANNED, None, 100)
    assert [item.records_done for item in book.queue.large()] == [3]
    assert book.queue.record_failures(number) == bad(number, 2)


def test_a_large_item_that_changed_meanwhile_begins_again(book: Book) -> None:
    ids = sized(book, 999)
    book.queue.record_piece(ids["00"], 3, {}, TOOK, 2, bad(ids["00"], 2))
    book.list(listed("00", 1_000))
    book.add()
    book.queue.open(ItemState.PLANNED, None, 100)
    assert [item.records_done for item in book.queue.large()] == [0]


def test_a_piece_that_comes_twice_does_not_double_its_failures(book: Book) -> None:
    ids = sized(book, 999)
    number = ids["00"]
    for _ in range(2):
        book.queue.record_piece(number, 3, {}, TOOK, 0, bad(number, 0, 1, 2))
    assert len(book.queue.record_failures(number)) == 3


def test_a_batch_records_for_each_item_the_imported_and_the_failed_records(book: Book) -> None:
    ids = sized(book, 1, 1, 1)
    a, b, c = ids.values()
    failures = bad(b, 0, 7)
    book.queue.record_imported(
        [a, b, c],
        [(b, "record p0: bad (and 1 more records)")],
        {"import.inserted": 12},
        (10.0, 12.5),
        {a: 4, b: 8},
        failures,
    )
    assert counts_of(book, "00") == (0, 4, 0, 10.0, 12.5)
    assert counts_of(book, "01")[1:4] == (8, 2, 10.0)
    assert counts_of(book, "02") == (0, 0, 0, 10.0, 12.5)
    assert book.queue.record_failures(b) == failures
    assert book.queue.record_failures(a) == book.queue.record_failures(999) == []
    assert [each.path for each in book.items.failures(9)[1]] == ["01"]


def test_records_that_failed_may_have_any_text(book: Book) -> None:
    ids = sized(book, 1)
    found = [
        RecordFailure(ids["00"], 0, "", "it's; drop table item --"),
        RecordFailure(ids["00"], 1, "薬局 \U0001f469", "\n" * 3 + "x" * 10_000),
    ]
    book.queue.record_imported([ids["00"]], [(ids["00"], "two")], {}, TOOK, {}, found)
    assert book.queue.record_failures(ids["00"]) == found


def test_a_plan_that_fails_leaves_nothing_of_what_was_before(book: Book) -> None:
    ids = sized(book, 1)
    number = ids["00"]
    book.queue.record_imported([number], [(number, "bad")], {}, TOOK, {number: 5}, bad(number, 1))
    book.next_run("next")
    book.list(listed("00"))
    book.plan(Plan(number, failure="is not JSON"))
    assert book.queue.record_failures(number) == []
    assert counts_of(book)[:3] == (0, 0, 0)
    assert book.items.failures(9) == (1, [Failure("00", "planning", "is not JSON", 2)])


# What planning has yet to read


def sizes_of(book: Book, size: int, most_bytes: int | None, limit: int | None = None) -> list[int]:
    return [len(items) for items in book.listed_items(limit, size, most_bytes)]


@pytest.mark.parametrize(
    ("sizes", "lists"),
    [
        ([50, 50, 1], [2, 1]),
        ([100, 1], [1, 1]),
        ([101, 1], [1, 1]),
        ([1, 101, 1], [1, 1, 1]),
        ([101, 101], [1, 1]),
        ([0] * 7, [3, 3, 1]),
        ([100, 0, 0, 0], [3, 1]),
        ([], []),
    ],
)
def test_lists_have_no_more_bytes_than_that_or_one_item(
    book: Book, sizes: list[int], lists: list[int]
) -> None:
    book.list(*(listed(f"{number:02}", size) for number, size in enumerate(sizes)))
    assert sizes_of(book, 3, 100) == lists
    assert sizes_of(book, 99, None) == [len(sizes)][: len(sizes)]


@given(st.lists(st.integers(0, 200), max_size=12), st.integers(1, 5), st.integers(0, 15))
def test_items_of_any_size_come_once_and_up_to_the_limit(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], size: int, limit: int
) -> None:
    book = Book(tmp_path_factory.mktemp("book") / "l.db")
    book.list(*(listed(f"{number:02}", each) for number, each in enumerate(sizes)))
    found = list(book.listed_items(limit, size, 100))
    paths = [item.path for items in found for item in items]
    assert paths == [f"{number:02}" for number in range(min(limit, len(sizes)))]
    for items in found:
        assert len(items) == 1 or sum(item.signature.size for item in items) <= 100
        assert len(items) <= size
    book.file.close()


def test_the_number_of_items_to_read_is_shown(book: Book) -> None:
    assert book.items.listed() == (0, 0)
    book.list(listed("a", 5), listed("b", 7), listed("c", 0))
    assert book.items.listed() == (3, 12)
    book.add()
    assert book.items.listed() == (0, 0)


def stable(mtime: float, seen: float = 0.0) -> StableSince:
    return StableSince(mtime, seen)


@pytest.mark.parametrize(
    ("mtime", "seen", "is_stable"),
    [
        (0, 1.0, True),
        (0, 0.0, True),
        (1, 1.0, False),
        (1, 0.0, True),
        (10**9, 0.001, False),
        (10**9, 0.0, True),
        (-(10**9), 10**9, True),
    ],
)
def test_a_file_is_stable_by_its_mtime_or_by_when_it_was_last_seen_to_change(
    book: Book, mtime: int, seen: float, is_stable: bool
) -> None:
    """Both from the moment on; a clock that is ahead of ours keeps no file out for ever."""
    book.list(listed("a", 5, MTIME * 10**9 + mtime))
    since = stable(MTIME, 7.0)
    book.growing.note(since, 7.0 + seen)
    assert book.items.listed(since) == ((1, 5) if is_stable else (0, 0))
    found = list(book.listed_items(None, 9, None, since))
    assert len(found) == int(is_stable)


def test_a_file_that_grows_is_seen_to_change_by_each_listing(book: Book) -> None:
    ahead = 2 * 10**18
    for size in (1, 2, 3):
        book.list(listed("a", size, ahead + size), most_tries=0)
        book.growing.note(stable(1e9), 10.0 * size)
        assert book.items.listed(stable(1e9, 10.0 * size - 0.001)) == (0, 0)
        book.growing.note(stable(1e9), 10.0 * size + 5.0)
    # Nothing has changed since: that is what the listings before have seen.
    book.list(listed("a", 3, ahead + 3), most_tries=0)
    book.growing.note(stable(1e9), 50.0)
    assert book.items.listed(stable(1e9, 30.0)) == (1, 3)


def test_a_file_that_was_found_growing_waits_whatever_its_mtime_is(book: Book) -> None:
    ids = {}
    book.list(listed("a", 1, 1, "5.1"), listed("b", 1, 1, "6.1"))
    for items in book.listed_items(None, 9):
        ids = {item.path: item.id for item in items}
    book.growing.found([ids["a"]], 10.0)
    assert book.items.listed(stable(1e9, 9.0))[0] == 1
    assert book.items.listed(stable(1e9, 10.0))[0] == 2
    assert book.growing.seen_unchanged([*ids.values()]) == {ids["a"]}
    book.growing.found([ids["a"]], 20.0)
    assert book.items.listed(stable(1e9, 10.0))[0] == 1, "it begins anew"
    # Its ctime changed: what is seen of it from then on is another file.
    book.list(listed("a", 1, 1, "5.2"), listed("b", 1, 1, "6.1"), most_tries=0)
    book.growing.note(stable(1e9), 30.0)
    assert book.growing.seen_unchanged([*ids.values()]) == set()


def test_another_run_has_seen_nothing_of_what_grows(tmp_path: Path) -> None:
    """Its clock is another one."""
    book = Book(tmp_path / "again.db")
    book.list(listed("a", 1, 2 * 10**18))
    book.growing.note(stable(1e9), 5.0)
    book.file.close()
    book = Book(tmp_path / "again.db", run_name="next")
    book.list(listed("a", 1, 2 * 10**18))
    book.growing.note(stable(1e9), 50.0)
    assert book.items.listed(stable(1e9, 49.0)) == (0, 0)
    book.file.close()


@pytest.mark.parametrize("mtime_ns", [-(2**63), 2**63 - 1, 0, -1])
def test_a_file_from_any_time_is_compared(book: Book, mtime_ns: int) -> None:
    book.list(listed("a", 1, mtime_ns))
    for moment in (1e9, -1e9):
        book.growing.note(stable(moment), 1.0)
        assert book.items.listed(stable(moment))[0] == int(mtime_ns <= moment * 1e9)


def test_only_what_is_stable_comes_also_of_what_failed_before(book: Book) -> None:
    ids = book.add("a", "b")
    for number in ids.values():
        book.failed(number)
    book.next_run("next")
    old, new = MTIME * 10**9, (MTIME + 9) * 10**9
    book.list(listed("a", 1, old), listed("b", 1, new), listed("c", 1, old), listed("d", 1, new))
    found = list(book.listed_items(None, 9, 4_000, stable(MTIME)))
    assert [item.path for items in found for item in items] == ["a", "c"]


def test_items_in_reading_may_be_planned_while_lists_are_cut_by_bytes(book: Book) -> None:
    book.list(*(listed(f"{number:02}", 60) for number in range(7)))
    seen = []
    for items in book.listed_items(None, 5, 120):
        seen += [item.path for item in items]
        book.plan(*(Plan(item.id) for item in items))
    assert seen == [f"{number:02}" for number in range(7)]
