"""A reset and images at places of their own: those go that no row names any more."""

from __future__ import annotations

import threading

import pytest

from imports.phases import reset_places
from imports.phases.resetting import Found, open_reset, run_to_reset
from imports.run.display import SilentDisplay
from imports.run.reset import ResetReport
from tests.support.device_tests import ask_ledger
from tests.support.killing import Killed, killed
from tests.support.small_kinds.placed import Trays, place
from tests.support.source import png


def imported(trays: Trays) -> str:
    """The batch id of an import without a failure."""
    report = trays.run()
    assert report.exit_code == 0
    return str(report.state.run_name)


def reset(trays: Trays, run_name: str) -> tuple[Found, ResetReport]:
    settings = trays.bench.settings(kind="folders", tag=None, source=None)
    run = run_to_reset(settings, run_name, None)
    with open_reset(run, threading.Event(), SilentDisplay()) as opened:
        return opened.find(), opened.delete()


def test_the_images_of_rows_that_are_deleted_are_removed(trays: Trays) -> None:
    """The second run updates the row of a tray whose photo the first one put."""
    for number in (1, 2):
        trays.add(number, png(number), png(0))
    first = imported(trays)
    trays.add(1, png(1), png(0), label="changed")
    trays.add(3, png(3))
    second = imported(trays)
    found, report = reset(trays, first)
    assert found.places.images == 4
    assert (report.complete, report.images, trays.rows()) == (
        True,
        2,
        [(1, "changed"), (3, "good")],
    )
    assert trays.stored() == [place(1).path, place(1, "camera2").path, place(3).path]
    found, report = reset(trays, second)
    assert found.places == (3, len(png(0)) + len(png(1)) + len(png(3)))
    assert (report.complete, report.images, trays.rows()) == (True, 3, [])
    assert trays.stored() == []
    found, report = reset(trays, second)
    assert (found.nothing, report.images) == (True, 0)
    imported(trays)
    assert trays.rows() == [(1, "changed"), (2, "good"), (3, "good")]
    assert len(trays.stored()) == 5
    assert trays.verify(deep=True).clean


def test_an_image_stays_that_another_row_names(trays: Trays) -> None:
    trays.add(1, png(1))
    first = imported(trays)
    trays.add(2, png(1), at=1)
    imported(trays)
    _, report = reset(trays, first)
    assert (report.complete, report.images, trays.rows()) == (True, 0, [(2, "good")])
    assert (trays.photo(1), trays.stored()) == (png(1), [place(1).path])
    imported(trays)
    assert trays.verify(deep=True).clean


def test_an_image_of_somebody_else_stays(trays: Trays) -> None:
    for number in (1, 2, 3):
        trays.add(number, png(number))
    trays.put(2, png(2))  # it is found there, not put
    run = imported(trays)
    trays.put(1, png(1) + b"more")
    trays.put(3, None)
    _, report = reset(trays, run)
    told = "somebody else has put another image there: it stays"
    assert report.problems == [(str(place(1)), told)]
    assert trays.stored() == [place(1).path, place(2).path]
    _, report = reset(trays, run)
    assert report.complete


def test_what_an_interrupted_run_put_is_taken_back(
    trays: Trays, monkeypatch: pytest.MonkeyPatch
) -> None:
    trays.add(1, png(1))
    first = imported(trays)
    trays.add(1, png(2), label="new")
    trays.add(2, png(3))
    with monkeypatch.context() as patched:
        patched.setattr("imports.phases.steps.import_items", killed)
        with pytest.raises(Killed):
            trays.run()
    assert (trays.photo(1), trays.photo(2)) == (png(2), png(3))
    ledger = trays.bench.settings().ledger_file
    ((interrupted,),) = ask_ledger(ledger, "select batch_id from run order by number desc limit 1")
    _, report = reset(trays, interrupted)
    assert (report.complete, trays.rows()) == (True, [(1, "good")])
    assert (trays.photo(1), trays.stored()) == (png(1), [place(1).path])
    reset(trays, first)
    assert trays.stored() == []
    imported(trays)
    assert trays.rows() == [(1, "new"), (2, "good")]
    assert trays.verify(deep=True).clean


@pytest.mark.parametrize("step", ["named_places", "_each"])
def test_a_reset_that_was_killed_goes_on(
    trays: Trays, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The rows are deleted by then."""
    for number in (1, 2):
        trays.add(number, png(number))
    run = imported(trays)
    with monkeypatch.context() as patched:
        patched.setattr(reset_places, step, killed)
        with pytest.raises(Killed):
            reset(trays, run)
    assert (trays.rows(), len(trays.stored())) == ([], 2)
    # What is imported again meanwhile is not removed.
    (trays.bench.source.folder / "tray_2.json").unlink()
    imported(trays)
    _, report = reset(trays, run)
    assert (report.complete, report.images) == (True, 1)
    assert (trays.rows(), trays.stored()) == ([(1, "good")], [place(1).path])
    imported(trays)
    assert trays.verify(deep=True).clean
