"""The command `acknowledge`: which items are meant, and what it says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from imports.cli.acknowledge import acknowledge_failed
from imports.cli.status import read_status, read_whereabouts, render_whereabouts
from imports.errors import LedgerError, LockedError, UsageError
from imports.ledger import LedgerFile, Scope
from imports.ledger.kept import keep_state
from imports.ledger.schema import UNRELEASED
from imports.run.lock import hold
from imports.run.provenance import token_inside
from imports.settings import Settings
from tests.support.book import Book
from tests.support.reports import work_state


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder whose ledger has three failed items, and one that is in."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    book = Book(folder / "upload_tracker.db", source=str(tmp_path / "data"))
    ids = book.add("x/bad_parse.json", "x/worse_parse.json", "y/bad_parse.json", "good_parse.json")
    for path, number in ids.items():
        if "good" in path:
            book.imported(number)
        else:
            book.failed(number, "is broken")
    book.file.close()
    return folder


def acknowledge(place: Path, *paths: object, **more: Any) -> list[str]:
    settings = Settings(state_file=place / "work_state.json")
    some = [Path(str(each)) for each in paths]
    return acknowledge_failed(
        settings, settings.ledger_file, some, more.pop("kind", None), more.pop("tag", None), **more
    )


def counts(place: Path) -> tuple[int, int]:
    """How many count as failed, and how many are acknowledged."""
    (scope,) = read_status(place / "work_state.json", place / "upload_tracker.db").scopes
    return scope.failed, scope.acknowledged


@pytest.mark.parametrize(
    "path", ["x/bad_parse.json", "../data/x/bad_parse.json", "{data}/x/bad_parse.json"]
)
def test_a_file_is_named_by_its_path_or_as_in_its_source(place: Path, path: str) -> None:
    lines = acknowledge(place, path.format(data=place.parent / "data"), note="ours")
    source = place.parent / "data"
    assert lines[0] == f"Acknowledged: 1 (states from {source}, tag tag, into target)"
    assert lines[1] == "  x/bad_parse.json: is broken"
    assert counts(place) == (2, 1)
    ledger = place / "upload_tracker.db"
    found = read_whereabouts(ledger, Path("x/bad_parse.json"))
    assert found[0].acknowledged is not None
    assert found[0].acknowledged.note == "ours"
    text = render_whereabouts(found, Path("x/bad_parse.json"), ledger)
    assert f"acknowledged by {found[0].acknowledged.by}: ours" in text


def test_a_file_that_is_there_is_meant_and_none_of_that_name_in_another_source(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Book(place / "upload_tracker.db", source=str(place.parent / "other"))
    book.failed(book.add("x/bad_parse.json")["x/bad_parse.json"], "is broken")
    book.file.close()
    (place.parent / "other").mkdir()
    monkeypatch.chdir(place.parent / "other")
    lines = acknowledge(place, "x/bad_parse.json")
    expected = f"Acknowledged: 1 (states from {place.parent / 'other'}, tag tag, into target)"
    assert lines[0] == expected
    assert sum(line.startswith("Acknowledged") for line in lines) == 1


def test_all_and_back(place: Path) -> None:
    assert acknowledge(place, tag="tag")[0].startswith("Acknowledged: 3 ")
    assert counts(place) == (0, 3)
    assert acknowledge(place, tag="tag") == ["Nothing to acknowledge."]
    assert acknowledge(place, tag="tag", undo=True)[0].startswith("Counted as failed again: 3 ")
    assert counts(place) == (3, 0)
    assert acknowledge(place, tag="tag", undo=True) == ["Nothing to undo."]


def test_each_target_of_a_tag_is_named(place: Path) -> None:
    """All of them are meant by a tag; each is called as its last run called it."""
    source = str(place.parent / "data")
    state = work_state(target_id="other", target="Supabase at https://x")
    book = Book(place / "upload_tracker.db", source=source, run_name=state.run_name)
    scope = book.runs.scope("states", source, "tag", state.target_id)
    book.use(Scope(book.file, scope, state.run_name))
    book.failed(book.add("z_parse.json")["z_parse.json"], "is broken")
    keep_state(book.file, scope, state)
    book.file.close()
    lines = acknowledge(place, tag="tag")
    assert [line for line in lines if line.startswith("Acknowledged")] == [
        f"Acknowledged: 3 (states from {source}, tag tag, into target)",
        f"Acknowledged: 1 (states from {source}, tag tag, into Supabase at https://x)",
    ]


def test_only_of_a_kind_and_a_tag(place: Path) -> None:
    assert acknowledge(place, tag="other") == ["Nothing to acknowledge."]
    assert acknowledge(place, kind="people") == ["Nothing to acknowledge."]
    with pytest.raises(UsageError):
        acknowledge(place, "x/bad_parse.json", tag="other")
    assert counts(place) == (3, 0)


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("bad_parse.json", ["x/bad_parse.json", "y/bad_parse.json"]),
        ("x", ["x/bad_parse.json", "x/worse_parse.json"]),
        ("x/bad_prase.json", ["x/bad_parse.json"]),
        ("nothing like it", []),
    ],
)
def test_an_unknown_path_is_an_error_that_names_what_may_be_meant(
    place: Path, path: str, near: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        acknowledge(place, "x/worse_parse.json", path)
    assert f"does not know {path}." in str(caught.value)
    assert ("Did you mean" in str(caught.value)) == bool(near)
    assert all(each in str(caught.value) for each in near)
    assert counts(place) == (3, 0), "one that is known is not acknowledged either"


def test_what_does_not_count_as_failed_is_told(place: Path) -> None:
    assert acknowledge(place, "good_parse.json") == [
        "good_parse.json (states, tag tag) does not count as failed.",
        "Nothing to acknowledge.",
    ]
    assert acknowledge(place, "x/bad_parse.json", undo=True)[0].endswith("is not acknowledged.")
    acknowledge(place, "x/bad_parse.json")
    lines = acknowledge(place, "x/bad_parse.json", "y/bad_parse.json", "good_parse.json")
    assert lines[0].endswith("is already acknowledged.")
    assert lines[2].startswith("Acknowledged: 1 ")
    assert counts(place) == (1, 2)


def test_while_a_run_is_at_work_nothing_is_acknowledged(place: Path) -> None:
    with ExitStack() as resources:
        hold(place / "work_state.json", "The work state", "--state-file", resources)
        with pytest.raises(LockedError):
            acknowledge(place, "x/bad_parse.json")
    assert counts(place) == (3, 0)


def test_without_a_ledger_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--db-path"):
        acknowledge(tmp_path, "a")
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_came_with_the_data_is_not_used(tmp_path: Path) -> None:
    Book(tmp_path / "upload_tracker.db", source=str(tmp_path)).file.close()
    with pytest.raises(UsageError, match="may have come with the data"):
        acknowledge(tmp_path, tag="tag")


def test_a_ledger_of_ours_in_its_source_is_used(tmp_path: Path) -> None:
    settings = Settings(state_file=tmp_path / "work_state.json", data_folder=tmp_path / "data")
    LedgerFile(settings.ledger_file, token_inside(settings, tmp_path)).close()
    book = Book(settings.ledger_file, source=str(tmp_path))
    book.failed(*book.add("a").values())
    book.file.close()
    assert token_inside(settings, tmp_path) is None, "a run would use it, too"
    assert acknowledge(tmp_path, "a")[0].startswith("Acknowledged: 1 ")


def test_a_ledger_in_its_source_that_nobody_can_use_is_told_as_that(tmp_path: Path) -> None:
    settings = Settings(state_file=tmp_path / "work_state.json", data_folder=tmp_path / "data")
    Book(settings.ledger_file, source=str(tmp_path)).file.close()
    with closing(sqlite3.connect(settings.ledger_file)) as connection:
        connection.execute(f"pragma user_version = {UNRELEASED}")
    for use in (lambda: token_inside(settings, tmp_path), lambda: acknowledge(tmp_path, "a")):
        with pytest.raises(LedgerError, match="Move it away and run again"):
            use()
    assert not settings.data_folder.exists()
