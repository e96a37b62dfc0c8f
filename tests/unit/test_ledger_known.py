"""The ledger's memory of items that the target has already."""

from __future__ import annotations

from pathlib import Path

import pytest

from imports.items.images import Placement
from imports.items.work_item import ItemState, Plan
from imports.ledger import KnownLedger, KnownPlace, PlacementLedger, PlacementStage
from imports.ledger.acknowledged import acknowledge
from imports.source.tree import ListingProblem
from tests.support.book import Book, listed, picture

PLACE = Placement("photos", "a.png")


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "ledger.db")


def ledger(book: Book) -> KnownLedger:
    return KnownLedger(book.scope, "target")


def candidates(book: Book) -> dict[str, int]:
    """The ids of what the target is asked of, by path."""
    return {path: number for some in ledger(book).candidates(2) for number, path in some}


def states(book: Book) -> dict[object, object]:
    return dict(book.rows("select path, state from item"))  # type: ignore[arg-type]


def test_the_target_is_asked_of_what_is_listed_and_what_is_known_is_done(book: Book) -> None:
    book.imported(*book.add("imported").values())
    book.list(*map(listed, "abc"), whole=False)
    ids = candidates(book)
    assert [*ids] == ["a", "b", "c"]
    ledger(book).record([ids["a"], ids["b"]], [ids["c"]])
    assert states(book) == {"imported": "imported", "a": "imported", "b": "imported", "c": "listed"}
    assert book.runs.counts("batch")["planning.known"] == 2
    assert book.listed_paths() == ["c"]
    # There is nothing to compare of what no run of this ledger has imported.
    assert book.batches(9, ItemState.IMPORTED) == [["imported"]]


def test_it_is_asked_again_in_each_run_and_counts_once(book: Book) -> None:
    book.list(*map(listed, "ab"))
    ids = candidates(book)
    ledger(book).record([*ids.values()], [])
    book.next_run("next")
    book.list(*map(listed, "ab"))
    assert candidates(book) == ids
    ledger(book).record([ids["a"]], [ids["b"]])
    assert book.runs.counts("next").get("planning.known", 0) == 0
    assert states(book) == {"a": "imported", "b": "listed"}


def test_what_changed_after_its_import_stays_an_item_of_this_ledger(book: Book) -> None:
    (number,) = book.add("a").values()
    book.imported(number)
    book.list(listed("a", size=2))
    assert candidates(book) == {"a": number}
    ledger(book).record([number], [])
    assert candidates(book) == {}
    assert book.batches(9, ItemState.IMPORTED) == [["a"]]
    assert book.rows("select size, imported_in = first_in from item") == [(2, 1)]


def test_what_failed_before_is_no_failure_any_more(book: Book) -> None:
    (number,) = book.add("a").values()
    book.failed(number)
    book.next_run("next")
    book.list(listed("a"))
    ledger(book).record([*candidates(book).values()], [])
    assert book.items.failures(9) == (0, [])
    assert book.rows("select state, tries, reason from item") == [("imported", 0, None)]


def test_what_failed_too_often_is_asked_for_and_no_failure_if_it_is_known(book: Book) -> None:
    ids = book.add("a", "b", "c")
    for number in ids.values():
        book.failed(number)
    acknowledge(book.file, [ids["b"]], "somebody", None)
    book.next_run("next")
    found = book.list(*map(listed, "abc"), most_tries=1)
    assert (found.given_up, found.acknowledged) == (2, 1)
    counts = {"planning.given_up": 2, "planning.acknowledged": 1}
    book.runs.add_counts("next", counts)
    assert candidates(book) == ids
    ledger(book).record([ids["a"], ids["b"]], [ids["c"]])
    assert states(book) == {"a": "imported", "b": "imported", "c": "failed"}
    told = book.runs.counts("next")
    assert [told[f"planning.{name}"] for name in ("known", "given_up", "acknowledged")] == [2, 1, 0]
    assert book.items.failures(9)[0] == 1
    assert book.items.acknowledged() == 0


def test_what_could_not_be_listed_or_failed_in_this_run_is_not_asked_for(book: Book) -> None:
    (number,) = book.add("a").values()
    book.failed(number)
    book.list(listed("a"), ListingProblem("b", "cannot be listed"), most_tries=1)
    assert candidates(book) == {}
    book.next_run("next")
    book.list(listed("a"), ListingProblem("b", "cannot be listed"), most_tries=1)
    assert [*candidates(book)] == ["a"]


@pytest.mark.parametrize("stage", ["putting", "put", "committed"])
def test_an_item_with_an_image_that_waits_for_its_rows_is_imported(book: Book, stage: str) -> None:
    book.list(listed("a"))
    ((item,),) = book.listed_items(None, 9)
    book.plan(Plan(item.id, (picture("x"),), placements=(PLACE,)))
    PlacementLedger(book.scope, "target").note([KnownPlace(PLACE, "x", PlacementStage(stage))], {})
    book.items.list_planned()
    assert [*candidates(book)] == (["a"] if stage == "committed" else [])
