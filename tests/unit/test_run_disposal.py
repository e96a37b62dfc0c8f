"""Runs that delete and move: what they are to do with files, and when."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imports.configuration.choices import Disposal
from imports.errors import UsageError
from imports.files.open_files import is_open_for_writing
from imports.kinds import kind_named
from imports.ledger import DisposedItem
from imports.phases import disposal, listed_folders, prepare
from imports.phases.disposal import dispose_items, dispose_leftovers, dispose_verified
from imports.phases.disposing import DisposalJob, dispose_batch
from imports.phases.listing import list_source
from imports.run.consuming.disposal_plan import disposal_plan
from imports.run.report import RunReport
from imports.settings import Settings
from imports.source.set_aside import BEGINNING, AsideFolders
from tests.support.folder import files_below
from tests.support.session import PeopleBench

PEOPLE = kind_named("people")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[PeopleBench]:
    bench = PeopleBench(tmp_path)
    yield bench
    bench.close()


# The plan


def settings(**flags: Any) -> Settings:
    return Settings(kind="people", **flags)


def test_a_consumed_source_is_emptied_by_default(tmp_path: Path) -> None:
    plan = disposal_plan(settings(), PEOPLE, tmp_path / "in", None)
    assert plan is not None
    assert (plan.on_success, plan.on_failure) == (Disposal.DELETE, Disposal.MOVE)
    assert plan.folders == [str(tmp_path / "failed_uploads")]
    assert plan.done_folder == str(tmp_path / "done_uploads")


def test_a_single_file_stays_by_default(tmp_path: Path) -> None:
    assert disposal_plan(settings(), PEOPLE, tmp_path / "in", "a.json") is None
    plan = disposal_plan(settings(on_success="delete"), PEOPLE, tmp_path / "in", "a.json")
    assert plan is not None
    assert (plan.on_success, plan.on_failure) == (Disposal.DELETE, Disposal.KEEP)


@pytest.mark.parametrize(
    ("kind", "flags"),
    [
        ("states", {"on_success": "delete"}),
        ("people", {"scan_only": True}),
        ("people", {"on_success": "keep", "on_failure": "keep"}),
    ],
)
def test_there_are_runs_that_leave_every_file(
    tmp_path: Path, kind: str, flags: dict[str, object]
) -> None:
    assert disposal_plan(settings(**flags), kind_named(kind), tmp_path / "in", None) is None


@pytest.mark.parametrize("name", ["failed_dir", "done_dir"])
@pytest.mark.parametrize("way", ["in", "in/", "in/../in", "link"])
def test_files_are_not_moved_to_where_they_are(tmp_path: Path, name: str, way: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    flags = {name: tmp_path / way, "on_success": "move"}
    with pytest.raises(UsageError, match="that is the source"):
        disposal_plan(settings(**flags), PEOPLE, folder, None)


def test_fixed_files_can_be_imported_from_the_failed_folder_if_another_is_named(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "failed_uploads"
    with pytest.raises(UsageError, match="--failed-dir"):
        disposal_plan(settings(), PEOPLE, folder, None)
    assert disposal_plan(settings(failed_dir=tmp_path / "other"), PEOPLE, folder, None)


def test_a_folder_that_nothing_is_moved_to_may_be_the_source(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    assert disposal_plan(settings(done_dir=folder), PEOPLE, folder, None) is not None


# Whole runs


def test_a_source_is_consumed_until_it_is_empty(bench: PeopleBench) -> None:
    bench.add("a.json", "A", "B")
    bench.add("sub/b.json", "C", None)
    bench.add("empty.json")
    bench.write("broken.json", b"{")
    report = bench.run()
    assert report.exit_code == 3
    assert bench.left() == []
    assert files_below(bench.failed) == [
        "broken.errors.json",
        "broken.json",
        "sub/b.errors.json",
        "sub/b.json",
    ]
    (problem,) = json.loads((bench.failed / "sub/b.errors.json").read_bytes())
    assert problem["index"] == 1
    assert bench.database.people == ["A", "B", "C"]
    assert (report.count("import.files_deleted"), report.count("import.files_moved")) == (2, 2)


@pytest.mark.parametrize(
    ("flags", "left", "done", "failed"),
    [
        ({"on_success": "keep"}, ["a.json"], [], ["b.errors.json", "b.json"]),
        ({"on_failure": "keep"}, ["b.json"], [], []),
        ({"on_success": "move"}, [], ["a.json"], ["b.errors.json", "b.json"]),
        ({"on_success": "keep", "on_failure": "keep"}, ["a.json", "b.json"], [], []),
        ({"scan_only": True}, ["a.json", "b.json"], [], []),
    ],
)
def test_what_becomes_of_files_can_be_chosen(
    bench: PeopleBench,
    flags: dict[str, object],
    left: list[str],
    done: list[str],
    failed: list[str],
) -> None:
    bench.add("a.json", "A")
    bench.add("b.json", None)
    bench.run(**flags)
    found = (bench.left(), files_below(bench.done), files_below(bench.failed))
    assert found == (left, done, failed)


@pytest.mark.parametrize("inside", ["failed", "source/deep/failed"])
def test_failed_files_are_no_part_of_the_source_wherever_they_are(
    bench: PeopleBench, inside: str
) -> None:
    failed = bench.base / inside
    bench.add("b.json", None)
    bench.run(failed_dir=failed)
    assert files_below(failed) == ["b.errors.json", "b.json"]
    assert bench.run("next", failed_dir=failed).exit_code == 0


def test_a_failed_file_that_is_put_back_is_tried_again(bench: PeopleBench) -> None:
    bench.add("b.json", None)
    bench.run()
    (bench.failed / "b.json").rename(bench.folder / "b.json")
    report = bench.run("next")
    assert (report.exit_code, report.failures_total) == (3, 1)
    assert bench.left() == []
    bench.add("b.json", "B")
    report = bench.run("last")
    assert (report.exit_code, report.failures_total) == (0, 0)
    assert bench.left() == []


def test_a_failed_file_that_was_moved_is_no_failure_of_the_next_run(bench: PeopleBench) -> None:
    bench.add("b.json", None)
    assert bench.run().exit_code == 3
    bench.add("a.json", "A")
    assert bench.run("next").exit_code == 0


@pytest.mark.parametrize("flags", [{}, {"on_failure": "keep"}])
def test_a_failed_file_that_somebody_took_away_is_no_failure_of_later_runs(
    bench: PeopleBench, flags: dict[str, object]
) -> None:
    """Else every run ends with 3, and nothing that the user does can end that."""
    bench.add("b.json", None)
    session = bench.session("first", on_failure="keep", max_retries=3)
    list_source(session)
    ((item,),) = session.items.listed_items(None, 9)
    session.queue.record_imported([item[0]], [(item[0], "bad")], {}, (1.0, 2.0))
    (bench.folder / "b.json").unlink()
    bench.add("a.json", "A")
    report = bench.run("next", max_retries=3, **flags)
    assert (report.exit_code, report.failures_total) == (0, 0)


def test_an_imported_file_that_stays_and_is_taken_away_is_not_verified_for_ever(
    bench: PeopleBench,
) -> None:
    bench.add("a.json", "A")
    bench.add("b.json", "B")
    flags = {"on_success": "keep", "verify_writes": True}
    assert bench.run(**flags).exit_code == 0
    (bench.folder / "b.json").unlink()
    report = bench.run("next", **flags)
    assert report.verification is not None
    assert report.verification.found == {}
    assert report.exit_code == 0


def test_with_verification_files_stay_until_they_are_verified(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("a.json", "A")
    bench.add("b.json", "B")
    bench.add("bad.json", None)
    seen = []
    compare = bench.database.compare

    def looking(rows: object) -> object:
        seen.append(bench.left())
        return compare(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.database, "compare", looking)
    bench.database.wrong = {'"B"'}
    report = bench.run(verify_writes=True)
    assert seen == [["a.json", "b.json"]]
    assert bench.left() == ["b.json"], "what is not as it should be stays"
    assert report.exit_code == 3
    bench.database.wrong = set()
    bench.run("next", verify_writes=True)
    assert bench.left() == []


def test_what_a_cycle_found_wrong_stays_in_the_cycles_after_it(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    bench.database.wrong = {'"A"'}

    def more() -> None:
        bench.add("b.json", "B")
        bench.database.before_merge = lambda: None  # type: ignore[method-assign]

    bench.database.before_merge = more  # type: ignore[method-assign]
    report = bench.run(verify_writes=True)
    assert bench.left() == ["a.json"]
    assert report.verification is not None
    assert (report.exit_code, report.verification.records) == (3, 2)


def test_a_file_that_changes_after_its_import_is_not_deleted_but_imported_again(
    bench: PeopleBench,
) -> None:
    bench.add("a.json", "A")

    def change() -> None:
        bench.add("a.json", "A", "NEW")
        bench.database.before_merge = lambda: None  # type: ignore[method-assign]

    bench.database.before_merge = change  # type: ignore[method-assign]
    report = bench.run()
    assert report.exit_code == 0
    assert bench.database.people == ["A", "A", "NEW"]
    assert bench.left() == []


@pytest.mark.parametrize("flags", [{}, {"on_success": "move"}])
def test_a_file_that_is_replaced_by_one_of_the_same_size_and_mtime_is_not_deleted_unread(
    bench: PeopleBench, flags: dict[str, object]
) -> None:
    status = bench.add("a.json", "A").stat()

    def replace() -> None:
        bench.database.before_merge = lambda: None  # type: ignore[method-assign]
        other = bench.add("b.tmp", "B")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.rename(bench.folder / "a.json")

    bench.database.before_merge = replace  # type: ignore[method-assign]
    report = bench.run(**flags)
    assert (report.exit_code, bench.database.people) == (0, ["A", "B"])
    assert bench.left() == []


def test_a_file_that_cannot_be_deleted_is_reported_and_retried_by_the_next_run(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("a.json", "A")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("imports.phases.disposing.delete", denied)
        report = bench.run()
    assert report.exit_code == 3
    assert report.failures_total == 0
    ((path, _, reason, _),) = report.not_disposed
    assert (path, reason) == ("a.json", "cannot be deleted: Permission denied")
    assert bench.left() == ["a.json"]
    report = bench.run("next")
    assert (report.exit_code, report.not_disposed_total) == (0, 0)
    assert bench.left() == []
    assert len(set(bench.database.people)) == 1


# Files that are none of the kind's


FOREIGN = {
    "package.json": b'{"name": "my-project"}',
    "results of another.json": b'{"results": {"a": [1]}}',
    "list.json": b"[]",
    "sub/limited.json": b'{"error": "rate limit", "code": 429}',
    "wrapped.json": b'{"data": {"results": []}}',
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("flags", [{}, {"on_success": "move"}, {"verify_writes": True}])
def test_a_file_of_another_kind_fails_and_stays_in_all_later_runs(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, large: bool, flags: dict[str, object]
) -> None:
    if large:
        monkeypatch.setattr(prepare, "LARGE_BYTES", 1)
    for name, content in FOREIGN.items():
        bench.write(name, content)
    bench.add("good.json", "A")
    bench.write("cut off.json", b'{"results": [')
    whatever: list[dict[str, object]] = [
        {},
        {"max_retries": 5},
        {"force": True},
        {"retry_failed": True},
        {"restart": True},
    ]
    for number, more in enumerate(whatever):
        report = bench.run(f"run {number}", **flags, **more)
        assert report.exit_code == 3
        assert report.failures_total == len(FOREIGN) + (number == 0)
        reasons = {each.path: each.reason for each in report.failures}
        for name, content in FOREIGN.items():
            assert (bench.folder / name).read_bytes() == content
            assert reasons[name].startswith("not a page of a people search: it ")
        assert bench.left() == sorted(FOREIGN)
        assert files_below(bench.failed) == ["cut off.errors.json", "cut off.json"]
        told = f"{len(FOREIGN)} failed files are not of this kind, and stay"
        assert told in "\n".join(report.next_commands)
        assert (f"Failed files are in {bench.failed}" in report.next_commands[0]) == (number == 0)
    assert bench.database.people == ["A"]
    assert bench.session("x").disposals.problems(9) == (0, [])


def test_a_file_that_is_none_of_ours_is_given_up_like_any_other(bench: PeopleBench) -> None:
    bench.write("package.json", FOREIGN["package.json"])
    tries = [bench.run(str(number), max_retries=2).failures[0].tries for number in range(4)]
    assert tries == [1, 2, 2, 2]


def test_a_file_that_is_none_of_ours_is_read_once_in_a_run_that_watches(
    bench: PeopleBench,
) -> None:
    bench.write("package.json", FOREIGN["package.json"])
    bench.add("a.json", "A")
    added = iter("bcd")

    def add() -> None:
        if (name := next(added, None)) is not None:
            bench.add(f"{name}.json", name)

    bench.database.before_merge = add  # type: ignore[method-assign]
    report = bench.run(max_retries=9)
    assert report.count("planning.to_import") == 5
    assert (report.failures[0].tries, bench.left()) == (1, ["package.json"])


def test_a_file_that_was_none_of_ours_is_taken_when_it_has_become_one(bench: PeopleBench) -> None:
    bench.write("a.json", FOREIGN["package.json"])
    bench.run()
    bench.add("a.json", "A", None)
    report = bench.run("next")
    assert (bench.database.people, bench.left()) == (["A"], [])
    assert files_below(bench.failed) == ["a.errors.json", "a.json"]
    assert report.failures[0].reason.startswith("record ")


def test_a_file_that_was_none_of_ours_is_forgotten_when_it_is_gone(bench: PeopleBench) -> None:
    bench.write("package.json", FOREIGN["package.json"])
    assert bench.run().exit_code == 3
    (bench.folder / "package.json").unlink()
    report = bench.run("next")
    assert (report.exit_code, report.failures_total, report.nothing_to_do) == (0, 0, True)
    assert files_below(bench.failed) == []


# What is told of files that were moved away


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyboardInterrupt()])
def test_a_report_that_could_not_be_shown_does_not_count_as_reported(
    bench: PeopleBench, error: BaseException
) -> None:
    bench.add("a.json", None)

    def tell(report: RunReport) -> None:
        assert report.failures_total == 1
        raise error

    with pytest.raises(type(error)):
        bench.run(tell=tell)
    assert files_below(bench.failed) == ["a.errors.json", "a.json"]
    assert bench.run("next").failures_total == 1
    assert bench.run("later").failures_total == 0


def test_a_run_reports_its_failures_at_its_end_even_if_they_were_reported_before(
    bench: PeopleBench,
) -> None:
    bench.add("a.json", None)
    assert bench.run("interrupted").failures_total == 1
    assert bench.run("interrupted").failures_total == 1
    assert bench.run("next").failures_total == 0


# What a killed run has left


def imported(bench: PeopleBench, run_name: str = "killed", **flags: object) -> None:
    """A run that was killed before it could do anything with its files."""
    session = bench.session(run_name, **flags)
    list_source(session)
    # The clock was set back meanwhile, or forth: it does not count.
    took = (time.time() + 60, time.time() + 61) if run_name == "earlier" else (1.0, 2.0)
    for items in session.items.listed_items(None, 9):
        session.queue.record_imported([item[0] for item in items], [], {}, took)
    session.close()


def test_what_an_earlier_run_has_left_is_imported_once_more_before_it_is_deleted(
    bench: PeopleBench,
) -> None:
    """Nobody knows what has become of its rows since."""
    bench.add("a.json", "A")
    bench.add("gone.json", "B")
    imported(bench, "earlier")
    (bench.folder / "gone.json").unlink()
    report = bench.run("next")
    assert (bench.left(), bench.database.people) == ([], ["A"])
    assert (report.exit_code, report.count("import.files_deleted")) == (0, 2)


def test_an_item_found_wrong_is_not_touched_by_the_next_run_and_reported(
    bench: PeopleBench,
) -> None:
    bench.add("a.json", "A")
    bench.database.wrong = {'"A"'}
    assert bench.run(verify_writes=True).exit_code == 3
    report = bench.run("next")
    assert (report.exit_code, bench.left()) == (3, ["a.json"])
    ((path, _, reason, _),) = report.not_disposed
    assert path == "a.json"
    assert "differ" in reason


def test_what_a_killed_run_has_left_is_deleted_and_not_imported_again(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    bench.add("b.json", "B")
    imported(bench)
    (bench.folder / "a.json").unlink()
    report = bench.run("killed")
    assert bench.left() == []
    assert bench.database.people == []
    assert report.exit_code == 0
    assert report.count("import.files_deleted") == 2


@pytest.mark.parametrize("flag", ["force", "verify_writes"])
def test_what_is_to_be_imported_again_or_verified_is_not_deleted_before(
    bench: PeopleBench, flag: str
) -> None:
    bench.add("a.json", "A")
    imported(bench)
    session = bench.session("next", **{flag: True})
    dispose_leftovers(session)
    assert bench.left() == ["a.json"]
    session.disposals.record_verified({"a.json"}, whole=True)
    dispose_verified(session)
    session.disposals.record_verified(set(), whole=True)
    assert bench.left() == ["a.json"]
    dispose_verified(session)
    assert bench.left() == []


def test_what_is_given_up_is_not_moved_before_force_tries_it_again(bench: PeopleBench) -> None:
    bench.add("a.json", None)
    bench.run(on_failure="keep")
    bench.database.stored.clear()
    content = (bench.folder / "a.json").read_bytes()
    assert bench.left() == ["a.json"]
    session = bench.session("next", force=True)
    dispose_leftovers(session)
    assert bench.left() == ["a.json"], "it fails again, or does not"
    assert (bench.folder / "a.json").read_bytes() == content


@pytest.mark.parametrize("page", [1, 2, 3])
def test_all_that_is_left_goes_however_many_pages_it_has(
    bench: PeopleBench, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disposal, "_PAGE", page)
    monkeypatch.setattr(disposal, "BATCH_SIZE", 2)
    for number in range(7):
        bench.add(f"{number}.json", "A")
    imported(bench)
    session = bench.session("killed")
    dispose_leftovers(session)
    assert bench.left() == []
    assert session.counts()["import.files_deleted"] == 7


def test_a_run_that_is_stopping_disposes_of_nothing_more(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    imported(bench)
    session = bench.session("killed")
    session.policy.stop.set()
    dispose_leftovers(session)
    assert bench.left() == ["a.json"]


def test_without_a_plan_or_without_items_nothing_is_done(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    imported(bench)
    session = bench.session("next", on_success="keep", on_failure="keep")
    dispose_verified(session)
    dispose_items(session, [1])
    dispose_items(bench.session("other"), [])
    assert bench.left() == ["a.json"]


def test_a_single_file_leaves_the_others(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    bench.add("b.json", "B")
    imported(bench)
    session = bench.session("next", only="a.json", on_success="delete")
    dispose_verified(session)
    assert bench.left() == ["b.json"]


# Killed while it deletes or moves

SYSTEM_CALLS = ("mkdir", "chmod", "open", "rename", "lstat", "link", "unlink", "rmdir", "replace")


class KilledError(BaseException):
    """Nothing that the code catches."""


def entries(folder: str) -> list[tuple[object, ...]]:
    """All that is in a folder, with what anybody can change of it."""
    found: list[tuple[object, ...]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as inside:
        for entry in inside:
            seen = entry.stat(follow_symlinks=False)
            known = (entry.path, seen.st_ino, seen.st_mode, seen.st_nlink)
            if entry.is_dir(follow_symlinks=False):
                found += [known, *entries(entry.path)]
            else:
                found.append((*known, seen.st_size, seen.st_mtime_ns))
    return found


def killed_at(
    monkeypatch: pytest.MonkeyPatch, moment: int, folders: list[Path]
) -> tuple[list[str], Callable[[], bool]]:
    """The thread that disposes of files dies before a system call.

    Answers with its calls until then, and whether it came to that. Those calls are counted before
    which the folders are no longer as they were before the last one that counts: to be killed
    between two looks leaves the same behind as before both.
    """
    here = threading.local()
    seen: list[str] = []
    dead = False
    count = 0

    for name in SYSTEM_CALLS:
        plain = getattr(os, name)

        def call(*arguments: Any, plain: Any = plain, name: str = name, **more: Any) -> Any:
            nonlocal count, dead
            if getattr(here, "disposing", False):
                found = [entries(str(folder)) for folder in folders]
                count += found != here.found
                here.found = found
                seen.append(name)
                if count > moment:
                    dead = True
                    raise KilledError
            return plain(*arguments, **more)

        monkeypatch.setattr(os, name, call)

    def disposing(job: DisposalJob) -> list[DisposedItem]:
        here.disposing = True
        here.found = None  # Between two jobs something else may have changed: the ledger.
        try:
            return dispose_batch(job)
        finally:
            here.disposing = False

    monkeypatch.setattr(disposal, "dispose_batch", disposing)
    return seen, lambda: dead


def other_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the source another file system than all other folders."""
    link = os.link

    def crossing(one: Any, other: Any, **more: Any) -> None:
        if ("source" in Path(one).parts) != ("source" in Path(other).parts):
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(one, other, **more)

    monkeypatch.setattr(os, "link", crossing)


@pytest.mark.parametrize(
    ("flags", "other"),
    [
        ({}, False),
        ({"on_success": "move"}, False),
        ({"on_success": "move"}, True),
        ({"verify_writes": True}, False),
    ],
)
def test_a_run_killed_at_any_system_call_counts_each_file_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any], other: bool
) -> None:
    """Once is once: in the database, in the counts, in the ledger, and on the disk."""
    moves = flags.get("on_success") == "move"
    # What takes most of the time, and is no part of this.
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr("imports.run.session.save_work_state", lambda *_: None)
    for moment in range(1_000):
        (tmp_path / str(moment)).mkdir()
        bench = PeopleBench(tmp_path / str(moment))
        bench.add("x/a.json", "A")
        bench.add("x/bad.json", None)
        with monkeypatch.context() as patch:
            if other:
                other_disk(patch)
            calls, dead = killed_at(patch, moment, [bench.folder, bench.done, bench.failed])
            first = bench.session(**flags)
            with contextlib.suppress(KilledError):
                bench.go(first)
        second = bench.session(**flags)
        second.state.start_time = first.state.start_time
        report = bench.go(second)
        assert list((bench.folder / "x").iterdir()) == [], moment
        assert bench.database.people == ["A"], moment
        assert files_below(bench.done) == (["x/a.json"] if moves else [])
        assert files_below(bench.failed) == ["x/bad.errors.json", "x/bad.json"]
        names = ("import.files_deleted", "import.files_moved", "import.inserted")
        counts = [report.count(name) for name in (*names, "planning.to_import")]
        assert counts == [0 if moves else 1, 2 if moves else 1, 1, 2], moment
        assert report.failures_total == 1
        bench.close()
        if not dead():
            assert len(calls) > 15, "system calls were seen"
            assert moment > 10, "and they changed something"
            return


# What others have set aside


def set_aside(bench: PeopleBench, name: str, content: bytes) -> Path:
    """What a process that is dead had set aside, of which the ledger knows nothing."""
    folder = (bench.folder / name).parent / f"{BEGINNING}elsewhere.1.0"
    folder.mkdir(parents=True)
    path = folder / Path(name).name
    path.write_bytes(content)
    os.utime(path, (1.6e9, 1.6e9))
    return path


def page(profile_id: str) -> bytes:
    return json.dumps({"results": [{"profile_data": {"profile_id": profile_id}}]}).encode()


@pytest.mark.parametrize("many", [False, True])
def test_what_another_ledger_s_run_had_set_aside_is_put_back_and_imported(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, many: bool
) -> None:
    if many:
        monkeypatch.setattr(listed_folders, "MOST_ENTRIES", 1)
    bench.add("x/b.json", "B")
    set_aside(bench, "x/a.json", page("A"))
    set_aside(bench, "c.json", page("C"))
    report = bench.run()
    assert report.exit_code == 0
    assert sorted(bench.database.people) == ["A", "B", "C"]
    assert report.count("planning.to_import") == 3
    assert [each.name for each in bench.folder.iterdir()] == ["x"]
    assert list((bench.folder / "x").iterdir()) == []


@pytest.mark.parametrize("flags", [{}, {"on_success": "keep", "on_failure": "keep"}])
def test_a_file_set_aside_is_kept_beside_its_replacement_and_reported(
    bench: PeopleBench, flags: dict[str, Any]
) -> None:
    bench.add("a.json", "NEW")
    set_aside(bench, "a.json", page("OLD"))
    report = bench.run(**flags)
    assert (report.exit_code, sorted(bench.database.people)) == (0, ["NEW", "OLD"])
    assert bench.left() == (["a.1.json", "a.json"] if flags else [])
    assert any(f"is kept as {bench.folder / 'a.1.json'}" in each for each in bench.said)


def test_what_cannot_be_put_back_is_a_failure_that_names_its_place(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("a.json", "A")
    hidden = set_aside(bench, "b.json", page("B"))

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("imports.source.set_aside.put_back", denied)
    report = bench.run()
    assert (report.exit_code, bench.database.people) == (3, ["A"])
    (failure,) = report.failures
    assert failure.path == hidden.parent.name
    assert "had set aside" in failure.reason
    assert hidden.exists()


def test_a_file_that_cannot_be_put_back_is_not_taken_for_gone(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.add("a.json", "A")
    imported(bench)
    folder = bench.folder / f"{BEGINNING}elsewhere.1.0"
    folder.mkdir()
    path.rename(folder / "a.json")

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("imports.source.set_aside.put_back", denied)
        patch.setattr("imports.phases.disposing.finish_delete", denied)
        report = bench.run("killed")
    assert (report.exit_code, report.count("import.files_deleted")) == (3, 0)
    assert (folder / "a.json").exists()
    report = bench.run("killed")
    assert bench.left() == []


def test_what_a_living_run_has_set_aside_is_no_part_of_the_source(bench: PeopleBench) -> None:
    path = bench.add("a.json", "A")
    bench.add("b.json", "B")
    with AsideFolders() as private:
        aside = private.take(path)
        assert bench.run().exit_code == 0
        assert bench.database.people == ["B"]
        assert aside.exists()


def test_a_scan_puts_nothing_back(bench: PeopleBench) -> None:
    hidden = set_aside(bench, "a.json", page("A"))
    bench.add("b.json", "B")
    assert bench.run(scan_only=True).exit_code == 0
    assert hidden.exists()


# What is told of it


def test_each_file_that_is_deleted_or_moved_is_in_the_log_with_why_and_where_to(
    bench: PeopleBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.add("a.json", "A")
    bench.add("x/bad.json", None)
    with caplog.at_level("INFO", "imports.run"):
        bench.run()
    source, failed = bench.folder, bench.failed
    assert f"{source}/a.json was deleted: imported" in caplog.messages
    (moved,) = [each for each in caplog.messages if "was moved to" in each]
    assert moved.startswith(f"{source}/x/bad.json was moved to {failed}/x/bad.json: record 0: ")


def test_a_file_that_a_program_has_open_again_stays_and_is_reported(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.add("a.json", "A")
    bench.database.before_merge = lambda: stack.enter_context(  # type: ignore[method-assign]
        path.open("ab")
    )
    with contextlib.ExitStack() as stack:
        if is_open_for_writing(str(path)) is None:
            pytest.skip("nobody can tell here")
        report = bench.run()
    ((_, _, reason, _),) = report.not_disposed
    assert (report.exit_code, bench.left()) == (3, ["a.json"])
    assert reason == "cannot be deleted: a program has it open for writing"
    assert bench.database.people == ["A"], "it is not imported again for the new ctime"
    bench.database.before_merge = lambda: None  # type: ignore[method-assign]
    assert bench.run("next").exit_code == 0
    assert bench.left() == []
