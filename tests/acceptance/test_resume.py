"""Several unfinished runs in one folder: all of them are shown, gone on with, and verified."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tests.acceptance.conftest import MEDIUM_FILES
from tests.support.command import Workplace
from tests.support.contents import count, held, until_somebody_waits
from tests.support.database import query
from tests.support.target import Target


def leave_unfinished(place: Workplace, target: Target, source: Path, tag: str) -> None:
    command = ["states", source, "--tag", tag, "--batch-size", 5]
    with held(target.database_url), place.started(*command) as running:
        until_somebody_waits(target.database_url)
        running.kill()


def test_all_that_is_unfinished_is_gone_on_with_and_can_be_verified(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    tags = ("first", "second")
    for tag in tags:
        leave_unfinished(pg_place, postgresql, medium_source, tag)
    told = pg_place.run("status").out
    assert told.count("To resume:  ") == 2
    assert "To resume all, one after the other:" in told

    resumed = pg_place.run("resume")
    assert resumed.err.count("Resuming the run") == 2
    assert resumed.out.index("tag first") < resumed.out.index("tag second")
    assert resumed.out.count("All done.") == 2
    assert count(postgresql.database_url) == 2 * MEDIUM_FILES
    assert pg_place.state["parameters"]["batch_size"] == 5
    assert json.loads(pg_place.run("status", "--json").out)["unfinished"] == []
    assert "has no unfinished run" in pg_place.run("resume").out

    # The file stays that of the last run, whichever one is verified.
    before = pg_place.state
    query(
        postgresql.database_url,
        "DELETE FROM search_results WHERE dataset_id ="
        " (SELECT id FROM datasets WHERE tag = 'first') AND license_number ="
        " (SELECT min(license_number) FROM search_results)",
    )
    wrong = pg_place.run("verify", "--tag", "first", exit_code=3)
    assert "verify --tag first --repair" in wrong.out
    pg_place.run("verify")
    assert pg_place.state["tag"] == before["tag"] == "second"
    pg_place.run("verify", "--tag", "first", "--repair")
    assert count(postgresql.database_url) == 2 * MEDIUM_FILES


def test_a_run_into_another_target_is_not_gone_on_with_there(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    leave_unfinished(pg_place, postgresql, medium_source, "t")
    with contextlib.suppress(KeyError):
        del pg_place.environment["DATABASE_URL"]
    elsewhere = pg_place.run("resume", exit_code=1)
    assert "the configured database is another one" in elsewhere.err
    given_up = pg_place.run("resume", "--give-up")
    assert f"Given up: states from {medium_source}, tag t" in given_up.out
    assert "has no unfinished run" in pg_place.run("resume").out
