"""Batch ids that users give to runs (`--batch-id`), and resets by them."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from imports import ResilientImporter
from imports.errors import UsageError
from imports.items.phase import Phase
from imports.phases.resetting import Found, open_reset, run_to_reset
from imports.run.display import Display, SilentDisplay
from imports.run.report import RunReport
from imports.run.reset import ResetReport
from tests.integration.test_people import Stops
from tests.support.bench import Bench, one_backend
from tests.support.database import query
from tests.support.recognitions import add, counts, numbers
from tests.support.target import Target

NIGHTLY = "manual_load"


class Telling(SilentDisplay):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def say(self, message: str) -> None:
        self.told.append(message)


def night(bench: Bench, display: Display | None = None, **flags: Any) -> RunReport:
    flags = {"kind": "recognitions", "batch_id": NIGHTLY, **flags}
    return ResilientImporter(bench.settings(**flags), display).run()


def batch_ids(bench: Bench) -> dict[int, str]:
    return dict(query(bench.url, "select id, batch_id from recognitions order by id"))


def reset(
    bench: Bench, batch_id: str = NIGHTLY, kind: str | None = None
) -> tuple[Found, ResetReport]:
    settings = bench.settings(kind="recognitions", tag=None, source=None)
    with open_reset(
        run_to_reset(settings, batch_id, kind), threading.Event(), SilentDisplay()
    ) as opened:
        return opened.find(), opened.delete()


def test_one_batch_id_works_every_night_and_a_reset_undoes_all_nights(bench: Bench) -> None:
    add(bench.source.folder, 1)
    first = night(bench)
    add(bench.source.folder, 2)
    second = night(bench)
    assert [first.exit_code, second.exit_code] == [0, 0]
    assert first.state.run_name != second.state.run_name
    assert (first.state.batch_id, second.state.batch_id) == (NIGHTLY, NIGHTLY)
    assert (first.count("import.inserted"), second.count("import.inserted")) == (1, 1)
    assert batch_ids(bench) == {1: NIGHTLY, 2: NIGHTLY}
    assert bench.verify(kind="recognitions", deep=True).clean
    assert night(bench).nothing_to_do
    add(bench.source.folder, 3)
    night(bench, batch_id=None)
    found, report = reset(bench)
    assert (found.items.importable, found.places.images, report.images) == (2, 4, 4)
    assert report.complete
    assert numbers(bench) == ([3], [3])
    assert night(bench).count("import.inserted") == 2
    assert set(batch_ids(bench).values()) >= {NIGHTLY}
    assert numbers(bench) == ([1, 2, 3], [1, 2, 3])


def test_an_interrupted_night_goes_on_and_is_one_run(bench: Bench) -> None:
    for number in range(1, 7):
        add(bench.source.folder, number)
    stop = threading.Event()
    settings = bench.settings(kind="recognitions", batch_id=NIGHTLY, batch_size=1)
    settings = replace(settings, batch_delay=0.001)
    interrupted = ResilientImporter(settings, Stops(Phase.IMPORT, stop), stop).run()
    assert interrupted.exit_code == 130
    display = Telling()
    report = night(bench, display, batch_id="another")
    assert report.state.run_name == interrupted.state.run_name
    assert any("keeps its batch id, manual_load" in each for each in display.told)
    assert batch_ids(bench) == dict.fromkeys(range(1, 7), NIGHTLY)


@one_backend
def test_the_same_id_in_another_target_is_another_batch(bench: Bench, database_url: str) -> None:
    """As of cron lines for staging and for production in one folder."""
    add(bench.source.folder, 1)
    night(bench)
    other = Bench(Target("postgresql", database_url), bench.folder)
    other.data_folder = bench.folder / "data of the other"
    night(other)
    assert batch_ids(bench) == batch_ids(other) == {1: NIGHTLY}
    reset(bench)
    assert (batch_ids(bench), batch_ids(other)) == ({}, {1: NIGHTLY})
    assert night(bench).count("import.inserted") == 1
    assert night(other).nothing_to_do


@one_backend
def test_runs_of_two_kinds_with_one_id_are_reset_one_by_one(bench: Bench) -> None:
    add(bench.source.folder, 1)
    night(bench)
    bench.source.add("a_parse.json")
    bench.run(kind="states", batch_id=NIGHTLY)
    assert query(bench.url, "select batch_id from search_results") == [(NIGHTLY,)]
    with pytest.raises(UsageError, match="--kind"):
        reset(bench)
    reset(bench, kind="states")
    assert counts(bench.url)["recognitions"] == 1
    assert query(bench.url, "select count(*) from search_results") == [(0,)]


@one_backend
def test_the_own_name_of_a_run_is_not_its_batch_id(bench: Bench) -> None:
    """Else a reset would delete rows of other runs, whose items would still count as imported."""
    add(bench.source.folder, 1)
    own = night(bench).state.run_name
    with pytest.raises(UsageError, match=f"Did you mean {NIGHTLY}"):
        reset(bench, own)
    with pytest.raises(UsageError, match=f"Did you mean {NIGHTLY}"):
        reset(bench, f"{NIGHTLY}.2")
    add(bench.source.folder, 2)
    other = night(bench, batch_id=None).state.batch_id
    with pytest.raises(UsageError, match=f"Did you mean {other}"):
        reset(bench, other[:-7])
    assert batch_ids(bench) == {1: NIGHTLY, 2: other}


@one_backend
@pytest.mark.parametrize("if_exists", ["keep", "replace"])
def test_an_id_that_runs_may_share_does_not_decide_what_is_kept(
    bench: Bench, if_exists: str
) -> None:
    bench.source.add("a_parse.json")
    with pytest.raises(UsageError, match="--if-exists"):
        bench.run(kind="states", batch_id=NIGHTLY, if_exists=if_exists)
    assert bench.run(kind="states", if_exists=if_exists).exit_code == 0
