"""What failed is told, whenever a run was killed: by it, or else by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import device_tests, people, searches
from tests.support.command import Workplace
from tests.support.fault_points import FaultPoint
from tests.support.target import Target

PLANNED = "imports.ledger:ItemLedger.record_plans"
IMPORTED = "imports.ledger:ImportQueue.record_imported"
DISPOSED = "imports.ledger:DisposalLedger.record"
ENDED = "imports.ledger:RunLedger.end_run"
SHOWN = "imports.cli.report:render_report"
TOLD = "imports.ledger:RunLedger.record_reported"

POINTS = [
    FaultPoint(PLANNED, "planning", before=False),
    FaultPoint(IMPORTED, "import", before=False),
    FaultPoint(ENDED, "import"),
    FaultPoint(ENDED, "import", before=False),
    FaultPoint(SHOWN),
    FaultPoint(TOLD),
]
"""From the moment on at which the ledger has a failure, until it has that it was told."""


@pytest.fixture
def source(folder: Path) -> Path:
    return folder / "data" / "source"


def add(kind: str, source: Path) -> str:
    """A good work item and a broken one, whose path comes back."""
    if kind == "states":
        searches.write(source, "good", searches.search())
        searches.write(source, "broken", people.BROKEN)
        return "broken_parse.json"
    if kind == "folders":
        device_tests.add(source, "good", {"device_id": "D-1"})
        device_tests.add(source, "broken", device_tests.BROKEN)
        return "broken"
    people.write(source, "good.json", [people.person("p-1")])
    people.write(source, "broken.json", people.BROKEN)
    return "broken.json"


@pytest.mark.parametrize(
    ("kind", "point"),
    [
        *((kind, point) for kind in ("states", "folders", "people") for point in POINTS),
        ("people", FaultPoint(DISPOSED, "import", before=False)),
    ],
    ids=str,
)
def test_what_failed_is_told_after_a_kill_at_any_instant(
    pg_place: Workplace, source: Path, kind: str, point: FaultPoint
) -> None:
    path = add(kind, source)
    command = [kind, source, "--tag", "T", "--max-retries", 1]
    told = pg_place.killed_at(point, *command).out
    assert ("Failed Items: 1" in told) == (point.where == TOLD)
    told = pg_place.run(*command, exit_code=3).out
    assert "Failed Items: 1" in told
    assert f"{path}: " in told
    assert "Nothing to do" not in told
    # What is still in the source is told each time; what was moved away, once.
    told = pg_place.run(*command, exit_code=0 if kind == "people" else 3).out
    assert ("Nothing to do" in told) == (kind == "people")


@pytest.mark.parametrize(
    "point", [FaultPoint(DISPOSED, "import", before=False), FaultPoint(SHOWN)], ids=str
)
def test_what_was_moved_away_is_told_by_the_next_run_whatever_that_does(
    place: Workplace, target: Target, source: Path, point: FaultPoint
) -> None:
    """Also if the killed one is given up, and after runs that cannot tell it."""
    add("people", source)
    command = ["people", source, "--tag", "T"]
    place.killed_at(point, *command)
    place.killed_at(FaultPoint(SHOWN), *command, "--restart")
    people.write(source, "other.json", [people.person("p-2")])
    place.run(*command, "--scan-only")
    single = ["--single-file", source / "other.json", "--state-file", place.folder / "other.json"]
    place.run(*command, *single, "--db-path", place.folder / "upload_tracker.db")
    place.run("verify", exit_code=None)
    told = place.run(*command, "--restart", exit_code=3).out
    assert "broken.json: " in told
    assert "Nothing to do" in place.run(*command).out
    assert people.person_ids(target.database_url) == {"p-1", "p-2"}


def test_what_was_told_is_not_told_again_because_the_run_was_verified(
    pg_place: Workplace, source: Path
) -> None:
    add("people", source)
    command = ["people", source, "--tag", "T"]
    pg_place.run(*command, exit_code=3)
    pg_place.run("verify")
    assert "Nothing to do" in pg_place.run(*command).out
