"""The same command again, another one beside it, and a work state that is in the way."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import MEDIUM_FILES as FILES
from tests.support.command import Running, Workplace
from tests.support.contents import count, held, until_somebody_waits, versions
from tests.support.database import connected, query
from tests.support.target import Target


def command(source: Path, tag: str = "again") -> list[object]:
    return ["states", source, "--tag", tag, "--batch-size", 5]


@contextlib.contextmanager
def stuck(place: Workplace, target: Target, source: Path) -> Iterator[Running]:
    """A run that stands still in the middle of its import."""
    with held(target.database_url), place.started(*command(source)) as running:
        until_somebody_waits(target.database_url)
        yield running


def leave_unfinished(place: Workplace, target: Target, source: Path) -> None:
    with stuck(place, target, source) as running:
        running.kill()


# Finished work


def test_nothing_to_do(place: Workplace, target: Target, medium_source: Path) -> None:
    place.run(*command(medium_source))
    before = versions(target.database_url)
    assert before["import_merges"] == []
    images = {path: path.stat().st_mtime_ns for path in place.files("*.png")}
    again = place.run(*command(medium_source))

    assert "Nothing to do" in again.out
    assert versions(target.database_url) == before
    assert {path: path.stat().st_mtime_ns for path in place.files("*.png")} == images
    assert (place.counts("upload")["completed"], place.counts("sha256")["processed"]) == (0, 0)


def test_a_target_that_was_made_anew_is_imported_into_again(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    """The target is recognised by the id in itself, not by its address."""
    pg_place.run(*command(small_source))
    query(
        postgresql.database_url,
        "TRUNCATE public.datasets, public.image_assets CASCADE;"
        "UPDATE public.import_target SET id = gen_random_uuid()",
    )
    again = pg_place.run(*command(small_source))

    assert "12 inserted" in again.out
    assert count(postgresql.database_url) == 12
    assert count(postgresql.database_url, "image_assets") == 4


# Two at once


def test_a_second_process_is_told_who_is_first(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    with stuck(pg_place, postgresql, medium_source) as first:
        second = pg_place.run(*command(medium_source), exit_code=11)
        assert f"process {first.pid}" in second.err
        assert "--state-file" in second.err
        verify = pg_place.run("verify", exit_code=11)
        assert f"process {first.pid}" in verify.err
        live = pg_place.run("status").out
        assert f"running in phase import by process {first.pid}" in live
        assert "To resume" not in live
        first.kill()
    dead = pg_place.run("status").out
    assert "stopped (killed) in phase import" in dead
    assert dead.splitlines()[-1].startswith("To resume:  ")
    left = pg_place.run("verify", exit_code=3)
    assert f"{FILES} are not yet imported" in left.out
    assert "more, in" not in left.out
    assert left.out.splitlines()[-1].startswith("To resume:  ")


def test_the_first_is_named_also_while_it_is_opening_its_target(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    pg_place.run(*command(small_source))
    url = postgresql.database_url
    with connected(url) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE public.import_target IN ACCESS EXCLUSIVE MODE")
        with pg_place.started(*command(small_source)) as first:
            until_somebody_waits(url)
            second = pg_place.run(*command(small_source), exit_code=11)
            assert f"process {first.pid}" in second.err
            cursor.execute("ROLLBACK")
            first.finish(0)


def test_two_at_once_with_a_work_state_of_their_own(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    (pg_place.folder / "other").mkdir()
    with (
        pg_place.started(*command(medium_source)) as first,
        pg_place.started(
            *command(medium_source), "--state-file", "other/work_state.json"
        ) as second,
    ):
        first.finish(0)
        second.finish(0)
    assert count(postgresql.database_url) == FILES


# Unfinished work of another kind


@pytest.mark.parametrize("what", ["tag", "source"])
def test_unfinished_work_is_not_in_the_way_of_other_work(
    pg_place: Workplace, postgresql: Target, medium_source: Path, small_source: Path, what: str
) -> None:
    leave_unfinished(pg_place, postgresql, medium_source)
    unfinished = pg_place.state
    other = command(medium_source, "other") if what == "tag" else command(small_source)
    pg_place.run(*other)
    files = FILES if what == "tag" else 12
    assert pg_place.state["status"] == "completed"
    assert pg_place.state["run_id"] != unfinished["run_id"]
    assert count(postgresql.database_url) == files
    pg_place.run(*command(medium_source))
    assert pg_place.state["run_id"] == unfinished["run_id"]
    # The searches of the other source are among its own.
    inserted = FILES if what == "tag" else FILES - 12
    assert pg_place.counts("import")["inserted"] == inserted
    assert count(postgresql.database_url) == files + inserted


def test_other_work_after_finished_work_is_welcome(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    pg_place.run(*command(small_source))
    pg_place.run(*command(small_source, "other"))
    assert query(postgresql.database_url, "SELECT tag FROM datasets ORDER BY tag") == [
        ("again",),
        ("other",),
    ]
    assert count(postgresql.database_url) == 24


# A damaged work state


@pytest.mark.parametrize(
    "damage",
    [b"", b"garbage \xff\x00", b'{"run_id": 3}', None],
    ids=["empty", "garbage", "fields", "truncated"],
)
def test_a_damaged_work_state_is_set_aside_and_rebuilt(
    pg_place: Workplace, postgresql: Target, medium_source: Path, damage: bytes | None
) -> None:
    leave_unfinished(pg_place, postgresql, medium_source)
    path = pg_place.folder / "work_state.json"
    whole, unfinished = path.read_bytes(), pg_place.state
    damage = whole[: len(whole) // 2] if damage is None else damage
    path.write_bytes(damage)
    again = pg_place.run(*command(medium_source))

    kept = list(pg_place.folder.glob("work_state.json.damaged-*"))
    assert [each.read_bytes() for each in kept] == [damage]
    assert kept[0].name in again.err
    assert pg_place.state["status"] == "completed"
    assert pg_place.state["run_id"] == unfinished["run_id"]
    assert pg_place.counts("import")["inserted"] == FILES
    assert count(postgresql.database_url) == FILES


def test_a_damaged_work_state_of_finished_work(
    pg_place: Workplace, postgresql: Target, small_source: Path
) -> None:
    pg_place.run(*command(small_source))
    before = versions(postgresql.database_url)
    (pg_place.folder / "work_state.json").write_bytes(b"{")
    shown = pg_place.run("status", exit_code=1)
    assert "Traceback" not in shown.text
    again = pg_place.run(*command(small_source))

    assert "Nothing to do" in again.out
    assert versions(postgresql.database_url) == before


def test_a_damaged_work_state_loses_nothing_when_other_work_takes_its_place(
    pg_place: Workplace, postgresql: Target, medium_source: Path
) -> None:
    leave_unfinished(pg_place, postgresql, medium_source)
    unfinished = pg_place.state
    (pg_place.folder / "work_state.json").write_bytes(b"{")
    pg_place.run(*command(medium_source, "other"))
    pg_place.run(*command(medium_source))
    assert pg_place.state["run_id"] == unfinished["run_id"]
    assert count(postgresql.database_url) == FILES * 2


def test_the_lock_is_the_processs_and_not_the_file_s(
    pg_place: Workplace, small_source: Path
) -> None:
    (pg_place.folder / "work_state.json.lock").write_text(str(os.getpid()))
    pg_place.run(*command(small_source))
