"""`kill -9` at every state of a run, of every kind: the same command ends as if never killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imports.items.phase import Phase
from imports.servers.embedded import EmbeddedServer
from tests.support.command import Workplace
from tests.support.contents import count, stored_images
from tests.support.database import copy_of, drop_database
from tests.support.device_tests import ask_ledger
from tests.support.fault_points import FaultPoint
from tests.support.folder import files_below
from tests.support.kinds_under_contract import KINDS, KindUnderContract
from tests.support.people import problems, statuses
from tests.support.target import Target

IMPORTED = "imports.ledger:ImportQueue.record_imported"
SAVED = "imports.run.session:save_work_state"
POINTS = (
    FaultPoint(SAVED, "planning", before=False),
    FaultPoint("imports.ledger:ItemLedger.record_plans", "planning"),
    FaultPoint(SAVED, "sha256", before=False),
    FaultPoint(SAVED, "upload", before=False),
    FaultPoint(SAVED, "import", before=False),
    # Batches are committed, and the ledger has not heard of it, or of no more than that.
    FaultPoint(IMPORTED, "import", 1),
    FaultPoint(IMPORTED, "import", 3),
    FaultPoint(IMPORTED, "import", 2, before=False),
)
LAST_POINT = FaultPoint("imports.ledger:RunLedger.end_run", "import")

ITEMS = "SELECT path, state FROM item ORDER BY path"
BATCHES = (
    "SELECT count(*), sum(total_folders), sum(successful_uploads), sum(failed_uploads)"
    " FROM upload_batches"
)


@pytest.fixture
def another_database(embedded_server: EmbeddedServer, database_template: str) -> Iterator[str]:
    name = "never_killed"
    yield copy_of(embedded_server.url, database_template, name)
    drop_database(embedded_server.url, name)


def command(kind: KindUnderContract, place: Workplace) -> list[object]:
    source = place.folder / "data" / "source"
    log = ["--progress-csv", source.parent / "progress.csv"] if kind.name == "people" else []
    return [
        kind.name,
        source,
        "--tag",
        "killed",
        "--batch-size",
        2,
        "--max-workers",
        4,
        *log,
        *kind.arguments,
    ]


def _failed(data: Path) -> list[str]:
    """The files beside which stands what is wrong with them."""
    lists = (path for path in files_below(data) if path.endswith(".errors.json"))
    return [path.replace(".errors.json", ".json") for path in lists]


def outcome(kind: KindUnderContract, place: Workplace, target: Target) -> dict[str, Any]:
    """What a run has left: rows, images, counts, files in and beside the source."""
    data = place.folder / "data"
    log = data / "progress.csv"
    ledger = place.folder / "upload_tracker.db"
    names = ("inserted", "updated", "skipped", "unchanged", "total_imported")
    batches = ("completed_batches", "failed_batches")
    return {
        "rows": kind.contents(target.database_url),
        "images": stored_images(target, place.folder),
        "counts": {name: place.counts("import")[name] for name in (*names, *batches)},
        "ledger": ask_ledger(ledger, ITEMS) + ask_ledger(ledger, BATCHES),
        "files": files_below(data),
        "problems": [problems(data / path) for path in _failed(data)],
        "statuses": statuses(log, data / "source") if log.exists() else {},
        "failed": place.state["failed_items"],
        "status": place.state["status"],
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_killed_at_every_point_and_gone_on_with(
    place: Workplace, target: Target, another_database: str, kind: KindUnderContract
) -> None:
    source, url = place.folder / "data" / "source", target.database_url
    filled = kind.fill(source)
    never_killed = Target("postgresql", another_database)
    for each in (url, another_database):
        kind.prepare(each)
    whole = Workplace(place.folder.with_name("whole"), never_killed.environment)
    shutil.copytree(source, whole.folder / "data" / "source")
    exit_code = whole.run(*command(kind, whole), exit_code=None).code
    expected = outcome(kind, whole, never_killed)

    run_ids = []
    in_order = sorted((*POINTS, *kind.own_points), key=lambda point: [*Phase].index(point.phase))
    for point in (*in_order, LAST_POINT):
        place.killed_at(point, *command(kind, place))
        run_ids.append(place.state["run_id"])
        kind.check_killed(source, url, filled)
    last = place.run(*command(kind, place), exit_code=exit_code)
    assert "Resuming the run" in last.err
    # The first one had listed nothing yet: there was nothing to go on with.
    assert set(run_ids[1:]) == {place.state["run_id"]}
    kind.check_killed(source, url, filled)
    assert outcome(kind, place, target) == expected
    assert count(url, "import_merges") == 0
    assert place.files("*.part") == []
    place.run("verify", "--deep")
