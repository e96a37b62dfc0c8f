"""Reset: what one run wrote is gone again, and what other runs wrote is as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from imports import ResilientImporter
from imports.backends.deleting import CountedRows
from imports.backends.retry import RetryPolicy
from imports.backends.target import Target, open_target
from imports.errors import ImageProblemError
from imports.items.phase import Phase
from imports.kinds import kind_named
from imports.ledger import LedgerFile, Undone, known_runs, undo_runs
from imports.run.report import RunReport
from imports.run.reset import (
    BatchToReset,
    ResetReport,
    ResetTarget,
    count_batch,
    delete_rows,
    forget_merges,
    remove_images,
    reset_batch,
)
from tests.integration.test_people import Stops
from tests.support import people
from tests.support.bench import Bench
from tests.support.database import query
from tests.support.device_tests import add as add_folder
from tests.support.people import emails, job, person, phones
from tests.support.source import license_, png


class Reset:
    """Resets runs of a bench's imports."""

    def __init__(self, bench: Bench, kind: str, target: Target, threads: ThreadPoolExecutor):
        self.group = kind_named(kind).group
        self.ledger = LedgerFile(bench.settings().ledger_file)
        self.target = ResetTarget(target.database, target.store, threads)

    def batch(self, run: str) -> BatchToReset:
        known = known_runs(self.ledger.connection, run)
        return BatchToReset(run, tuple(each.run_name for each in known), self.group)

    def count(self, run: str) -> tuple[dict[str, tuple[int, int]], int, int]:
        """Rows and earlier ones of each table that has any; images, and their bytes."""
        counted = count_batch(self.target, self.ledger, self.batch(run))
        tables = {
            label: (each.rows, each.earlier)
            for label, each in counted.tables.items()
            if each != CountedRows(0, 0)
        }
        return tables, counted.images, counted.bytes

    def run(self, run: str) -> ResetReport:
        return reset_batch(self.target, self.ledger, self.batch(run))


@contextmanager
def resetting(bench: Bench, kind: str = "states") -> Iterator[Reset]:
    target = open_target(bench.settings(), RetryPolicy(0))
    with ThreadPoolExecutor(2) as threads:
        reset = Reset(bench, kind, target, threads)
        try:
            yield reset
        finally:
            reset.ledger.close()
            target.close()


def run_name(report: RunReport) -> str:
    assert (report.exit_code, report.failures) == (0, [])
    return report.state.run_name


def add(bench: Bench, name: str, image: int | None = None, status: str = "Active") -> None:
    """Writes a search of one licence; those with the same `image` show the same picture."""
    if image is not None:
        bench.source.write(f"{name}.png", png(image))
    day = "05" if status == "Active" else "06"
    bench.source.add(
        name,
        name=name,
        ts=f"2025-08-{day}T14:03:10",
        licenses=[license_(name, license_status=status)],
        image=None if image is None else f"{name}.png",
    )


@pytest.fixture
def two_runs(bench: Bench) -> tuple[Bench, str, str]:
    """Two imports of states; the second one changes a row of the first, and shares an image."""
    add(bench, "a", 1)
    add(bench, "b", 2)
    add(bench, "c", 3)
    first = run_name(bench.run())
    add(bench, "b", 4, "Revoked")
    add(bench, "d", 1)
    add(bench, "e", 5)
    return bench, first, run_name(bench.run())


def contents(bench: Bench) -> list[tuple[Any, ...]]:
    columns = "search_name, license_status, image_hash, raw::text"
    return query(bench.url, f"SELECT {columns} FROM search_results ORDER BY 1")


def listed(bench: Bench) -> int:
    """How many images are listed; each is stored where the list says, and no other one is noted."""
    images = bench.images()
    assert all(bench.stored(place) is not None for place in images.values())
    assert bench.count("import_removals") == 0
    return len(images)


def test_a_reset_leaves_what_other_runs_wrote(two_runs: tuple[Bench, str, str]) -> None:
    bench, first, second = two_runs
    assert query(bench.url, "SELECT search_name, inserted_by FROM search_results ORDER BY 1") == [
        ("a", None),
        ("b", first),
        *((name, None) for name in "cde"),
    ]
    before, rows = contents(bench), query(bench.url, "SELECT * FROM search_results ORDER BY id")
    places = bench.images()
    with resetting(bench) as reset:
        size = len(png(4)) + len(png(5))
        assert reset.count(second) == ({"search_results": (3, 1)}, 2, size)
        report = reset.run(second)
        assert (report.items, report.images, report.problems) == (Undone(3, 0), 2, [])
        assert (report.deleted, report.stayed.total()) == ({"search_results": 3}, 0)
        assert query(bench.url, "SELECT * FROM search_results ORDER BY id") == [rows[0], rows[2]]
        assert listed(bench) == 3, "that of the row which was updated is nobody's, as before"
        assert sum(bench.stored(place) is not None for place in places.values()) == 3
        again = reset.run(second)
        assert (again.items, again.deleted.total(), again.images) == (Undone(0, 0), 0, 0)
        assert reset.count(second) == ({}, 0, 0)
    report = bench.run()
    assert (report.count("import.inserted"), report.count("import.unchanged")) == (3, 0)
    assert contents(bench) == before
    assert listed(bench) == 5
    assert bench.verify(deep=True).clean


def test_rows_that_a_later_run_found_unchanged_come_back_too(
    two_runs: tuple[Bench, str, str],
) -> None:
    bench, first, _ = two_runs
    before = contents(bench)
    run_name(bench.run(force=True))
    with resetting(bench) as reset:
        assert reset.count(first) == ({"search_results": (2, 0)}, 1, len(png(3)))
        report = reset.run(first)
        assert report.deleted == {"search_results": 2}
        assert report.items == Undone(3, 0), "not those that a later run brought"
    assert run_name(bench.run())
    assert contents(bench) == before
    assert bench.verify(deep=True).clean


def test_a_reset_that_was_killed_goes_on_and_an_import_in_its_place_brings_all_back(
    two_runs: tuple[Bench, str, str],
) -> None:
    bench, _, _ = two_runs
    before = contents(bench)
    for steps, goes_on in ((1, False), (2, False), (3, False), (4, False), (3, True), (4, True)):
        ((run,),) = query(bench.url, "SELECT batch_id FROM search_results WHERE search_name = 'd'")
        with resetting(bench) as reset:
            _first_steps(reset, run, steps)
            if goes_on:
                reset.run(run)
                assert reset.count(run) == ({}, 0, 0)
                assert listed(bench) == 3
        run_name(bench.run())
        assert contents(bench) == before
    assert bench.verify(deep=True).clean
    with resetting(bench) as reset:
        remove_images(reset.target, ResetReport(Undone(0, 0)))
    assert listed(bench) == 5, "what an earlier reset noted is named again"


def _first_steps(reset: Reset, run: str, count: int) -> None:
    """What a reset that is killed has done."""
    kind = reset.target.store.storage_type
    steps: list[Callable[[], object]] = [
        lambda: undo_runs(reset.ledger, [run]),
        lambda: forget_merges(reset.target, [run]),
        lambda: delete_rows(reset.target, reset.group, [run], ResetReport(Undone(0, 0))),
        lambda: reset.target.database.unlist_images(kind, "", 50),
    ]
    for step in steps[:count]:
        step()


def test_a_run_that_was_interrupted_is_reset_and_not_gone_on_with(bench: Bench) -> None:
    """The target still knows its answers, and its work state says that it is unfinished."""
    for number in range(20):
        add(bench, f"r{number}", number % 6)
    stop = threading.Event()
    importer = ResilientImporter(
        bench.settings(batch_size=2, max_workers=1), Stops(Phase.IMPORT, stop), stop
    )
    report = importer.run()
    assert report.exit_code != 0
    run = report.state.run_name
    assert 0 < bench.count() < 20
    with resetting(bench) as reset:
        done = reset.run(run)
        assert done.items.importable == done.deleted.total() > 0
    assert bench.count() == 0
    report = bench.run(batch_size=2)
    assert run_name(report) != run
    assert (bench.count(), report.count("import.inserted"), listed(bench)) == (20, 20, 6)
    assert bench.verify(deep=True).clean


def test_folders_name_their_images_in_a_list(bench: Bench) -> None:
    source = bench.source.folder
    add_folder(source, "one", {"device_id": "1"}, {"a.png": png(1), "b.png": png(2)})
    run_name(bench.run(kind="folders"))
    add_folder(source, "two", {"device_id": "2"}, {"a.png": png(1), "c.png": png(3)})
    second = run_name(bench.run(kind="folders"))
    with resetting(bench, "folders") as reset:
        assert reset.count(second) == ({"device_test": (1, 0)}, 1, len(png(3)))
        report = reset.run(second)
        assert (report.deleted, report.images) == ({"device_test": 1}, 1)
    assert (bench.count("device_test"), listed(bench)) == (1, 2)
    assert run_name(bench.run(kind="folders"))
    assert (bench.count("device_test"), listed(bench)) == (2, 3)
    assert bench.verify(kind="folders", deep=True).clean


def test_an_image_that_cannot_be_removed_is_told_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(bench, "a", 1)
    add(bench, "b", 2)
    run = run_name(bench.run())
    with resetting(bench) as reset:
        store, remove = type(reset.target.store), reset.target.store.remove
        refused = min(bench.images().values())

        def refusing(_: object, storage_path: str) -> None:
            if storage_path == refused:
                raise ImageProblemError("it is locked")
            remove(storage_path)

        monkeypatch.setattr(store, "remove", refusing)
        report = reset.run(run)
        assert (report.images, report.problems) == (1, [(refused, "it is locked")])
        assert bench.images() == {}
        monkeypatch.undo()
        assert reset.run(run).images == 1
    assert (bench.stored(refused), listed(bench)) == (None, 0)


def test_a_row_that_a_table_of_the_users_refers_to_stays(postgresql_bench: Bench) -> None:
    bench = postgresql_bench
    add(bench, "a", 1)
    add(bench, "b", 2)
    run = run_name(bench.run())
    query(
        bench.url,
        "CREATE TABLE notes (of bigint REFERENCES search_results ON DELETE CASCADE);"
        "INSERT INTO notes SELECT id FROM search_results WHERE search_name = 'a'",
    )
    with resetting(bench) as reset:
        report = reset.run(run)
        assert (report.deleted, report.stayed) == ({"search_results": 1}, {"search_results": 1})
        assert report.kept == ["search_results a/FL/a"]
        assert reset.count(run) == ({"search_results": (1, 0)}, 1, len(png(1)))
    assert (bench.count("notes"), bench.count(), listed(bench)) == (1, 1, 1)


def test_people_shared_companies_stay_for_those_of_other_runs(bench: Bench) -> None:
    """A company that both runs bring, the second one newer; each has a company of its own, too."""
    shared = {"office_id": "o-1", "office_type": "hq", "company_phones": phones("1", "2")}
    folder = bench.source.folder
    people.write(
        folder,
        "a.json",
        [person("p-1", job("both", **shared), job("c-1"), emails=emails("1@x.example"))],
    )
    people.write(folder, "old.json", [person("p-0", job("c-1"), emails=emails("0@x.example"))])
    first = run_name(bench.run(kind="people", on_success="keep"))
    before = people.rows(bench.url)
    people.write(
        folder,
        "b.json",
        [
            person("p-2", job("both", **shared), modified=people.LATER, emails=emails("2@x")),
            person("p-3", job("c-3", **shared), modified=people.LATER, emails=emails("3@x", "4@x")),
        ],
    )
    people.write(
        folder,
        "old.json",
        [person("p-0", job("c-1"), emails=emails("new@x"), modified=people.LATER)],
    )
    second = run_name(bench.run(kind="people", on_success="keep"))
    after = people.rows(bench.url, sources=False)
    with resetting(bench, "people") as reset:
        tables, _, _ = reset.count(second)
        assert tables["people.identities"] == (3, 1)
        assert tables["people.emails"] == (4, 0)
        report = reset.run(second)
        assert report.deleted["people.identities"] == 3
        # The first run's jobs are at these, and its office belongs to one.
        assert report.stayed["organisation.identities"] > 0
        assert report.kept
        left = people.rows(bench.url)
        (changed,) = [
            row["id"] for row in before["people.identities"] if row["neuron360_profile_id"] == "p-0"
        ]
        for table, key in (
            ("people.identities", "id"),
            ("people.emails", "person_id"),
            ("people.experiences", "person_id"),
        ):
            assert left[table] == [row for row in before[table] if row[key] != changed], table
        ids = {row["neuron360_company_id"] for row in left["organisation.identities"]}
        assert ids == {"both", "c-1"}
        assert reset.run(second).deleted.total() == 0
    assert first != second
    assert run_name(bench.run(kind="people", on_success="keep"))
    assert people.rows(bench.url, sources=False) == after
    assert bench.verify(kind="people").clean
