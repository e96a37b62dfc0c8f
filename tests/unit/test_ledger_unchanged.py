"""Folders whose items are all unchanged are not in the temporary listing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imports.items.source import Signature
from imports.items.work_item import ListedItem
from imports.ledger import Listing
from imports.ledger import listing as ledger_listing
from tests.support.book import Book, listed

NEVER = 10**9


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_listing, "_MIN_FOLDER_ITEMS", 1)


def book_of(folder: Path, names: str) -> tuple[Book, dict[str, int]]:
    """A ledger in which all these items are imported."""
    book = Book(folder / "ledger.db")
    ids = book.add(*names.split())
    book.imported(*ids.values())
    return book, ids


def states(book: Book) -> dict[str, str]:
    rows = book.file.connection.execute("select path, state from item order by path")
    return dict(rows.fetchall())


def unchanged(book: Book, entries: list[ListedItem]) -> list[tuple[str, str, int]]:
    """The folders that a listing finds unchanged."""
    with book.listing._temporary_listing(entries, skip_unchanged=True):
        return book.file.connection.execute("select * from unchanged order by first").fetchall()


def entries_of(names: str) -> list[ListedItem]:
    """A listing of these, as they are known."""
    return [listed(name) for name in names.split()]


def test_an_unchanged_folder_is_one_row(tmp_path: Path, short: None) -> None:
    book, _ = book_of(tmp_path, "a/1 a/2 b/1 b/c/1")
    entries = entries_of("b/c/1 a/2 a/1 b/1")
    assert unchanged(book, entries) == [("a/1", "a/2", 2), ("b/1", "b/1", 1), ("b/c/1", "b/c/1", 1)]
    assert book.list(*entries) == Listing(4, 0, 0, 4, 0, 0)
    book.file.close()


def test_a_folder_with_few_items_is_listed(tmp_path: Path) -> None:
    book, _ = book_of(tmp_path, "a/1 a/2")
    entries = entries_of("a/1 a/2")
    assert unchanged(book, entries) == []
    assert book.list(*entries) == Listing(2, 0, 0, 2, 0, 0)
    book.file.close()


@pytest.mark.parametrize("change", ["changed", "failed", "listed", "gone", "new", "disposed"])
def test_what_has_changed_is_left_with_its_whole_folder(
    tmp_path: Path, short: None, change: str
) -> None:
    book, ids = book_of(tmp_path, "a/1 a/2 a/3 b/1")
    entries = entries_of("a/1 a/2 a/3 b/1")
    if change == "changed":
        entries[1] = ListedItem("a/2", Signature(1, 99))
    elif change == "new":
        entries.append(ListedItem("a/2b", Signature(1, 1)))
    elif change == "gone":
        del entries[1]
    elif change == "failed":
        book.failed(ids["a/2"])
    else:
        value = "state = 'listed'" if change == "listed" else "disposed_at = 1.0"
        book.file.connection.execute(f"update item set {value} where path = 'a/2'")
    assert unchanged(book, entries) == [("b/1", "b/1", 1)]
    listing = book.list(*entries)
    expected = {"gone": 3, "new": 4}.get(change, 3)
    assert (listing.total, listing.unchanged) == (len(entries), expected)
    wanted = {"a/1", "a/3", "b/1"} | ({"a/2"} if change != "gone" else set())
    assert set(states(book)) == wanted | ({"a/2b"} if change == "new" else set())
    book.file.close()


def test_a_deleted_item_between_skipped_folders_is_deleted(tmp_path: Path, short: None) -> None:
    book, _ = book_of(tmp_path, "a/1 a/2 a/3 a/9 b/1")
    entries = entries_of("a/1 a/2 a/3")
    assert unchanged(book, entries) == [("a/1", "a/3", 3)]
    assert book.list(*entries) == Listing(3, 0, 0, 3, 0, 0)
    assert set(states(book)) == {"a/1", "a/2", "a/3"}
    book.file.close()


def test_all_again_skips_nothing(tmp_path: Path, short: None) -> None:
    book, _ = book_of(tmp_path, "a/1 a/2")
    assert book.list(*entries_of("a/1 a/2"), again=True).changed == 2
    assert set(states(book).values()) == {"listed"}
    book.file.close()


PATHS = st.sampled_from(
    [f"{folder}{name}" for folder in ("", "a/", "a/b/", "c/") for name in "123"]
)
HISTORY = st.lists(
    st.tuples(
        st.dictionaries(PATHS, st.integers(1, 2), min_size=1),
        st.sampled_from(["import", "fail", "leave"]),
        st.booleans(),
        st.sampled_from([None, 0, 1]),
    ),
    min_size=1,
    max_size=4,
)


@given(history=HISTORY)
@settings(max_examples=150, deadline=None)
def test_a_listing_is_the_same_whether_unchanged_folders_are_skipped_or_not(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any]
) -> None:
    outcomes = []
    for least in (1, NEVER):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledger_listing, "_MIN_FOLDER_ITEMS", least)
            patch.setattr(ledger_listing, "_CHUNK", 5)
            book = Book(tmp_path_factory.mktemp("book") / "ledger.db")
            seen: list[object] = []
            for number, (files, then, again, most_tries) in enumerate(history):
                book.next_run(f"run{number}")
                entries = [ListedItem(path, Signature(1, each)) for path, each in files.items()]
                seen.append(book.list(*entries, again=again, most_tries=most_tries))
                for found in book.listed_items(None, 100):
                    for item in found:
                        if then == "import":
                            book.imported(item.id)
                        elif then == "fail":
                            book.failed(item.id)
                seen.append(states(book))
            outcomes.append(seen)
            book.file.close()
    assert outcomes[0] == outcomes[1]
