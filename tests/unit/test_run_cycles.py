"""A source that is consumed, while files are added to it and others are still growing."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from imports.errors import ImporterError, InterruptedRunError, LimitError, UsageError
from imports.files.open_files import is_open_for_writing
from imports.items.images import Image, ImageFile
from imports.items.source import Signature
from imports.items.work_item import ItemState
from imports.phases import cycles, planning
from imports.phases.cycles import Cycles
from imports.phases.listing import list_source
from imports.phases.planning import plan_items
from imports.phases.upload import list_images
from imports.run.consuming import stability
from imports.run.consuming.stability import STABLE_SECONDS, stable_since
from imports.run.session import RunSession
from tests.support.folder import files_below
from tests.support.patience import within_seconds
from tests.support.session import PeopleBench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[PeopleBench]:
    bench = PeopleBench(tmp_path)
    yield bench
    bench.close()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are stable at once."""
    monkeypatch.setattr(stability, "STABLE_SECONDS", 0.05)


def meanwhile(bench: PeopleBench, *actions: Callable[[], object]) -> None:
    """Does one of these while each of the next merges is under way."""
    waiting = list(actions)

    def act() -> None:
        if waiting:
            waiting.pop(0)()

    bench.database.before_merge = act  # type: ignore[method-assign]


# Cycles


def test_files_that_come_meanwhile_are_taken_until_none_is_new(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    meanwhile(
        bench,
        lambda: bench.add("b.json", "B"),
        lambda: bench.add("deep/er/c.json", "C"),
        lambda: bench.add("empty.json"),
    )
    report = bench.run()
    assert report.exit_code == 0
    assert bench.database.people == ["A", "B", "C"]
    assert bench.left() == []
    assert bench.database.remembered == set(), "the merges of each cycle are forgotten with it"
    assert report.count("import.files_deleted") == 4
    assert report.state.total_files == 4


def test_images_are_listed_under_the_id_that_is_forgotten(bench: PeopleBench) -> None:
    """It is the cycle's, as that of all its merges; else their answers would stay for ever."""
    session = bench.session()
    file = ImageFile("/images/1.png", Signature(1, 1))
    session.begin_cycle()
    list_images(session, [Image(file, "ab12", "png", "image/png", 3, None)])
    assert bench.database.remembered == {session.state.rows_batch_id} != {session.state.run_name}


def test_what_fails_is_tried_once_in_a_run_however_many_cycles_it_has(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    bench.add("bad.json", None)
    meanwhile(bench, lambda: bench.add("b.json", "B"), lambda: bench.add("c.json", "C"))
    report = bench.run(on_failure="keep", on_success="keep", max_retries=5)
    assert report.failures_total == 1
    assert report.failures[0].tries == 1
    assert bench.database.people == ["A", "B", "C"], "nothing is imported twice"
    assert report.count("planning.to_import") == 4


def test_force_imports_everything_once_and_not_in_every_cycle(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    bench.run(on_success="keep")
    meanwhile(bench, lambda: bench.add("b.json", "B"), lambda: bench.add("c.json", "C"))
    bench.run("next", on_success="keep", force=True)
    assert bench.database.people == ["A", "A", "B", "C"]


def test_a_limit_holds_for_the_whole_run(bench: PeopleBench) -> None:
    for name in "abcd":
        bench.add(f"{name}.json", name)
    meanwhile(bench, lambda: bench.add("e.json", "e"))
    bench.run(limit=2)
    assert bench.database.people == ["a", "b"]
    assert bench.left() == ["c.json", "d.json", "e.json"]
    bench.run("next", limit=2)
    assert bench.left() == ["e.json"]


def test_an_empty_source_is_no_mistake_where_it_is_consumed(bench: PeopleBench) -> None:
    report = bench.run()
    assert (report.exit_code, report.nothing_to_do) == (0, True)


def test_a_scan_and_a_single_file_have_one_cycle(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    assert not Cycles(bench.session("x", scan_only=True)).more()
    assert not Cycles(bench.session("y", only="a.json")).more()
    assert Cycles(bench.session("z")).more()


def test_verifications_of_several_cycles_are_one_report(bench: PeopleBench) -> None:
    bench.add("a.json", "A")
    meanwhile(bench, lambda: bench.add("b.json", "B"))
    report = bench.run(verify_writes=True)
    assert report.verification is not None
    assert (report.verification.records, report.verification.found) == (2, {})
    assert bench.left() == []


def test_a_file_that_stays_is_verified_once_in_a_run(bench: PeopleBench) -> None:
    """A record that is counted once a cycle, and a finding told so often, are not what is there."""
    bench.add("a.json", "A")
    bench.database.wrong = {'"A"'}
    meanwhile(bench, lambda: bench.add("b.json", "B"), lambda: bench.add("c.json", "C"))
    report = bench.run(verify_writes=True, on_success="keep")
    assert report.verification is not None
    assert report.verification.found == {"missing": 1}
    assert report.verification.records == 3


def test_a_later_cycle_is_verified_though_the_clock_was_set_back(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its files are deleted, and nobody has looked at their rows."""
    bench.add("a.json", "A")
    bench.database.wrong = {'"B"'}
    back, clock = [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: clock() - back[0])

    def set_back() -> None:
        back[0] = 3_600.0

    # The second of these merges comes after the first verification.
    meanwhile(bench, lambda: (bench.add("b.json", "B"), bench.add("c.json", "C")), set_back)
    report = bench.run(verify_writes=True)
    assert report.verification is not None
    assert (report.verification.records, report.verification.found) == (3, {"missing": 1})
    assert (report.exit_code, bench.left()) == (3, ["b.json"])
    assert report.elapsed_seconds >= 0


# Files that are still growing


def test_only_what_is_stable_is_planned(bench: PeopleBench) -> None:
    bench.add("old.json", "A")
    bench.add("new.json", "B", age=0)
    session = bench.session()
    list_source(session)
    plan_items(session)
    assert session.items.count(ItemState.PLANNED) == 1
    assert session.items.listed()[0] == 1


def test_a_run_that_does_not_consume_its_source_takes_every_file(bench: PeopleBench) -> None:
    bench.add("new.json", "B", age=-3_600)
    session = bench.session("x", only="new.json")
    assert stable_since(session) is None
    list_source(session)
    plan_items(session)
    assert session.items.count(ItemState.PLANNED) == 1


def test_stable_is_what_has_not_changed_for_a_while(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = bench.session()
    monkeypatch.setattr(time, "time", lambda: 1_000.0)
    monkeypatch.setattr(time, "monotonic", lambda: 70.0)
    moment = stable_since(session)
    assert moment is not None
    assert (moment.mtime, moment.seen) == (1_000.0 - STABLE_SECONDS, 70.0 - STABLE_SECONDS)


@pytest.mark.parametrize("age", [0.0, -3_600.0, -4e9])
def test_a_file_that_stopped_growing_is_taken_whatever_its_mtime_is(
    bench: PeopleBench, soon: None, age: float
) -> None:
    bench.add("new.json", "A", age=age)
    assert bench.run().exit_code == 0
    assert bench.database.people == ["A"]
    assert bench.left() == []


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell who has a file open."""
    monkeypatch.setattr(planning, "is_open_for_writing", lambda _: None)


def test_a_half_written_file_of_an_old_mtime_is_not_taken_before_it_is_closed(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    """As it is copied with its times: its beginning alone would fail, and be moved away."""
    content = b'{"results": [{"profile_data": {"profile_id": "A"}}]}'
    path = bench.write("a.json", content[:20])
    if is_open_for_writing(str(path)) is None:
        pytest.skip("nobody can tell here")
    bench.add("b.json", "B")
    file = path.open("ab", buffering=0)
    os.utime(path, (1.6e9, 1.6e9))
    session = bench.session()
    wait = session.policy.stop.wait

    def waited(seconds: float | None = None) -> bool:
        if not file.closed:
            # Between two listings: one that sees the file half closed would have it read once more.
            file.write(content[20:])
            os.utime(path, (1.6e9, 1.6e9))
            file.close()
        return wait(seconds)

    monkeypatch.setattr(session.policy.stop, "wait", waited)
    report = bench.go(session)
    assert file.closed
    assert (report.exit_code, bench.database.people) == (0, ["B", "A"])
    assert (bench.left(), files_below(bench.failed)) == ([], [])
    assert report.count("planning.to_import") == 2
    assert report.count("cycles") == 1, "a file that is not closed is no reason for a cycle"


def test_if_open_files_are_unknown_a_file_is_taken_once_listings_saw_it_unchanged(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, untold: None
) -> None:
    """All wait together, whatever their mtimes."""
    monkeypatch.setattr(stability, "STABLE_SECONDS", 0.3)
    for number in range(20):
        bench.add(f"{number}.json", str(number), age=number * 1_000.0)
    waits: list[float] = []
    session = bench.session()
    wait = session.policy.stop.wait

    def waited(seconds: float | None = None) -> bool:
        waits.append(seconds or 0.0)
        return wait(seconds)

    monkeypatch.setattr(session.policy.stop, "wait", waited)
    report = bench.go(session)
    assert waits == [0.3]
    assert report.exit_code == 0
    assert len(bench.database.people) == 20
    assert bench.left() == []


def test_a_file_that_is_written_in_parts_and_given_an_old_mtime_waits_for_its_last_part(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, untold: None
) -> None:
    """Its mtime and size tell nothing: its ctime does, which listings see too."""
    monkeypatch.setattr(stability, "STABLE_SECONDS", 0.3)
    content = b'{"results": [{"profile_data": {"profile_id": "A"}}]}'
    path = bench.write("a.json", content[:9])

    def write() -> None:
        for start in range(9, len(content), 9):
            time.sleep(0.1)
            with path.open("ab") as file:
                file.write(content[start : start + 9])
            os.utime(path, (1.6e9, 1.6e9))

    writer = threading.Thread(target=write)
    writer.start()
    report = bench.run()
    writer.join()
    assert (report.exit_code, bench.database.people) == (0, ["A"])
    assert files_below(bench.failed) == []


@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_a_clock_that_is_set_during_a_run_takes_no_file_that_grows(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, untold: None, hours: float
) -> None:
    bench.add("a.json", "A", age=0)
    session = bench.session()
    list_source(session)
    plain = time.time
    monkeypatch.setattr(time, "time", lambda: plain() + hours * 3_600)
    for _ in range(2):
        plan_items(session)
        assert session.items.count(ItemState.PLANNED) == 0
        list_source(session, again=True)
    monkeypatch.setattr(stability, "STABLE_SECONDS", 0.0)
    plan_items(session)
    assert session.items.count(ItemState.PLANNED) == 1


def test_a_file_that_stays_open_is_left_for_the_next_run_in_one_cycle(
    bench: PeopleBench, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycles, "GROWING_SECONDS", 0.3)
    bench.add("a.json", "A")
    path = bench.add("b.json", "B")
    with path.open("ab"):
        if is_open_for_writing(str(path)) is None:
            pytest.skip("nobody can tell here")
        report = bench.run()
        assert (report.exit_code, bench.database.people) == (0, ["A"])
        assert report.count("cycles") == 0
        assert "Still growing, and left for the next run: 1" in bench.said
    assert bench.run("next").exit_code == 0
    assert bench.database.people == ["A", "B"]


def test_the_run_waits_for_a_growing_file_and_imports_all_of_it(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stability, "STABLE_SECONDS", 0.15)
    bench.add("old.json", "OLD")
    path = bench.folder / "new.json"
    content = b'{"results": [%s]}' % b",".join(
        b'{"profile_data": {"profile_id": "%d"}}' % number for number in range(8)
    )
    size = len(content) // 8 + 1
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    path.write_bytes(parts.pop(0))

    def grow() -> None:
        for part in parts:
            time.sleep(0.04)
            with path.open("ab") as file:
                file.write(part)

    writer = threading.Thread(target=grow)
    writer.start()
    report = bench.run()
    writer.join()
    assert report.exit_code == 0
    assert report.failures_total == 0
    assert sorted(bench.database.people) == [*"01234567", "OLD"]
    assert files_below(bench.failed) == []


def test_a_growing_file_holds_up_no_other(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("old.json", "OLD")
    bench.add("new.json", "NEW", age=0)
    session = bench.session()
    seen = []

    def waited(_: float) -> bool:
        seen.append(list(bench.database.people))
        session.policy.stop.set()
        return True

    monkeypatch.setattr(session.policy.stop, "wait", waited)
    assert Cycles(session).more()
    plan_items(session)
    assert session.items.count(ItemState.PLANNED) == 1
    bench.database.stored.append({"neuron360_profile_id": "OLD"})
    with pytest.raises(InterruptedRunError):
        Cycles(session).more()
    assert seen == [["OLD"]]


def test_a_growing_file_that_is_gone_is_no_failure(bench: PeopleBench, soon: None) -> None:
    """Who writes under one name and then takes another is no mistake, also in an empty source."""
    path = bench.add("a.json", "A", age=-3_600)
    session = bench.session()
    list_source(session)
    path.unlink()
    session.close()
    report = bench.run()
    assert (report.exit_code, report.failures_total) == (0, 0)


def test_a_stop_while_it_waits_for_a_growing_file_ends_the_run_at_once(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it waits with is the request to stop itself, which ends the wait."""
    monkeypatch.setattr(stability, "STABLE_SECONDS", 600.0)
    bench.add("new.json", "A", age=-3_600)
    session = bench.session()
    wait = session.policy.stop.wait
    heard: list[bool] = []

    def stopped(seconds: float | None = None) -> bool:
        threading.Timer(0.01, session.policy.stop.set).start()
        heard.append(wait(seconds))
        return heard[-1]

    monkeypatch.setattr(session.policy.stop, "wait", stopped)
    with within_seconds(60), pytest.raises(InterruptedRunError):
        Cycles(session).more()
    assert heard == [True]


# Watching


class Watch:
    """Stands in for `watch`: tells of changes when the test does. `ended` says if it was closed."""

    def __init__(self, *looks: set[Any] | Callable[[], object]) -> None:
        self.looks = list(looks)
        self.options: dict[str, Any] = {}
        self.ended = False

    def __call__(self, *paths: str, **options: Any) -> Iterator[set[Any]]:
        self.options = options
        try:
            for look in self.looks:
                if callable(look):
                    look()
                    yield {"something"}
                else:
                    yield look
        finally:
            self.ended = True


def watching(bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, watch: Watch) -> Any:
    monkeypatch.setattr("watchfiles.watch", watch)
    return bench.run(watch=True)


def test_new_files_are_taken_while_it_watches_and_it_ends_when_it_is_stopped(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add("a.json", "A")
    watch = Watch(set(), lambda: bench.add("b.json", "B"), lambda: bench.add("c.json", "C"))
    report = watching(bench, monkeypatch, watch)
    assert report.exit_code == 0
    assert report.state.status == "completed"
    assert bench.database.people == ["A", "B", "C"]
    assert watch.ended
    assert len([each for each in bench.said if "Waiting for new files" in each]) == 1


def test_what_comes_before_the_watch_has_begun_is_not_missed(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unnoticed() -> None:
        bench.add("b.json", "B")

    class Late(Watch):
        def __call__(self, *paths: str, **options: Any) -> Iterator[set[Any]]:
            unnoticed()
            yield set()

    watching(bench, monkeypatch, Late())
    assert bench.database.people == ["B"]


def test_a_look_without_a_change_lists_nothing_until_a_while_has_passed(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    listing = cycles.list_source

    def counted(session: RunSession, *, again: bool) -> Any:
        looks.append(again)
        return listing(session, again=again)

    monkeypatch.setattr(cycles, "list_source", counted)
    watching(bench, monkeypatch, Watch(*[set[Any]() for _ in range(50)]))
    assert len(looks) == 2, "at its beginning, and once the watch has begun"
    monkeypatch.setattr(cycles, "_MOST_SECONDS_BETWEEN_LOOKS", -1.0)
    watching(bench, monkeypatch, Watch(*[set[Any]() for _ in range(50)]))
    assert len(looks) > 50


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left"), LimitError),
        (RuntimeError("inotify"), LimitError),
        (FileNotFoundError(2, "gone"), UsageError),
    ],
)
def test_a_source_that_cannot_be_watched_ends_the_run_with_what_to_do(
    bench: PeopleBench,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    kind: type[ImporterError],
) -> None:
    def broken() -> None:
        raise error

    bench.add("a.json", "A")
    with pytest.raises(kind, match="without --watch"):
        watching(bench, monkeypatch, Watch(broken))
    assert bench.database.people == ["A"]
    assert bench.left() == []


def test_a_run_that_finds_nothing_waits_all_the_same(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching(bench, monkeypatch, Watch(set(), lambda: bench.add("a.json", "A")))
    assert bench.database.people == ["A"]


def test_the_files_of_the_run_itself_are_no_news(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a source that holds the work state, the ledger and the progress log: else each look at
    it, which writes them, is the reason for the next one."""
    looks = []
    monkeypatch.setattr(cycles, "_LOOK_MILLISECONDS", 100)
    bench.folder = bench.base  # it holds all of them
    session = bench.session("x", watch=True, progress_csv=bench.base / "p.csv")
    listing = cycles.list_source

    def counted(session: RunSession, *, again: bool) -> Any:
        looks.append(time.monotonic())
        return listing(session, again=again)

    monkeypatch.setattr(cycles, "list_source", counted)
    threading.Timer(1.0, session.policy.stop.set).start()
    watched = Cycles(session)
    with contextlib.suppress(InterruptedRunError):  # stopped while it was looking
        watched.more()
    watched.close()
    assert len(looks) <= 4


def test_a_real_watch_takes_what_comes_and_what_is_moved_in(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch, soon: None
) -> None:
    monkeypatch.setattr(cycles, "_LOOK_MILLISECONDS", 50)
    bench.add("a.json", "A")
    session = bench.session("x", watch=True)
    watched = Cycles(session)
    assert watched.more()
    bench.folder.joinpath("a.json").unlink()
    (bench.base / "outside.json").write_bytes(b"{}")

    def come() -> None:
        time.sleep(0.3)
        (bench.folder / "sub").mkdir()
        (bench.base / "outside.json").rename(bench.folder / "sub" / "b.json")

    writer = threading.Thread(target=come)
    writer.start()
    guard = threading.Timer(5.0, session.policy.stop.set)
    guard.start()
    assert watched.more(), "nobody noticed"
    guard.cancel()
    writer.join()
    watched.close()
    assert session.items.listed()[0] >= 1


def test_a_file_that_grows_for_ever_is_left_for_the_next_run(
    bench: PeopleBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It grows whenever it is waited for: a thread that writes may come too late for all looks."""
    monkeypatch.setattr(cycles, "GROWING_SECONDS", 0.2)
    bench.add("a.json", "A")
    sizes = count(1)

    def grow(_: float = 0.0) -> bool:
        bench.write("log.json", b" " * next(sizes), age=0)
        return False

    grow()
    session = bench.session()
    monkeypatch.setattr(session.policy.stop, "wait", grow)
    report = bench.go(session)
    assert (report.exit_code, bench.database.people) == (0, ["A"])
    assert bench.left() == ["log.json"]
    assert "Still growing, and left for the next run: 1" in bench.said
    assert next(sizes) > 3, "it was waited for"
