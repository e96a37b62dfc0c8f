"""Work states that the ledger keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imports.errors import LedgerError
from imports.ledger.kept import forget_state, keep_state, keeps, kept_states
from imports.ledger.work_state import FailedItem, WorkState
from tests.support.book import STATE_FILE, Book
from tests.support.reports import work_state


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = Book(tmp_path / "ledger.db")
    yield book
    book.file.close()


def state(number: int, **changes: object) -> WorkState:
    return work_state(run_name=f"batch_20251118_120000_00000{number}", **changes)


def keep(book: Book, state: WorkState, tag: str = "tag") -> None:
    scope_id = book.runs.scope("states", "/data", tag, "target")
    if not book.rows(f"select 1 from run where batch_id = '{state.run_name}'"):
        book.runs.begin_run(scope_id, state.run_id, state.run_name, STATE_FILE)
    keep_state(book.file, scope_id, state)


def kept(book: Book, kind: str | None = None, tag: str | None = None) -> list[str]:
    found = kept_states(book.file.connection, kind, tag)
    assert {each.state_file for each in found} <= {STATE_FILE}
    return [each.state.run_name[-1] for each in found]


def test_the_last_one_of_each_scope_is_kept_the_latest_first(book: Book) -> None:
    keep(book, state(1))
    keep(book, state(2), "other")
    keep(book, state(3))
    assert kept(book) == ["3", "2"]
    keep(book, state(2), "other")
    assert kept(book) == ["3", "2"], "a checkpoint is no new run"
    assert (kept(book, tag="other"), kept(book, "states", "tag"), kept(book, "people")) == (
        ["2"],
        ["3"],
        [],
    )


def test_it_is_stored_without_the_lists_of_its_items(book: Book) -> None:
    failed = [FailedItem(path="a", phase="import", reason="bad", tries=1)]
    one = state(1, failed_items=failed, failed_items_total=1, parameters={"limit": 3})
    keep(book, one)
    (found,) = kept_states(book.file.connection)
    assert found.state.failed_items == []
    one.failed_items = []
    assert found.state == one


def test_of_runs_over_single_items_those_are_kept_that_are_unfinished(book: Book) -> None:
    keep(book, state(1))
    keep(book, state(2, single_file="a", status="interrupted"))
    keep(book, state(3, single_file="b"))
    keep(book, state(4, single_file="c"))
    assert kept(book) == ["4", "2", "1"]


def test_one_that_is_given_up_is_forgotten(book: Book, tmp_path: Path) -> None:
    keep(book, one := state(1))
    keep(book, state(2), "other")
    assert keeps(tmp_path / "ledger.db", one)
    forget_state(book.file, one)
    assert kept(book) == ["2"]
    assert not keeps(tmp_path / "ledger.db", one)
    assert not keeps(tmp_path / "none.db", one)


@pytest.mark.parametrize("text", ["{", '{"run_id": 3}'])
def test_a_state_that_no_run_wrote_is_an_error(book: Book, text: str) -> None:
    keep(book, state(1))
    with book.file.transaction() as connection:
        connection.execute("update work_state set state = ?", (text,))
    with pytest.raises(LedgerError, match="work state"):
        kept_states(book.file.connection)


def test_to_verify_a_finished_run_does_not_make_it_unfinished(book: Book) -> None:
    book.runs.end_run("batch", 3, completed=True)
    ended = book.rows("select finished_at, exit_code, completed from run")
    book.runs.begin_run(book.scope_id, "run", "batch", STATE_FILE, only_verified=True)
    assert book.rows("select finished_at, exit_code, completed from run") == ended
    book.runs.begin_run(book.scope_id, "run", "batch", STATE_FILE)
    assert book.rows("select finished_at, exit_code, completed from run") == [(None, None, 0)]
