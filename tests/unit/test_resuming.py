"""Which runs are gone on with, in which order, with which settings, and what that exits with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imports.cli.resuming import Resumable, give_up_runs, resumable_runs, resume_all
from imports.configuration.choices import Backend
from imports.errors import (
    BackendUnavailableError,
    ImporterError,
    InterruptedRunError,
    LockedError,
    UsageError,
)
from imports.ledger.kept import keep_state
from imports.ledger.work_state import WorkState
from imports.run.last_work import last_work
from imports.settings import Settings
from tests.support.book import Book
from tests.support.reports import work_state


class Shelf:
    """A ledger in the folder that runs work in, with states in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Settings(state_file=folder / "work_state.json", data_folder=Path("d"))
        self.book = Book(self.settings.ledger_file)

    def keep(self, number: int, status: str = "interrupted", **changes: Any) -> WorkState:
        values = {"source": "/data", "tag": "t", "status": status, **changes}
        state = work_state(run_name=f"batch_20251118_120000_00000{number}", **values)
        scope_id = self.book.runs.scope(state.kind, state.source, state.tag, state.target_id)
        file = self.folder / "work_state.json"
        self.book.runs.begin_run(scope_id, state.run_id, state.run_name, file)
        keep_state(self.book.file, scope_id, state)
        return state

    def found(self, given: dict[str, Any] | None = None, **only: Any) -> list[Resumable]:
        chosen: dict[str, Any] = {"kind": None, "tag": None, **only}
        return resumable_runs(self.settings, given or {}, **chosen)

    def numbers(self, **only: Any) -> list[str]:
        return [each.state.run_name[-1] for each in self.found(**only)]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.book.file.close()


def test_what_is_unfinished_is_found_the_oldest_first_and_who_waits_last(shelf: Shelf) -> None:
    shelf.keep(1, tag="watched", parameters={"watch": True})
    shelf.keep(2, "running", tag="killed")
    shelf.keep(3, "completed", tag="done")
    shelf.keep(4, "failed", tag="no key", kind="folders")
    shelf.keep(5, "failed", tag="mistyped", total_files=0)
    shelf.keep(6, single_file="a.json")
    assert shelf.numbers() == ["2", "4", "6", "1"]
    assert (shelf.numbers(tag="killed"), shelf.numbers(kind="folders")) == (["2"], ["4"])
    assert shelf.found(tag="none") == []


def test_without_a_ledger_there_is_nothing(tmp_path: Path) -> None:
    settings = Settings(state_file=tmp_path / "work_state.json")
    assert resumable_runs(settings, {}, None, None) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_on_as_it_was_begun_but_into_the_target_of_today(shelf: Shelf) -> None:
    begun: dict[str, Any] = {
        "image_roots": ["/photos", "/work/more"],
        "patterns": ["*.jpg"],
        "batch_size": 7,
        "on_success": "keep",
        "force": True,
        "restart": True,
        "data_folder": "elsewhere",
        "backend": "auto",
        "of_another_version": 3,
        "project": "/elsewhere",
    }
    shelf.keep(1, kind="people", single_file="x/a.json", backend="embedded", parameters=begun)
    (found,) = shelf.found({"max_wait": 3.0, "production": True, "backend": "postgresql"})
    settings = found.settings
    assert isinstance(settings, Settings)
    assert settings == Settings(
        kind="people",
        source=Path("/data"),
        single_file=Path("/data/x/a.json"),
        tag="t",
        image_roots=(Path("/photos"), Path("/work/more")),
        patterns=("*.jpg",),
        batch_size=7,
        on_success="keep",  # type: ignore[arg-type]  # settings read text
        force=True,
        max_wait=3.0,
        state_file=shelf.settings.state_file,
        data_folder=Path("d"),
    )


def test_its_backend_is_asked_for_where_today_s_settings_mean_another(shelf: Shelf) -> None:
    shelf.keep(1, backend="supabase")
    (found,) = shelf.found()
    assert isinstance(found.settings, UsageError)
    assert "SUPABASE_URL" in str(found.settings)


def test_a_backend_that_it_was_begun_with_is_asked_for_again(shelf: Shelf) -> None:
    shelf.keep(1, backend="embedded", parameters={"backend": "embedded"})
    (found,) = shelf.found()
    assert isinstance(found.settings, Settings)
    assert found.settings.backend is Backend.EMBEDDED


def test_a_setting_that_makes_no_sense_is_that_run_s_matter(shelf: Shelf) -> None:
    shelf.keep(1, parameters={"batch_size": 0})
    shelf.keep(2, tag="good")
    bad, good = shelf.found()
    assert isinstance(bad.settings, UsageError)
    assert isinstance(good.settings, Settings)


def test_what_is_given_up_is_not_found_again(shelf: Shelf) -> None:
    shelf.keep(1)
    shelf.keep(2, tag="other")
    give_up_runs(shelf.settings, shelf.found(tag="t"))
    assert shelf.numbers() == ["2"]


@pytest.mark.parametrize(
    ("outcomes", "code", "tried"),
    [
        ([0, 0], 0, 2),
        ([3, 0], 3, 2),
        ([UsageError("x"), 3], 2, 2),
        ([ImporterError("x"), UsageError("x"), 0], 1, 3),
        ([3, BackendUnavailableError("x"), 0], 75, 2),
        ([75, 0], 75, 1),
        ([LockedError("x"), 0], 11, 1),
        ([ImporterError("x"), InterruptedRunError("x"), 0], 130, 2),
    ],
)
def test_the_exit_code_is_the_worst_and_what_stops_all_stops(
    shelf: Shelf, outcomes: list[int | ImporterError], code: int, tried: int
) -> None:
    for number in range(len(outcomes)):
        shelf.keep(number, tag=str(number))
    left = iter(outcomes)
    failed: list[ImporterError] = []
    said: list[str] = []

    def run(settings: Settings, run_name: str) -> int:
        assert settings.tag == run_name[-1]
        outcome = next(left)
        if isinstance(outcome, ImporterError):
            raise outcome
        return outcome

    assert resume_all(shelf.found(), run, said.append, failed.append) == code
    assert failed == [each for each in outcomes[:tried] if isinstance(each, ImporterError)]
    assert said[0] == f"[1/{len(outcomes)}] states from /data, tag 0"
    assert ("Not tried" in said[-1]) == (tried < len(outcomes))


# Which run is verified


def test_the_last_run_with_a_tag_is_verified_over_a_whole_source_if_there_is_one(
    shelf: Shelf,
) -> None:
    shelf.keep(1, "completed", parameters={"patterns": ["*.a"]})
    shelf.keep(2, "completed", tag="later")
    shelf.keep(3, "completed", single_file="b.json")
    found = last_work(shelf.settings, "t")
    assert (found.source, found.single_file, found.tag) == (Path("/data"), None, "t")
    assert found.patterns == ("*.a",)
    # The file is lost: the last one of all is the ledger's.
    assert last_work(shelf.settings).single_file == Path("/data/b.json")


def test_what_is_not_unambiguous_or_not_there_is_told(shelf: Shelf) -> None:
    shelf.keep(1, "completed", kind="folders")
    shelf.keep(2, "completed")
    shelf.keep(3, "completed", source="/other")
    with pytest.raises(UsageError, match=r"states from /other; states from /data; folders from"):
        last_work(shelf.settings, "t")
    assert last_work(shelf.settings, "t", "folders").kind == "folders"
    assert last_work(shelf.settings, "t", "states", Path("/other")).source == Path("/other")
    with pytest.raises(UsageError, match="no run with the tag 'none' and the kind people"):
        last_work(shelf.settings, "none", "people")


def test_of_several_targets_the_backend_chooses(shelf: Shelf) -> None:
    shelf.keep(1, backend="postgresql")
    shelf.keep(2, backend="supabase", target_id="s")
    assert last_work(shelf.settings, "t").backend is Backend.SUPABASE
    settings = Settings(state_file=shelf.settings.state_file, backend=Backend.POSTGRESQL)
    assert last_work(settings, "t").backend is Backend.POSTGRESQL
